//! Loads encoders from runs and from published weights.

use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::str::FromStr;

use burn::tensor::Device;

use super::published::{is_published, of_published, open_published};
use crate::checkpoint::LoadReport;
use crate::data::ChannelStatistics;
use crate::encoder::{Backbone, VitBody, VitConfig};
use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::method::{LoadedRun, Method, MethodVisitor, Methods};
use crate::nn::InitialWeights;
use crate::train::RunFolder;

/// Where an encoder comes from; written as a path, or as `none`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackboneSource {
    /// The folder of a pre-training run, one of Hugging Face transformers, or a file of published
    /// weights.
    Folder(PathBuf),
    /// No source: random weights.
    None,
}

/// An encoder with the facts that evaluations need.
#[non_exhaustive]
pub struct LoadedBackbone<B> {
    /// The encoder, on a plain device.
    pub backbone: B,
    /// The images that it reads.
    pub image: ImageShape,
    /// A short description of the encoder.
    pub title: String,
    /// The run that it comes from.
    pub run: Option<RunFolder>,
    /// The name of the picture that the run leaves, which the score card shows.
    pub picture: &'static str,
    /// How its images are normalized, if its run or its `preprocessor_config.json` says so.
    pub statistics: Option<ChannelStatistics>,
    /// The report of loading published weights.
    pub report: Option<LoadReport>,
    /// Notes about the weights, line by line. For a run: its checkpoint, and newer ones that are
    /// damaged. For published weights: the keys and their layout, assumptions, and how images are
    /// normalized.
    pub notes: Vec<String>,
    random: Random<B>,
}

/// An encoder of the same shape with weights of a seed.
type Random<B> = Box<dyn Fn(&mut InitialWeights) -> Result<B> + Send>;

/// Generic code that works with an encoder of any type.
pub trait BackboneVisitor {
    /// The result.
    type Output;

    /// Works with `encoder`.
    ///
    /// # Errors
    ///
    /// Any error of the visitor's own.
    fn visit<B: Backbone + Clone + 'static>(
        self,
        encoder: LoadedBackbone<B>,
    ) -> Result<Self::Output>;
}

impl<B: Backbone + Clone> LoadedBackbone<B> {
    /// An encoder of your own, on a plain device, that reads `image`. `random` makes one of the
    /// same shape with other weights, which is the baseline of evaluations.
    pub fn new(
        backbone: B,
        image: ImageShape,
        title: impl Into<String>,
        random: impl Fn(&mut InitialWeights) -> Result<B> + Send + 'static,
    ) -> Self {
        Self {
            backbone,
            image,
            title: title.into(),
            run: None,
            picture: "reconstruction.png",
            statistics: None,
            report: None,
            notes: Vec::new(),
            random: Box::new(random),
        }
    }

    /// An encoder of the same shape with random weights of `seed`.
    ///
    /// # Errors
    ///
    /// When it cannot be built.
    pub fn random(&self, seed: u64) -> Result<B> {
        let device = self.backbone.devices().into_iter().next();
        let device = device.ok_or_else(|| Error::config("an encoder without parameters"))?;
        (self.random)(&mut InitialWeights::new(seed, &device))
    }
}

impl<M: Method> LoadedRun<M> {
    /// The run's encoder.
    pub fn into_encoder(self, folder: &RunFolder) -> LoadedBackbone<M::Encoder> {
        let Self { config, task, notes } = self;
        let (trained, image) = (M::encoder(&task).clone(), config.numbers.image());
        let title = format!("{} {}", M::TITLE, trained.describe());
        let statistics = Some(config.statistics.clone());
        let (numbers, facts, like) = (config.numbers.clone(), config.facts(), trained.clone());
        let random = move |weights: &mut InitialWeights| numbers.untrained(&like, &facts, weights);
        let run = Some(folder.clone());
        let encoder = LoadedBackbone::new(trained, image, title, random);
        LoadedBackbone { run, picture: M::PICTURE, statistics, notes, ..encoder }
    }
}

