//! A whole run, from a data specification to pictures: what the examples do.

mod beit;
mod config;
mod context;
mod device;
mod image_gpt;
mod pretrain;
mod selfie;
mod tokenizer;
mod tokenizer_report;
mod train;

pub use config::RunConfig;
pub use device::device_named;
pub use pretrain::Run;
pub use tokenizer::{FittedTokenizer, TokenizerRecipe, has_tokenizer, load_tokenizer};
pub use tokenizer_report::TokenizerReport;
