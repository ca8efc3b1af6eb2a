//! Whole runs, from a data specification to pictures or to a score: what the examples do.

mod any;
pub mod apply;
mod backbone;
mod beit;
mod config;
mod context;
mod device;
mod evaluate;
mod fine_tuning;
mod image_gpt;
mod pretrain;
mod probe;
mod protocol;
mod published;
mod restoration;
mod score_card;
mod selfie;
mod train;

pub use any::{AnyBackbone, BackboneConfig};
pub use backbone::{BackboneSource, LoadedBackbone};
pub use config::RunConfig;
pub use device::device_named;
pub use evaluate::{Evaluation, Split, Start};
pub use pretrain::Run;
pub use protocol::{Plan, Protocol, Scores};
pub use restoration::{Quality, Restored};
