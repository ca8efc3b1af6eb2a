//! The configuration of a ConvNeXt V2 from the shapes of its weights.

use serde_json::{Value, json};

use crate::checkpoint::convnext_names::ConvNextNames;
use crate::checkpoint::weights_file::WeightsFile;

/// The largest number of stages, and of blocks in one, that are looked for.
const MOST: usize = 1024;

/// The configuration of the ConvNeXt V2 in `file`, and what does not follow from the shapes, if its keys are those of one, in the official code, in timm
/// or in transformers.
pub(super) fn guess(file: &WeightsFile) -> Option<(Value, String)> {
    let (names, prefix) = ConvNextNames::in_file(file)?;
    let shape = |key: &str| file.shape(&format!("{prefix}{key}"));
    let stem = shape(&names.stem())?;
    let &[first, channels, patch, _] = stem.as_slice() else { return None };
    let (mut widths, mut depths) = (vec![first], Vec::new());
    for stage in 0..MOST {
        if stage > 0 {
            let Some(reduction) = shape(&names.downsampling(stage)) else { break };
            widths.push(*reduction.first()?);
        }
        let has = |&block: &usize| shape(&names.depthwise(stage, block)).is_some();
        depths.push((0..MOST).take_while(has).count());
    }
    let side = 224;
    let assumed = format!(
        "no config.json: stages of {depths:?} blocks and {widths:?} features, patches of {patch} are \
         read from the shapes; images of {side}×{side} are assumed, though it reads any"
    );
    let json = json!({
        "architectures": ["ConvNextV2Model"], "model_type": "convnextv2",
        "image_size": side, "patch_size": patch, "num_channels": channels,
        "num_stages": depths.len(), "hidden_sizes": widths, "depths": depths,
        "layer_norm_eps": 1e-6,
    });
    Some((json, assumed))
}
