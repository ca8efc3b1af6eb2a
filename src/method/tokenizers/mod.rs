//! The tokenizers' training, which BEiT and BEiT v2 need first.

#[cfg(feature = "run")]
mod collate;
mod dvae;
#[cfg(feature = "run")]
mod files;
#[cfg(feature = "run")]
mod fit;
#[cfg(feature = "run")]
mod recipe;
#[cfg(feature = "run")]
mod report;
mod vq;

#[cfg(feature = "run")]
pub use collate::TokenizerCollate;
#[cfg(feature = "run")]
pub(super) use collate::gumbel_noise;
pub use dvae::{DvaeSchedule, DvaeTask};
#[cfg(feature = "run")]
pub use files::{has_tokenizer, load_tokenizer, tokenizer_config};
#[cfg(feature = "run")]
pub use fit::{FittedTokenizer, Teacher};
#[cfg(feature = "run")]
pub use recipe::TokenizerRecipe;
#[cfg(feature = "run")]
pub(super) use recipe::fitted_for;
#[cfg(feature = "run")]
pub use report::TokenizerReport;
pub use vq::{PixelObjective, TeacherObjective, VqObjective, VqTask};
