//! Runs a transformers checkpoint on given images and masks, and writes what it computes: for
//! comparing this crate with others, number by number.
//!
//! ```text
//! cargo run --release --example forward_checkpoint -- --model DIR --input IN.safetensors --output OUT.safetensors
//! ```
//!
//! IN: `pixel_values` f32 [b, c, h, w], already normalized; for a masked autoencoder `noise` f32
//! [b, patches], whose smallest values are kept; otherwise `bool_masked_pos` (u8, bool or i64)
//! [b, patches], 1 = hidden. For an Image GPT instead `input_ids` i64 [b, tokens].
//!
//! OUT: `loss` f32 [1]; `features` f32 [b, tokens, width], class token first, a masked
//! autoencoder's kept tokens by increasing noise; `hidden` i64 [b, k], ascending;
//! `reconstruction` f32 [b, c, h, w] in target space, zero at visible cells. A BEiT yields `logits`
//! f32 [all hidden, vocabulary] instead of `loss` and `reconstruction`, and its `features` are
//! transformers' `last_hidden_state`. An encoder alone yields `features`, its
//! `last_hidden_state`: registers after the class token, no class token of an I-JEPA, a CLIP's
//! before its `post_layernorm`, a ConvNeXt V2's or a ResNet's cells row by row; of whole images unless `noise` is given. An Image GPT yields `features`, after its last norm, and `logits`
//! f32 [b, tokens, colors] where it has a head. A Hiera yields `features`, the `last_hidden_state` of
//! whole images in its order; a masked autoencoder on it, where there is `noise` f32 [b, mask units],
//! also `loss`, `hidden` and `logits` f32 [b, cells, values of a cell].
//!
//! A VideoMAE reads `pixel_values` f32 [b, frames, c, h, w] and `bool_masked_pos` [b, cells], by time,
//! row and column, and yields `loss`, `hidden`, the `features` of the visible cells, and `logits` f32
//! [b, k, width], its predictions of the hidden ones; its encoder alone yields the `features` of all
//! cells, or of the visible ones where `bool_masked_pos` is given.

mod clips;
mod input;
mod outputs;
mod partly_hidden;
#[path = "../common/tensors.rs"]
mod tensors;

use std::path::PathBuf;
use std::process::ExitCode;

use burn::tensor::{Tensor, TensorData};
use burn_mim::checkpoint::{LoadOptions, Transformers, TransformersModel};
use burn_mim::cli::exit;
use burn_mim::run::device_named;
use burn_mim::{
    Backbone, Encoder, Error, GridTokens, MaeTarget, Mask, MimBatch, PretextTask, RandomMask,
    Result, VisibleTokens, VisibleVit,
};
use clap::Parser;
use clips::{clip_features, videomae};
use input::Input;
use outputs::Outputs;
use partly_hidden::simmim;

#[derive(Parser)]
struct Args {
    /// A transformers folder
    #[arg(long)]
    model: PathBuf,
    /// The images and masks, safetensors
    #[arg(long)]
    input: PathBuf,
    /// Where to write the results, safetensors
    #[arg(long)]
    output: PathBuf,
    /// flex | ndarray | wgpu | cuda, as compiled in
    #[arg(long, default_value = "flex")]
    device: String,
}

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) if error.use_stderr() => {
            // Without the usage below it, for those who read one line.
            let message = error.to_string();
            let fault: Vec<_> = message.lines().take_while(|line| !line.is_empty()).collect();
            exit::say(fault.join(" "));
            return ExitCode::from(2);
        }
        Err(help) => help.exit(),
    };
    exit::exit(run(&args))
}

