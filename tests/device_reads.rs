//! No step waits for its device: what a step runs never reads a tensor, and the loop reads a loss
//! only after the next step was queued.
//!
//! burn has no hook that counts reads, so this counts the calls that read in our source. Its
//! optimizers, accumulator and autodiff have none (looked through at 0.22.1).

#[path = "common/sources.rs"]
mod sources;

use std::fs;
use std::path::Path;

use sources::{code, sources};

/// What burn's calls that wait for a device have in their names (`into_data`, `to_data_as`, ...).
const READS: &[&str] = &[
    "to_data(",
    "to_data_",
    "to_scalar",
    "to_vec_as",
    ".nonzero",
    ".argwhere",
    "Transaction",
    ".sync(",
];

/// Folders no step runs code of: they begin with a read.
const OUTSIDE: &[&str] = &["checkpoint", "eval", "run", "viz"];

/// The reads beside the steps, by file.
const KNOWN: &[(&str, usize)] = &[
    // The loss of the step before.
    ("train/session/mod.rs", 1),
    // The first batches' losses and the trivial loss.
    ("train/session/start.rs", 3),
    // Validation's loss and its metrics.
    ("train/session/finish.rs", 2),
    // The spread and the rank of a validation's embeddings, after its batches.
    ("train/collapse.rs", 1),
    ("train/rank/mod.rs", 1),
    // Validation batches that are timed before the start.
    ("train/session/trial.rs", 1),
    // Fitting a palette and starting a codebook, before any step.
    ("target/tokenizer/dvae/start.rs", 1),
    ("target/tokenizer/palette.rs", 1),
    ("target/tokenizer/vq/mod.rs", 1),
    // The picture of a trained model.
    ("method/videomae/strips.rs", 1),
    // Drawing an Image GPT's pixels, on the host.
    ("method/image_gpt/sampling.rs", 1),
    // What a trained tokenizer is judged by.
    ("method/tokenizers/report.rs", 4),
    // What a trained model makes of an image, after any step.
    ("method/maskfeat/edges.rs", 2),
    ("method/restoration/denoise.rs", 1),
    ("method/restoration/report.rs", 2),
    // What several processes tell each other after each step: losses, norm and observations, and gradients.
    ("train/session/shared.rs", 3),
    ("train/gradients.rs", 1),
    // How observations are made numbers for that; these declare it, and are called by it alone.
    ("task/observed.rs", 5),
    ("method/ibot/task.rs", 1),
    ("method/tokenizers/vq.rs", 1),
    // The checksum of the weights, beside a checkpoint that reads them as well.
    ("train/weights_sum.rs", 1),
    // What the kernels' tests compare with.
    ("kernel/compare.rs", 4),
];

fn reads(text: &str) -> usize {
    READS.iter().map(|read| code(text).matches(read).count()).sum()
}

#[test]
fn nothing_a_step_runs_reads_a_tensor() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in sources(&root) {
        // A method's picture is drawn after its training.
        if OUTSIDE.iter().any(|folder| file.starts_with(folder)) || file.ends_with("picture.rs") {
            continue;
        }
        let known = KNOWN.iter().find(|(path, _)| file == Path::new(path));
        let expected = known.map_or(0, |(_, count)| *count);
        let found = reads(&fs::read_to_string(root.join(&file)).unwrap());
        assert_eq!(found, expected, "reads in src/{}", file.display());
    }
}

#[test]
fn every_kind_of_read_is_found() {
    for text in [
        "tensor.into_data()",
        "tensor.try_into_data()",
        "tensor.to_data_as::<f32>()",
        "tensor.into_scalar::<f32>()",
        "let loss: f32 = loss.into_scalar();",
        "tensor.try_to_vec_as::<f32>()",
        "device.sync()",
    ] {
        assert_eq!(reads(text), 1, "{text}");
    }
    assert_eq!(reads("Tensor::from_data(values, device); source.into_dataset();"), 0);
    assert_eq!(reads("// tensor.into_data()\n#[cfg(test)]\nmod tests { x.into_data() }"), 0);
}
