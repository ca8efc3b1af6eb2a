//! Telling published weights from runs, and what is to be said of them.

use std::path::Path;

use crate::checkpoint::{LoadReport, Transformers};
use crate::data::ChannelStatistics;
use crate::error::{Error, Result};
use crate::train::RunFolder;

/// Whether there are published weights in `path` and no run.
pub(super) fn is_published(path: &Path) -> Result<bool> {
    if path.is_file() {
        return Ok(true);
    }
    let is_run = RunFolder::new(path).latest()?.is_some();
    Ok(!is_run && is_transformers(&path.join("config.json")))
}

/// Opens published weights: a transformers folder or a single file.
pub(super) fn open_published(path: &Path) -> Result<Transformers> {
    let config = path.join("config.json");
    if path.is_file() || is_transformers(&config) {
        return Transformers::open(path);
    }
    let reason = if config.is_file() {
        "holds no checkpoint of a run, and its config.json is not that of a transformers model"
    } else {
        "holds neither the checkpoints of a run nor the config.json of a transformers model; \
         weights without one are given by their file"
    };
    Err(Error::checkpoint(path, reason))
}

/// What is to be known of published weights, line by line; where nothing says how images are
/// normalized, it is by the mean and deviation of `other`.
pub(super) fn notes(
    opened: &Transformers,
    report: &LoadReport,
    statistics: Option<&ChannelStatistics>,
    other: &str,
) -> Vec<String> {
    let mut notes = report.lines(opened.path());
    notes.extend(opened.assumed().map(String::from));
    notes.push(match statistics {
        Some(ChannelStatistics { mean, std }) => {
            format!(
                "images are normalized as preprocessor_config.json says: mean {mean:?}, std {std:?}"
            )
        }
        None => format!(
            "no preprocessor_config.json says how images are normalized: {other} own mean and \
             deviation are taken"
        ),
    });
    notes
}

/// Whether there is a `config.json` of a transformers model, or one that cannot be read, which is
/// said when it is opened.
fn is_transformers(config: &Path) -> bool {
    let Ok(bytes) = std::fs::read(config) else { return config.exists() };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    match serde_json::from_slice::<serde_json::Value>(bytes) {
        Ok(json) => json.get("model_type").or(json.get("architectures")).is_some(),
        Err(_) => true,
    }
}
