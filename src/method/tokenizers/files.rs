//! The files that a tokenizer is kept in.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;

use super::report::sheet;
use super::{FittedTokenizer, TokenizerCollate};
use crate::data::augment::Augmentation;
use crate::error::{Error, Result};
use crate::file::{create_folder, load_weights, read_json, write_json};
use crate::method::Run;
use crate::nn::InitialWeights;
use crate::target::TokenizerConfig;
use crate::target::tokenizer::AnyTokenizer;
use crate::train::Manifest;

const CONFIG: &str = "tokenizer.json";
const WEIGHTS: &str = "tokenizer.bpk";
const MANIFEST: &str = "tokenizer.manifest.json";

impl Run {
    pub(super) fn leave_tokenizer(&self, fitted: &FittedTokenizer) -> Result<()> {
        let FittedTokenizer { config, tokenizer, report } = fitted;
        let metrics = self.out.join("metrics.json");
        // What training measured, where there was any.
        let mut all: serde_json::Map<_, _> = match tokenizer {
            AnyTokenizer::Palette(_) => serde_json::Map::new(),
            _ => read_json(&metrics)?,
        };
        all.insert("tokenizer".into(), report.to_json());
        create_folder(&self.out)?;
        write_json(&metrics, &all)?;
        let collate = TokenizerCollate::new(config.image(), Augmentation::none())?;
        let test = self.loader(&self.data.test, collate, false)?;
        if let Some(batch) = test.epoch(0, 0).next() {
            let sheet = sheet(tokenizer, config, batch?.images)?;
            sheet.save(self.out.join("reconstruction.png"))?;
        }
        // Without its checksums a tokenizer that is replaced is whole all the time.
        let sums = self.out.join(MANIFEST);
        if sums.exists() {
            std::fs::remove_file(&sums).map_err(|error| Error::checkpoint(&sums, error))?;
        }
        let path = self.out.join(WEIGHTS);
        let saved = tokenizer.clone().into_record().save(&path);
        saved.map_err(|error| Error::checkpoint(&path, error))?;
        // After the weights: a folder with this file holds a whole tokenizer.
        write_json(&self.out.join(CONFIG), config)?;
        Manifest::write(&self.out, &[WEIGHTS, CONFIG], MANIFEST)
    }
}

/// The tokenizer in the folder `path`, or in the folder of one of its files `path`, as
/// [`Run::fit_tokenizer`] leaves it.
///
/// # Errors
///
/// When there is none, or its files do not fit each other.
pub fn load_tokenizer(path: &Path, device: &Device) -> Result<(TokenizerConfig, AnyTokenizer)> {
    let folder = folder_of(path);
    if let Some(sums) = Manifest::read(folder, MANIFEST)? {
        sums.check(folder)?;
    }
    let config = tokenizer_config(folder)?;
    let tokenizer = config.init(&mut InitialWeights::new(0, device));
    let tokenizer = load_weights(tokenizer, &folder.join(WEIGHTS))?;
    Ok((config, tokenizer))
}

/// The sizes of the tokenizer that [`load_tokenizer`] loads from `path`, without its weights.
///
/// # Errors
///
/// When there is none, or its sizes break a rule.
pub fn tokenizer_config(path: &Path) -> Result<TokenizerConfig> {
    let described = folder_of(path).join(CONFIG);
    let config: TokenizerConfig = read_json(&described)?;
    config.validate().map_err(|error| error.in_file(&described))?;
    Ok(config)
}

/// `path` itself, or the folder of the file that it is.
fn folder_of(path: &Path) -> &Path {
    if path.is_file() { path.parent().unwrap_or(path) } else { path }
}

/// Whether a folder holds a whole tokenizer.
pub fn has_tokenizer(folder: &Path) -> bool {
    folder.join(CONFIG).is_file()
}
