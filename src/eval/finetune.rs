//! Fine-tuning: the numbers of the papers.

use serde::{Deserialize, Serialize};

use super::{Classification, LabelledCollate, Mixing, Pooling, RandomErasing};
use crate::data::augment::{Augmentation, CropRange, RandAugment};
use crate::encoder::Backbone;
use crate::error::{Result, ensure};
use crate::nn::InitialWeights;
use crate::train::Recipe;

/// Every number that decides how an encoder is fine-tuned, except the drop path that is part of the
/// encoder itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FineTuning {
    /// Epochs, learning rates and their decay from layer to layer.
    pub recipe: Recipe,
    /// Drop-path probability of the encoder's last block.
    pub drop_path: f64,
    /// Crops, flips and colors.
    pub augmentation: Augmentation,
    /// The erasing of parts of images.
    pub erasing: RandomErasing,
    /// The mixing of pairs of images.
    pub mixing: Mixing,
    /// The share of every target spread over all classes.
    pub smoothing: f32,
    /// How the encoder's tokens become one vector.
    pub pooling: Pooling,
    /// Whether the pooled features are normalized before the classifier. transformers' classes of
    /// ViT and Swin have no such norm: without it a run is exported as one of these.
    #[serde(default = "normalized")]
    pub normalized: bool,
    /// How many of the encoder's last blocks are trained; `None` trains the whole encoder.
    pub last_blocks: Option<usize>,
}

impl FineTuning {
    /// The numbers that the recipes of the three papers share: AdamW, a cosine, weight decay 0.05,
    /// drop path 0.1, crops of 8 % of the area and up, RandAugment, erasing 0.25, mixup 0.8, CutMix
    /// 1.0, smoothing 0.1.
    fn papers(epochs: usize, base_lr: f64, layer_decay: f64) -> Self {
        let crop = Some(CropRange::new([0.08, 1.0]));
        Self {
            recipe: Recipe::new()
                .with_epochs(epochs)
                .with_base_lr(base_lr)
                .with_layer_decay(layer_decay)
                .with_warmup_epochs(20.0)
                .with_betas([0.9, 0.999]),
            drop_path: 0.1,
            augmentation: Augmentation {
                crop,
                rand_augment: Some(RandAugment::papers()),
                ..Augmentation::mae()
            },
            erasing: RandomErasing { probability: 0.25 },
            mixing: Mixing::papers(),
            smoothing: 0.1,
            pooling: Pooling::Mean,
            normalized: true,
            last_blocks: None,
        }
    }

    /// MAE's fine-tuning of ViT-B (arXiv 2111.06377, Table 9, and the official code, whose base
    /// rate and decay differ from the paper's): 100 epochs, base rate 5e-4 per 256, decay 0.65.
    pub fn mae_base() -> Self {
        Self::mae(100, 5e-4, 0.65)
    }

    /// MAE's fine-tuning of ViT-L: 50 epochs, base rate 1e-3 per 256, decay 0.75, drop path 0.2.
    pub fn mae_large() -> Self {
        Self { drop_path: 0.2, ..Self::mae(50, 1e-3, 0.75) }
    }

    /// MAE's fine-tuning of ViT-H: as for ViT-L, with drop path 0.3.
    pub fn mae_huge() -> Self {
        Self { drop_path: 0.3, ..Self::mae_large() }
    }

    fn mae(epochs: usize, base_lr: f64, layer_decay: f64) -> Self {
        let papers = Self::papers(epochs, base_lr, layer_decay);
        // The official smallest rate is 1e-6 without scaling, at a batch of 1024.
        let recipe = papers.recipe.with_warmup_epochs(5.0).with_min_lr(2.5e-7);
        Self { recipe, ..papers }
    }

