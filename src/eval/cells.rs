//! The features of every cell of a data set's images, extracted once.

use burn::tensor::{DType, Device, FloatDType, Tensor};

use super::features::indices;
use super::labels::below;
use super::linear::Standardizer;
use super::turns::read_in_turns;
use super::{Features, LabelledBatch, Pooling};
use crate::encoder::GridTokens;
use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::train::Ranks;

/// The bytes up to which cells are kept in 32 bits a number; where there are more, 16 bits are.
const WHOLE: usize = 1 << 30;

/// The most bytes that cells may take.
const MOST: usize = 3 << 30;

/// How many images go through a frozen read-out at once.
pub(super) const BLOCK: usize = 256;

/// A data set as the features of every cell of its images, kept in memory: what an attentive probe
/// and dense read-outs read. Class tokens are not among them.
#[derive(Debug, Clone)]
pub struct CellFeatures {
    /// `[images, cells, width]`, on a plain device; in 16 bits where they are many.
    values: Tensor<3>,
    /// The cells of an image, row by row.
    pub grid: Grid,
    /// Each image's class, below `classes`.
    pub labels: Vec<usize>,
    /// How many classes there are.
    pub classes: usize,
}

impl CellFeatures {
    /// Features from the cells of images and the images' classes.
    ///
    /// # Shapes
    ///
    /// - values: `[images, cells, width]`, the cells of `grid` row by row
    ///
    /// # Errors
    ///
    /// When there is no image, the number of labels differs from the number of images, the cells
    /// are not those of the grid, or a label is not below `classes`.
    pub fn new(values: Tensor<3>, grid: Grid, labels: Vec<usize>, classes: usize) -> Result<Self> {
        let [images, cells, _] = values.dims();
        if images == 0 || labels.len() != images {
            return Err(Error::config(format!(
                "the cells of {images} images with {} labels",
                labels.len()
            )));
        }
        if cells != grid.cells() {
            return Err(Error::config(format!("{cells} cells an image on a grid of {grid}")));
        }
        below(&labels, classes)?;
        Ok(Self { values, grid, labels, classes })
    }

    /// The cells that `read` makes of all batches, in their order, such as
    /// `|images| Ok(encoder.represent(images))` with an encoder on a plain device.
    ///
    /// They are kept in 32 bits a number up to 1 GiB, beyond it in 16 where the device has such
    /// numbers.
    ///
    /// # Errors
    ///
    /// When a batch cannot be made, there is none, `read` fails, or the cells would take more than 3 GiB.
    pub fn extract(
        batches: impl IntoIterator<Item = Result<LabelledBatch>>,
        read: impl Fn(Tensor<4>) -> Result<GridTokens>,
    ) -> Result<Self> {
        Self::extract_by(&Ranks::default(), batches, read).map(|cells| cells.expect("one has all"))
    }

