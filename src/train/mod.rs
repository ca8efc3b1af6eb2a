//! Pre-training: recipes, the loop, and what a run leaves behind.

mod adamw;
mod burn_trainer;
mod gradients;
mod history;
mod interrupt;
mod layer_rates;
mod optimizer;
mod parameters;
mod precision;
mod pretraining;
mod progress;
mod recipe;
mod resume;
mod run_folder;
mod schedule;
mod session;

pub use burn_trainer::{BurnOutput, BurnTask};
pub use history::{EpochMetrics, History};
pub use interrupt::Interrupt;
pub use optimizer::{adamw, is_decayed};
pub use precision::Precision;
pub use pretraining::Pretraining;
pub use progress::Progress;
pub use recipe::{Decay, Recipe};
pub use run_folder::{Checkpoint, RunFolder, Snapshot};
#[cfg(feature = "viz")]
pub(crate) use run_folder::{Manifest, sha256};
pub use schedule::Schedule;
pub use session::Pretrained;