    /// SimMIM's fine-tuning of ViT-B (arXiv 2111.09886 §4.1 and the official configuration): 100
    /// epochs, base rate 1.25e-3 per 512, decay 0.65, clipped at 5.
    pub fn simmim_base() -> Self {
        let papers = Self::papers(100, 1.25e-3, 0.65);
        let recipe = papers.recipe.with_lr_batch(512).with_warmup_lr(2.5e-7).with_min_lr(2.5e-7);
        Self { recipe: recipe.with_clip_norm(Some(5.0)), ..papers }
    }

    /// BEiT's fine-tuning of ViT-B (arXiv 2106.08254, appendix): 100 epochs, rate 4e-3 at a batch
    /// of 1024, decay 0.65.
    pub fn beit_base() -> Self {
        let papers = Self::papers(100, 1e-3, 0.65);
        let recipe = papers.recipe.with_warmup_lr(2.5e-7).with_min_lr(2.5e-7);
        Self { recipe, ..papers }
    }

    /// This crate's own recipe for small images and few steps: layers decay by 0.75, a tenth of the
    /// epochs is warm-up, images are neither mixed nor erased, and there is no RandAugment.
    pub fn small_images(epochs: usize) -> Self {
        let papers = Self::papers(epochs, 4e-3, 0.75);
        Self {
            recipe: papers.recipe.with_warmup_epochs(epochs as f64 / 10.0),
            augmentation: Augmentation {
                crop: Some(CropRange::new([0.5, 1.0])),
                rand_augment: None,
                ..papers.augmentation
            },
            erasing: RandomErasing::none(),
            mixing: Mixing::none(),
            ..papers
        }
    }

    /// Checks every rule that the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.recipe.validate()?;
        self.augmentation.validate()?;
        self.erasing.validate()?;
        self.mixing.validate()?;
        ensure!(
            self.pooling != Pooling::Cells,
            "the pooling `cells` is for nearest neighbors and linear probes: fine-tune with mean, class or both"
        );
        ensure!(
            (0.0..1.0).contains(&self.drop_path),
            "drop_path must be in [0, 1), got {}",
            self.drop_path
        );
        ensure!(
            (0.0..1.0).contains(&self.smoothing),
            "smoothing must be in [0, 1), got {}",
            self.smoothing
        );
        Ok(())
    }

    /// The collate of training batches: `plain` with this recipe's augmentation, erasing, mixing
    /// and label smoothing.
    ///
    /// # Errors
    ///
    /// When one of these numbers is broken.
    pub fn collate(&self, plain: LabelledCollate) -> Result<LabelledCollate> {
        plain
            .with_augmentation(self.augmentation)?
            .with_erasing(self.erasing)?
            .with_mixing(self.mixing)?
            .with_smoothing(self.smoothing)
    }

    /// The task to train: `encoder` with a fresh classifier, frozen below the last blocks if only
    /// those are trained.
    ///
    /// # Errors
    ///
    /// When only some blocks are to be trained and the encoder does not tell them apart.
    pub fn task<B: Backbone>(
        &self,
        encoder: B,
        classes: usize,
        weights: &mut InitialWeights,
    ) -> Result<Classification<B>> {
        let task = Classification::new(encoder, self.pooling, classes, weights);
        let task = if self.normalized { task } else { task.without_norm() };
        match self.last_blocks {
            Some(blocks) => task.with_last_blocks(blocks),
            None => Ok(task),
        }
    }
}

/// What a run says that was fine-tuned before there was a choice.
fn normalized() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_rates_come_out_at_their_batch_of_1024_or_2048() {
        let peak =
            |tuning: FineTuning, batch| tuning.recipe.base_lr * tuning.recipe.lr_scale(batch);
        for (tuning, batch, expected) in [
            (FineTuning::mae_base(), 1024, 2e-3),
            (FineTuning::mae_large(), 1024, 4e-3),
            (FineTuning::simmim_base(), 2048, 5e-3),
            (FineTuning::beit_base(), 1024, 4e-3),
        ] {
            tuning.recipe.validate().unwrap();
            assert!((peak(tuning, batch) - expected).abs() < 1e-12);
        }
    }
}
