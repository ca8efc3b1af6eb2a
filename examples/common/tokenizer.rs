//! The tokenizers of the examples, with recipes for minutes.

use std::path::PathBuf;

use burn_mim::method::{BuiltIn, FittedTokenizer, Teacher, TokenizerRecipe};
use burn_mim::run::{BackboneSource, BackboneVisitor, LoadedBackbone, Run};
use burn_mim::target::tokenizer::{DvaeConfig, PaletteConfig, TokenizerConfig, VqConfig};
use burn_mim::train::Precision;
use burn_mim::{Backbone, Error, ImageShape, Result};

use super::Args;
use super::knobs::{Rate, check_tokens};

/// Side in pixels of what one token stands for.
const CELL: usize = 4;

/// Which tokenizer to fit.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Kind {
    /// The colors of patches: seconds
    Palette,
    /// Vector quantization: a minute
    Vq,
    /// Vector quantization on the features of a teacher: a minute or two
    VqKd,
    /// A discrete variational autoencoder: minutes
    Dvae,
}

impl Kind {
    /// Fits the tokenizer; `teacher` is a folder with an encoder.
    pub(crate) fn fit(
        self,
        run: &Run,
        image: ImageShape,
        teacher: Option<PathBuf>,
        recipe: &TokenizerRecipe,
    ) -> Result<Option<FittedTokenizer>> {
        match (self, teacher) {
            (Self::VqKd, Some(folder)) => {
                let config = VqConfig::small_images(image);
                let (random, teacher) = (config.encoder.clone(), BackboneSource::Folder(folder));
                let distilling = Distilling { run, config, recipe };
                teacher.visit::<BuiltIn, _>(None, &random, run.seed, &run.device, distilling)
            }
            (Self::VqKd, None) => Err(Error::Config("vq-kd needs a --teacher".into())),
            (_, Some(_)) => Err(Error::Config("only vq-kd has a --teacher".into())),
            (kind, None) => run.fit_tokenizer(kind.config(image), recipe),
        }
    }

    /// Refuses what would not act: a palette is fitted at once, in f32.
    pub(crate) fn check(self, args: &Args, rate: &Rate) -> Result<()> {
        let given = [
            ("--epochs", args.epochs.is_some()),
            ("--lr", rate.is_given()),
            ("--precision", args.precision != Precision::F32),
            ("--resume", args.resume),
        ];
        match (self, given.iter().find(|(_, given)| *given)) {
            (Self::Palette, Some((flag, _))) => Err(Error::Config(format!(
                "{flag} does not act on a palette, which is fitted at once: leave it out"
            ))),
            _ => Ok(()),
        }
    }

    /// A tokenizer of 512 tokens for patches of 4 pixels.
    fn config(self, image: ImageShape) -> TokenizerConfig {
        match self {
            Self::Palette => TokenizerConfig::Palette(PaletteConfig::new(image).with_patch(CELL)),
            Self::Vq | Self::VqKd => TokenizerConfig::Vq(VqConfig::small_images(image)),
            Self::Dvae => TokenizerConfig::Dvae(DvaeConfig::small_images(image)),
        }
    }

    /// Images to train on where nothing else is asked for.
    pub(crate) fn images(self) -> usize {
        match self {
            Self::Palette => 0,
            Self::Vq => 30_000,
            Self::VqKd | Self::Dvae => 20_000,
        }
    }
}

/// Refuses images of more tokens than a machine holds.
pub(crate) fn check_size(image: ImageShape) -> Result<()> {
    check_tokens(image.grid(CELL)?, "a smaller --image-size makes them fewer")
}

/// The encoder whose features are the tokens' meaning.
struct Distilling<'a> {
    run: &'a Run,
    config: VqConfig,
    recipe: &'a TokenizerRecipe,
}

impl BackboneVisitor for Distilling<'_> {
    type Output = Option<FittedTokenizer>;

    fn visit<B: Backbone + Clone>(self, found: LoadedBackbone<B>) -> Result<Self::Output> {
        super::tell(format_args!("teacher: {}", found.title));
        found.notes.iter().for_each(super::say);
        let LoadedBackbone { backbone, image, statistics, title, .. } = found;
        let teacher = Teacher { backbone, image, statistics, title };
        self.run.distil_tokenizer(self.config, teacher, self.recipe)
    }
}
