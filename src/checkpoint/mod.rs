//! Reads and writes published weights, with one file for each family of layouts.
//!
//! A *layout* lists, for one family, which tensors of a file make up which parameter of a model and
//! how (an `Entry`); the same list loads and saves. Every load returns a [`LoadReport`]. Nothing is
//! guessed from file names: the sizes of a model are read from its `config.json`, or given by the
//! caller if a format has no such file.

mod dalle;
mod layout;
mod official;
mod official_swin;
mod parameters;
mod report;
mod safetensors_file;
mod swin_names;
mod transformers;
mod vit_names;
mod weights_file;

pub use dalle::load_dalle_encoder;
pub use official::{
    load_official_beit, load_official_beit_v2, load_official_mae, load_official_mae_encoder,
    load_official_simmim, load_timm, save_official_beit, save_official_beit_v2,
};
pub use official_swin::{
    load_official_simmim_swin, load_official_simmim_swin_v2, save_official_simmim_swin,
    save_official_simmim_swin_v2,
};
pub use report::{LoadOptions, LoadReport, Loaded};
pub use transformers::{
    Transformers, TransformersModel, save_beit, save_beit_encoder, save_image_gpt, save_mae,
    save_pixel_gpt, save_preprocessor, save_simmim, save_swin, save_swin_simmim, save_swin_v2,
    save_swin_v2_simmim, save_vit,
};
pub use weights_file::WeightsFile;
