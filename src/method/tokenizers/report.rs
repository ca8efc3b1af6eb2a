//! What a tokenizer is worth, in numbers and in a picture.

use burn::tensor::Tensor;
use serde_json::{Value, json};

use crate::data::Loader;
use crate::error::Result;
use crate::grid::{Grid, ImageShape};
use crate::method::TokenizerCollate;
use crate::method::token_maps;
use crate::target::tokenizer::{AnyTokenizer, CodebookUsage};
use crate::target::{Tokenizer, TokenizerConfig};
use crate::viz::{Picture, PictureGrid};

/// Rows of the picture.
const SHEET_ROWS: usize = 8;

/// What a tokenizer does with images it was not fitted on.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenizerReport {
    /// How often each token occurs.
    pub usage: CodebookUsage,
    /// Mean squared error of decoded pixels in [0, 1]; `None` where there is no decoder.
    pub reconstruction: Option<f64>,
    /// The mean squared error of the images' mean, which a useful tokenizer stays far below.
    pub mean_image: f64,
}

impl TokenizerReport {
    /// What `tokenizer` does with the images of a loader, which is not for training.
    pub(super) fn of(
        tokenizer: &AnyTokenizer,
        grid: Grid,
        images: &Loader<TokenizerCollate>,
    ) -> Result<Self> {
        let mut usage = CodebookUsage::new(tokenizer.vocabulary());
        let (mut error, mut decoded_values) = (0.0, 0);
        let mut moments = Moments::default();
        for batch in images.epoch(0, 0) {
            let images = batch?.images;
            let ids = tokenizer.tokenize(images.clone());
            usage.add(ids.clone().into_data().iter::<i64>().map(|id| id as usize));
            moments.add(&images);
            if let Some(decoded) = tokenizer.decode(ids, grid) {
                decoded_values += images.shape().num_elements();
                error += f64::from((decoded - images).square().sum().into_scalar::<f32>());
            }
        }
        let reconstruction = (decoded_values > 0).then(|| error / decoded_values as f64);
        Ok(Self { usage, reconstruction, mean_image: moments.variance() })
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "vocabulary": self.usage.vocabulary(),
            "used": self.usage.used(),
            "perplexity": self.usage.perplexity(),
            "most_frequent_token": self.usage.most_frequent(),
            "reconstruction_error": self.reconstruction,
            "mean_image_error": self.mean_image,
        })
    }
}

impl std::fmt::Display for TokenizerReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.usage)?;
        match self.reconstruction {
            Some(error) => write!(
                f,
                "; squared error of a pixel {error:.5} (mean image {:.5})",
                self.mean_image
            ),
            None => Ok(()),
        }
    }
}

/// Sums over images, pixel by pixel.
#[derive(Debug, Default)]
struct Moments {
    images: usize,
    values: Vec<f64>,
    squares: f64,
}

impl Moments {
    fn add(&mut self, images: &Tensor<4>) {
        let [batch, ..] = images.dims();
        let values: Vec<f32> = images.clone().into_data().iter().collect();
        let size = values.len() / batch;
        self.values.resize(size, 0.0);
        self.images += batch;
        for image in values.chunks(size) {
            for (sum, &value) in self.values.iter_mut().zip(image) {
                *sum += f64::from(value);
                self.squares += f64::from(value).powi(2);
            }
        }
    }

    /// The mean squared distance of an image's pixel from the mean image's.
    fn variance(&self) -> f64 {
        let images = self.images as f64;
        let of_mean: f64 = self.values.iter().map(|sum| (sum / images).powi(2)).sum();
        (self.squares / images - of_mean) / self.values.len() as f64
    }
}

/// Originals beside what is left of them in their tokens, one row for each of a few images.
pub(super) fn sheet(
    tokenizer: &AnyTokenizer,
    config: &TokenizerConfig,
    images: Tensor<4>,
) -> Result<PictureGrid> {
    let rows = images.dims()[0].min(SHEET_ROWS);
    let images = images.narrow(0, 0, rows);
    let (shape, grid) = (config.image(), config.grid()?);
    let ids = tokenizer.tokenize(images.clone());
    let decoded = tokenizer.decode(ids.clone(), grid);
    let second = if decoded.is_some() { "from its tokens" } else { "its tokens" };
    let columns = ["original", second];
    let title =
        format!("{}: {grid} tokens of {}, test images", config.name(), tokenizer.vocabulary());
    let mut sheet = PictureGrid::new(title, columns);
    if let Some(note) = Picture::channel_note(shape.channels) {
        sheet = sheet.with_footer(note);
    }
    let tokens = match decoded {
        Some(decoded) => pictures(shape, decoded)?,
        None => {
            sheet = sheet.with_footer("Each token has a color of its own.");
            token_maps(ids, grid, [shape.height, shape.width])
        }
    };
    let columns = [pictures(shape, images)?, tokens];
    for row in 0..rows {
        sheet.push_row(columns.iter().map(|column| column[row].clone()).collect())?;
    }
    Ok(sheet)
}

fn pictures(shape: ImageShape, images: Tensor<4>) -> Result<Vec<Picture>> {
    let values: Vec<f32> = images.into_data().iter().collect();
    values.chunks(shape.values()).map(|values| Picture::from_planar(shape, values)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    #[test]
    fn the_mean_images_error_is_the_variance_of_each_pixel() {
        let mut moments = Moments::default();
        let images = |values| Tensor::<4>::from_floats(values, &test_device());
        // Pixels 0, 2 and 1, 1: means 1 and 1, variances 1 and 0.
        moments.add(&images([[[[0.0, 1.0]]]]));
        moments.add(&images([[[[2.0, 1.0]]]]));
        assert!((moments.variance() - 0.5).abs() < 1e-12);
    }
}
