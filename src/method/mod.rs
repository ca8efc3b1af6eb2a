//! The methods: masked image modelling's papers, one folder each.

mod beit;
mod cmae;
mod context;
#[cfg(feature = "run")]
mod contract;
mod data2vec;
mod eva;
mod fcmae;
mod frozen_teacher;
mod hiera_mae;
mod ibot;
mod ijepa;
mod image_gpt;
#[cfg(feature = "run")]
mod init_from;
mod lejepa;
#[cfg(feature = "run")]
#[macro_use]
mod list;
mod mae;
mod maskfeat;
mod milan;
#[cfg(all(test, feature = "run"))]
mod parity_tests;
#[cfg(feature = "run")]
mod preset;
mod refine;
mod restoration;
#[cfg(feature = "run")]
mod run;
#[cfg(feature = "run")]
mod saved;
mod selfie;
mod simmim;
mod spark;
#[cfg(feature = "run")]
mod stage;
mod teacher;
mod tokenizers;
mod videomae;

#[cfg(feature = "run")]
use crate::encoder::{ConvNextV2Config, ResNetConfig, SwinConfig, SwinV2Config};
pub(crate) use beit::check_vocabulary;
pub use beit::{
    Beit, BeitConfig, BeitV2, BeitV2Config, Cae, CaeConfig, CaeHead, LatentBlock, LatentRegressor,
};
#[cfg(feature = "run")]
pub use beit::{token_maps, token_sheet};
#[cfg(feature = "run")]
pub use cmae::CmaeCollate;
pub use cmae::{Cmae, CmaeConfig};
pub use context::{
    ColorGuard, ContextBatch, ContextConfig, ContextPrediction, NEIGHBORS, PatchPairs,
};
#[cfg(feature = "run")]
pub use context::{ContextCollate, context_sheet};
#[cfg(feature = "run")]
pub use contract::{DataFacts, Fitted, Inpainting, Method};
#[cfg(feature = "run")]
use contract::{hidden_cells, picture_title};
pub use data2vec::{Data2Vec, Data2VecConfig, Data2VecV1, Data2VecV1Config};
pub use eva::{Eva, EvaConfig};
pub use fcmae::{FcMae, FcMaeConfig};
pub use frozen_teacher::{FrozenTeacher, TeacherConfig};
pub use hiera_mae::{HieraMae, HieraMaeConfig};
pub use ibot::{IBot, IBotConfig, OutputMeans};
pub use ijepa::{IJepa, IJepaBatch, IJepaConfig};
#[cfg(feature = "run")]
pub use ijepa::{IJepaCollate, ijepa_sheet};
pub use image_gpt::{ImageGpt, ImageGptBatch, ImageGptConfig, Sampling};
#[cfg(feature = "run")]
pub use image_gpt::{ImageGptCollate, completion_sheet};
#[cfg(feature = "run")]
pub use init_from::{InitFrom, InitPart, NormalizationOf};
#[cfg(feature = "run")]
pub use lejepa::LeJepaCollate;
pub use lejepa::{LeJepa, LeJepaBatch, LeJepaConfig};
#[cfg(feature = "run")]
pub use list::{MethodVisitor, Methods, unknown_method};
pub use mae::{
    Mae, MaeConfig, MaeTarget, MaeTargetConfig, MaeTask, ViewContrast, ViewContrastConfig,
};
pub use maskfeat::{MaskFeat, MaskFeatConfig};
#[cfg(feature = "run")]
pub use maskfeat::{edges, predicted_edges};
#[cfg(feature = "run")]
pub use milan::MilanCollate;
pub use milan::{Milan, MilanBatch, MilanConfig};
#[cfg(feature = "run")]
pub use preset::{Preset, PresetEntry};
#[cfg(feature = "run")]
pub use refine::RefineCollate;
pub use refine::{
    Refinable, RefinableConfig, RefineBatch, RefineConfig, RefinedFeatures, Refinement,
};
pub use restoration::{
    ConvPair, CorruptionConfig, Restoration, RestorationConfig, RestorationEncoder,
    RestorationEncoderConfig, RestorationHead,
};
#[cfg(feature = "run")]
pub use restoration::{Quality, RestorationCollate, Restored, corrupt, denoise};
#[cfg(feature = "run")]
pub use run::Run;
#[cfg(feature = "run")]
pub(crate) use saved::method_of;
#[cfg(feature = "run")]
pub use saved::{LoadedRun, RunConfig};
#[cfg(feature = "run")]
pub use selfie::selfie_sheet;
pub use selfie::{AttentionPooling, Selfie, SelfieConfig};
pub use simmim::{SimMim, SimMimConfig};
pub use spark::{Spark, SparkConfig, SparkEncoderConfig};
#[cfg(feature = "run")]
pub use stage::RefineStage;
pub use teacher::ContrastTeacher;
pub use tokenizers::{
    DvaeSchedule, DvaeTask, PixelObjective, TeacherObjective, VqObjective, VqTask,
};
#[cfg(feature = "run")]
pub use tokenizers::{
    FittedTokenizer, Teacher, TokenizerCollate, TokenizerRecipe, TokenizerReport, has_tokenizer,
    load_tokenizer, tokenizer_config,
};
#[cfg(feature = "run")]
pub use videomae::{ClipCollate, ClipStrips, clip_strips};
pub use videomae::{ClipMotion, VideoMae, VideoMaeConfig};

#[cfg(feature = "run")]
methods! {
    /// The methods of this crate.
    pub BuiltIn: MaeConfig, SimMimConfig, SimMimConfig<SwinConfig>, SimMimConfig<SwinV2Config>,
    SimMimConfig<ConvNextV2Config>, BeitConfig, BeitV2Config, CaeConfig, FcMaeConfig, HieraMaeConfig,
    SparkConfig, SparkConfig<ResNetConfig>, MaskFeatConfig, ContextConfig, SelfieConfig, ImageGptConfig, RestorationConfig, CmaeConfig,
    Data2VecConfig, Data2VecV1Config, IJepaConfig, EvaConfig, MilanConfig, IBotConfig, LeJepaConfig,
    VideoMaeConfig, RefineConfig, RefineConfig<SwinConfig>, RefineConfig<SwinV2Config>
}
