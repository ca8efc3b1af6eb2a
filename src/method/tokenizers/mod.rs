//! The tokenizers' training, which BEiT and BEiT v2 need first.

#[cfg(feature = "run")]
mod collate;
mod dvae;
#[cfg(feature = "run")]
mod fit;
#[cfg(feature = "run")]
mod report;
mod vq;

#[cfg(feature = "run")]
pub use collate::TokenizerCollate;
pub use dvae::{DvaeSchedule, DvaeTask};
#[cfg(feature = "run")]
pub(super) use fit::fitted_for;
#[cfg(feature = "run")]
pub use fit::{FittedTokenizer, Teacher, TokenizerRecipe, has_tokenizer, load_tokenizer};
#[cfg(feature = "run")]
pub use report::TokenizerReport;
pub use vq::{PixelObjective, TeacherObjective, VqObjective, VqTask};
