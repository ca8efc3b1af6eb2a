//! Cells with the classes of their pixels.

use burn::tensor::{Device, Tensor, TensorData};
use rand::seq::SliceRandom;

use crate::data::augment::{Frame, Normalization, Scratch, Transform, View};
use crate::data::{ChannelStatistics, ImageDataset, LabelMap, data_error};
use crate::encoder::GridTokens;
use crate::error::{Error, Result, ensure};
use crate::eval::Features;
use crate::grid::{Grid, ImageShape};
use crate::rng::{Purpose, stream};

/// How images and their label maps are shown to an encoder: not augmented.
#[derive(Debug, Clone)]
pub struct DenseImages {
    view: View,
    normalization: Normalization,
}

impl DenseImages {
    /// Images of `shape`, normalized by `statistics`.
    ///
    /// # Errors
    ///
    /// When the shape holds no pixels, or the statistics are of other channels.
    pub fn new(shape: ImageShape, statistics: &ChannelStatistics) -> Result<Self> {
        statistics.check(shape)?;
        Ok(Self { view: View::new(shape)?, normalization: Normalization::new(statistics)? })
    }

    /// The images at `places` with their maps.
    fn batch(
        &self,
        images: &dyn ImageDataset,
        places: &[usize],
        device: &Device,
    ) -> Result<(Tensor<4>, Vec<LabelMap>)> {
        let shape = self.view.shape();
        let mut values = vec![0.0; places.len() * shape.values()];
        let (mut scratch, mut maps) = (Scratch::default(), Vec::with_capacity(places.len()));
        let transform = Transform::of(Frame::Center);
        for (&place, out) in places.iter().zip(values.chunks_exact_mut(shape.values())) {
            let fault = |error: Error| Error::data(images.name(place), error);
            let image = images.get(place).map_err(|error| data_error(place, error))?.image;
            let write = self.view.write(&image, &transform, &self.normalization, &mut scratch, out);
            write.map_err(fault)?;
            let map = label_map(images, place)?;
            maps.push(self.view.label_map(&map, image.shape()).map_err(fault)?);
        }
        let values =
            TensorData::new(values, [places.len(), shape.channels, shape.height, shape.width]);
        Ok((Tensor::from_data(values, device), maps))
    }
}

/// The features of all cells of some images, and the classes of the images' pixels.
#[derive(Debug, Clone)]
pub struct DenseFeatures {
    /// One row a cell, image by image and row by row. A cell's label is the class of most of its
    /// pixels, of equally frequent ones the first; 0 where none of its pixels has a class.
    pub cells: Features,
    /// The cells of an image.
    pub grid: Grid,
    /// The classes of the pixels of each image as the encoder sees it.
    pub maps: Vec<LabelMap>,
    /// Whether any pixel of a cell has a class.
    known: Vec<bool>,
}

impl DenseFeatures {
    /// Features from those of all cells and the maps of their images.
    ///
    /// # Shapes
    ///
    /// - values: `[images, cells, width]`, the cells of `grid` row by row
    ///
    /// # Errors
    ///
    /// When there is not one map an image, a map has fewer pixels than the grid has cells along an
    /// axis, or a class is not below `classes`.
    pub fn new(values: Tensor<3>, grid: Grid, maps: Vec<LabelMap>, classes: usize) -> Result<Self> {
        let [images, cells, width] = values.dims();
        ensure!(images == maps.len(), "{images} images with {} label maps", maps.len());
        ensure!(cells == grid.cells(), "{cells} cells an image on a grid of {grid}");
        let (mut labels, mut known) = (Vec::new(), Vec::new());
        for map in &maps {
            for counts in counts(map, grid, classes)? {
                // Of equal counts `max_by_key` takes the last.
                let best = (0..classes).rev().max_by_key(|&class| counts[class]);
                labels.push(best.unwrap_or(0));
                known.push(counts.iter().any(|&count| count > 0));
            }
        }
        let values = values.reshape([images * cells, width]);
        Ok(Self { cells: Features::new(values, labels, classes)?, grid, maps, known })
    }

    /// The cells that `read` makes of all images of a data set, `batch_size` at a time, on `device`.
    ///
    /// # Errors
    ///
    /// When an image or its map cannot be read, or has none, `read` fails, or as
    /// [`DenseFeatures::new`].
    pub fn extract(
        images: &dyn ImageDataset,
        shown: &DenseImages,
        classes: usize,
        batch_size: usize,
        device: &Device,
        read: impl Fn(Tensor<4>) -> Result<GridTokens>,
    ) -> Result<Self> {
        let places: Vec<usize> = (0..images.len()).collect();
        let (mut parts, mut maps, mut grid) = (Vec::new(), Vec::new(), Grid::new(0, 0));
        for places in places.chunks(batch_size.max(1)) {
            let (batch, of_batch) = shown.batch(images, places, device)?;
            let features = read(batch)?;
            grid = features.grid;
            parts.push(features.tokens);
            maps.extend(of_batch);
        }
        ensure!(!parts.is_empty(), "there is no image to extract cells from");
        Self::new(Tensor::cat(parts, 0), grid, maps, classes)
    }

    /// The cells that have a class, at most `count` of them, drawn by `seed` and kept in order.
    ///
    /// # Errors
    ///
    /// When no cell has a class.
    pub fn labelled(&self, count: usize, seed: u64) -> Result<Features> {
        let mut places: Vec<usize> = (0..self.known.len()).filter(|&i| self.known[i]).collect();
        ensure!(!places.is_empty(), "no cell has a class to learn");
        if places.len() > count {
            places.shuffle(&mut stream(seed, Purpose::Subset, 0, 0));
            places.truncate(count);
            places.sort_unstable();
        }
        self.cells.select(&places)
    }
}

