//! The command line of the throughput example, and what it asks for.

use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use burn_mim::encoder::{RelativePositions, VitInit};
use burn_mim::nn::{Positions, QkvBias};
use burn_mim::rng::{Purpose, stream};
use burn_mim::target::tokenizer::{DvaeConfig, PaletteConfig, TokenizerConfig, VqConfig};
use burn_mim::train::Precision;
use burn_mim::{
    BeitConfig, ClipShape, DecoderConfig, EncoderConfig, Error, ImageShape, MaeConfig, MaskConfig,
    PretextTask, Result, SimMimConfig, SwinConfig, SwinV2Config, TaskOutput, VideoMaeConfig,
    VitConfig,
};
use clap::Parser;
use rand::RngExt;

use burn_mim::cli::numbers::{positive, share, side};

/// Times pre-training steps.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// mae | simmim | beit, of the sizes below; dvae | vq, the tokenizers of small images; videomae, of
    /// ViT-S/16 and 16 frames
    #[arg(long, default_value = "mae")]
    pub(crate) method: String,
    /// vit | swin | swin-v2
    #[arg(long, default_value = "vit")]
    encoder: String,
    /// Any preset of any method, such as selfie_small_images, in place of --method and its sizes: its
    /// steps on its own batches, without the time that these take
    #[arg(long, conflicts_with_all = ["method", "encoder"])]
    pub(crate) preset: Option<String>,
    /// What the preset's encoder takes for whole images, without gradients, in place of steps
    #[arg(long, requires = "preset")]
    pub(crate) inference: bool,
    /// Side of the images in pixels [default: 32, or the preset's]
    #[arg(long, value_parser = side)]
    image_size: Option<usize>,
    /// Channels of the images
    #[arg(long, default_value_t = 3, value_parser = positive)]
    pub(crate) channels: usize,
    /// Side of a patch, which is also the unit of the masks
    #[arg(long, default_value_t = 2, value_parser = positive)]
    patch_size: usize,
    /// Features per token, in the first stage of Swin
    #[arg(long, default_value_t = 192, value_parser = positive)]
    width: usize,
    /// Blocks, of each stage of Swin: 2,2,6,2
    #[arg(long, value_delimiter = ',', default_value = "12", value_parser = positive)]
    depth: Vec<usize>,
    /// Attention heads, of each stage of Swin: 3,6,12,24
    #[arg(long, value_delimiter = ',', default_value = "3", value_parser = positive)]
    heads: Vec<usize>,
    /// Side of Swin's windows in tokens [default: 6]
    #[arg(long, value_parser = positive)]
    window: Option<usize>,
    /// Features per token of a masked autoencoder's decoder [default: 192]
    #[arg(long, value_parser = positive)]
    decoder_width: Option<usize>,
    /// Its blocks [default: 4]
    #[arg(long, value_parser = positive)]
    decoder_depth: Option<usize>,
    /// Its attention heads [default: 3]
    #[arg(long, value_parser = positive)]
    decoder_heads: Option<usize>,
    /// Share of the patches that is hidden
    #[arg(long, default_value_t = 0.75, value_parser = share)]
    mask_ratio: f64,
    /// Images per step
    #[arg(long, default_value_t = 64, value_parser = positive)]
    pub(crate) batch: usize,
    /// Steps; of more than four the first two are not timed, since memory is new to them
    #[arg(long, default_value_t = 8, value_parser = positive)]
    pub(crate) steps: usize,
    /// No step begins after so many seconds, but for five
    #[arg(long, default_value_t = f64::INFINITY)]
    pub(crate) seconds: f64,
    /// flex | ndarray | wgpu | cuda, as compiled in
    #[arg(long, default_value = "flex")]
    pub(crate) device: String,
    /// f32 | bf16 | f16: what the network computes in; f16 without a scale of the loss
    #[arg(long, default_value_t)]
    precision: Precision,
    /// Compute blocks twice instead of keeping what lies within them
    #[arg(long)]
    pub(crate) checkpointing: bool,
}

/// What is trained.
pub(crate) enum Case {
    Mae(MaeConfig),
    SimMim(SimMimConfig),
    Swin(SimMimConfig<SwinConfig>),
    SwinV2(SimMimConfig<SwinV2Config>),
    Beit(BeitConfig),
    Dvae(DvaeConfig),
    Vq(VqConfig),
    VideoMae(VideoMaeConfig),
}

/// Side of the images where nothing says another.
const SIDE: usize = 32;

impl Args {
    /// The device to train on.
    pub(crate) fn trained_on(&self, device: &Device) -> Device {
        let trained = device.clone().autodiff();
        if self.checkpointing { trained.gradient_checkpointing() } else { trained }
    }