    /// The same by several processes, of which each has its part of the batches: the first has all
    /// cells, the others none.
    pub(crate) fn extract_by(
        ranks: &Ranks,
        batches: impl IntoIterator<Item = Result<LabelledBatch>>,
        read: impl Fn(Tensor<4>) -> Result<GridTokens>,
    ) -> Result<Option<Self>> {
        let (mut parts, mut labels) = (Vec::new(), Vec::new());
        let (mut dtype, mut numbers, mut last) = (FloatDType::F32, 0, None);
        let read = |images| read(images).map(|features| (vec![features.tokens], features.grid));
        read_in_turns(ranks, batches, read, |mut piece| {
            let tokens = piece.kinds.remove(0);
            last = Some((piece.about, piece.classes));
            labels.extend(piece.labels);
            numbers += tokens.shape().num_elements();
            let half = tokens.device().supports_dtype(DType::F16);
            if dtype == FloatDType::F32 && numbers * 4 > WHOLE && half {
                dtype = FloatDType::F16;
                let all = std::mem::take(&mut parts).into_iter();
                parts = all.map(|part: Tensor<3>| part.cast(dtype)).collect();
            }
            check_memory(numbers, dtype, labels.len())?;
            parts.push(tokens.cast(dtype));
            Ok(())
        })?;
        if !ranks.is_first() {
            return Ok(None);
        }
        let (grid, classes) =
            last.ok_or_else(|| Error::config("there is no batch to extract cells from"))?;
        Self::new(Tensor::cat(parts, 0), grid, labels, classes).map(Some)
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Always false, since there is at least one image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Features per cell.
    pub fn width(&self) -> usize {
        self.values.dims()[2]
    }

    /// The device of the cells.
    pub fn device(&self) -> Device {
        self.values.device()
    }

    /// The cells of the images at these places, `[places, cells, width]`, in this order.
    ///
    /// # Panics
    ///
    /// When a place is beyond the end.
    pub fn batch(&self, places: &[usize]) -> Tensor<3> {
        let chosen = self.values.clone().select(0, indices(places, &self.device()));
        chosen.cast(FloatDType::F32)
    }

    /// All cells, some images at a time: `[images, cells, width]`.
    pub(super) fn blocks(&self) -> impl Iterator<Item = Tensor<3>> {
        let blocks = self.values.clone().split(BLOCK, 0).into_iter();
        blocks.map(|block| block.cast(FloatDType::F32))
    }

    /// The mean of every image's cells: what [`Pooling::Mean`] makes of them.
    pub fn mean_pool(&self) -> Features {
        let pool = |block: Tensor<3>| {
            let tokens = GridTokens { tokens: block, class_token: None, grid: self.grid };
            Pooling::Mean.of(tokens).expect("a mean needs no class token")
        };
        let values = Tensor::cat(self.blocks().map(pool).collect(), 0);
        Features { values, labels: self.labels.clone(), classes: self.classes }
    }

    /// The standardization of every feature over all cells of all images.
    pub(super) fn standardizer(&self) -> Standardizer {
        let width = self.width();
        Standardizer::of_blocks(|| self.blocks().map(|block| block.reshape([-1, width as i64])))
    }
}

/// Refuses cells beyond the limit.
fn check_memory(numbers: usize, dtype: FloatDType, images: usize) -> Result<()> {
    let bytes = numbers * if dtype == FloatDType::F16 { 2 } else { 4 };
    if bytes > MOST {
        return Err(Error::config(format!(
            "the cells of the first {images} images take {:.1} GiB, and at most {} are kept: use \
             fewer images, or a smaller share of the labels",
            bytes as f64 / f64::from(1 << 30),
            MOST >> 30
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    fn batches() -> Vec<Result<LabelledBatch>> {
        let batch = |first: usize, count: usize| {
            let pixels: Vec<f32> = (0..count * 12).map(|i| (first * 12 + i) as f32).collect();
            let pixels = burn::tensor::TensorData::new(pixels, [count, 1, 3, 4]);
            let images = Tensor::from_data(pixels, &test_device());
            LabelledBatch::new(images, (first..first + count).map(|i| i % 2).collect(), 2)
        };
        vec![batch(0, 2), batch(2, 3)]
    }

    /// Every pixel column pair is a cell of two features.
    fn read(images: Tensor<4>) -> Result<GridTokens> {
        let [batch, ..] = images.dims();
        let grid = Grid { rows: 3, cols: 2 };
        Ok(GridTokens { tokens: images.reshape([batch, 6, 2]), class_token: None, grid })
    }

    #[test]
    fn cells_are_in_the_order_of_the_data() {
        let cells = CellFeatures::extract(batches(), read).unwrap();
        assert_eq!((cells.len(), cells.width(), cells.classes), (5, 2, 2));
        assert_eq!(cells.labels, [0, 1, 0, 1, 0]);
        let chosen: Vec<f32> = cells.batch(&[4, 1]).into_data().try_to_vec().unwrap();
        let expected: Vec<f32> = (48..60).chain(12..24).map(|i| i as f32).collect();
        assert_eq!(chosen, expected);
        let means: Vec<f32> = cells.mean_pool().values.into_data().try_to_vec().unwrap();
        // The even pixels of image 0 are 0, 2, ..., 10.
        assert_eq!(means[..4], [5.0, 6.0, 17.0, 18.0]);
    }

    #[test]
    fn every_feature_is_standardized_over_all_cells() {
        let cells = CellFeatures::extract(batches(), read).unwrap();
        let all: Vec<Tensor<2>> = cells.blocks().map(|block| block.reshape([-1, 2])).collect();
        let out = cells.standardizer().apply(Tensor::cat(all, 0));
        let mean: Vec<f32> = out.clone().mean_dim(0).into_data().try_to_vec().unwrap();
        let square: Vec<f32> = out.square().mean_dim(0).into_data().try_to_vec().unwrap();
        assert!(mean.iter().all(|mean| mean.abs() < 1e-5), "{mean:?}");
        assert!(square.iter().all(|square| (square - 1.0).abs() < 1e-4), "{square:?}");
    }

    #[test]
    fn cells_need_labels_and_a_grid_of_as_many() {
        let message = |labels: Vec<usize>, rows| {
            let values = Tensor::zeros([2, 6, 4], &test_device());
            let grid = Grid { rows, cols: 2 };
            CellFeatures::new(values, grid, labels, 2).unwrap_err().to_string()
        };
        assert!(message(vec![0], 3).ends_with("the cells of 2 images with 1 labels"));
        assert!(message(vec![0, 2], 3).ends_with("a label of 2 among 2 classes"));
        assert!(message(vec![0, 1], 2).contains("6 cells an image on a grid of"));
    }

    #[test]
    fn more_cells_than_are_kept_are_an_error_with_both_sizes() {
        assert!(check_memory(3 << 28, FloatDType::F32, 1).is_ok());
        let message = check_memory(2 << 30, FloatDType::F16, 7).unwrap_err().to_string();
        assert!(message.contains("first 7 images take 4.0 GiB, and at most 3"), "{message}");
    }
}
