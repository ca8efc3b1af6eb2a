//! Reads and writes published weights, with one file for each family of layouts.
//!
//! A *layout* lists, for one family, which tensors of a file make up which parameter of a model and
//! how (an `Entry`); the same list loads and saves. Every load returns a [`LoadReport`]. Nothing is
//! guessed from file names: the sizes of a model are read from its `config.json`, or given by the
//! caller if a format has no such file.
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use burn::tensor::{Device, Tensor};
//! use burn_mim::checkpoint::{LoadOptions, Transformers, save_mae};
//! use burn_mim::nn::InitialWeights;
//! use burn_mim::{Backbone, DecoderConfig, ImageShape, MaeConfig, VitConfig};
//!
//! let device = Device::flex();
//! let decoder = DecoderConfig::new().with_width(8).with_depth(1).with_heads(2);
//! let config = MaeConfig::new(VitConfig::new(ImageShape::square(3, 16), 4, 16, 1, 2));
//! let config = config.with_decoder(decoder);
//! let mae = config.init(&mut InitialWeights::new(0, &device));
//!
//! // A folder that `ViTMAEForPreTraining.from_pretrained` reads.
//! # let folder = tempfile::tempdir().unwrap();
//! # let out = folder.path();
//! # /*
//! let out = "exported/mae";
//! # */
//! save_mae(out, &mae, &config)?;
//!
//! // Back again. A strict load accepts no missing, unknown or reshaped tensor.
//! let strict = LoadOptions { strict: true, resize: false };
//! let loaded = Transformers::open(out)?.mae(strict, &device)?;
//! assert!(loaded.report.missing.is_empty() && loaded.report.unused.is_empty());
//! let images = Tensor::<4>::ones([1, 3, 16, 16], &device);
//! let features = |encoder: &burn_mim::VisibleVit| encoder.represent(images.clone()).tokens;
//! let difference = features(&loaded.model.encoder) - features(&mae.encoder);
//! assert_eq!(difference.abs().max().into_scalar::<f32>(), 0.0);
//! # }
//! # Ok::<(), burn_mim::Error>(())
//! ```

mod convnext_names;
mod dalle;
mod hiera_names;
mod inflate;
mod layout;
mod official;
mod official_data2vec;
mod official_hiera;
mod official_swin;
mod parameters;
mod report;
mod resnet_names;
mod safetensors_file;
mod swin_names;
mod transformers;
mod vit_names;
mod weights_file;

pub use dalle::load_dalle_encoder;
#[cfg(feature = "run")]
pub(crate) use inflate::{check_inflatable, repeated};
pub use inflate::{deflate, inflate};
pub use official::{
    load_official_beit, load_official_beit_v2, load_official_mae, load_official_mae_encoder,
    load_official_simmim, load_timm, save_official_beit, save_official_beit_v2,
};
pub use official_data2vec::load_official_data2vec;
pub use official_hiera::{
    load_official_hiera, load_official_hiera_mae, save_official_hiera, save_official_hiera_mae,
};
pub use official_swin::{
    load_official_simmim_swin, load_official_simmim_swin_v2, save_official_simmim_swin,
    save_official_simmim_swin_v2,
};
pub use report::{LoadOptions, LoadReport, Loaded};
#[cfg(feature = "data")]
pub use transformers::save_framed_preprocessor;
pub use transformers::{
    Transformers, TransformersModel, save_beit, save_beit_encoder, save_clip_encoder,
    save_convnext_v2, save_convnext_v2_classifier, save_hiera, save_hiera_classifier,
    save_hiera_mae, save_image_gpt, save_mae, save_parameters, save_pixel_gpt, save_preprocessor,
    save_pretrained, save_resnet, save_simmim, save_swin, save_swin_classifier, save_swin_simmim,
    save_swin_v2, save_swin_v2_classifier, save_swin_v2_simmim, save_videomae, save_vit,
    save_vit_classifier, save_vit_features,
};
pub use weights_file::WeightsFile;

#[cfg(feature = "run")]
pub(crate) use parameters::replaced;
#[cfg(feature = "run")]
pub(crate) use transformers::{Contents, Kind, is_vit_or_beit};
#[cfg(feature = "run")]
pub(crate) use weights_file::HostTensor;
