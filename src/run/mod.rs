//! Whole runs, from images to pictures or to a score: what the examples do.

pub mod apply;
mod backbone;
mod device;
mod evaluate;
mod fine_tuning;
mod pretrain;
mod probe;
mod protocol;
mod published;
mod score_card;

pub use crate::method::{LoadedRun, Run, RunConfig};
pub use backbone::{BackboneSource, BackboneVisitor, LoadedBackbone};
pub use device::device_named;
pub use evaluate::{Evaluation, Split, Start};
pub use protocol::{Plan, Protocol, Scores};
