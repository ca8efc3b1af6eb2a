//! Filling marked pixels with what a masked image model expects there.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::{Device, Tensor};

use super::spread::spread;
use crate::batch::MimBatch;
use crate::data::tiles::{Mosaic, TILES, Tiles, batch, eight_bits};
use crate::data::{ChannelStatistics, Image};
use crate::error::{Error, Result, ensure};
use crate::grid::{Grid, ImageShape};
use crate::image::{denormalize, normalize};
use crate::mask::{Mask, UnitMask};
use crate::method::Inpainting;

/// The pixels that are light in `mask`, row by row.
///
/// # Errors
///
/// When the mask is of another size than an image of `shape`, or marks no pixel or all of them.
pub fn marked_pixels(mask: &Image, shape: ImageShape) -> Result<Vec<bool>> {
    let marked = light_pixels(mask, shape, "an image")?;
    match marked.iter().filter(|&&marked| marked).count() {
        0 => Err(Error::config("the mask marks no pixel: what is to be filled must be white")),
        count if count == marked.len() => {
            Err(Error::config("the mask marks every pixel: there is nothing to go by"))
        }
        _ => Ok(marked),
    }
}

/// The pixels that are light in `mask`, which is as large as `what` it marks.
pub(super) fn light_pixels(mask: &Image, shape: ImageShape, what: &str) -> Result<Vec<bool>> {
    let has = mask.shape();
    ensure!(
        (has.height, has.width) == (shape.height, shape.width),
        "a mask of {}×{} pixels cannot mark {what} of {}×{}",
        has.height,
        has.width,
        shape.height,
        shape.width
    );
    Ok(mask.plane(0)?.iter().map(|&value| value > 127).collect())
}

/// Fills marked pixels of one image, whatever the model.
pub(super) struct Painter<'a> {
    pub(super) model: &'a Inpainting,
    pub(super) tile: ImageShape,
    pub(super) statistics: &'a ChannelStatistics,
    pub(super) image: &'a Image,
    pub(super) device: &'a Device,
}

