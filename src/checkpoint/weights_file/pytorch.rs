//! The tensors of a PyTorch file.

use std::collections::BTreeSet;
use std::path::Path;

use burn::store::burn_pack::Tensor as PyTorchTensor;
use burn::store::{ModuleStore, PytorchStore};
use tempfile::TempPath;

use super::stored::Stored;
use super::{Tensors, pickle};
use crate::error::{Error, Result};

/// Keys under which training code puts a whole state dictionary.
const WRAPPERS: [&str; 4] = ["model", "state_dict", "model_state_dict", "module"];
/// Beginnings of keys under which training code keeps values that are no weights.
const TRAINING: [&str; 9] =
    ["optim", "lr_", "sched", "scaler", "amp", "native_amp", "loss", "rng", "callbacks"];

/// The tensors of a PyTorch file, and the temporary copy that they are read from, if there is one.
pub(super) fn read(path: &Path) -> Result<(Tensors, Option<TempPath>)> {
    pickle::check(path)?;
    let (tensors, copy) = match read_tensors(path) {
        Ok(tensors) => (tensors, None),
        // The reader cannot read objects that are dictionaries (SimMIM's files hold their
        // configuration as one), so it gets a copy without them.
        Err(error) => match pickle::copy_without_objects(path) {
            Ok(copy) => (read_tensors(&copy).map_err(|_| error)?, Some(copy)),
            Err(_) => return Err(error),
        },
    };
    if tensors.is_empty() {
        let reason = "holds no tensors; of a whole pickled module, save its state_dict()";
        return Err(Error::checkpoint(path, reason));
    }
    Ok((unwrapped(tensors), copy))
}

fn read_tensors(path: &Path) -> Result<Tensors> {
    let mut store = PytorchStore::from_file(path).map_indices_contiguous(false);
    let tensors = store.get_all_tensors().map_err(|error| {
        let reason: String = error.to_string().chars().take(300).collect();
        Error::checkpoint(path, reason)
    })?;
    let stored =
        |(key, tensor): (&String, &PyTorchTensor)| (key.clone(), Stored::Packed(tensor.clone()));
    Ok(tensors.iter().map(stored).collect())
}

/// The tensors without the key of the dictionary that holds all weights, for as many such
/// dictionaries as there are.
fn unwrapped(mut tensors: Tensors) -> Tensors {
    while let Some(wrapper) = wrapper(&tensors) {
        let inner = tensors.into_iter().filter_map(|(key, tensor)| {
            let key = key.strip_prefix(wrapper)?.strip_prefix('.')?.to_string();
            Some((key, tensor))
        });
        tensors = inner.collect();
    }
    tensors
}

/// The key of the dictionary that holds all weights, if there is one.
fn wrapper(tensors: &Tensors) -> Option<&'static str> {
    let firsts: BTreeSet<&str> =
        tensors.keys().map(|key| key.split_once('.').map_or("", |(first, _)| first)).collect();
    let is_training = |first: &str| TRAINING.iter().any(|word| first.starts_with(word));
    let mut weights = firsts.into_iter().filter(|first| !is_training(first));
    let (Some(only), None) = (weights.next(), weights.next()) else { return None };
    WRAPPERS.into_iter().find(|wrapper| *wrapper == only)
}
