//! The numbers of a training run, with the papers' as presets.

use serde::{Deserialize, Serialize};

use crate::config::config;
use crate::error::{Error, Result, ensure};
use crate::limits;

/// How the learning rate falls after its warm-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Decay {
    /// Half a cosine from the peak to the recipe's smallest rate.
    Cosine,
    /// The rate is multiplied by `factor` at each of these epochs.
    MultiStep {
        /// The epochs, in ascending order.
        epochs: Vec<f64>,
        /// The factor of the rate.
        factor: f64,
    },
}

impl Decay {
    fn validate(&self) -> Result<()> {
        if let Self::MultiStep { epochs, factor } = self {
            ensure!(
                *factor > 0.0 && factor.is_finite(),
                "decay.factor must be above 0, got {factor:?}"
            );
            ensure!(
                epochs.is_sorted(),
                "decay.epochs must ascend, from {:?} to {:?} they do not",
                epochs.first().unwrap_or(&0.0),
                epochs.last().unwrap_or(&0.0)
            );
            let possible = 0.0..=limits::EPOCHS as f64;
            if let Some(epoch) = epochs.iter().find(|&epoch| !possible.contains(epoch)) {
                return Err(Error::config(format!(
                    "decay.epochs must be between 0 and {}, got {epoch:?}",
                    limits::EPOCHS
                )));
            }
        }
        Ok(())
    }
}

/// By which rule weights move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OptimizerKind {
    /// AdamW for all of them.
    #[default]
    AdamW,
    /// Muon for the weight matrices within blocks ([`is_orthogonalized`](super::is_orthogonalized)),
    /// and AdamW for all others, at the same learning rates.
    Muon,
    /// LAMB for all of them (arXiv 1904.00962): Adam's steps, as long as what they move is.
    Lamb,
}

