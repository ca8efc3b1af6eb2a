//! The tokenizers of the examples, with recipes for minutes.

use std::path::{Path, PathBuf};

use burn_mim::data::ImageData;
use burn_mim::data::augment::{Augmentation, CropRange};
use burn_mim::method::DvaeSchedule;
use burn_mim::method::{FittedTokenizer, TokenizerRecipe, has_tokenizer, load_tokenizer};
use burn_mim::run::{BackboneSource, Run};
use burn_mim::target::tokenizer::{DvaeConfig, PaletteConfig, TokenizerConfig, VqConfig};
use burn_mim::train::{Precision, Recipe, RunFolder};
use burn_mim::{Error, ImageShape, Result};

use super::Args;
use super::knobs::{Rate, check_tokens};

/// Side in pixels of what one token stands for.
pub(crate) const CELL: usize = 4;

/// What makes the tokens of an image fewer.
pub(crate) const FEWER: &str = "a smaller --image-size makes them fewer";

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
        data: &ImageData,
        recipe: &TokenizerRecipe,
    ) -> Result<Option<FittedTokenizer>> {
        match (self, teacher) {
            (Self::VqKd, Some(folder)) => {
                let config = VqConfig::small_images(image);
                let random = config.encoder.clone().into();
                let teacher =
                    BackboneSource::Folder(folder).load(&random, run.seed, &run.device)?;
                super::tell(format_args!("teacher: {}", teacher.title));
                teacher.notes.iter().for_each(super::say);
                run.distil_tokenizer(config, teacher, data, recipe)
            }
            (Self::VqKd, None) => Err(Error::Config("vq-kd needs a --teacher".into())),
            (_, Some(_)) => Err(Error::Config("only vq-kd has a --teacher".into())),
            (kind, None) => run.fit_tokenizer(kind.config(image), data, recipe),
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
            Self::Palette => TokenizerConfig::Palette(PaletteConfig::new(image).with_cell(CELL)),
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

/// How the tokenizers of the examples are trained.
pub(crate) fn recipe(epochs: usize) -> TokenizerRecipe {
    let crop = Some(CropRange::new([0.5, 1.0]));
    let recipe = Recipe::new()
        .with_epochs(epochs.max(1))
        .with_base_lr(1.2e-2)
        .with_warmup_epochs(0.2)
        .with_betas([0.9, 0.99])
        .with_weight_decay(1e-4)
        .with_clip_norm(Some(1.0));
    TokenizerRecipe {
        augmentation: Augmentation { crop, ..Augmentation::mae() },
        recipe,
        schedule: DvaeSchedule::new().with_cooling(0.25).with_kl_weight(1e-4).with_balance(0.1),
    }
}

/// The tokenizer that was asked for, that of the run to go on with, or a new one.
pub(crate) fn fitted(
    args: &Args,
    given: Option<PathBuf>,
    run: &Run,
    data: &ImageData,
) -> Result<Option<FittedTokenizer>> {
    let own = run.out.join("tokenizer");
    let finished = run.resume && has_tokenizer(&own);
    if let Some(folder) = given.or_else(|| finished.then(|| own.clone())) {
        let (config, tokenizer) = load_tokenizer(&folder, &run.device)?;
        let (reads, asked) = (config.image(), args.image(data));
        if args.image_size.is_some() && reads != asked {
            return Err(Error::Config(format!(
                "the tokenizer in {} reads images of {reads}, --image-size asks for {asked}",
                folder.display()
            )));
        }
        let report = run.measure_tokenizer(&config, &tokenizer, data)?;
        return Ok(Some(FittedTokenizer { config, tokenizer, report }));
    }
    let mut run = run.clone();
    // A run that was stopped before it had a tokenizer goes on with that.
    run.resume = run.resume && (begun(&own)? || !begun(&run.out)?);
    run.out = own;
    let recipe = recipe(Kind::Vq.images().div_ceil(data.train.len()));
    check_tokens(args.image(data).grid(CELL)?, FEWER)?;
    Kind::Vq.fit(&run, args.image(data), None, data, &recipe)
}

/// Whether a run in `folder` has something to go on from.
pub(crate) fn begun(folder: &Path) -> Result<bool> {
    Ok(RunFolder::new(folder).newest_whole()?.is_some())
}