impl Painter<'_> {
    /// The image with its `marked` pixels filled by the model.
    pub(super) fn fill(&self, marked: &[bool]) -> Result<Image> {
        let shape = self.image.shape();
        let area = shape.height * shape.width;
        assert_eq!(marked.len(), area, "one mark a pixel");
        let tiles = Tiles::new(shape, self.tile);
        let mut unknown = marked.to_vec();
        let mut values = self.image.values();
        let frame = shape.frame();
        for plane in values.chunks_exact_mut(area) {
            spread_in_frames(plane, marked, [frame.height, frame.width]);
        }
        let mut hidden = BTreeMap::new();
        self.look_again(0..tiles.count(), &tiles, &unknown, &mut hidden)?;
        let mut mosaic = Mosaic::new(&tiles, shape.channels);
        while !hidden.is_empty() {
            let next = self.next(&hidden)?;
            for indices in &next {
                self.predict(indices, &tiles, &values, &hidden, &mut mosaic)?;
            }
            let next: Vec<usize> = next.into_iter().flatten().collect();
            for &index in &next {
                mosaic.take(index, |channel, at, value| {
                    if unknown[at] {
                        values[channel * area + at] = value;
                        // The last channel is handed over last.
                        unknown[at] = channel + 1 < shape.channels;
                    }
                });
            }
            let changed: BTreeSet<usize> =
                next.iter().flat_map(|&index| tiles.overlapping(index)).collect();
            self.look_again(changed, &tiles, &unknown, &mut hidden)?;
        }
        let filled = eight_bits(shape, &values)?;
        let pixels = filled.bytes()?.iter().zip(self.image.bytes()?).zip(marked.iter().cycle());
        let pixels = pixels.map(|((&new, &old), &marked)| if marked { new } else { old });
        Image::new(shape, pixels.collect())
    }

    /// Brings `hidden`, what is to be hidden of each tile with unknown pixels, up to date for
    /// `changed` tiles.
    fn look_again(
        &self,
        changed: impl IntoIterator<Item = usize>,
        tiles: &Tiles,
        unknown: &[bool],
        hidden: &mut BTreeMap<usize, UnitMask>,
    ) -> Result<()> {
        for index in changed {
            let mask = self.hidden_units(&tiles.cut(index, unknown))?;
            if mask.hidden() > 0 {
                hidden.insert(index, mask);
            } else {
                hidden.remove(&index);
            }
        }
        Ok(())
    }

    /// The tiles of which enough is known, in batches that hide as much of each.
    fn next(&self, hidden: &BTreeMap<usize, UnitMask>) -> Result<Vec<Vec<usize>>> {
        let most = hidden.values().map(UnitMask::visible).fold(0, usize::max);
        if most == 0 {
            return Err(Error::config(format!(
                "the mask leaves no {}×{} pixels of the image whole, the least a model looks at",
                self.tile.frame().height / self.units_of_a_step().rows,
                self.tile.width / self.model.units.cols
            )));
        }
        let enough = most.min(self.model.units.cells() / 2);
        let mut alike = BTreeMap::<usize, Vec<usize>>::new();
        for (&index, mask) in hidden.iter().filter(|(_, mask)| mask.visible() >= enough) {
            alike.entry(mask.hidden()).or_default().push(index);
        }
        Ok(alike.values().flat_map(|tiles| tiles.chunks(TILES)).map(<[usize]>::to_vec).collect())
    }

    /// The units of a tile that hold an unknown pixel.
    fn hidden_units(&self, unknown: &[bool]) -> Result<UnitMask> {
        let (ImageShape { height, width, .. }, units) = (self.tile.frame(), self.model.units);
        let step = self.units_of_a_step();
        let times = units.rows / step.rows;
        let mut bits = vec![false; units.cells()];
        for at in (0..unknown.len()).filter(|&at| unknown[at]) {
            let (frame, y, x) = (at / width / height, at / width % height, at % width);
            let row = frame * times / self.tile.frames * step.rows + y * step.rows / height;
            bits[row * units.cols + x * units.cols / width] = true;
        }
        UnitMask::new(units, bits)
    }

    /// The units of one image, or of a clip those of one step: these are square.
    fn units_of_a_step(&self) -> Grid {
        let (ImageShape { height, width, .. }, units) = (self.tile.frame(), self.model.units);
        match self.tile.frames {
            1 => units,
            _ => Grid::new(height * units.cols / width, units.cols),
        }
    }

    /// Adds what the model expects in `indices`, tiles of which it is shown as much, to `mosaic`.
    fn predict(
        &self,
        indices: &[usize],
        tiles: &Tiles,
        values: &[f32],
        hidden: &BTreeMap<usize, UnitMask>,
        mosaic: &mut Mosaic<'_>,
    ) -> Result<()> {
        let ChannelStatistics { mean, std } = self.statistics;
        let cut = indices.iter().flat_map(|&index| tiles.cut(index, values)).collect();
        let images = normalize(batch(cut, self.tile, self.device), mean, std);
        let masks: Vec<_> = indices.iter().map(|index| hidden[index].clone()).collect();
        let batch = MimBatch::new(images, Mask::new(masks, self.device)?);
        let pixels: Tensor<4> = denormalize((self.model.predict)(&batch), mean, std);
        let pixels: Vec<f32> = pixels.into_data().iter().collect();
        for (&index, tile) in indices.iter().zip(pixels.chunks_exact(self.tile.values())) {
            mosaic.add(index, tile);
        }
        Ok(())
    }
}

