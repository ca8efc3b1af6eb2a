//! What a folder can hold.

use crate::checkpoint::report::{LoadReport, Loaded};
use crate::encoder::{
    ClipVit, ClipVitConfig, ConvNextV2, ConvNextV2Config, GptConfig, Hiera, HieraConfig, PixelGpt,
    ResNet, ResNetConfig, Swin, SwinConfig, SwinV2, SwinV2Config, VisibleVit, Vit, VitConfig,
};
use crate::head::LinearHead;
use crate::method::{
    HieraMae, HieraMaeConfig, ImageGpt, ImageGptConfig, Mae, MaeConfig, SimMim, SimMimConfig,
    VideoMae, VideoMaeConfig,
};
use crate::task::Network;

/// The models that a folder can hold.
#[derive(Debug)]
#[non_exhaustive]
pub enum TransformersModel {
    /// `ViTMAEForPreTraining`.
    Mae(Box<Loaded<Mae, MaeConfig>>),
    /// `ViTForMaskedImageModeling`.
    SimMim(Box<Loaded<SimMim, SimMimConfig>>),
    /// The encoder of a `ViTModel`, `ViTMAEModel`, `ViTMSNModel`, `IJepaModel`, `CLIPVisionModel`,
    /// or of a classifier with one of them.
    Encoder(Box<Loaded<VisibleVit, VitConfig>>),
    /// `SwinForMaskedImageModeling`.
    SwinSimMim(Box<Loaded<SimMim<Swin>, SimMimConfig<SwinConfig>>>),
    /// The encoder of a `SwinModel` or `SwinForImageClassification`.
    Swin(Box<Loaded<Swin, SwinConfig>>),
    /// `Swinv2ForMaskedImageModeling`.
    SwinV2SimMim(Box<Loaded<SimMim<SwinV2>, SimMimConfig<SwinV2Config>>>),
    /// The encoder of a `Swinv2Model` or `Swinv2ForImageClassification`.
    SwinV2(Box<Loaded<SwinV2, SwinV2Config>>),
    /// The network of a `ConvNextV2Model` or `ConvNextV2ForImageClassification`.
    ConvNextV2(Box<Loaded<ConvNextV2, ConvNextV2Config>>),
    /// The network of a file of torchvision or timm.
    ResNet(Box<Loaded<ResNet, ResNetConfig>>),
    /// `ImageGPTForCausalImageModeling`.
    ImageGpt(Box<Loaded<ImageGpt, ImageGptConfig>>),
    /// The transformer of an `ImageGPTModel` or `ImageGPTForImageClassification`.
    PixelGpt(Box<Loaded<PixelGpt, GptConfig>>),
    /// `BeitForMaskedImageModeling`.
    Beit(Box<Loaded<Network<Vit, LinearHead>, VitConfig>>),
    /// The encoder of a `BeitModel`, `Data2VecVisionModel`, `Dinov2Model`,
    /// `Dinov2WithRegistersModel`, or of a classifier with one of them.
    BeitEncoder(Box<Loaded<Vit, VitConfig>>),
    /// `HieraForPreTraining`.
    HieraMae(Box<Loaded<HieraMae, HieraMaeConfig>>),
    /// The encoder of a `HieraModel` or `HieraForImageClassification`.
    Hiera(Box<Loaded<Hiera, HieraConfig>>),
    /// `VideoMAEForPreTraining`.
    VideoMae(Box<Loaded<VideoMae, VideoMaeConfig>>),
    /// The encoder of a `VideoMAEModel` or `VideoMAEForVideoClassification`.
    ClipEncoder(Box<Loaded<ClipVit, ClipVitConfig>>),
}

impl TransformersModel {
    /// The report of the load.
    pub fn report(&self) -> &LoadReport {
        match self {
            Self::Mae(loaded) => &loaded.report,
            Self::SimMim(loaded) => &loaded.report,
            Self::Encoder(loaded) => &loaded.report,
            Self::SwinSimMim(loaded) => &loaded.report,
            Self::Swin(loaded) => &loaded.report,
            Self::SwinV2SimMim(loaded) => &loaded.report,
            Self::SwinV2(loaded) => &loaded.report,
            Self::ConvNextV2(loaded) => &loaded.report,
            Self::ResNet(loaded) => &loaded.report,
            Self::ImageGpt(loaded) => &loaded.report,
            Self::PixelGpt(loaded) => &loaded.report,
            Self::Beit(loaded) => &loaded.report,
            Self::BeitEncoder(loaded) => &loaded.report,
            Self::HieraMae(loaded) => &loaded.report,
            Self::Hiera(loaded) => &loaded.report,
            Self::VideoMae(loaded) => &loaded.report,
            Self::ClipEncoder(loaded) => &loaded.report,
        }
    }
}
