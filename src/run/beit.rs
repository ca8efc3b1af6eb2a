//! Pre-training on a tokenizer's tokens.

use super::Run;
use crate::batch::MimBatch;
use crate::data::ImageData;
use crate::data::augment::Augmentation;
use crate::error::Result;
use crate::method::FittedTokenizer;
use crate::method::token_sheet;
use crate::method::{Beit, BeitConfig, BeitV2, BeitV2Config};
use crate::nn::InitialWeights;
use crate::train::{Pretrained, Recipe};

impl Run {
    /// Trains the model of `config` on the tokens of `tokenizer`, as [`Run::train`] does, and leaves
    /// `reconstruction.png`: decoded predicted tokens, or where the tokenizer does not decode to
    /// pixels, tokens as colors.
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
        let (_lock, data) = &self.begin(data)?;
        tokenizer.report.usage.check()?;
        let decodes = config.tokenizer.decodes();
        let weights = &mut InitialWeights::new(self.seed, &self.device.clone().autodiff());
        let (mean, std) = (&data.statistics.mean, &data.statistics.std);
        let model = config.init(tokenizer.tokenizer, mean, std, weights);
        let (pretrained, batch) =
            self.train_masked(config.into(), model, data, augmentation, recipe, |model| {
                &model.encoder
            })?;
        self.show_beit("BEiT", &pretrained.task, batch, decodes, data)?;
        Ok(pretrained)
    }

    /// As [`Run::pretrain_beit`], for BEiT v2; the picture shows the predictions after the last
    /// block.
    ///
    /// # Errors
    ///
    /// As [`Run::pretrain_beit`].
    pub fn pretrain_beit_v2(
        &self,
        config: BeitV2Config,
        tokenizer: FittedTokenizer,
        data: &ImageData,
        augmentation: Augmentation,
        recipe: Recipe,
    ) -> Result<Pretrained<BeitV2>> {
        config.validate()?;
        let (_lock, data) = &self.begin(data)?;
        tokenizer.report.usage.check()?;
        let decodes = config.beit.tokenizer.decodes();
        let weights = &mut InitialWeights::new(self.seed, &self.device.clone().autodiff());
        let (mean, std) = (&data.statistics.mean, &data.statistics.std);
        let model = config.init(tokenizer.tokenizer, mean, std, weights);
        let (pretrained, batch) =
            self.train_masked(config.into(), model, data, augmentation, recipe, |model| {
                &model.encoder
            })?;
        let beit = pretrained.task.clone().without_condenser();
        self.show_beit("BEiT v2", &beit, batch, decodes, data)?;
        Ok(pretrained)
    }

    fn show_beit(
        &self,
        title: &str,
        model: &Beit,
        batch: MimBatch,
        decodes: bool,
        data: &ImageData,
    ) -> Result<()> {
        if decodes {
            return self.sheet(title, model, batch, data);
        }
        let title = format!("{title}: validation images");
        let (mean, std) = (&data.statistics.mean, &data.statistics.std);
        token_sheet(&title, model, &batch, mean, std)?.save(self.out.join("reconstruction.png"))
    }
}
