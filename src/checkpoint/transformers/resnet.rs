//! ResNets: files of torchvision and timm, whose shapes say everything but the size of the images.

use std::path::Path;

use burn::tensor::Device;
use serde_json::{Value, json};

use super::{Family, Transformers, TransformersModel};
use crate::checkpoint::report::{LoadOptions, Loaded};
use crate::checkpoint::safetensors_file::write_safetensors;
use crate::checkpoint::weights_file::WeightsFile;
use crate::checkpoint::{layout, resnet_names};
use crate::encoder::{ResNet, ResNetConfig};
use crate::error::Result;
#[cfg(feature = "run")]
use crate::grid::ImageShape;

/// Side of the images that are assumed.
const SIDE: usize = 224;

pub(super) const FAMILY: Family = Family {
    model_types: &["torchvision_resnet"],
    architectures: &[("ResNet", resnet)],
    as_saved: str::to_string,
    by_key: &[("", "ResNet")],
};

fn resnet(
    folder: &Transformers,
    options: LoadOptions,
    device: &Device,
) -> Result<TransformersModel> {
    Ok(TransformersModel::ResNet(folder.resnet(options, device)?.into()))
}

/// What stands for a `config.json`, and what does not follow from the shapes, if the keys of `file` are those
/// of a ResNet.
pub(super) fn guess(file: &WeightsFile) -> Option<(Value, String)> {
    let config = resnet_names::config_in(file)?;
    let kind = if config.bottleneck { "bottlenecks" } else { "blocks of two convolutions" };
    let assumed = format!(
        "no config.json: stages of {:?} {kind} are read from the shapes; images of {SIDE}×{SIDE} are \
         assumed, though it reads any",
        config.depths
    );
    Some((json!({ "architectures": ["ResNet"], "model_type": "torchvision_resnet" }), assumed))
}

impl Transformers {
    /// Loads a ResNet from a file of torchvision or timm, without its classifier.
    ///
    /// # Errors
    ///
    /// As [`Transformers::load`].
    pub fn resnet(
        &self,
        options: LoadOptions,
        device: &Device,
    ) -> Result<Loaded<ResNet, ResNetConfig>> {
        let config = self.resnet_config()?;
        let entries = resnet_names::entries(&config);
        self.fill(|config, weights| config.init(weights), config, &entries, None, options, device)
    }

    /// The sizes of the file's network.
    pub(super) fn resnet_config(&self) -> Result<ResNetConfig> {
        let found = resnet_names::config_in(&self.file);
        let config = found.ok_or_else(|| self.fault("has no weights of a plain ResNet"))?;
        config.validate().map_err(|error| self.fault(error))?;
        Ok(config)
    }

    /// The images that a ResNet of these sizes is taken to read: those asked for, or usual ones.
    #[cfg(feature = "run")]
    pub(crate) fn resnet_image(&self, config: &ResNetConfig) -> ImageShape {
        self.image.unwrap_or(ImageShape::square(config.channels, SIDE))
    }
}

/// Writes the weights of a ResNet with torchvision's and timm's names, as safetensors: in PyTorch,
/// `model.load_state_dict(safetensors.torch.load_file(path), strict=False)` misses the classifier alone.
///
/// # Errors
///
/// When the file cannot be written.
pub fn save_resnet(path: impl AsRef<Path>, network: &ResNet) -> Result<()> {
    let entries = resnet_names::entries(network.config());
    write_safetensors(path.as_ref(), layout::save(network, &entries))
}