    /// A batch through `task` in the precision that was asked for.
    pub(crate) fn forward<T: PretextTask>(
        &self,
        task: &T,
        batch: T::Batch,
    ) -> Result<TaskOutput<T::Observed>> {
        match self.precision {
            Precision::Bf16 => task.loss_in(batch, FloatDType::BF16),
            Precision::F16 => task.loss_in(batch, FloatDType::F16),
            _ => Ok(task.loss(batch)),
        }
    }

    /// The side of the images that was asked for.
    pub(crate) fn side(&self) -> Option<usize> {
        self.image_size
    }

    /// Refuses what would not act.
    fn check(&self) -> Result<()> {
        let decoder = [self.decoder_width, self.decoder_depth, self.decoder_heads];
        if self.method != "mae" && decoder.iter().any(Option::is_some) {
            let fault = format!("--decoder-… is for --method mae: {} has no decoder", self.method);
            return Err(Error::Config(fault));
        }
        if !self.encoder.starts_with("swin") && self.window.is_some() {
            let fault = format!("--window is for --encoder swin: {} has no windows", self.encoder);
            return Err(Error::Config(fault));
        }
        Ok(())
    }

    /// What is trained.
    pub(crate) fn case(&self) -> Result<Case> {
        self.check()?;
        let image = ImageShape::square(self.channels, self.side().unwrap_or(SIDE));
        Ok(match (self.method.as_str(), self.encoder.as_str()) {
            ("mae", "vit") => {
                let decoder = DecoderConfig::new()
                    .with_width(self.decoder_width.unwrap_or(192))
                    .with_depth(self.decoder_depth.unwrap_or(4))
                    .with_heads(self.decoder_heads.unwrap_or(3));
                let mae = MaeConfig::new(self.vit(image)?).with_decoder(decoder);
                Case::Mae(mae.with_mask(MaskConfig::Mae { ratio: self.mask_ratio }))
            }
            ("simmim", "vit") => {
                Case::SimMim(self.simmim(self.vit(image)?.with_positions(Positions::Learned)))
            }
            ("simmim", "swin") => Case::Swin(self.simmim(self.swin(image))),
            ("simmim", "swin-v2") => Case::SwinV2(self.simmim(SwinV2Config::new(self.swin(image)))),
            // Tokens of a palette cost nothing, as those of a tokenizer that ran before do.
            ("beit", "vit") => {
                let encoder = self.vit(image)?;
                let encoder = encoder
                    .with_positions(Positions::None)
                    .with_relative_positions(RelativePositions::Shared)
                    .with_qkv_bias(QkvBias::QueryValue)
                    .with_layer_scale(Some(0.1))
                    .with_init(VitInit::Beit);
                let palette = PaletteConfig::new(image).with_patch(self.patch_size);
                let beit = BeitConfig::new(encoder, TokenizerConfig::Palette(palette));
                Case::Beit(beit.with_mask(MaskConfig::blocks(self.mask_ratio, 4)))
            }
            ("dvae", _) => Case::Dvae(DvaeConfig::small_images(image)),
            ("vq", _) => Case::Vq(VqConfig::small_images(image)),
            ("videomae", _) => {
                let mut videomae = VideoMaeConfig::small_patch16();
                videomae.encoder.clip = ClipShape::new(image, videomae.encoder.clip.frames);
                Case::VideoMae(videomae)
            }
            (method, encoder) => {
                return Err(Error::Config(format!(
                    "there is no method {method:?} on the encoder {encoder:?}: choose mae, simmim \
                     or beit on vit, simmim on swin or swin-v2, dvae, vq or videomae; --preset has \
                     all others"
                )));
            }
        })
    }

    fn vit(&self, image: ImageShape) -> Result<VitConfig> {
        let (&[depth], &[heads]) = (&self.depth[..], &self.heads[..]) else {
            let message = "a vision transformer has one --depth and one number of --heads";
            return Err(Error::Config(message.into()));
        };
        Ok(VitConfig::new(image, self.patch_size, self.width, depth, heads))
    }

    fn swin(&self, image: ImageShape) -> SwinConfig {
        let (depths, heads) = (self.depth.clone(), self.heads.clone());
        let (patch, window) = (self.patch_size, self.window.unwrap_or(6));
        SwinConfig::new(image, patch, self.width, depths, heads, window)
    }

    /// Hides cells of the encoder's output.
    fn simmim<C: EncoderConfig>(&self, encoder: C) -> SimMimConfig<C> {
        let mask = MaskConfig::Simmim { unit: encoder.stride(), ratio: self.mask_ratio };
        SimMimConfig::new(encoder).with_mask(mask)
    }

    /// Images of uniform noise with mean 0.
    pub(crate) fn images(&self, device: &Device) -> Tensor<4> {
        let side = self.side().unwrap_or(SIDE);
        noise([self.batch, self.channels, side, side], device)
    }
}

/// Uniform noise with mean 0.
pub(crate) fn noise<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let mut noise = stream(0, Purpose::Data, 0, 0);
    let values: Vec<f32> =
        (0..shape.iter().product()).map(|_| noise.random_range(-1.0..1.0)).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}
