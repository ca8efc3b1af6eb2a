//! The numbers of a training run, with the papers' as presets.

use burn::config::Config;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How the learning rate falls after its warm-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Decay {
    /// Half a cosine from the peak to the recipe's smallest rate.
    Cosine,
    /// Multiplied by `factor` at each of these epochs.
    MultiStep {
        /// Epochs, ascending.
        epochs: Vec<f64>,
        /// What the rate is multiplied by.
        factor: f64,
    },
}

/// Everything that decides how weights move. Rates are *base* rates: multiplied by
/// effective batch / `lr_batch`.
#[derive(Config, Debug, PartialEq)]
pub struct Recipe {
    /// Passes over the training data. Default: 800
    #[config(default = 800)]
    pub epochs: usize,
    /// Peak learning rate for a batch of `lr_batch`. Default: 1.5e-4, MAE's
    #[config(default = 1.5e-4)]
    pub base_lr: f64,
    /// The batch the base rates are for. Default: 256, MAE's
    #[config(default = 256)]
    pub lr_batch: usize,
    /// Epochs of linear warm-up. Default: 40, MAE's
    #[config(default = 40.0)]
    pub warmup_epochs: f64,
    /// Where the warm-up starts. Default: 0
    #[config(default = 0.0)]
    pub warmup_lr: f64,
    /// Where a cosine ends. Default: 0
    #[config(default = 0.0)]
    pub min_lr: f64,
    /// What comes after the warm-up. Default: a cosine
    #[config(default = "Decay::Cosine")]
    pub decay: Decay,
    /// AdamW's β₁ and β₂. Default: 0.9 and 0.95, MAE's
    #[config(default = "[0.9, 0.95]")]
    pub betas: [f32; 2],
    /// AdamW's ε. Default: 1e-8
    #[config(default = 1e-8)]
    pub epsilon: f32,
    /// Decoupled weight decay of matrices; see [`is_decayed`](super::is_decayed). Default: 0.05
    #[config(default = 0.05)]
    pub weight_decay: f32,
    /// What the learning rate of a layer is multiplied by as against the layer above it
    /// ([`PretextTask::layers_above`](crate::PretextTask::layers_above)). Default: 1, none smaller
    #[config(default = 1.0)]
    pub layer_decay: f64,
    /// Largest norm of all gradients together; none by default.
    #[config(default = "None")]
    pub clip_norm: Option<f64>,
    /// Batches whose gradients are averaged before a step. Default: 1
    #[config(default = 1)]
    pub accumulation: usize,
    /// Decay of a moving average of the weights, saved beside them; none by default.
    #[config(default = "None")]
    pub ema: Option<f64>,
}

impl Recipe {
    /// MAE's pre-training (arXiv 2111.06377, Table 8).
    pub fn mae() -> Self {
        Self::new()
    }

    /// SimMIM's pre-training of 100 epochs (arXiv 2111.09886 §4.1 and the official configuration).
    pub fn simmim() -> Self {
        Self::new()
            .with_epochs(100)
            .with_base_lr(2e-4)
            .with_lr_batch(512)
            .with_warmup_epochs(10.0)
            .with_warmup_lr(1e-6)
            .with_min_lr(1e-5)
            .with_betas([0.9, 0.999])
            .with_clip_norm(Some(5.0))
    }

    /// SimMIM's pre-training of 800 epochs, with one step down at epoch 700.
    pub fn simmim_800() -> Self {
        Self::simmim()
            .with_epochs(800)
            .with_base_lr(1e-4)
            .with_warmup_lr(5e-7)
            .with_decay(Decay::MultiStep { epochs: vec![700.0], factor: 0.1 })
    }

    /// BEiT's pre-training of 800 epochs (arXiv 2106.08254 §3.1, appendix G): rates are for its batch
    /// of 2048.
    pub fn beit() -> Self {
        Self::new()
            .with_base_lr(1.5e-3)
            .with_lr_batch(2048)
            .with_warmup_epochs(10.0)
            .with_warmup_lr(1e-6)
            .with_min_lr(1e-5)
            .with_betas([0.9, 0.999])
            .with_clip_norm(Some(3.0))
    }

    /// MaskFeat's pre-training of 300 epochs on images (arXiv 2112.09133, official configuration).
    pub fn maskfeat() -> Self {
        Self::new()
            .with_epochs(300)
            .with_base_lr(2e-4)
            .with_warmup_epochs(30.0)
            .with_warmup_lr(1e-6)
            .with_min_lr(1e-6)
            .with_betas([0.9, 0.999])
            .with_clip_norm(Some(0.02))
    }

    /// Restoration on small images, ours: Adam without weight decay, as in the paper (arXiv
    /// 2012.00364 §4), at a rate for small models, batches of 64 and hundreds of steps.
    pub fn restoration() -> Self {
        Self::new()
            .with_epochs(20)
            .with_base_lr(1e-3)
            .with_lr_batch(64)
            .with_warmup_epochs(0.5)
            .with_weight_decay(0.0)
            .with_clip_norm(Some(1.0))
    }

    /// Samples between two steps of the optimizer.
    pub fn effective_batch(&self, batch_size: usize) -> usize {
        batch_size * self.accumulation
    }

    /// What base rates are multiplied by (Goyal et al. 2017, the linear scaling rule).
    pub fn lr_scale(&self, batch_size: usize) -> f64 {
        self.effective_batch(batch_size) as f64 / self.lr_batch as f64
    }

