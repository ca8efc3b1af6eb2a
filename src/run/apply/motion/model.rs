//! Motion with a pre-trained encoder of clips: what is alike moves alike.

use std::path::Path;

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};

use super::cells::Cells;
use super::{Differences, Moving};
use crate::data::tiles::{Mosaic, TILES, Tiles, batch};
use crate::data::{ChannelStatistics, Image};
use crate::encoder::{Backbone, VitConfig};
use crate::error::{Error, Result};
use crate::grid::{ClipGrid, ImageShape};
use crate::image::normalize;
use crate::method::Methods;
use crate::nn::unit;
use crate::run::BackboneSource;
use crate::run::loaded::{BackboneVisitor, LoadedBackbone};

/// How sharply like features are told from unlike ones: cosines times this, in a softmax.
const SHARPNESS: f32 = 16.0;

/// Tells what moves in a film with an encoder of clips, in three steps:
///
/// 1. **Cells move as far as their pixels do**: the mean of the shares that [`Differences`] found.
/// 2. **What belongs together moves together.** Each cell gets the mean of the cells whose features are
///    like its own, wherever and whenever they are. So a form that turns moves in its middle too, where
///    no pixel changes.
/// 3. **Within cells colors decide.** Each pixel gets the mean of the cells around it that have its color.
///
/// Frames may have any size: the encoder looks at overlapping tiles, and at clips that overlap by half.
pub struct MotionModel {
    /// Features of clips, `[batch, cells, width]`.
    represent: Box<dyn Fn(Tensor<4>) -> Tensor<3>>,
    /// The clips that the encoder reads, as images.
    clip: ImageShape,
    grid: ClipGrid,
    statistics: Option<ChannelStatistics>,
    device: Device,
    /// How differences are found.
    pub differences: Differences,
    /// What is to be known of the weights, line by line.
    pub notes: Vec<String>,
}

impl MotionModel {
    /// Opens the encoder of clips in `path`: a run of a method of the list `L`, such as VideoMAE, or
    /// published weights.
    ///
    /// # Errors
    ///
    /// When there is none, or it reads images.
    pub fn open<L: Methods>(path: &Path, device: &Device) -> Result<Self> {
        Self::opened::<L>(path, None, device)
    }

    /// The same with random weights of `seed`: what the method tells without what was learned.
    ///
    /// # Errors
    ///
    /// As [`MotionModel::open`].
    pub fn open_random<L: Methods>(path: &Path, seed: u64, device: &Device) -> Result<Self> {
        Self::opened::<L>(path, Some(seed), device)
    }

    fn opened<L: Methods>(path: &Path, random: Option<u64>, device: &Device) -> Result<Self> {
        let source = BackboneSource::Folder(path.to_path_buf());
        // What stands for an encoder where there is none is not asked for.
        source.visit::<L, _>(
            None,
            &VitConfig::base_patch16(),
            0,
            device,
            Opening { path, random, device },
        )
    }

