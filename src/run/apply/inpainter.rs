//! Models that fill marked pixels, from wherever they are kept.

use std::path::Path;

use burn::tensor::Device;

use super::inpaint::Painter;
use crate::checkpoint::{LoadOptions, Transformers, TransformersModel};
use crate::data::source::MemoryDataset;
use crate::data::{ChannelStatistics, Image};
use crate::error::{Error, Result, ensure};
use crate::grid::ImageShape;
use crate::method::{BuiltIn, Inpainting, Method, MethodVisitor, Methods};
use crate::run::published::{Found, notes, open};
use crate::train::RunFolder;

/// What fills marked pixels: a masked image model of pixels, and what is known of it.
#[derive(Debug)]
pub struct Inpainter {
    model: Inpainting,
    pub(super) tile: ImageShape,
    device: Device,
    /// How its images are normalized; by the image's own mean and deviation where nothing says so.
    statistics: Option<ChannelStatistics>,
    /// What is to be known of the weights, line by line.
    pub notes: Vec<String>,
}

/// `image` with its `marked` pixels filled by the model in `path`: see [`Inpainter`].
///
/// # Errors
///
/// As [`Inpainter::open`] and [`Inpainter::fill`].
///
/// # Panics
///
/// When `marked` is not of the image's size.
pub fn inpaint(path: &Path, image: &Image, marked: &[bool], device: &Device) -> Result<Image> {
    Inpainter::open(path, device)?.fill(image, marked)
}

impl Inpainter {
    /// Opens a run of a method of this crate that predicts pixels, MAE or SimMIM, or published
    /// weights of either with their decoder.
    ///
    /// # Errors
    ///
    /// As [`Inpainter::open_from`].
    pub fn open(path: &Path, device: &Device) -> Result<Self> {
        Self::open_from::<BuiltIn>(path, device)
    }

    /// Opens a run of a method of the list `L` that predicts pixels, or published weights with
    /// their decoder.
    ///
    /// # Errors
    ///
    /// When there is no such model in `path`, or a weight of it is missing.
    pub fn open_from<L: Methods>(path: &Path, device: &Device) -> Result<Self> {
        match open(path)? {
            Found::Published(opened) => Self::of_published(&opened, device),
            Found::Run(folder) => folder.visit::<L, _>(Opening { folder: &folder, device }),
        }
    }

    fn of_published(opened: &Transformers, device: &Device) -> Result<Self> {
        let loaded = opened.load(LoadOptions::default(), device)?;
        let report = loaded.report().clone();
        report.require_all(opened.path())?;
        let (model, tile) = match loaded {
            TransformersModel::Mae(l) => inpainting(&l.config, l.model.into())?,
            TransformersModel::SimMim(l) => inpainting(&l.config, l.model)?,
            TransformersModel::SwinSimMim(l) => inpainting(&l.config, l.model)?,
            TransformersModel::SwinV2SimMim(l) => inpainting(&l.config, l.model)?,
            TransformersModel::HieraMae(l) => inpainting(&l.config, l.model)?,
            TransformersModel::VideoMae(l) => inpainting(&l.config, l.model)?,
            _ => {
                let title = opened.architecture();
                return Err(other(opened.path(), &format!("holds a {title}")));
            }
        };
        let model = model.ok_or_else(|| other(opened.path(), "predicts no pixels"))?;
        let statistics = opened.statistics(tile.channels)?;
        let notes = notes(opened, &report, statistics.as_ref(), "the image's");
        Ok(Self { model, tile, device: device.clone(), statistics, notes })
    }

    /// `image` with its `marked` pixels filled; all others keep their values.
    ///
    /// The model looks at overlapping tiles of the size it was trained on and is shown no mask unit
    /// that holds a marked pixel. A hole that leaves a tile with less than half of its units is
    /// filled from its border inwards. What a model of normalized patches predicts is given the mean
    /// and deviation of a smooth filling, so that its details are faint.
    ///
    /// # Errors
    ///
    /// When the image has other channels than the model, no unit of the image is free of marked pixels,
    /// or the model is one of clips, which [`fill_film`](Self::fill_film) takes.
    ///
    /// # Panics
    ///
    /// When `marked` is not of the image's size.
    pub fn fill(&self, image: &Image, marked: &[bool]) -> Result<Image> {
        let frames = self.tile.frames;
        ensure!(
            image.frames() >= frames,
            "the model fills films of {frames} frames or more, got {}",
            image.frames()
        );
        let image = &image.clone().with_channels(self.tile.channels)?;
        let own = match self.statistics {
            Some(_) => None,
            None => Some(statistics_of(image)?),
        };
        let statistics = self.statistics.as_ref().or(own.as_ref()).expect("one of them is set");
        let Self { model, tile, device, .. } = self;
        Painter { model, tile: *tile, statistics, image, device }.fill(marked)
    }
}

