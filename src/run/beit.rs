//! Pre-training on a tokenizer's tokens.

use super::{FittedTokenizer, Run};
use crate::data::ImageData;
use crate::data::augment::Augmentation;
use crate::error::Result;
use crate::nn::Weights;
use crate::task::{Beit, BeitConfig};
use crate::train::{Pretrained, Recipe};

impl Run {
    /// Trains the model of `config` on the tokens of `tokenizer`, as [`Run::pretrain`].
    ///
    /// # Errors
    ///
    /// As [`Run::pretrain`]; when the tokenizer has collapsed: nothing is trained on that.
    pub fn pretrain_beit(
        &self,
        config: BeitConfig,
        tokenizer: FittedTokenizer,
        data: &ImageData,
        augmentation: Augmentation,
        recipe: Recipe,
    ) -> Result<Pretrained<Beit>> {
        config.validate()?;
        tokenizer.report.usage.check()?;
        let weights = &mut Weights::new(self.seed, &self.device.clone().autodiff());
        let (mean, std) = (&data.statistics.mean, &data.statistics.std);
        let model = config.init(tokenizer.tokenizer, mean, std, weights);
        self.pretrain(config.into(), model, data, augmentation, recipe)
    }
}