    /// An encoder of clips, `clip` as images, whose features are `represent`ed.
    fn new<B: Backbone + 'static>(
        loaded: LoadedBackbone<B>,
        path: &Path,
        device: &Device,
    ) -> Result<Self> {
        let clip = loaded.image;
        if clip.frames < 2 {
            let found = format!(
                "reads images of {clip}, and motion is seen by an encoder of clips, such as VideoMAE's; \
                 train one with\n    cargo run --release --example videomae"
            );
            return Err(Error::checkpoint(path, found));
        }
        let encoder = loaded.backbone;
        let blank = Tensor::zeros([1, clip.channels, clip.height, clip.width], device);
        let flat = encoder.represent(blank).grid;
        let frame = clip.frame();
        // Patches are square.
        let patch = frame.width / flat.cols;
        let space = frame.grid(patch)?;
        let grid = ClipGrid::new(flat.rows / space.rows, space);
        Ok(Self {
            represent: Box::new(move |clips| middle_layer(&encoder, clips)),
            clip,
            grid,
            statistics: loaded.statistics,
            device: device.clone(),
            differences: Differences::new(),
            notes: loaded.notes,
        })
    }

    /// Frames of a clip that the encoder reads, and how many frames of a film apart these are.
    pub fn frames_and_stride(&self) -> (usize, usize) {
        (self.clip.frames, self.clip.stride)
    }

    /// The share of motion in each frame of a clip, as planes one after the other.
    pub(super) fn look(&self, clip: &[&Moving]) -> Result<Vec<f32>> {
        let frames = self.planes(clip.iter().map(|moving| &moving.frame))?;
        let shares: Vec<f32> = clip.iter().flat_map(|moving| moving.motion.values()).collect();
        let statistics = match &self.statistics {
            Some(statistics) => statistics,
            None => &statistics_of(&frames, self.clip.channels),
        };
        let tiles = Tiles::new(clip[0].frame.shape(), self.clip.frame());
        let mut mosaic = Mosaic::new(&tiles, clip.len());
        let all: Vec<usize> = (0..tiles.count()).collect();
        for indices in all.chunks(TILES) {
            let cut = |planes: &[f32]| -> Vec<Vec<f32>> {
                indices.iter().map(|&index| tiles.cut(index, planes)).collect()
            };
            let tiles_of_frames = cut(&frames);
            let images = batch(tiles_of_frames.concat(), self.clip, &self.device);
            let images = normalize(images, &statistics.mean, &statistics.std);
            let cells: Vec<Cells<'_>> = tiles_of_frames
                .iter()
                .map(|pixels| Cells { clip: self.clip, grid: self.grid, pixels })
                .collect();
            let moving =
                cells.iter().zip(cut(&shares)).flat_map(|(cells, shares)| cells.means(&shares));
            let moving = TensorData::new(moving.collect(), [cells.len(), self.grid.cells(), 1]);
            let moving = Tensor::from_data(moving, &self.device);
            let moving = shared_out((self.represent)(images), moving);
            let moving: Vec<f32> = moving.into_data().iter().collect();
            let moving = moving.chunks_exact(self.grid.cells());
            for ((&index, cells), moving) in indices.iter().zip(&cells).zip(moving) {
                mosaic.add(index, &cells.refined(moving));
            }
        }
        Ok(mosaic.values())
    }

    /// The values of frames as those of a clip.
    fn planes<'a>(&self, frames: impl Iterator<Item = &'a Image>) -> Result<Vec<f32>> {
        let frames = frames.map(|frame| frame.clone().with_channels(self.clip.channels));
        Ok(Image::clip(&frames.collect::<Result<Vec<_>>>()?)?.values())
    }
}

/// The features of the layer in the middle, or the last ones of an encoder without layers.
fn middle_layer<B: Backbone>(encoder: &B, clips: Tensor<4>) -> Tensor<3> {
    match encoder.represented_layers() / 2 {
        0 => encoder.represent(clips).tokens,
        layer => encoder.represent_layers(clips, &[layer]).remove(0).tokens,
    }
}

/// How much the cells move whose features (`[batch, cells, width]`) are like those of each cell, in the mean,
/// `[batch, cells]`, where each moves so much by itself (`[batch, cells, 1]`).
fn shared_out(features: Tensor<3>, moving: Tensor<3>) -> Tensor<2> {
    // Features are told from the mean of a clip's cells: what all have in common tells nothing.
    let mean = features.clone().mean_dim(1);
    let directions = unit(features - mean, 2);
    let alike = directions.clone().matmul(directions.transpose());
    softmax(alike * SHARPNESS, 2).matmul(moving).squeeze_dim(2)
}

/// The mean and deviation of each channel of a clip.
fn statistics_of(planes: &[f32], channels: usize) -> ChannelStatistics {
    let mut statistics = ChannelStatistics::none(channels);
    for (channel, values) in planes.chunks_exact(planes.len() / channels).enumerate() {
        let count = values.len() as f32;
        let mean = values.iter().sum::<f32>() / count;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / count;
        statistics.mean[channel] = mean;
        statistics.std[channel] = variance.sqrt().max(1e-3);
    }
    statistics
}

