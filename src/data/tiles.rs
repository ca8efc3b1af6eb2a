//! An image of any size as overlapping tiles of the size that a model reads.

use burn::tensor::{Device, Tensor, TensorData};

use crate::data::Image;
use crate::error::Result;
use crate::grid::ImageShape;

/// Tiles that go through a model at once.
pub(crate) const TILES: usize = 16;

/// Values from 0 to 1 in 8 bits; others are cut off.
pub(crate) fn eight_bits(shape: ImageShape, values: &[f32]) -> Result<Image> {
    let level = |value: &f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    Image::new(shape, values.iter().map(level).collect())
}

/// A batch of tiles, `[tiles, channels, height, width]`.
pub(crate) fn batch(tiles: Vec<f32>, tile: ImageShape, device: &Device) -> Tensor<4> {
    let ImageShape { channels, height, width, .. } = tile;
    let count = tiles.len() / tile.values();
    Tensor::from_data(TensorData::new(tiles, [count, channels, height, width]), device)
}

/// Tiles that cover an image; neighbors overlap by at least half.
#[derive(Debug)]
pub(crate) struct Tiles {
    image: ImageShape,
    tile: ImageShape,
    /// Upper left corners, (row, column), row by row.
    corners: Vec<(usize, usize)>,
    /// How many of them are in a row.
    columns: usize,
}

impl Tiles {
    /// Tiles of the height and width of `tile` over an image of shape `image`, which may be
    /// smaller: beyond its lower and right edge a tile repeats the last pixel.
    pub(crate) fn new(image: ImageShape, tile: ImageShape) -> Self {
        let cols = starts(image.width, tile.width);
        let rows = starts(image.height, tile.height);
        let corners = rows.iter().flat_map(|&row| cols.iter().map(move |&col| (row, col)));
        Self { image, tile, corners: corners.collect(), columns: cols.len() }
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.corners.len()
    }

    /// The tiles that share a pixel with tile `index`, itself among them.
    pub(crate) fn overlapping(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        // Tiles begin every half of a side, but for the last, which may begin earlier.
        let near = |place: usize, count: usize| place.saturating_sub(3)..(place + 4).min(count);
        let (top, left) = self.corners[index];
        let rows = near(index / self.columns, self.corners.len() / self.columns);
        let columns = near(index % self.columns, self.columns);
        let all = rows
            .flat_map(move |row| columns.clone().map(move |column| row * self.columns + column));
        all.filter(move |&other| {
            let (row, column) = self.corners[other];
            row.abs_diff(top) < self.tile.height && column.abs_diff(left) < self.tile.width
        })
    }

    /// The part of `planes`, values of one or more channels of the image, that tile `index` covers.
    pub(crate) fn cut<T: Copy>(&self, index: usize, planes: &[T]) -> Vec<T> {
        let (top, left) = self.corners[index];
        let area = self.image.height * self.image.width;
        let mut cut = Vec::with_capacity(planes.len() / area * self.tile.height * self.tile.width);
        for plane in planes.chunks_exact(area) {
            for y in top..top + self.tile.height {
                let row = &plane[y.min(self.image.height - 1) * self.image.width..];
                let col = |x: usize| row[x.min(self.image.width - 1)];
                cut.extend((left..left + self.tile.width).map(col));
            }
        }
        cut
    }
}

/// Where tiles of `side` begin along `length` pixels: every half of a side, the last one at the end.
fn starts(length: usize, side: usize) -> Vec<usize> {
    let last = length.saturating_sub(side);
    let step = (side / 2).max(1);
    (0..last).step_by(step).chain([last]).collect()
}

/// Tiles put together again: where they overlap, a mean in which a tile's middle counts most.
#[derive(Debug)]
pub(crate) struct Mosaic<'a> {
    tiles: &'a Tiles,
    sums: Vec<f32>,
    weights: Vec<f32>,
}

impl<'a> Mosaic<'a> {
    /// A mosaic of images of `channels` without any tile.
    pub(crate) fn new(tiles: &'a Tiles, channels: usize) -> Self {
        let area = tiles.image.height * tiles.image.width;
        Self { tiles, sums: vec![0.0; channels * area], weights: vec![0.0; area] }
    }

