//! Loads encoders from runs and from published weights.

use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::str::FromStr;

use burn::tensor::Device;

use super::fine_tuned::{FineTuned, FineTunedVisitor, is_fine_tuned};
use super::loaded::{BackboneVisitor, LoadedBackbone};
use super::published::{Found, of_published, open};
use crate::encoder::{Backbone, VitBody, VitConfig};
use crate::error::{Error, Result};
use crate::method::{Method, MethodVisitor, Methods};
use crate::nn::InitialWeights;
use crate::train::RunFolder;

/// Where an encoder comes from; written as a path, or as `none`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackboneSource {
    /// The folder of a pre-training run, of a fine-tuned one, of Hugging Face transformers, or a file
    /// of published weights.
    Folder(PathBuf),
    /// No source: random weights.
    None,
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
        if is_fine_tuned(folder) {
            return folder.visit_fine_tuned::<L, _>(device, OfFineTuned { side, visitor });
        }
        match open(path)? {
            Found::Published(opened) => of_published(*opened, side, device, visitor),
            Found::Run(folder) => {
                folder.visit::<L, _>(OfRun { folder: &folder, side, device, visitor })
            }
        }
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
        of_size(self.side, encoder, self.visitor)
    }
}

/// Takes the encoder of a fine-tuned run.
struct OfFineTuned<V> {
    side: Option<usize>,
    visitor: V,
}

impl<V: BackboneVisitor> FineTunedVisitor for OfFineTuned<V> {
    type Output = V::Output;

    fn visit<B: Backbone + Clone + 'static>(self, tuned: FineTuned<B>) -> Result<V::Output> {
        of_size(self.side, tuned.into_encoder(), self.visitor)
    }
}

/// Hands the encoder of a run to `visitor`, unless another size is asked for than it reads.
fn of_size<B: Backbone + Clone + 'static, V: BackboneVisitor>(
    side: Option<usize>,
    encoder: LoadedBackbone<B>,
    visitor: V,
) -> Result<V::Output> {
    let (image, run) = (encoder.image.frame(), &encoder.run);
    match side {
        Some(side) if [image.height, image.width] != [side; 2] => {
            let reason = format!("was trained on {image}; its encoder reads no other size");
            let path = run.as_ref().map_or(std::path::Path::new(""), RunFolder::path);
            Err(Error::checkpoint(path, reason))
        }
        _ => visitor.visit(encoder),
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