impl std::fmt::Debug for MotionModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { clip, grid, differences, .. } = self;
        f.debug_struct("MotionModel")
            .field("clip", clip)
            .field("grid", grid)
            .field("differences", differences)
            .finish_non_exhaustive()
    }
}

/// Opens whatever encoder there is.
struct Opening<'a> {
    path: &'a Path,
    /// The seed of weights in place of its own.
    random: Option<u64>,
    device: &'a Device,
}

impl BackboneVisitor for Opening<'_> {
    type Output = MotionModel;

    fn visit<B: Backbone + Clone + 'static>(
        self,
        mut encoder: LoadedBackbone<B>,
    ) -> Result<MotionModel> {
        if let Some(seed) = self.random {
            encoder.backbone = encoder.random(seed)?;
        }
        MotionModel::new(encoder, self.path, self.device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::{ClipVitConfig, VitBody};
    use crate::grid::ClipShape;
    use crate::nn::InitialWeights;
    use crate::test_device;

    /// An encoder of clips of 4 frames of 8 × 8 pixels, `stride` frames apart, that learned nothing.
    fn model(stride: usize) -> MotionModel {
        let clip = ClipShape::new(ImageShape::square(1, 8), 4);
        let config = ClipVitConfig::new(clip, 2, 4, 16, 2, 2);
        let image = ImageShape { stride, ..config.image() };
        let random = move |weights: &mut InitialWeights| Ok(config.init(weights));
        let encoder = random(&mut InitialWeights::new(0, &test_device())).unwrap();
        let loaded = LoadedBackbone::new(encoder, image, "", random);
        MotionModel::new(loaded, Path::new("run"), &test_device()).unwrap()
    }

    /// Frames of 9 × 13 pixels, in which a bright square goes to the right.
    fn film(count: usize) -> impl Iterator<Item = Result<Image>> {
        (0..count).map(|time| {
            let is_square =
                |x: usize, y: usize| (time..time + 3).contains(&x) && (3..6).contains(&y);
            let level =
                |at: usize| if is_square(at % 13, at / 13) { 220 } else { 40 + (at % 7) as u8 };
            Image::new(ImageShape::new(1, 9, 13), (0..9 * 13).map(level).collect::<Vec<_>>())
        })
    }

    #[test]
    fn every_frame_of_a_film_of_any_length_and_size_is_told_once_and_in_order() {
        for (stride, count) in [(1, 4), (1, 5), (1, 11), (2, 5), (2, 8), (2, 13)] {
            let model = model(stride);
            let moving: Vec<_> = model.of(film(count)).map(Result::unwrap).collect();
            let frames: Vec<_> = moving.iter().map(|moving| moving.frame.clone()).collect();
            assert_eq!(
                frames,
                film(count).map(Result::unwrap).collect::<Vec<_>>(),
                "{stride}, {count}"
            );
            for (time, moving) in moving.iter().enumerate() {
                let shares = moving.motion.values();
                assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
                assert!(
                    shares[4 * 13 + (time + 1).min(12)] > shares[8 * 13],
                    "{stride}, {count}: {time}"
                );
            }
        }
    }

    #[test]
    fn a_film_that_is_shorter_than_a_clip_is_refused() {
        let model = model(1);
        let message = model.of(film(3)).find_map(Result::err).unwrap().to_string();
        assert!(message.contains("a film of 3 frames is shorter than the 4 frames"), "{message}");
    }

    #[test]
    fn an_encoder_of_images_is_refused_with_what_to_train() {
        let config = VitConfig::new(ImageShape::square(1, 8), 4, 16, 1, 2);
        let random = move |weights: &mut InitialWeights| Ok(VitBody::new(&config, weights));
        let body = random(&mut InitialWeights::new(0, &test_device())).unwrap();
        let loaded = LoadedBackbone::new(body, ImageShape::square(1, 8), "", random);
        let message = MotionModel::new(loaded, Path::new("runs/mae"), &test_device()).unwrap_err();
        assert!(message.to_string().contains("--example videomae"), "{message}");
    }
}