    /// Adds what was made of tile `index`, `[channels][height][width]`.
    pub(crate) fn add(&mut self, index: usize, values: &[f32]) {
        let Tiles { image, tile, corners, .. } = self.tiles;
        let (top, left) = corners[index];
        let area = image.height * image.width;
        for y in 0..tile.height.min(image.height - top) {
            for x in 0..tile.width.min(image.width - left) {
                let weight = (tent(y, tile.height) * tent(x, tile.width)) as f32;
                let at = (top + y) * image.width + left + x;
                self.weights[at] += weight;
                let tile_area = tile.height * tile.width;
                for (channel, plane) in self.sums.chunks_exact_mut(area).enumerate() {
                    plane[at] += weight * values[channel * tile_area + y * tile.width + x];
                }
            }
        }
    }

    /// Hands over the means at the pixels of tile `index` by channel and place, counted row by row,
    /// and forgets them: each is handed over once.
    pub(crate) fn take(&mut self, index: usize, mut give: impl FnMut(usize, usize, f32)) {
        let Tiles { image, tile, corners, .. } = self.tiles;
        let (top, left) = corners[index];
        let area = image.height * image.width;
        for y in top..(top + tile.height).min(image.height) {
            for at in y * image.width + left..y * image.width + (left + tile.width).min(image.width)
            {
                let weight = std::mem::take(&mut self.weights[at]);
                if weight > 0.0 {
                    for (channel, plane) in self.sums.chunks_exact_mut(area).enumerate() {
                        give(channel, at, std::mem::take(&mut plane[at]) / weight);
                    }
                }
            }
        }
    }

    /// The means; not a number where no tile is.
    pub(crate) fn values(&self) -> Vec<f32> {
        let weights = self.weights.iter().cycle();
        self.sums.iter().zip(weights).map(|(sum, weight)| sum / weight).collect()
    }
}

/// 1 at both ends, growing towards the middle.
fn tent(at: usize, side: usize) -> usize {
    (at + 1).min(side - at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbors_overlap_by_half_and_the_last_ends_with_the_image() {
        assert_eq!(starts(32, 32), [0]);
        assert_eq!(starts(20, 32), [0]);
        assert_eq!(starts(64, 32), [0, 16, 32]);
        assert_eq!(starts(70, 32), [0, 16, 32, 38]);
    }

    #[test]
    fn a_tile_beyond_the_image_repeats_its_edge() {
        let tiles = Tiles::new(ImageShape::new(1, 1, 2), ImageShape::new(1, 2, 3));
        assert_eq!(tiles.cut(0, &[5, 7, 50, 70]), [5, 7, 7, 5, 7, 7, 50, 70, 70, 50, 70, 70]);
    }

    #[test]
    fn means_are_handed_over_once() {
        let shape = ImageShape::new(2, 1, 4);
        let tiles = Tiles::new(shape, ImageShape::new(2, 1, 4));
        let mut mosaic = Mosaic::new(&tiles, 2);
        let values: Vec<f32> = (0..8).map(|value| value as f32).collect();
        mosaic.add(0, &values);
        mosaic.add(0, &values);
        let mut taken = vec![f32::NAN; 8];
        mosaic.take(0, |channel, at, value| taken[channel * 4 + at] = value);
        assert_eq!(taken, values);
        mosaic.take(0, |_, at, _| panic!("pixel {at} again"));
    }

    proptest! {
        #[test]
        fn tiles_that_share_a_pixel_overlap_and_no_others(
            (height, width) in (1usize..90, 1usize..90), (rows, cols) in (1usize..20, 1usize..20),
        ) {
            let tiles = Tiles::new(ImageShape::new(1, height, width), ImageShape::new(1, rows, cols));
            for index in 0..tiles.count() {
                let (top, left) = tiles.corners[index];
                let shares = |&other: &usize| {
                    let (row, column) = tiles.corners[other];
                    row < top + rows && top < row + rows && column < left + cols && left < column + cols
                };
                let expected: Vec<usize> = (0..tiles.count()).filter(shares).collect();
                prop_assert_eq!(tiles.overlapping(index).collect::<Vec<_>>(), expected);
            }
        }

        #[test]
        fn what_is_cut_and_put_together_is_the_image(
            (height, width) in (1usize..40, 1usize..40), (rows, cols) in (1usize..12, 1usize..12),
        ) {
            let image = ImageShape::new(2, height, width);
            let values: Vec<f32> = (0..image.values()).map(|i| (i % 97) as f32).collect();
            let tiles = Tiles::new(image, ImageShape::new(2, rows, cols));
            let mut mosaic = Mosaic::new(&tiles, 2);
            for index in 0..tiles.count() {
                mosaic.add(index, &tiles.cut(index, &values));
            }
            for (got, value) in mosaic.values().iter().zip(&values) {
                prop_assert!((got - value).abs() < 1e-3);
            }
        }
    }
}
