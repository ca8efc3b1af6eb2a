//! What a folder holds for a run to begin with: its sizes, and its weights by the paths of the
//! parameters that they belong to.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::Device;
use serde::Serialize;
use serde_json::{Value, json};

use super::beit_json::BeitJson;
use super::swin_json::SwinJson;
use super::vit_json::VitJson;
use super::{Transformers, TransformersModel};
use crate::checkpoint::parameters;
use crate::checkpoint::report::{LoadOptions, LoadReport};
use crate::checkpoint::weights_file::HostTensor;
use crate::encoder::{EncoderConfig, SwinConfig, SwinV2Config};
use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::method::{BeitConfig, ImageGptConfig, Method};

/// What weights are the weights of.
#[derive(Debug, Clone)]
pub(crate) struct Kind {
    /// The name and the variant of the method whose whole model they are; `None` for an encoder.
    pub(crate) method: Option<[String; 2]>,
    /// The numbers of that method; of an encoder those in the field `encoder`.
    pub(crate) numbers: Value,
    /// The images that the model reads.
    pub(crate) image: ImageShape,
}

/// Weights by the paths of the parameters of a task. Those of an encoder alone are below `encoder`.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) kind: Kind,
    pub(crate) values: BTreeMap<String, HostTensor>,
    /// What became of the file's keys.
    pub(crate) report: LoadReport,
}

impl Kind {
    fn method<M: Method>(config: &M) -> Result<Self> {
        let method = Some([M::NAME.to_string(), M::VARIANT.to_string()]);
        Ok(Self { method, numbers: as_json(config)?, image: config.image() })
    }

    fn encoder(config: &impl Serialize, image: ImageShape) -> Result<Self> {
        Ok(Self { method: None, numbers: json!({ "encoder": as_json(config)? }), image })
    }
}

impl Transformers {
    /// What the weights are the weights of. They are not read for this.
    pub(crate) fn kind(&self) -> Result<Kind> {
        let swin = || self.swin_with(SwinJson::swin, SwinConfig::with_image);
        let swin_v2 = || self.swin_with(SwinJson::swin_v2, SwinV2Config::resized_to);
        match self.architecture.as_str() {
            "ViTMAEForPreTraining" => Kind::method(&self.vit(VitJson::mae)?.0),
            "ViTForMaskedImageModeling" => Kind::method(&self.vit(VitJson::simmim)?.0),
            "SwinForMaskedImageModeling" => Kind::method(&self.swin_head(swin()?.0)?),
            "Swinv2ForMaskedImageModeling" => Kind::method(&self.swin_head(swin_v2()?.0)?),
            "ImageGPTForCausalImageModeling" => {
                Kind::method(&ImageGptConfig::new(self.gpt_config()?))
            }
            name if name.starts_with("Beit") || name.starts_with("Data2Vec") => {
                let json = self.parsed::<BeitJson>()?.with_image(self.image);
                let config = json.encoder().map_err(|error| self.fault(error))?;
                let whole = name == "BeitForMaskedImageModeling";
                let method = whole.then(|| [BeitConfig::NAME.into(), BeitConfig::VARIANT.into()]);
                Ok(Kind { method, ..Kind::encoder(&config, config.image)? })
            }
            name if name.starts_with("Swinv2") => {
                let config = swin_v2()?.0;
                Kind::encoder(&config, config.image())
            }
            name if name.starts_with("ConvNextV2") => {
                let config = self.convnext_config()?;
                Kind::encoder(&config, config.image)
            }
            "ResNet" => {
                let config = self.resnet_config()?;
                Kind::encoder(&config, self.resnet_image(&config))
            }
            name if name.starts_with("Swin") => {
                let config = swin()?.0;
                Kind::encoder(&config, config.image)
            }
            name if name.starts_with("ImageGPT") => {
                let config = self.gpt_config()?;
                Kind::encoder(&config, config.image)
            }
            "HieraForPreTraining" => Kind::method(&self.hiera_mae_config()?.0),
            name if name.starts_with("Hiera") => {
                let config = self.hiera_config()?.0;
                Kind::encoder(&config, config.image)
            }
            "VideoMAEForPreTraining" => Kind::method(&self.videomae_config()?),
            name if name.starts_with("VideoMAE") => {
                let config = self.clip_config()?;
                Kind::encoder(&config, config.image())
            }
            _ => {
                let config = self.encoder_config()?.0;
                Kind::encoder(&config, config.image)
            }
        }
    }

    /// Everything of the model that the file has.
    pub(crate) fn contents(&self, options: LoadOptions, device: &Device) -> Result<Contents> {
        use TransformersModel as Loaded;
        let model = self.load(options, device)?;
        let report = model.report().clone();
        let values = match &model {
            Loaded::Mae(loaded) => whole(&loaded.model, &report),
            Loaded::SimMim(loaded) => whole(&loaded.model, &report),
            Loaded::SwinSimMim(loaded) => whole(&loaded.model, &report),
            Loaded::SwinV2SimMim(loaded) => whole(&loaded.model, &report),
            Loaded::ImageGpt(loaded) => whole(&loaded.model, &report),
            Loaded::Beit(loaded) => whole(&loaded.model, &report),
            Loaded::HieraMae(loaded) => whole(&loaded.model, &report),
            Loaded::Hiera(loaded) => encoder(&loaded.model, &report),
            Loaded::Encoder(loaded) => encoder(&loaded.model, &report),
            Loaded::Swin(loaded) => encoder(&loaded.model, &report),
            Loaded::SwinV2(loaded) => encoder(&loaded.model, &report),
            Loaded::ConvNextV2(loaded) => encoder(&loaded.model, &report),
            Loaded::ResNet(loaded) => encoder(&loaded.model, &report),
            Loaded::PixelGpt(loaded) => encoder(&loaded.model, &report),
            Loaded::BeitEncoder(loaded) => encoder(&loaded.model, &report),
            Loaded::VideoMae(loaded) => whole(&loaded.model, &report),
            Loaded::ClipEncoder(loaded) => encoder(&loaded.model, &report),
        };
        Ok(Contents { kind: self.kind()?, values, report })
    }

    /// The SHA-256 of the weights.
    pub(crate) fn checksum(&self) -> Result<String> {
        self.file.checksum()
    }
}

/// The values that were in the file. A palette is in a file of its own.
fn whole<M: Module>(model: &M, report: &LoadReport) -> BTreeMap<String, HostTensor> {
    let mut values = parameters::values(model);
    values.retain(|path, _| path.ends_with("palette") || !report.fresh.contains(path));
    values
}

fn encoder<M: Module>(model: &M, report: &LoadReport) -> BTreeMap<String, HostTensor> {
    let values = whole(model, report).into_iter();
    values.map(|(path, value)| (format!("encoder.{path}"), value)).collect()
}

fn as_json(config: &impl Serialize) -> Result<Value> {
    serde_json::to_value(config).map_err(|error| Error::config(error.to_string()))
}
