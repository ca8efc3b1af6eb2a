//! What is an encoder worth? Linear probing, k-NN, fine-tuning, and one score card.
//!
//! ```text
//! cargo run --release --example evaluate -- --checkpoint runs/mae --data shapes --protocol knn
//! cargo run --release --example evaluate -- --checkpoint runs/mae --data shapes --protocol all --baselines
//! ```
//!
//! Progress goes to standard error; the last line on standard output is one JSON object, with
//! accuracies in percent, which is left in `--out` as `scores.json` too where that is given. `all`
//! leaves `score_card.html` and `score_card.md` there, by default in `runs/evaluate`.

use burn_mim::cli::built_in;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> std::process::ExitCode {
    built_in::evaluate()
}