/// A smooth filling of each frame of a plane by itself; of frames without a known pixel by the others.
fn spread_in_frames(plane: &mut [f32], marked: &[bool], [height, width]: [usize; 2]) {
    let mut unknown = Vec::with_capacity(marked.len());
    for (plane, marked) in plane.chunks_mut(height * width).zip(marked.chunks(height * width)) {
        let nothing_is_known = marked.iter().all(|&marked| marked);
        if !nothing_is_known {
            spread(plane, marked, width);
        }
        unknown.resize(unknown.len() + marked.len(), nothing_is_known);
    }
    spread(plane, &unknown, width);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::SimMimConfig;
    use crate::nn::InitialWeights;
    use crate::test_device;

    const TILE: ImageShape = ImageShape::new(1, 16, 16);

    fn image(height: usize, width: usize) -> Image {
        let shape = ImageShape::new(1, height, width);
        Image::new(shape, (0..shape.values()).map(|i| (i * 13 % 251) as u8).collect()).unwrap()
    }

    fn model() -> Inpainting {
        let weights = &mut InitialWeights::new(0, &test_device());
        Inpainting::new(Grid::new(2, 2), SimMimConfig::small_images(TILE).init(weights))
    }

    fn fill(image: &Image, marked: &[bool]) -> Result<Image> {
        let statistics = ChannelStatistics { mean: vec![0.5], std: vec![0.25] };
        let (model, device) = (&model(), &test_device());
        Painter { model, tile: TILE, statistics: &statistics, image, device }.fill(marked)
    }

    fn mask(height: usize, width: usize, is_marked: impl Fn(usize, usize) -> bool) -> Vec<bool> {
        (0..height * width).map(|at| is_marked(at / width, at % width)).collect()
    }

    #[test]
    fn only_marked_pixels_change_whatever_the_size() {
        for (height, width) in [(16, 16), (10, 50), (37, 23)] {
            let image = image(height, width);
            let marked = mask(height, width, |y, x| (3..6).contains(&y) && (4..7).contains(&x));
            let filled = fill(&image, &marked).unwrap();
            for ((old, new), marked) in
                image.bytes().unwrap().iter().zip(filled.bytes().unwrap()).zip(marked)
            {
                assert!(marked || old == new, "{height}×{width}");
            }
            assert_ne!(filled, image);
        }
    }

    #[test]
    fn a_hole_larger_than_a_tile_is_filled_from_its_border() {
        let marked = mask(48, 64, |y, x| (4..44).contains(&y) && (8..56).contains(&x));
        let filled = fill(&image(48, 64), &marked).unwrap();
        assert_eq!(filled.shape(), ImageShape::new(1, 48, 64));
    }

    #[test]
    fn what_was_under_the_mask_does_not_matter() {
        let marked = mask(20, 24, |y, x| y > 12 && x < 9);
        let clean = image(20, 24);
        let spoilt = clean.bytes().unwrap().iter().zip(&marked);
        let spoilt = spoilt.map(|(&value, &marked)| if marked { 255 - value } else { value });
        let spoilt = Image::new(clean.shape(), spoilt.collect()).unwrap();
        assert_eq!(fill(&clean, &marked).unwrap(), fill(&spoilt, &marked).unwrap());
    }

    #[test]
    fn a_mask_that_leaves_no_unit_whole_says_so() {
        let message = fill(&image(16, 16), &mask(16, 16, |y, x| y % 8 == 0 && x % 8 == 0));
        let message = message.unwrap_err().to_string();
        assert!(message.contains("leaves no 8×8 pixels of the image whole"), "{message}");
    }

    #[test]
    fn masks_that_mark_nothing_everything_or_another_image_are_refused() {
        let of = |height, width, value| {
            let shape = ImageShape::new(1, height, width);
            let mask = Image::new(shape, vec![value as u8; shape.values()]).unwrap();
            marked_pixels(&mask, ImageShape::new(3, 4, 6)).unwrap_err().to_string()
        };
        assert!(of(6, 4, 0).contains("6×4 pixels cannot mark an image of 4×6"));
        assert!(of(4, 6, 100).contains("marks no pixel"));
        assert!(of(4, 6, 255).contains("marks every pixel"));
    }
}