impl BackboneSource {
    /// Loads an encoder whose type is known, as [`visit`](Self::visit) does.
    ///
    /// # Errors
    ///
    /// As [`visit`](Self::visit), and when the encoder is of another type.
    pub fn load<L: Methods, B: Backbone + Clone + 'static>(
        &self,
        side: Option<usize>,
        random: &VitConfig,
        seed: u64,
        device: &Device,
    ) -> Result<LoadedBackbone<B>> {
        self.visit::<L, _>(side, random, seed, device, Only(PhantomData))
    }

    /// Loads the encoder and hands it to `visitor`; without a source, a vision transformer of the
    /// sizes `random` with weights of `seed`.
    ///
    /// Runs are of one of the methods of the list `L`. With `side`, position tables of published
    /// weights are resized to square images of that many pixels.
    ///
    /// # Errors
    ///
    /// When the path holds neither a run nor published weights, what it holds cannot be loaded, any
    /// weight of the encoder is missing, or a run was trained on images of another size; and when
    /// the visitor fails.
    pub fn visit<L: Methods, V: BackboneVisitor>(
        &self,
        side: Option<usize>,
        random: &VitConfig,
        seed: u64,
        device: &Device,
        visitor: V,
    ) -> Result<V::Output> {
        let Self::Folder(path) = self else {
            random.validate()?;
            let config = random.clone();
            let init = move |weights: &mut InitialWeights| Ok(VitBody::new(&config, weights));
            let body = init(&mut InitialWeights::new(seed, device))?;
            let title = format!("random {}", body.describe());
            return visitor.visit(LoadedBackbone::new(body, random.image, title, init));
        };
        if !path.exists() {
            return Err(Error::checkpoint(path, "there is no such file or folder"));
        }
        let folder = &RunFolder::new(path);
        if is_published(path)? || folder.latest()?.is_none() {
            return of_published(open_published(path)?, side, device, visitor);
        }
        folder.visit::<L, _>(OfRun { folder, side, device, visitor })
    }
}

/// Takes an encoder of one type.
struct Only<B>(PhantomData<B>);

impl<T: Backbone + Clone + 'static> BackboneVisitor for Only<T> {
    type Output = LoadedBackbone<T>;

    fn visit<B: Backbone + Clone + 'static>(
        self,
        encoder: LoadedBackbone<B>,
    ) -> Result<LoadedBackbone<T>> {
        let title = encoder.title.clone();
        let wanted: Result<Box<LoadedBackbone<T>>, _> =
            (Box::new(encoder) as Box<dyn Any>).downcast();
        let wanted = wanted.map_err(|_| {
            Error::config(format!("an encoder of another type than was asked for: {title}"))
        });
        wanted.map(|encoder| *encoder)
    }
}

/// Loads the encoder of a run of any method of the list.
struct OfRun<'a, V> {
    folder: &'a RunFolder,
    side: Option<usize>,
    device: &'a Device,
    visitor: V,
}

impl<V: BackboneVisitor> MethodVisitor for OfRun<'_, V> {
    type Output = V::Output;

    fn visit<M: Method>(self) -> Result<V::Output> {
        let encoder = self.folder.load::<M>(self.device)?.into_encoder(self.folder);
        let image = encoder.image;
        match self.side {
            Some(side) if [image.height, image.width] != [side; 2] => {
                let reason = format!("was trained on {image}; its encoder reads no other size");
                Err(Error::checkpoint(self.folder.path(), reason))
            }
            _ => self.visitor.visit(encoder),
        }
    }
}

impl<B> fmt::Debug for LoadedBackbone<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { image, title, run, statistics, .. } = self;
        f.debug_struct("LoadedBackbone")
            .field("title", title)
            .field("image", image)
            .field("run", run)
            .field("statistics", statistics)
            .finish_non_exhaustive()
    }
}

impl FromStr for BackboneSource {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "none" { Self::None } else { Self::Folder(text.into()) })
    }
}

impl fmt::Display for BackboneSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Folder(folder) => write!(f, "{}", folder.display()),
        }
    }
}