/// How many classes the label maps of data sets have: one more than the largest.
///
/// # Errors
///
/// When a map cannot be read, or an image has none.
pub fn map_classes(data: &[&dyn ImageDataset]) -> Result<usize> {
    let mut classes = 1;
    for images in data {
        for place in 0..images.len() {
            let map = label_map(*images, place)?;
            let known = map.classes().iter().filter(|&&class| class != LabelMap::VOID);
            classes = classes.max(known.map(|&class| usize::from(class) + 1).max().unwrap_or(1));
        }
    }
    Ok(classes)
}

fn label_map(images: &dyn ImageDataset, place: usize) -> Result<LabelMap> {
    images.label_map(place)?.ok_or_else(|| {
        Error::data(images.name(place), "has no label map, and dense read-outs need one")
    })
}

/// How many pixels of each class each cell has.
fn counts(map: &LabelMap, grid: Grid, classes: usize) -> Result<Vec<Vec<usize>>> {
    let (height, width) = (map.height(), map.width());
    ensure!(
        grid.rows <= height && grid.cols <= width,
        "a label map of {height}×{width} pixels has no {grid} cells"
    );
    let mut counts = vec![vec![0; classes]; grid.cells()];
    for (pixel, &class) in map.classes().iter().enumerate() {
        if class == LabelMap::VOID {
            continue;
        }
        let class = usize::from(class);
        ensure!(class < classes, "a pixel of the class {class} among {classes} classes");
        let row = pixel / width * grid.rows / height;
        let cell = row * grid.cols + pixel % width * grid.cols / width;
        counts[cell][class] += 1;
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::source::Shapes;
    use crate::test_device;

    #[test]
    fn a_cell_has_the_class_of_most_of_its_pixels() {
        // Two cells of 2 × 2 pixels beside each other, and two below.
        #[rustfmt::skip]
        let map = vec![
            1, 1,  0, 2,
            1, 0,  2, 0,
            255, 255,  255, 2,
            255, 255,  255, 255,
        ];
        let map = LabelMap::new(4, 4, map).unwrap();
        let values = Tensor::zeros([1, 4, 3], &test_device());
        let dense = DenseFeatures::new(values, Grid::new(2, 2), vec![map.clone()], 3).unwrap();
        assert_eq!(dense.cells.labels, [1, 0, 0, 2]);
        assert_eq!(dense.labelled(9, 0).unwrap().labels, [1, 0, 2]);
        assert_eq!(dense.labelled(2, 0).unwrap().len(), 2);
        let message = |grid: Grid, classes| {
            let values = Tensor::zeros([1, grid.cells(), 3], &test_device());
            let dense = DenseFeatures::new(values, grid, vec![map.clone()], classes);
            dense.unwrap_err().to_string()
        };
        assert!(message(Grid::new(5, 2), 3).ends_with("4×4 pixels has no 5×2 cells"));
        assert!(message(Grid::new(2, 2), 2).ends_with("a pixel of the class 2 among 2 classes"));
    }

    #[test]
    fn cells_and_maps_are_read_together() {
        let shapes = Shapes { seed: 1, len: 5, split: 0 };
        let shown = DenseImages::new(Shapes::SHAPE, &ChannelStatistics::none(3)).unwrap();
        // The mean of each cell of 8 × 8 pixels.
        let read = |images: Tensor<4>| {
            let [batch, channels, ..] = images.dims();
            let cells = images.reshape([batch, channels, 4, 8, 4, 8]).mean_dim(3).mean_dim(5);
            let tokens = cells.reshape([batch, channels, 16]).swap_dims(1, 2);
            Ok(GridTokens { tokens, class_token: None, grid: Grid::new(4, 4) })
        };
        let extract = |batch| {
            DenseFeatures::extract(&shapes, &shown, 11, batch, &test_device(), read).unwrap()
        };
        assert_eq!(map_classes(&[&Shapes { seed: 1, len: 3, split: 0 }, &shapes]).unwrap(), 6);
        let dense = extract(2);
        assert_eq!((dense.cells.len(), dense.maps.len()), (80, 5));
        assert_eq!(dense.maps[3], shapes.label_map(3).unwrap().unwrap());
        let whole = extract(9).cells.values.into_data();
        dense.cells.values.into_data().assert_eq(&whole, true);
        // Every image has cells of its form and of the ground.
        for (image, labels) in dense.cells.labels.chunks(16).enumerate() {
            assert!(labels.contains(&(image + 1)) && labels.contains(&0), "{labels:?}");
        }
    }

    #[test]
    fn an_image_without_a_map_is_named() {
        let pixels = vec![0_u8; 2 * 3 * 64];
        let images =
            crate::data::source::MemoryDataset::new(ImageShape::square(3, 8), pixels, None)
                .unwrap();
        let shown =
            DenseImages::new(ImageShape::square(3, 8), &ChannelStatistics::none(3)).unwrap();
        let read = |_| -> Result<GridTokens> { panic!("nothing is read") };
        let error = DenseFeatures::extract(&images, &shown, 2, 2, &test_device(), read);
        let message = error.unwrap_err().to_string();
        assert!(message.contains("sample 0") && message.contains("no label map"), "{message}");
    }
}