/// Opens a run of whatever method it is of.
struct Opening<'a> {
    folder: &'a RunFolder,
    device: &'a Device,
}

impl MethodVisitor for Opening<'_> {
    type Output = Inpainter;

    fn visit<M: Method>(self) -> Result<Inpainter> {
        let run = self.folder.load::<M>(self.device)?;
        let (model, tile) = inpainting(&run.config.numbers, run.task)?;
        let fault = || other(self.folder.path(), &format!("is a run of {}", M::TITLE));
        let (statistics, device) = (Some(run.config.statistics), self.device.clone());
        Ok(Inpainter {
            model: model.ok_or_else(fault)?,
            tile,
            device,
            statistics,
            notes: run.notes,
        })
    }
}

/// What a task fills hidden pixels with, and the images that it reads.
fn inpainting<M: Method>(method: &M, task: M::Task) -> Result<(Option<Inpainting>, ImageShape)> {
    Ok((method.inpainting(task)?, method.image()))
}

/// The fault of a model that does not predict pixels.
fn other(path: &Path, found: &str) -> Error {
    let reason = format!(
        "{found}, but a model that predicts pixels, such as MAE or SimMIM with its decoder, is \
         needed; train one with\n    cargo run --release --example simmim_cifar10"
    );
    Error::checkpoint(path, reason)
}

/// The mean and deviation of each channel of one image.
fn statistics_of(image: &Image) -> Result<ChannelStatistics> {
    let pixels = MemoryDataset::new(image.shape(), image.bytes()?.to_vec(), None)?;
    ChannelStatistics::of(&pixels, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::ClipVitConfig;
    use crate::grid::ClipShape;
    use crate::head::ClipDecoderConfig;
    use crate::method::VideoMaeConfig;
    use crate::nn::InitialWeights;
    use crate::test_device;

    /// A VideoMAE of clips of 4 frames of 8 × 8 pixels that learned nothing.
    fn of_clips() -> Inpainter {
        let encoder =
            ClipVitConfig::new(ClipShape::new(ImageShape::square(1, 8), 4), 2, 2, 16, 1, 2);
        let decoder = ClipDecoderConfig::new().with_width(16).with_depth(1).with_heads(2);
        let config = VideoMaeConfig::new(encoder).with_decoder(decoder);
        let task = config.init(&mut InitialWeights::new(0, &test_device()));
        let (model, tile) = inpainting(&config, task).unwrap();
        let (model, device) = (model.expect("it predicts pixels"), test_device());
        Inpainter { model, tile, device, statistics: None, notes: Vec::new() }
    }

    /// Frames of 9 × 13 pixels of a still texture.
    fn film(count: usize) -> Vec<Image> {
        let levels: Vec<u8> = (0..9 * 13).map(|at| (at * 29 % 200) as u8).collect();
        vec![Image::new(ImageShape::new(1, 9, 13), levels).unwrap(); count]
    }

    fn marks(first: usize) -> Vec<bool> {
        (0..9 * 13).map(|at| (first..first + 2).contains(&(at % 13)) && at / 13 < 3).collect()
    }

    #[test]
    fn a_model_of_clips_fills_what_no_frame_shows_in_films_of_any_length_and_size() {
        for count in [4, 5, 9] {
            let (frames, marked) = (film(count), vec![marks(4); count]);
            let filled = of_clips().fill_film(&frames, &marked).unwrap();
            assert_eq!(filled.len(), count);
            for (filled, frame) in filled.iter().zip(&frames) {
                let values = filled.bytes().unwrap().iter().zip(frame.bytes().unwrap());
                assert!(values.zip(marks(4)).all(|((new, old), marked)| marked || new == old));
                assert_ne!(filled, frame);
            }
        }
    }

    #[test]
    fn what_a_frame_of_a_film_shows_needs_no_prediction() {
        let marked: Vec<_> = (0..4).map(|frame| marks(3 * frame)).collect();
        let mut spoilt = film(4);
        for (frame, marked) in spoilt.iter_mut().zip(&marked) {
            let levels = frame.bytes().unwrap().iter().zip(marked);
            let levels = levels.map(|(&level, &marked)| if marked { 255 } else { level });
            *frame = Image::new(frame.shape(), levels.collect::<Vec<_>>()).unwrap();
        }
        assert_eq!(of_clips().fill_film(&spoilt, &marked).unwrap(), film(4));
    }

    #[test]
    fn films_and_images_that_are_shorter_than_a_clip_are_refused() {
        let message = of_clips()
            .fill_film(&film(3), &[marks(4), marks(4), marks(4)])
            .unwrap_err()
            .to_string();
        assert!(message.contains("a film of 3 frames is shorter than the clips of 4"), "{message}");
        let message = of_clips().fill(&film(1)[0], &marks(4)).unwrap_err().to_string();
        assert!(message.contains("fills films of 4 frames or more, got 1"), "{message}");
    }
}
