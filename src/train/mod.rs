//! Pre-training: recipes, the training loop, and the folder of a run.
//!
//! [`Pretraining`] trains any [`PretextTask`](crate::PretextTask) by a [`Recipe`], on batches of a
//! [`Loader`](crate::data::Loader). It leaves checkpoints and metrics in a [`RunFolder`], from which
//! the run can be resumed to the same bits. [`Run`](crate::run::Run) does all of this for a whole
//! [`Method`](crate::method::Method); [`BurnTask`] runs a task on burn's own trainer.
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use std::sync::Arc;
//!
//! use burn::tensor::Device;
//! use burn_mim::data::augment::Augmentation;
//! use burn_mim::data::source::Shapes;
//! use burn_mim::data::{ImageData, Loader, LoaderConfig, MimCollate};
//! use burn_mim::nn::InitialWeights;
//! use burn_mim::train::{Pretraining, Recipe, RunFolder};
//! use burn_mim::{DecoderConfig, MaeConfig, VitConfig};
//!
//! // A few pictures of the built-in data set, masked in batches of 8.
//! let pictures = |len, split| Arc::new(Shapes { seed: 0, len, split });
//! let data = ImageData::new(pictures(16, 0), pictures(8, 1), vec![])?;
//! let decoder = DecoderConfig::new().with_width(32).with_depth(1).with_heads(2);
//! let mae = MaeConfig::new(VitConfig::new(data.shape, 8, 32, 2, 2)).with_decoder(decoder);
//! let (augmentation, mask) = (Augmentation::none(), mae.mask()?);
//! let collate = MimCollate::new(data.shape, &data.statistics, augmentation, mask)?;
//! let device = Device::flex();
//! let loader = |dataset, training| {
//!     let config = LoaderConfig { batch_size: 8, seed: 0, workers: 0, training };
//!     Loader::new(dataset, collate.clone(), config, &device)
//! };
//! let (train, valid) = (loader(data.train.clone(), true)?, loader(data.test.clone(), false)?);
//!
//! let mut weights = InitialWeights::new(0, &device.clone().autodiff());
//! # let folder = tempfile::tempdir().unwrap();
//! # let out = folder.path();
//! # /*
//! let out = "runs/mae";
//! # */
//! let recipe = Recipe::mae().with_epochs(2).with_warmup_epochs(1.0);
//! let trained = Pretraining::new(out, recipe).run(mae.init(&mut weights), &train, &valid)?;
//!
//! assert_eq!(trained.history.epochs.len(), 2);
//! // Two steps an epoch; the checkpoint was written after the last one.
//! let newest = RunFolder::new(out).require_latest()?;
//! assert_eq!(newest.snapshot().step, 4);
//! # }
//! # Ok::<(), burn_mim::Error>(())
//! ```

mod adamw;
mod budget;
mod burn_trainer;
mod collapse;
mod exchange;
mod gradients;
mod history;
mod interrupt;
mod lamb;
mod layer_rates;
mod memory;
mod muon;
mod optimizer;
mod parameters;
mod precision;
mod pretraining;
mod progress;
mod rank;
mod recipe;
mod resume;
mod run_folder;
mod saves;
mod schedule;
mod session;
mod timing;
mod weights_sum;

pub use budget::Budget;
pub use burn_trainer::{BurnOutput, BurnTask};
pub(crate) use exchange::Piece;
pub use exchange::{Exchange, Ranks, thread_ranks};
#[cfg(feature = "mpi")]
pub use exchange::{end_mpi, mpi_ranks};
pub use history::{EpochMetrics, History};
pub use interrupt::Interrupt;
pub use memory::resident_memory;
#[cfg(feature = "run")]
pub(crate) use optimizer::orthogonalized_values;
pub use optimizer::{is_decayed, is_orthogonalized, optimizer};
#[cfg(feature = "run")]
pub(crate) use parameters::parameter_counts;
pub use precision::Precision;
pub use pretraining::Pretraining;
pub use progress::Progress;
pub(crate) use rank::{Symmetric, effective_rank, eigenvalues, rank_me};
pub use recipe::{Decay, OptimizerKind, Recipe};
pub use run_folder::{Checkpoint, LogLine, RunFolder, Snapshot};
#[cfg(feature = "viz")]
pub(crate) use run_folder::{Manifest, sha256};
pub use saves::Saves;
pub use schedule::Schedule;
pub use session::{Pretrained, Watch};
pub use timing::Pace;
pub use weights_sum::weights_sha256;
