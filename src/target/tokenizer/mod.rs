//! Tokenizers: images as grids of ids from a vocabulary.

mod config;
mod dvae;
mod k_means;
mod palette;
mod usage;
mod vq;

use burn::module::{Module, ModuleDisplay};
use burn::tensor::{Int, Tensor};

pub use config::{AnyTokenizer, TokenizerConfig};
pub use dvae::{Dvae, DvaeBlock, DvaeConfig, DvaeDecoder, Reconstruction, ResidualStack};
pub use k_means::KMeans;
pub use palette::{Palette, PaletteConfig};
pub use usage::CodebookUsage;
pub use vq::{CodeUse, Quantized, TanhLayers, Vq, VqConfig, VqOutput};

use crate::error::{Result, ensure};
use crate::grid::{Grid, ImageShape};
use crate::limits;

/// Turns images into token ids, one for each square cell of pixels.
///
/// A tokenizer reads pixels in [0, 1]; what normalization it needs is its own affair, so that one
/// second view of a batch fits them all.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not turn images into token ids",
    note = "implement `Tokenizer`, or use `Palette`, `Vq`, `Dvae` or `AnyTokenizer`"
)]
pub trait Tokenizer: Module + ModuleDisplay {
    /// How many different ids there are.
    fn vocabulary(&self) -> usize;

    /// Side of a patch in pixels.
    fn patch(&self) -> usize;

    /// The ids of all cells, row-major.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]` in [0, 1]
    /// - output: `[batch, cells]`
    ///
    /// # Panics
    ///
    /// When the images do not divide into cells.
    fn tokenize(&self, images: Tensor<4>) -> Tensor<2, Int>;

    /// What images of these ids look like; `None` for a tokenizer that has no decoder to pixels.
    ///
    /// # Shapes
    ///
    /// - ids: `[batch, cells]`, row-major over `grid`
    /// - output: `[batch, channels, height, width]`, about [0, 1]
    fn decode(&self, ids: Tensor<2, Int>, grid: Grid) -> Option<Tensor<4>> {
        let _ = (ids, grid);
        None
    }
}

fn check_vocabulary(vocabulary: usize) -> Result<()> {
    ensure!(vocabulary >= 2, "a vocabulary needs at least 2 tokens, got {vocabulary}");
    limits::at_most("vocabulary", vocabulary, limits::VOCABULARY)
}

/// Checks that images can be cut into cells, and how many they are.
fn check_tokens(image: ImageShape, patch: usize) -> Result<()> {
    limits::image(image)?;
    limits::at_most("the number of cells", image.grid(patch)?.cells(), limits::CELLS)
}
