//! Models that fill marked pixels, from wherever they are kept.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;

use super::inpaint::Painter;
use super::{lacking, open, other_method, with_channels};
use crate::checkpoint::{LoadOptions, TransformersModel};
use crate::data::source::MemoryDataset;
use crate::data::{ChannelStatistics, Image};
use crate::encoder::{EncoderConfig, Swin, SwinV2};
use crate::error::Result;
use crate::grid::{Grid, ImageShape};
use crate::mask::MaskStrategy;
use crate::method::{Mae, SimMim, TaskConfig};
use crate::nn::InitialWeights;
use crate::run::published::{is_published, notes, open_published};

const NEEDED: &str = "one of MAE or SimMIM";
const TRAIN: &str = "cargo run --release --example simmim_cifar10";

/// What fills marked pixels: a masked image model of pixels, and what is known of it.
#[derive(Debug)]
pub struct Inpainter {
    model: Model,
    tile: ImageShape,
    units: Grid,
    /// How its images are normalized; by the image's own mean and deviation where nothing says so.
    statistics: Option<ChannelStatistics>,
    /// What is to be known of published weights, line by line.
    pub notes: Vec<String>,
}

/// The models whose predictions are pixels.
#[derive(Debug)]
enum Model {
    Mae(Box<Mae>),
    SimMim(Box<SimMim>),
    Swin(Box<SimMim<Swin>>),
    SwinV2(Box<SimMim<SwinV2>>),
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
    /// Opens a run of MAE or SimMIM, or published weights of either with their decoder.
    ///
    /// # Errors
    ///
    /// When there is no such model in `path`, or a weight of it is missing.
    pub fn open(path: &Path, device: &Device) -> Result<Self> {
        if is_published(path)? {
            return Self::of_published(path, device);
        }
        let (folder, config) = open(path, NEEDED, TRAIN)?;
        let weights = &mut InitialWeights::new(config.seed, device);
        let model = match &config.task {
            TaskConfig::Mae(mae) => Model::Mae(folder.load(mae.init(weights))?.into()),
            TaskConfig::SimMim(simmim) => match simmim.encoder.clone() {
                EncoderConfig::Vit(vit) => {
                    let simmim = simmim.clone().map_encoder(|_| vit);
                    Model::SimMim(folder.load(simmim.init(weights))?.into())
                }
                EncoderConfig::Swin(swin) => {
                    let simmim = simmim.clone().map_encoder(|_| swin);
                    Model::Swin(folder.load(simmim.init(weights))?.into())
                }
                EncoderConfig::SwinV2(swin) => {
                    let simmim = simmim.clone().map_encoder(|_| swin);
                    Model::SwinV2(folder.load(simmim.init(weights))?.into())
                }
            },
            _ => return Err(other_method(path, &config, NEEDED, TRAIN)),
        };
        let (tile, units) = (config.task.image(), config.task.mask()?.grid());
        let statistics = Some(config.statistics);
        Ok(Self { model, tile, units, statistics, notes: Vec::new() })
    }

    fn of_published(path: &Path, device: &Device) -> Result<Self> {
        let opened = open_published(path)?;
        let loaded = opened.load(LoadOptions::default(), device)?;
        let report = loaded.report().clone();
        report.require_all(opened.path())?;
        let (model, tile, units) = match loaded {
            TransformersModel::Mae(l) => {
                (Model::Mae(l.model.into()), l.config.encoder.image, l.config.mask()?.grid())
            }
            TransformersModel::SimMim(l) => {
                (Model::SimMim(l.model.into()), l.config.encoder.image, l.config.mask()?.grid())
            }
            TransformersModel::SwinSimMim(l) => {
                (Model::Swin(l.model.into()), l.config.encoder.image, l.config.mask()?.grid())
            }
            TransformersModel::SwinV2SimMim(l) => {
                let image = l.config.encoder.sizes.image;
                (Model::SwinV2(l.model.into()), image, l.config.mask()?.grid())
            }
            _ => return Err(lacking(&opened, "one of MAE or SimMIM with its decoder")),
        };
        let statistics = opened.statistics(tile.channels)?;
        let notes = notes(&opened, &report, statistics.as_ref(), "the image's");
        Ok(Self { model, tile, units, statistics, notes })
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
    /// When the image has other channels than the model, or no unit of the image is free of marked
    /// pixels.
    ///
    /// # Panics
    ///
    /// When `marked` is not of the image's size.
    pub fn fill(&self, image: &Image, marked: &[bool]) -> Result<Image> {
        let image = &with_channels(image, self.tile.channels)?;
        let own = match self.statistics {
            Some(_) => None,
            None => Some(statistics_of(image)?),
        };
        let statistics = self.statistics.as_ref().or(own.as_ref()).expect("one of them is set");
        let (tile, units) = (self.tile, self.units);
        let device = &self.device();
        let painter = Painter { tile, units, statistics, image, device };
        match &self.model {
            Model::Mae(model) => painter.fill(model, marked),
            Model::SimMim(model) => painter.fill(model, marked),
            Model::Swin(model) => painter.fill(model, marked),
            Model::SwinV2(model) => painter.fill(model, marked),
        }
    }

    fn device(&self) -> Device {
        let devices = match &self.model {
            Model::Mae(model) => model.devices(),
            Model::SimMim(model) => model.devices(),
            Model::Swin(model) => model.devices(),
            Model::SwinV2(model) => model.devices(),
        };
        devices.into_iter().next().expect("a model has parameters")
    }
}

/// The mean and deviation of each channel of one image.
fn statistics_of(image: &Image) -> Result<ChannelStatistics> {
    let pixels = MemoryDataset::new(image.shape(), image.pixels().to_vec(), None)?;
    ChannelStatistics::of(&pixels, 1)
}
