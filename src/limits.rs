//! How large a configuration may be.
//!
//! Every `validate()` compares its numbers with these limits before anything is allocated, so that
//! a slip of a digit in a file or on a command line is one line of text, not an abort. Each limit
//! lies far above every published model; what fits below all of them may still be more than a
//! machine has memory for.

use crate::error::{Result, ensure};
use crate::grid::ImageShape;

/// Pixels of a side of an image: whole-slide images are read in tiles smaller than this.
pub const SIDE: usize = 1 << 16;

/// Channels of an image: hyperspectral cameras have hundreds.
pub const CHANNELS: usize = 1 << 12;

/// Values of one image, 1 GiB of numbers in f32.
pub const IMAGE_VALUES: usize = 1 << 28;

/// Tokens that all look at each other, 256 × 256 of them.
pub const TOKENS: usize = 1 << 16;

/// Cells of a grid that is looked at window by window, or drawn masks on.
pub const CELLS: usize = 1 << 20;

/// Features of a token: ViT-22B has 6144.
pub const WIDTH: usize = 1 << 16;

/// Features between the two layers of an MLP: ViT-22B has 24 576.
pub const MLP_WIDTH: usize = 1 << 18;

/// Blocks of a network: DeepNet has 1000 of them (arXiv 2203.00555).
pub const DEPTH: usize = 1024;

/// Stages of a hierarchy, each of half the size of the one before.
pub const STAGES: usize = 16;

/// Pairs of tokens whose relative positions are kept, over all blocks that keep their own: 1 GiB
/// of indices. SwinV2-G with windows of 40 has 128 million.
pub const PAIRS: usize = 1 << 27;

/// Tokens of a vocabulary, colors of a palette: the largest published have 2^18.
pub const VOCABULARY: usize = 1 << 20;

/// Parameters of a model: the largest published image encoders have 22 billion.
pub const PARAMETERS: usize = 1 << 35;

/// Passes over the training images.
pub const EPOCHS: usize = 10_000_000;

/// Steps of the optimizer.
pub const STEPS: usize = 1_000_000_000_000;

/// Minutes of a run: nineteen years.
pub const MINUTES: f64 = 10_000_000.0;

/// Images of one step, and steps accumulated.
pub const BATCH: usize = 1 << 24;

/// Threads that prepare batches.
pub const WORKERS: usize = 1024;

/// Seeds of an evaluation.
pub const SEEDS: u64 = 10_000;

/// Checks that `value`, which is called `what`, is at most `limit`.
pub(crate) fn at_most(what: &str, value: usize, limit: usize) -> Result<()> {
    ensure!(value <= limit, "{what} must be at most {limit}, got {value}");
    Ok(())
}

/// Checks that `value`, which is called `what`, is at least 1 and at most `limit`.
pub(crate) fn counts(what: &str, value: usize, limit: usize) -> Result<()> {
    ensure!(value > 0, "{what} must be at least 1, got 0");
    at_most(what, value, limit)
}

/// Checks that an image holds pixels, and that its numbers are within the limits.
pub(crate) fn image(image: ImageShape) -> Result<()> {
    let ImageShape { channels, height, width, .. } = image;
    ensure!(channels > 0 && height > 0 && width > 0, "an image of {image} holds no pixels");
    ensure!(image.check_frames(), "{height} rows are not those of {} frames", image.frames);
    at_most("an image's channels", channels, CHANNELS)?;
    at_most("an image's height", height, SIDE)?;
    at_most("an image's width", width, SIDE)?;
    at_most("the values of an image", product(&[channels, height, width]), IMAGE_VALUES)
}

/// Checks the parameters of `depth` blocks of attention and MLP.
pub(crate) fn blocks(depth: usize, width: usize, mlp_width: usize) -> Result<()> {
    at_most("depth", depth, DEPTH)?;
    at_most("width", width, WIDTH)?;
    at_most("the MLP's width", mlp_width, MLP_WIDTH)?;
    let block = product(&[width, 4]).saturating_add(product(&[mlp_width, 2]));
    parameters(product(&[depth, width, block]))
}

/// Checks a number of parameters.
pub(crate) fn parameters(count: usize) -> Result<()> {
    at_most("the number of parameters", count, PARAMETERS)
}

/// The product, or the largest number where it is larger.
pub(crate) fn product(factors: &[usize]) -> usize {
    factors.iter().fold(1, |product, &factor| product.saturating_mul(factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_overflow_are_refused_with_their_value() {
        let message = image(ImageShape::square(3, usize::MAX)).unwrap_err().to_string();
        assert!(message.contains("height must be at most 65536, got 18446744073709551615"));
        let message = image(ImageShape::square(4096, 65_536)).unwrap_err().to_string();
        assert!(message.contains("the values of an image must be at most 268435456"), "{message}");
        assert!(image(ImageShape::new(0, 1, 1)).unwrap_err().to_string().contains("no pixels"));
        assert!(blocks(1024, 65_536, 262_144).is_err());
        assert_eq!(product(&[usize::MAX, usize::MAX, 2]), usize::MAX);
    }

    #[test]
    fn the_largest_published_encoder_is_allowed() {
        // ViT-22B (arXiv 2302.05442, table 1): 48 blocks, 6144 features, MLP 24 576.
        blocks(48, 6144, 24_576).unwrap();
    }
}