    /// Checks every rule the numbers must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the value.
    pub fn validate(&self) -> Result<()> {
        let rule = |kept: bool, name: &str, rule: &str, value: &dyn std::fmt::Debug| {
            if kept {
                return Ok(());
            }
            Err(Error::config(format!("{name} must be {rule}, got {value:?}")))
        };
        let rate = |value: f64| value >= 0.0 && value.is_finite();
        rule(self.epochs > 0, "epochs", "at least 1", &self.epochs)?;
        rule(self.base_lr > 0.0 && rate(self.base_lr), "base_lr", "above 0", &self.base_lr)?;
        rule(self.lr_batch > 0, "lr_batch", "at least 1", &self.lr_batch)?;
        rule(rate(self.warmup_epochs), "warmup_epochs", "at least 0", &self.warmup_epochs)?;
        rule(rate(self.warmup_lr), "warmup_lr", "at least 0", &self.warmup_lr)?;
        rule(rate(self.min_lr), "min_lr", "at least 0", &self.min_lr)?;
        let share = |value: &f32| (0.0..1.0).contains(value);
        rule(self.betas.iter().all(share), "betas", "in [0, 1)", &self.betas)?;
        rule(self.epsilon > 0.0, "epsilon", "above 0", &self.epsilon)?;
        rule(self.weight_decay >= 0.0, "weight_decay", "at least 0", &self.weight_decay)?;
        let decay = self.layer_decay > 0.0 && self.layer_decay <= 1.0;
        rule(decay, "layer_decay", "in (0, 1]", &self.layer_decay)?;
        let clip = self.clip_norm.is_none_or(|norm| norm > 0.0);
        rule(clip, "clip_norm", "above 0", &self.clip_norm)?;
        rule(self.accumulation > 0, "accumulation", "at least 1", &self.accumulation)?;
        let ema = self.ema.is_none_or(|decay| (0.0..1.0).contains(&decay));
        rule(ema, "ema", "in [0, 1)", &self.ema)
    }

    /// What is legal but rarely meant, for a run of `batches` batches of `batch_size` per epoch.
    pub fn warnings(&self, batch_size: usize, batches: usize) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.accumulation > batches {
            warnings.push(format!(
                "an accumulation of {} is longer than the epoch of {batches} batches: each step \
                 averages over the epoch's {batches}",
                self.accumulation
            ));
        }
        if self.warmup_epochs >= self.epochs as f64 {
            warnings.push(format!(
                "a warm-up of {} epochs leaves none of the {} for the full learning rate",
                self.warmup_epochs, self.epochs
            ));
        }
        let effective = self.effective_batch(batch_size);
        let peak = self.base_lr * self.lr_scale(batch_size);
        if peak > 1e-2 {
            warnings.push(format!(
                "a peak learning rate of {peak:.1e} is high for AdamW: is base_lr {:.1e} meant \
                 before scaling by {effective}/{}?",
                self.base_lr, self.lr_batch
            ));
        }
        if peak < 1e-5 {
            warnings.push(format!(
                "a peak learning rate of {peak:.1e} is low: base_lr {:.1e} is scaled by \
                 {effective}/{}; for small batches raise base_lr",
                self.base_lr, self.lr_batch
            ));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_rates_come_out_of_the_scaling_rule() {
        let mae = Recipe::mae();
        assert!((mae.base_lr * mae.lr_scale(4096) - 2.4e-3).abs() < 1e-12);
        let simmim = Recipe::simmim();
        assert!((simmim.base_lr * simmim.lr_scale(2048) - 8e-4).abs() < 1e-12);
        assert!((Recipe::simmim_800().base_lr * simmim.lr_scale(2048) - 4e-4).abs() < 1e-12);
        let beit = Recipe::beit();
        assert!((beit.base_lr * beit.lr_scale(2048) - 1.5e-3).abs() < 1e-12);
        let accumulated = Recipe::mae().with_accumulation(16);
        assert_eq!(accumulated.lr_scale(256), mae.lr_scale(4096));
    }

    #[test]
    fn broken_numbers_are_named() {
        let message = |recipe: Recipe| recipe.validate().unwrap_err().to_string();
        assert!(message(Recipe::mae().with_epochs(0)).contains("epochs must be at least 1, got 0"));
        assert!(message(Recipe::mae().with_base_lr(f64::NAN)).contains("base_lr must be above 0"));
        assert!(message(Recipe::mae().with_accumulation(0)).contains("accumulation"));
        assert!(message(Recipe::mae().with_ema(Some(1.0))).contains("ema must be in [0, 1)"));
        assert!(message(Recipe::mae().with_clip_norm(Some(0.0))).contains("clip_norm"));
        Recipe::simmim_800().validate().unwrap();
    }

    #[test]
    fn slips_are_warned_of() {
        assert!(Recipe::mae().warnings(4096, 312).is_empty());
        let slips = |recipe: Recipe| recipe.warnings(4096, 312).concat();
        assert!(slips(Recipe::mae().with_accumulation(400)).contains("longer than the epoch"));
        assert!(slips(Recipe::mae().with_epochs(20)).contains("warm-up of 40 epochs"));
        assert!(slips(Recipe::mae().with_base_lr(2.4e-3)).contains("high for AdamW"));
        assert!(Recipe::mae().warnings(8, 100).concat().contains("is low"));
    }
}
