//! How tokenizers are trained, alone and for a method that needs one first.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{DvaeSchedule, FittedTokenizer, has_tokenizer, load_tokenizer};
use crate::data::augment::{Augmentation, CropRange};
use crate::error::{Error, Result};
use crate::method::{Fitted, Run};
use crate::target::TokenizerConfig;
use crate::target::tokenizer::AnyTokenizer;
use crate::train::Recipe;

/// Training images, with repetitions, that a tokenizer sees where a method has it trained first.
const SHOWN_IMAGES: usize = 30_000;

/// How a tokenizer is trained; a palette is not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerRecipe {
    /// What is done to the images.
    pub augmentation: Augmentation,
    /// How weights move.
    pub recipe: Recipe,
    /// What changes while a dVAE trains.
    pub schedule: DvaeSchedule,
}

impl TokenizerRecipe {
    /// A recipe for images of a few dozen pixels that a laptop's processor trains in minutes.
    pub fn small_images(epochs: usize) -> Self {
        let crop = Some(CropRange::new([0.5, 1.0]));
        let recipe = Recipe::new()
            .with_epochs(epochs.max(1))
            .with_base_lr(1.2e-2)
            .with_warmup_epochs(0.2)
            .with_betas([0.9, 0.99])
            .with_weight_decay(1e-4)
            .with_clip_norm(Some(1.0));
        let schedule =
            DvaeSchedule::new().with_cooling(0.25).with_kl_weight(1e-4).with_balance(0.1);
        let augmentation = Augmentation { crop, ..Augmentation::mae() };
        Self { augmentation, recipe, schedule }
    }
}

/// The tokenizer that a method with tokens of the sizes `config` is trained on: the one in `folder`;
/// where there is none, the one in `tokenizer/` of the run's folder, which is trained first.
///
/// # Errors
///
/// When the tokenizer in the folder has other sizes; when a tokenizer has collapsed, since nothing is
/// worth training on that; when its training was stopped.
pub(in crate::method) fn fitted_for(
    run: &Run,
    config: &TokenizerConfig,
    folder: Option<&Path>,
) -> Result<Fitted<AnyTokenizer>> {
    let own = run.out.join("tokenizer");
    let finished = (run.resume && has_tokenizer(&own)).then_some(&*own);
    let (fitted, resumed) = if let Some(found) = folder.or(finished) {
        let (saved, tokenizer) = load_tokenizer(found, &run.device)?;
        if saved != *config {
            let reason = format!("holds the tokenizer {saved:?}, but the method needs {config:?}");
            return Err(Error::checkpoint(found, reason));
        }
        let report = run.measure_tokenizer(config, &tokenizer)?;
        (FittedTokenizer { config: saved, tokenizer, report }, folder.is_none())
    } else {
        let first = Run { out: own, ..run.clone() };
        let mut recipe = TokenizerRecipe::small_images(SHOWN_IMAGES.div_ceil(run.data.train.len()));
        recipe.recipe.accumulation = run.accumulation();
        let fitted = first.fit_tokenizer(config.clone(), &recipe)?;
        (fitted.ok_or(Error::Interrupted)?, run.resume)
    };
    run.progress.note(&format!("tokenizer: {}", fitted.report));
    fitted.report.usage.check()?;
    Ok(Fitted { task: fitted.tokenizer, resumed })
}
