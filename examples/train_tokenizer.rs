//! Fits a tokenizer on small images: what BEiT predicts.
//!
//! ```text
//! cargo run --release --example train_tokenizer                              # built-in data, about 2 minutes
//! cargo run --release --example train_tokenizer -- --tokenizer dvae --data idx:DIR
//! cargo run --release --example train_tokenizer -- --tokenizer vq-kd --teacher runs/mae
//! ```
//!
//! Leaves `runs/tokenizer/`: the tokenizer (`tokenizer.json`, `tokenizer.bpk`), `reconstruction.png`
//! (originals | what is
//! left of them, or their tokens as colors), `metrics.json`, and checkpoints.

use burn_mim::cli::built_in;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> std::process::ExitCode {
    built_in::tokenizer()
}
