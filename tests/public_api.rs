//! What users import. A name that this file no longer finds was taken from them.

use std::sync::Arc;

use burn_mim::Backbone;
#[cfg(feature = "data")]
use burn_mim::data::source::TarDataset;
#[cfg(feature = "data")]
use burn_mim::data::{
    DataOptions, DataSpec, ImageData, ImageDataset, Loader, MimCollate, PackOptions, Packed,
    SampleFile, Subset,
};
use burn_mim::encoder::{Patchwise, PixelGpt, ResNet, ResidualNet, StageTokens, VitBody};
use burn_mim::nn::Momentum;
use burn_mim::{
    Beit, BeitConfig, BlockMask, Cae, CaeConfig, ClipMaskConfig, ClipVit, ClosureMask, Cmae,
    CmaeConfig, ContextConfig, ContextPrediction, ConvDecoder, ConvDecoderConfig, ConvNextDecoder,
    ConvNextV2, ConvNextV2Config, Data2Vec, Data2VecConfig, Data2VecV1, Data2VecV1Config, Decoder,
    DecoderConfig, Encoder, Error, Eva, EvaConfig, FcMae, FcMaeConfig, FeatureConfig,
    FeatureTarget, FixedMask, FusionDecoder, Grid, GridMask, GridTokens, Hiera, HieraConfig,
    HieraMae, HieraMaeConfig, IBot, IBotConfig, IJepa, IJepaConfig, ImageGpt, ImageGptConfig,
    ImageShape, InverseBlockMask, LeJepa, LeJepaConfig, LinearHead, Mae, MaeConfig, Mask,
    MaskConfig, MaskStrategy, Milan, MilanConfig, Mim, MimBatch, MultiBlockConfig, PixelLoss,
    PixelTarget, PredictionHead, Predictor, PretextTask, PromptDecoder, RandomMask, Reconstruct,
    RefineConfig, Refinement, RegionMask, ResNetConfig, Selfie, SelfieConfig, Shown, SigReg,
    SimMim, SimMimConfig, Spark, SparkConfig, StepMask, SwinConfig, SwinV2Config, Target,
    TaskOutput, TeacherConfig, TokenConvNextV2, TokenizerConfig, TubeMask, UniformMask, UnitMask,
    VideoMae, VideoMaeConfig, VisibleTokens, VisibleVit, Vit, VitConfig, mask_fn,
};
use rand::Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn shared<T: Send + Sync + 'static>() {}
fn strategy<S: MaskStrategy + Clone + 'static>() {}
fn backbone<B: Backbone>() {}
fn encoder<E: Encoder<Images = burn::tensor::Tensor<4>, Features = F>, F: Clone>() {}
fn head<H: PredictionHead<F>, F>() {}
fn target<T: Target<Value = burn::tensor::Tensor<3>> + Reconstruct>() {}
fn task<T: PretextTask<Batch = MimBatch>>() {}
fn any_task<T: PretextTask>() {}
fn file<C: Serialize + DeserializeOwned + Clone + PartialEq>() {}

/// A connection between processes can be written outside the crate, and a run given to it.
#[cfg(feature = "train")]
#[test]
fn processes_are_connected_by_a_type_of_ones_own() {
    use burn_mim::train::{Exchange, Pretraining, Ranks, Recipe};

    #[derive(Debug)]
    struct Echo;
    impl Exchange for Echo {
        fn rank(&self) -> usize {
            0
        }
        fn ranks(&self) -> usize {
            2
        }
        fn swap(&self, _: usize, sent: &[f32], received: &mut [f32]) -> burn_mim::Result<()> {
            received.copy_from_slice(sent);
            Ok(())
        }
    }

    let ranks = Ranks::new(Echo).unwrap();
    let mut sum = [1.5];
    ranks.sum(&mut sum).unwrap();
    assert_eq!((ranks.rank(), ranks.ranks(), sum), (0, 2, [3.0]));
    let _run = Pretraining::new("run", Recipe::mae()).ranks(ranks);
    shared::<Ranks>();
}

