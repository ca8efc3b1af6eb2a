//! Steps of any method, as a preset has it.

use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn_mim::data::source::MemoryDataset;
use burn_mim::data::{ChannelStatistics, Loader, LoaderConfig};
use burn_mim::method::{BuiltIn, DataFacts, Method, MethodVisitor, Methods};
use burn_mim::nn::InitialWeights;
use burn_mim::rng::{Purpose, stream};
use burn_mim::{Backbone, ImageShape, Result};
use rand::RngExt;

use crate::args::Args;
use crate::steps::{Timing, steps};

/// Times the steps of the preset `name`, or, where that is asked for, what its encoder takes to
/// represent images without a gradient.
pub(crate) fn timed(name: &str, args: &Args, device: &Device) -> Result<Timing> {
    let entry = BuiltIn::preset(name)?;
    BuiltIn::visit(entry.method, entry.variant, Steps { name, args, device })
}

struct Steps<'a> {
    name: &'a str,
    args: &'a Args,
    device: &'a Device,
}

impl MethodVisitor for Steps<'_> {
    type Output = Timing;

    fn visit<M: Method>(self) -> Result<Timing> {
        let Self { name, args, device } = self;
        let preset = M::presets().into_iter().find(|preset| preset.name == name);
        let preset = preset.expect("its entry is of this method");
        let side = args.side().unwrap_or(preset.image.height);
        let image = ImageShape::square(args.channels, side);
        let method = (preset.numbers)(image);
        method.validate()?;
        let facts = DataFacts::new(ChannelStatistics::none(args.channels));
        let collate = method.collate(&facts, preset.augmentation)?;
        let loader = Loader::new(
            Arc::new(noise(image, args.batch)?),
            collate,
            LoaderConfig { batch_size: args.batch, seed: 0, workers: 0, training: true },
            device,
        )?;
        let trained = args.trained_on(device);
        let task = method.init(&facts, &mut InitialWeights::new(0, &trained))?;
        let task = method.begin(task);
        if args.inference {
            return represented::<M>(&task, method.image(), args, device);
        }
        steps(task, &preset.recipe, args, device, |step| {
            loader.epoch(step, 0).next().expect("a batch of all images")
        })
    }
}

/// Batches of whole images through the encoder alone.
fn represented<M: Method>(
    task: &M::Task,
    image: ImageShape,
    args: &Args,
    device: &Device,
) -> Result<Timing> {
    let encoder = M::encoder(task).valid();
    let mut timing = Timing::of(&encoder);
    let ImageShape { channels, height, width, .. } = image;
    let images = InitialWeights::new(1, device)
        .param([args.batch, channels, height, width], burn_mim::nn::Init::Normal { std: 1.0 });
    let images: Tensor<4> = images.val().without_autodiff();
    while timing.goes_on(args) {
        let start = Instant::now();
        let mean = encoder.represent(images.clone()).tokens.mean();
        timing.add(start, mean.into_scalar(), device)?;
    }
    Ok(timing)
}

/// So many images of noise.
fn noise(image: ImageShape, count: usize) -> Result<MemoryDataset> {
    let mut rng = stream(0, Purpose::Weights, 0, 0);
    let pixels = (0..count * image.values()).map(|_| rng.random::<u8>()).collect();
    MemoryDataset::new(image, pixels, None)
}
