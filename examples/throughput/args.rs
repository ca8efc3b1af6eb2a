//! The command line of the throughput example, and what it asks for.

use burn::tensor::{Device, Tensor, TensorData};
use burn_mim::nn::Positions;
use burn_mim::rng::{Purpose, stream};
use burn_mim::{
    DecoderConfig, Error, ImageShape, MaeConfig, Result, SimMimConfig, TaskConfig, VitConfig,
};
use clap::Parser;
use rand::RngExt;

/// Times pre-training steps.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// mae | simmim
    #[arg(long, default_value = "mae")]
    pub(crate) method: String,
    /// vit
    #[arg(long, default_value = "vit")]
    encoder: String,
    /// Side of the images in pixels
    #[arg(long, default_value_t = 32)]
    image_size: usize,
    /// Channels of the images
    #[arg(long, default_value_t = 3)]
    channels: usize,
    /// Side of a patch, which is also the unit of the masks
    #[arg(long, default_value_t = 2)]
    patch_size: usize,
    /// Features per token
    #[arg(long, default_value_t = 192)]
    width: usize,
    /// Blocks
    #[arg(long, default_value_t = 12)]
    depth: usize,
    /// Attention heads
    #[arg(long, default_value_t = 3)]
    heads: usize,
    /// Features per token of a masked autoencoder's decoder
    #[arg(long, default_value_t = 192)]
    decoder_width: usize,
    /// Its blocks
    #[arg(long, default_value_t = 4)]
    decoder_depth: usize,
    /// Its attention heads
    #[arg(long, default_value_t = 3)]
    decoder_heads: usize,
    /// Share of the patches that is hidden
    #[arg(long, default_value_t = 0.75)]
    mask_ratio: f64,
    /// Images per step
    #[arg(long, default_value_t = 64)]
    pub(crate) batch: usize,
    /// Steps, all of them timed
    #[arg(long, default_value_t = 8)]
    pub(crate) steps: usize,
    /// flex | ndarray | wgpu | cuda, as compiled in
    #[arg(long, default_value = "flex")]
    pub(crate) device: String,
}

impl Args {
    /// What is trained.
    pub(crate) fn task(&self) -> Result<TaskConfig> {
        if self.encoder != "vit" {
            return Err(Error::Config(format!(
                "there is no encoder {:?}: choose vit",
                self.encoder
            )));
        }
        let image = ImageShape::square(self.channels, self.image_size);
        let vit = VitConfig::new(image, self.patch_size, self.width, self.depth, self.heads);
        let task = match self.method.as_str() {
            "mae" => {
                let decoder = DecoderConfig::new()
                    .with_width(self.decoder_width)
                    .with_depth(self.decoder_depth)
                    .with_heads(self.decoder_heads);
                MaeConfig::new(vit).with_decoder(decoder).with_mask_ratio(self.mask_ratio).into()
            }
            "simmim" => SimMimConfig::new(vit.with_positions(Positions::Learned))
                .with_mask_unit(self.patch_size)
                .with_mask_ratio(self.mask_ratio)
                .into(),
            other => {
                return Err(Error::Config(format!(
                    "there is no method {other:?}: choose mae or simmim"
                )));
            }
        };
        TaskConfig::validate(&task)?;
        Ok(task)
    }

    /// Images of uniform noise with mean 0.
    pub(crate) fn images(&self, device: &Device) -> Tensor<4> {
        let shape = [self.batch, self.channels, self.image_size, self.image_size];
        let mut noise = stream(0, Purpose::Data, 0, 0);
        let values: Vec<f32> =
            (0..shape.iter().product()).map(|_| noise.random_range(-1.0..1.0)).collect();
        Tensor::from_data(TensorData::new(values, shape), device)
    }
}