#[test]
fn every_part_fulfils_its_contract() {
    strategy::<RandomMask>();
    strategy::<BlockMask>();
    strategy::<InverseBlockMask>();
    strategy::<RegionMask>();
    strategy::<TubeMask>();
    strategy::<StepMask>();
    strategy::<UniformMask>();
    strategy::<FixedMask>();
    strategy::<ClosureMask<fn(&mut dyn Rng) -> UnitMask>>();
    encoder::<Vit, GridTokens>();
    encoder::<VisibleVit, VisibleTokens>();
    encoder::<ConvNextV2, VisibleTokens>();
    encoder::<TokenConvNextV2, GridTokens>();
    encoder::<Hiera, StageTokens>();
    head::<FusionDecoder, StageTokens>();
    head::<LinearHead, GridTokens>();
    head::<ConvNextDecoder, VisibleTokens>();
    head::<Decoder, VisibleTokens>();
    head::<Predictor, VisibleTokens>();
    head::<PromptDecoder, VisibleTokens>();
    head::<ConvDecoder, VisibleTokens>();
    target::<PixelTarget>();
    task::<Mae>();
    task::<Cae>();
    task::<Spark>();
    task::<Spark<ResNet>>();
    backbone::<ResNet>();
    task::<Cmae>();
    any_task::<IJepa>();
    any_task::<Milan>();
    task::<Eva>();
    task::<FcMae>();
    task::<HieraMae>();
    any_task::<IBot>();
    any_task::<LeJepa>();
    task::<Data2Vec>();
    task::<Data2VecV1>();
    task::<Mim<VisibleVit, Decoder, FeatureTarget<VisibleVit>>>();
    task::<SimMim>();
    task::<Beit>();
    task::<Mim<VisibleVit, Decoder, PixelTarget>>();
    backbone::<ResidualNet>();
    backbone::<Patchwise<Vit>>();
    backbone::<PixelGpt>();
    any_task::<ContextPrediction<Vit>>();
    task::<Selfie<ResidualNet>>();
    any_task::<ImageGpt>();
    any_task::<Refinement<VitBody>>();
    any_task::<VideoMae>();
    head::<Decoder, <ClipVit as Encoder>::Features>();
}

#[test]
fn everything_a_run_is_made_of_can_be_written_to_a_file() {
    file::<Grid>();
    file::<ImageShape>();
    file::<MaskConfig>();
    file::<VitConfig>();
    file::<PixelLoss>();
    file::<DecoderConfig>();
    file::<MaeConfig>();
    file::<CaeConfig>();
    file::<SparkConfig>();
    file::<SparkConfig<ResNetConfig>>();
    file::<CmaeConfig>();
    file::<IJepaConfig>();
    file::<EvaConfig>();
    file::<FcMaeConfig>();
    file::<ConvNextV2Config>();
    file::<SimMimConfig<ConvNextV2Config>>();
    file::<HieraConfig>();
    file::<HieraMaeConfig>();
    file::<MilanConfig>();
    file::<TeacherConfig>();
    file::<IBotConfig>();
    file::<LeJepaConfig>();
    file::<SigReg>();
    file::<MultiBlockConfig>();
    file::<Data2VecConfig>();
    file::<Data2VecV1Config>();
    file::<ConvDecoderConfig>();
    file::<FeatureConfig>();
    file::<Momentum>();
    file::<SimMimConfig>();
    file::<ContextConfig>();
    file::<SelfieConfig>();
    file::<RefineConfig<SwinConfig>>();
    file::<ImageGptConfig>();
    file::<BeitConfig>();
    file::<TokenizerConfig>();
    file::<ClipMaskConfig>();
    file::<VideoMaeConfig>();
    file::<SimMimConfig<SwinV2Config>>();
    file::<SwinConfig>();
    file::<SwinV2Config>();
}

#[test]
fn what_crosses_threads_can() {
    shared::<Error>();
    shared::<burn_mim::Result<GridMask>>();
    shared::<Mask>();
    shared::<Shown>();
    shared::<MimBatch>();
    shared::<TaskOutput>();
    shared::<Arc<dyn MaskStrategy>>();
    shared::<Mae>();
    #[cfg(feature = "data")]
    {
        shared::<Loader<MimCollate>>();
        shared::<ImageData>();
        shared::<Subset>();
        shared::<Box<dyn ImageDataset>>();
        file::<DataSpec>();
        file::<DataOptions>();
        shared::<TarDataset>();
        shared::<SampleFile>();
        file::<PackOptions>();
        shared::<Packed>();
    }
}

#[test]
fn a_closure_is_a_shared_strategy() {
    let grid = Grid::square(2);
    let diagonal = UnitMask::from_indices(grid, [0, 3]).unwrap();
    let strategy: Arc<dyn MaskStrategy> = Arc::new(mask_fn(grid, 2, move |_| diagonal.clone()));
    assert_eq!(strategy.hidden(), 2);
}
