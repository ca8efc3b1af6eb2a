//! A whole run, from a data specification to pictures: what the examples do.

mod config;
mod context;
mod device;
mod image_gpt;
mod pretrain;
mod selfie;
mod train;

pub use config::RunConfig;
pub use device::device_named;
pub use pretrain::Run;
