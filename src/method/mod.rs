//! The methods: masked image modelling's papers, one folder each.

mod beit;
mod beit_v2;
mod config;
mod context;
mod image_gpt;
mod mae;
mod maskfeat;
pub mod restoration;
mod selfie;
mod simmim;
mod tokenizers;

pub(crate) use beit::check_vocabulary;
pub use beit::{Beit, BeitConfig};
#[cfg(feature = "run")]
pub use beit::{token_maps, token_sheet};
pub use beit_v2::{BeitV2, BeitV2Config};
pub use config::TaskConfig;
pub use context::{
    ColorGuard, ContextBatch, ContextConfig, ContextPrediction, NEIGHBORS, PatchPairs,
};
#[cfg(feature = "run")]
pub use context::{ContextCollate, context_sheet};
pub use image_gpt::{ImageGpt, ImageGptBatch, ImageGptConfig, Sampling};
#[cfg(feature = "run")]
pub use image_gpt::{ImageGptCollate, completion_sheet};
pub use mae::{Mae, MaeConfig};
pub use maskfeat::{MaskFeat, MaskFeatConfig};
#[cfg(feature = "run")]
pub use restoration::RestorationCollate;
pub use restoration::{
    CorruptionConfig, Restoration, RestorationConfig, RestorationEncoder, RestorationEncoderConfig,
    RestorationHead,
};
#[cfg(feature = "run")]
pub use selfie::selfie_sheet;
pub use selfie::{AttentionPooling, Selfie, SelfieConfig};
pub use simmim::{SimMim, SimMimConfig};
pub use tokenizers::{
    DvaeSchedule, DvaeTask, PixelObjective, TeacherObjective, VqObjective, VqTask,
};
#[cfg(feature = "run")]
pub use tokenizers::{
    FittedTokenizer, TokenizerCollate, TokenizerRecipe, TokenizerReport, has_tokenizer,
    load_tokenizer,
};