fn run(args: &Args) -> Result<()> {
    let device = device_named(&args.device)?;
    let bytes = std::fs::read(&args.input).map_err(|error| Error::data(&args.input, error))?;
    let input = Input::parse(&args.input, &bytes)?;
    let folder = Transformers::open(&args.model)?;
    let options = LoadOptions::default();
    let mut outputs = Outputs::default();
    let model = folder.load(options, &device)?;
    check(&model, &folder)?;
    match model {
        TransformersModel::Mae(loaded) => {
            let (kept, masks) = input.noise(&*loaded.config.mask()?)?;
            let batch = MimBatch::new(input.images(&device)?, Mask::new(masks, &device)?);
            outputs.add("features", visible_by_noise(&loaded.model.encoder, &batch, kept));
            let prediction = loaded.model.predict(&batch);
            // Published masked autoencoders predict pixels.
            if let MaeTarget::Pixels(pixels) = &loaded.model.target {
                outputs.add("reconstruction", pixels.place(prediction, &batch));
            }
            outputs.hidden(&batch.mask);
            outputs.add("loss", loaded.model.loss(batch).loss);
        }
        TransformersModel::SimMim(loaded) => {
            let masks = input.hidden_cells(loaded.config.encoder.grid())?;
            simmim(&loaded.model, input.images(&device)?, masks, &mut outputs)?;
        }
        TransformersModel::SwinSimMim(loaded) => {
            let masks = input.hidden_cells(loaded.config.encoder.grid())?;
            simmim(&loaded.model, input.images(&device)?, masks, &mut outputs)?;
        }
        TransformersModel::SwinV2SimMim(loaded) => {
            let masks = input.hidden_cells(loaded.config.encoder.sizes.grid())?;
            simmim(&loaded.model, input.images(&device)?, masks, &mut outputs)?;
        }
        TransformersModel::Encoder(loaded) if input.has("noise") => {
            let strategy = RandomMask::mae(loaded.config.grid(), folder.mask_ratio())?;
            let (kept, masks) = input.noise(&strategy)?;
            let batch = MimBatch::new(input.images(&device)?, Mask::new(masks, &device)?);
            outputs.add("features", visible_by_noise(&loaded.model, &batch, kept));
            outputs.hidden(&batch.mask);
        }
        TransformersModel::Encoder(loaded) => {
            let images = input.images(&device)?;
            outputs.add("features", folder.last_hidden_state(&loaded.model.body, images));
        }
        TransformersModel::Swin(loaded) => {
            outputs.add("features", loaded.model.represent(input.images(&device)?).tokens);
        }
        TransformersModel::SwinV2(loaded) => {
            outputs.add("features", loaded.model.represent(input.images(&device)?).tokens);
        }
        TransformersModel::ConvNextV2(loaded) => {
            outputs.add("features", loaded.model.represent(input.images(&device)?).tokens);
        }
        TransformersModel::ResNet(loaded) => {
            outputs.add("features", loaded.model.represent(input.images(&device)?).tokens);
        }
        TransformersModel::HieraMae(loaded) => {
            let images = input.images(&device)?;
            outputs.add("features", loaded.model.encoder.last_hidden_state(images.clone()));
            if input.has("noise") {
                let (_, masks) = input.noise(&*loaded.config.mask()?)?;
                let batch = MimBatch::new(images.clone(), Mask::new(masks, &device)?);
                let features = loaded.model.encoder.encode(images, &batch.mask);
                outputs.add("logits", loaded.model.head.predict_all(features, &batch.mask));
                outputs.hidden(&batch.mask);
                outputs.add("loss", loaded.model.loss(batch).loss);
            }
        }
        TransformersModel::Hiera(loaded) => {
            outputs.add("features", loaded.model.last_hidden_state(input.images(&device)?));
        }
        TransformersModel::ImageGpt(loaded) => {
            let ids = input.ids(&loaded.config.encoder, &device)?;
            outputs.add("features", loaded.model.encoder.gpt.forward(ids.clone()));
            outputs.add("logits", loaded.model.logits(ids));
        }
        TransformersModel::PixelGpt(loaded) => {
            let ids = input.ids(&loaded.config, &device)?;
            outputs.add("features", loaded.model.gpt.forward(ids));
        }
        TransformersModel::Beit(loaded) => {
            let (network, encoder) = (&loaded.model, &loaded.config);
            let (images, mut logits, mut features) = (input.images(&device)?, vec![], vec![]);
            let masks = input.hidden_cells(encoder.grid())?;
            // One by one: here, samples may hide different numbers of patches.
            for (index, mask) in masks.iter().enumerate() {
                let image = images.clone().narrow(0, index, 1);
                let mask = Mask::new([mask.clone()], &device)?;
                let mut last =
                    network.encoder.encode_layers(image.clone(), &mask, &[encoder.depth]);
                features.push(class_token_first(last.remove(0)));
                logits.push(network.predict(image, &mask).squeeze_dim::<2>(0));
            }
            outputs.add("features", Tensor::cat(features, 0));
            outputs.add("logits", Tensor::cat(logits, 0));
            outputs.hidden_cells(&masks);
        }
        TransformersModel::BeitEncoder(loaded) => {
            let images = input.images(&device)?;
            outputs.add("features", folder.last_hidden_state(&loaded.model.body, images));
        }
        TransformersModel::VideoMae(loaded) => {
            videomae(&loaded.model, &input, &mut outputs, &device)?
        }
        TransformersModel::ClipEncoder(loaded) => {
            outputs.add("features", clip_features(&loaded.model, &input, &device)?);
        }
        other => return Err(Error::data(&args.model, format!("cannot be run: {other:?}"))),
    }
    outputs.write(&args.output)
}

/// Says what became of the keys, and refuses weights that lack what the outputs depend on.
fn check(model: &TransformersModel, folder: &Transformers) -> Result<()> {
    let report = model.report();
    report.lines(folder.path()).iter().for_each(exit::say);
    // transformers' last_hidden_state of a BEiT with mean pooling is that before its final norm.
    let is_before = matches!(model, TransformersModel::BeitEncoder(_)) && folder.mean_pooling();
    if is_before && report.missing.iter().all(|key| key.contains("layernorm.")) {
        return Ok(());
    }
    report.require_all(folder.path())
}

fn class_token_first(features: GridTokens) -> Tensor<3> {
    match features.class_token {
        Some(class_token) => Tensor::cat(vec![class_token.unsqueeze_dim(1), features.tokens], 1),
        None => features.tokens,
    }
}

/// The visible features in the order of `kept`, each sample's kept cells by increasing noise.
fn visible_by_noise(encoder: &VisibleVit, batch: &MimBatch, kept: Vec<Vec<usize>>) -> Tensor<3> {
    let VisibleTokens { tokens, class_token, grid } =
        encoder.encode(batch.images.clone(), &batch.mask);
    let rank = |kept: &Vec<usize>, cell: &usize| kept.iter().filter(|other| *other < cell).count();
    let rows: Vec<i64> = kept
        .iter()
        .enumerate()
        .flat_map(|(sample, kept)| {
            kept.iter().map(move |cell| (sample * kept.len() + rank(kept, cell)) as i64)
        })
        .collect();
    let ([samples, count, width], total) = (tokens.dims(), rows.len());
    let rows = Tensor::from_data(TensorData::new(rows, [total]), &tokens.device());
    let tokens = tokens.reshape([total, width]).select(0, rows).reshape([samples, count, width]);
    class_token_first(GridTokens { tokens, class_token, grid })
}