config! {
    /// Every number that decides how the weights move. Learning rates are *base* rates: they are
    /// multiplied by effective batch / `lr_batch`.
    #[derive(Debug, PartialEq)]
    pub struct Recipe {
        /// Passes over the training data. Default: 800
        pub epochs: usize = 800,
        /// Peak learning rate for a batch of `lr_batch`. Default: 1.5e-4, MAE's
        pub base_lr: f64 = 1.5e-4,
        /// The batch the base rates are for. Default: 256, MAE's
        pub lr_batch: usize = 256,
        /// Epochs of linear warm-up. Default: 40, MAE's
        pub warmup_epochs: f64 = 40.0,
        /// The learning rate at the start of the warm-up. Default: 0
        pub warmup_lr: f64 = 0.0,
        /// The learning rate at the end of a cosine. Default: 0
        pub min_lr: f64 = 0.0,
        /// How the learning rate falls after the warm-up. Default: a cosine
        pub decay: Decay = Decay::Cosine,
        /// By which rule weights move. Default: AdamW
        pub optimizer: OptimizerKind = OptimizerKind::AdamW,
        /// The learning rate of what Muon moves, divided by that of what AdamW moves beside it.
        /// Default: 1
        pub muon_rate: f64 = 1.0,
        /// AdamW's and LAMB's β₁ and β₂. Default: 0.9 and 0.95, MAE's
        pub betas: [f32; 2] = [0.9, 0.95],
        /// AdamW's and LAMB's ε. Default: 1e-8
        pub epsilon: f32 = 1e-8,
        /// Decoupled weight decay of matrices; see [`is_decayed`](super::is_decayed). Default: 0.05
        pub weight_decay: f32 = 0.05,
        /// The learning rate of a layer, divided by the rate of the layer above it
        /// ([`PretextTask::layers_above`](crate::PretextTask::layers_above)). Default: 1, all
        /// layers have the same rate
        pub layer_decay: f64 = 1.0,
        /// Largest norm of all gradients together; none by default.
        pub clip_norm: Option<f64> = None,
        /// Batches whose gradients are averaged before a step. Default: 1
        pub accumulation: usize = 1,
        /// Decay of a moving average of the weights, saved beside them; none by default.
        pub ema: Option<f64> = None,
    }
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

    /// MAE-CT's contrastive tuning of ViT-B/16 for 80 epochs (arXiv 2304.10520, official configuration
    /// `stage3_maectaug_contrastive_tuning/base16.yaml`): its encoder's rate, for the heads too.
    pub fn refine() -> Self {
        Self::new()
            .with_epochs(80)
            .with_base_lr(1e-4)
            .with_warmup_epochs(16.0)
            .with_layer_decay(0.65)
            .with_ema(Some(0.9999))
    }

    /// data2vec 2.0's pre-training of ViT-B/16 on images (arXiv 2212.07525, official configuration
    /// `base_images_only_task.yaml`): 375 300 updates of 256 images, of which 50 040 warm up.
    pub fn data2vec() -> Self {
        Self::new()
            .with_epochs(75)
            .with_base_lr(1e-3)
            .with_warmup_epochs(10.0)
            .with_clip_norm(Some(4.0))
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

    /// I-JEPA's pre-training of 300 epochs (arXiv 2301.08243, official configurations): rates are for
    /// its batch of 2048.
    pub fn ijepa() -> Self {
        Self::new()
            .with_epochs(300)
            .with_base_lr(1e-3)
            .with_lr_batch(2048)
            .with_warmup_lr(2e-4)
            .with_min_lr(1e-6)
            .with_betas([0.9, 0.999])
            .with_weight_decay(0.04)
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

    /// The factor of the base rates (Goyal et al. 2017, the linear scaling rule).
    pub fn lr_scale(&self, batch_size: usize) -> f64 {
        self.effective_batch(batch_size) as f64 / self.lr_batch as f64
    }

    /// Checks every rule the numbers must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the value.
    pub fn validate(&self) -> Result<()> {
        let at_least_0 = |value: f64| value >= 0.0 && value.is_finite();
        let above_0 = |value: f64| value > 0.0 && value.is_finite();
        let share = |value: f64| (0.0..1.0).contains(&value);
        // Moments are kept in f32, where a rate just below 1 would be 1.
        let [first, second] = self.betas.map(f64::from);
        let rates = [
            ("base_lr", "above 0", above_0(self.base_lr), self.base_lr),
            ("muon_rate", "above 0", above_0(self.muon_rate), self.muon_rate),
            ("warmup_epochs", "at least 0", at_least_0(self.warmup_epochs), self.warmup_epochs),
            ("warmup_lr", "at least 0", at_least_0(self.warmup_lr), self.warmup_lr),
            ("min_lr", "at least 0", at_least_0(self.min_lr), self.min_lr),
            ("betas", "in [0, 1)", share(first), first),
            ("betas", "in [0, 1)", share(second), second),
            ("epsilon", "above 0", above_0(self.epsilon.into()), self.epsilon.into()),
            (
                "weight_decay",
                "at least 0",
                at_least_0(self.weight_decay.into()),
                self.weight_decay.into(),
            ),
            (
                "layer_decay",
                "in (0, 1]",
                self.layer_decay > 0.0 && self.layer_decay <= 1.0,
                self.layer_decay,
            ),
        ];
        for (name, rule, kept, value) in rates {
            ensure!(kept, "{name} must be {rule}, got {value:?}");
        }
        if let Some(norm) = self.clip_norm {
            ensure!(above_0(norm), "clip_norm must be above 0, got {norm:?}");
        }
        if let Some(decay) = self.ema {
            ensure!(share(decay), "ema must be in [0, 1), got {decay:?}");
        }
        self.validate_counts()?;
        self.decay.validate()
    }

    /// The rules of whole numbers.
    fn validate_counts(&self) -> Result<()> {
        for (name, count, limit) in [
            ("epochs", self.epochs, limits::EPOCHS),
            ("lr_batch", self.lr_batch, limits::BATCH),
            ("accumulation", self.accumulation, limits::BATCH),
        ] {
            limits::counts(name, count, limit)?;
        }
        Ok(())
    }

    /// Warnings about numbers that are allowed but rarely meant, for a run of `batches` batches of
    /// `batch_size` per epoch.
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
