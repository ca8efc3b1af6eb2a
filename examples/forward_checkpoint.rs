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
//! transformers' `last_hidden_state`. An encoder alone yields `features`, of whole images unless
//! `noise` is given. An Image GPT yields `features`, after its last norm, and `logits`
//! f32 [b, tokens, colors] where it has a head.

#[path = "common/exit.rs"]
mod exit;
#[path = "common/tensors.rs"]
mod tensors;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_mim::checkpoint::{LoadOptions, Transformers, TransformersModel};
use burn_mim::encoder::GptConfig;
use burn_mim::image::unpatchify;
use burn_mim::run::device_named;
use burn_mim::{
    Backbone, Encoder, Error, Grid, GridTokens, Mask, MaskStrategy, MimBatch, PredictionHead,
    PretextTask, RandomMask, Result, SimMim, UnitMask, VisibleTokens, VisibleVit,
};
use clap::Parser;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

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
            let (kept, masks) = input.noise(&loaded.config.mask()?)?;
            let batch = MimBatch::new(input.images(&device)?, Mask::new(masks, &device)?);
            outputs.add("features", visible_by_noise(&loaded.model.encoder, &batch, kept));
            let prediction = loaded.model.predict(&batch);
            outputs.add("reconstruction", loaded.model.target.place(prediction, &batch));
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
            let features = loaded.model.represent(input.images(&device)?);
            outputs.add("features", class_token_first(features));
        }
        TransformersModel::Swin(loaded) => {
            outputs.add("features", loaded.model.represent(input.images(&device)?).tokens);
        }
        TransformersModel::SwinV2(loaded) => {
            outputs.add("features", loaded.model.represent(input.images(&device)?).tokens);
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
                let last = network.encoder.tokens_after(encoder.depth, image.clone(), Some(&mask));
                features.push(class_token_first(last));
                logits.push(network.predict(image, &mask).squeeze_dim::<2>(0));
            }
            outputs.add("features", Tensor::cat(features, 0));
            outputs.add("logits", Tensor::cat(logits, 0));
            outputs.hidden_cells(&masks);
        }
        TransformersModel::BeitEncoder(loaded) => {
            let images = input.images(&device)?;
            let features = if folder.mean_pooling() {
                loaded.model.tokens_after(loaded.config.depth, images, None)
            } else {
                loaded.model.represent(images)
            };
            outputs.add("features", class_token_first(features));
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

/// SimMIM whose masks may be finer than its features, as transformers allows.
fn simmim<E: Encoder<Features = GridTokens>>(
    model: &SimMim<E>,
    images: Tensor<4>,
    masks: Vec<UnitMask>,
    outputs: &mut Outputs,
) -> Result<()> {
    let device = images.device();
    let mask = Mask::new(masks, &device)?;
    let features = model.encoder.encode(images.clone(), &mask);
    outputs.hidden(&mask);
    outputs.add("features", class_token_first(features.clone()));
    if let Some(units) = units(mask.samples(), features.grid) {
        let batch = MimBatch::new(images, Mask::new(units, &device)?);
        let prediction = model.predict(&batch);
        outputs.add("reconstruction", model.target.place(prediction, &batch));
        outputs.add("loss", model.loss(batch).loss);
        return Ok(());
    }
    // Some cells are hidden in part: predict them all, and look at the hidden pixels.
    let (grid, cell) = (features.grid, model.target.cell);
    let all = UnitMask::from_indices(grid, 0..grid.cells())?;
    let all = Mask::new(vec![all; mask.samples().len()], &device)?;
    let prediction =
        unpatchify(model.head.predict(features, &all), grid, cell, model.target.layout);
    let hidden = hidden_pixels(&mask, &prediction);
    let error = (prediction.clone() - images).abs() * hidden.clone();
    outputs.add("reconstruction", prediction * hidden.clone());
    outputs.add("loss", error.sum() / hidden.sum());
    Ok(())
}

/// The masks on a coarser grid, where they hide whole cells of it.
fn units(masks: &[UnitMask], grid: Grid) -> Option<Vec<UnitMask>> {
    let unit = |mask: &UnitMask| {
        let scale = grid.refinement(mask.grid())?;
        let first =
            |cell: &usize| mask.is_hidden(cell / grid.cols * scale, cell % grid.cols * scale);
        let unit = UnitMask::from_indices(grid, (0..grid.cells()).filter(first)).ok()?;
        (unit.at(mask.grid()).ok()? == *mask).then_some(unit)
    };
    masks.iter().map(unit).collect()
}

/// 1 at every value of a hidden pixel of `images`, 0 elsewhere.
fn hidden_pixels(mask: &Mask, images: &Tensor<4>) -> Tensor<4> {
    let ([batch, channels, height, width], grid) = (images.dims(), mask.grid());
    let patch = height / grid.rows;
    let hidden = mask.at(grid).is_hidden().float().reshape([batch, 1, grid.rows, 1, grid.cols, 1]);
    hidden
        .expand([batch, channels, grid.rows, patch, grid.cols, patch])
        .reshape([batch, channels, height, width])
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

/// The input file.
struct Input<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
}

impl<'a> Input<'a> {
    fn parse(path: &'a Path, bytes: &'a [u8]) -> Result<Self> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| Error::data(path, error))?;
        Ok(Self { path, tensors })
    }

    fn has(&self, key: &str) -> bool {
        self.tensors.tensor(key).is_ok()
    }

    fn tensor(&self, key: &str, rank: usize, dtypes: &[Dtype]) -> Result<TensorView<'a>> {
        let fault = |reason: String| Error::data(self.path, format!("{key}: {reason}"));
        let tensor = self.tensors.tensor(key).map_err(|_| fault("is missing".into()))?;
        if tensor.shape().len() != rank || !dtypes.contains(&tensor.dtype()) {
            let (dtype, shape) = (tensor.dtype(), tensor.shape());
            return Err(fault(format!(
                "is {dtype:?} {shape:?}, expected {rank} axes of {dtypes:?}"
            )));
        }
        Ok(tensor)
    }

    fn floats(&self, key: &str, rank: usize) -> Result<(Vec<usize>, Vec<f32>)> {
        let tensor = self.tensor(key, rank, &[Dtype::F32])?;
        let values =
            tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        Ok((tensor.shape().to_vec(), values.collect()))
    }

    fn images(&self, device: &Device) -> Result<Tensor<4>> {
        let (shape, values) = self.floats("pixel_values", 4)?;
        Ok(Tensor::from_data(TensorData::new(values, shape), device))
    }

    /// Ids that an Image GPT of `config` can read.
    fn ids(&self, config: &GptConfig, device: &Device) -> Result<Tensor<2, Int>> {
        let tensor = self.tensor("input_ids", 2, &[Dtype::I64])?;
        let (bytes, _) = tensor.data().as_chunks::<8>();
        let ids: Vec<i64> = bytes.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect();
        let (shape, pixels) = (tensor.shape().to_vec(), config.grid().cells());
        let known = |id: &i64| (0..=config.colors as i64).contains(id);
        if shape[1] == 0 || shape[1] > pixels || !ids.iter().all(known) {
            let reason = format!(
                "input_ids: {} tokens a sample, the model reads 1 to {pixels} of ids up to {}",
                shape[1], config.colors
            );
            return Err(Error::data(self.path, reason));
        }
        Ok(Tensor::from_data(TensorData::new(ids, shape), device))
    }

    fn check_cells(&self, key: &str, cells: usize, grid: Grid) -> Result<()> {
        if cells == grid.cells() {
            return Ok(());
        }
        let reason = format!("{key}: has {cells} patches a sample, the model has {grid}");
        Err(Error::data(self.path, reason))
    }

    /// Each sample's kept cells by increasing noise, and its mask.
    fn noise(&self, strategy: &RandomMask) -> Result<(Vec<Vec<usize>>, Vec<UnitMask>)> {
        let (shape, noise) = self.floats("noise", 2)?;
        self.check_cells("noise", shape[1], strategy.grid())?;
        let orders = noise.chunks(shape[1]).map(|noise| {
            let mut cells: Vec<usize> = (0..noise.len()).collect();
            cells.sort_by(|&a, &b| noise[a].total_cmp(&noise[b]));
            let hidden = cells.split_off(cells.len() - strategy.hidden());
            Ok((cells, UnitMask::from_indices(strategy.grid(), hidden)?))
        });
        let pairs: Result<Vec<_>> = orders.collect();
        Ok(pairs?.into_iter().unzip())
    }

    /// Each sample's mask from its bits.
    fn hidden_cells(&self, grid: Grid) -> Result<Vec<UnitMask>> {
        let tensor = self.tensor("bool_masked_pos", 2, &[Dtype::BOOL, Dtype::U8, Dtype::I64])?;
        self.check_cells("bool_masked_pos", tensor.shape()[1], grid)?;
        let bytes = if tensor.dtype() == Dtype::I64 { 8 } else { 1 };
        let is_hidden = |value: &[u8]| value.iter().any(|&byte| byte != 0);
        let bits: Vec<bool> = tensor.data().chunks(bytes).map(is_hidden).collect();
        bits.chunks(grid.cells()).map(|bits| UnitMask::new(grid, bits.to_vec())).collect()
    }
}

/// The output file.
#[derive(Default)]
struct Outputs {
    tensors: Vec<tensors::Named>,
}

impl Outputs {
    fn add<const D: usize>(&mut self, name: &'static str, tensor: Tensor<D>) {
        let shape = tensor.dims().to_vec();
        let bytes = tensor.into_data().iter::<f32>().flat_map(f32::to_le_bytes).collect();
        self.tensors.push((name, Dtype::F32, shape, bytes));
    }

    fn hidden(&mut self, mask: &Mask) {
        self.hidden_cells(mask.samples());
    }

    /// One row for each sample, or one for all where samples hide different numbers of cells.
    fn hidden_cells(&mut self, samples: &[UnitMask]) {
        let cells = samples.iter().flat_map(|mask| mask.hidden_indices());
        let bytes: Vec<u8> = cells.flat_map(|cell| (cell as i64).to_le_bytes()).collect();
        let count = samples[0].hidden();
        let shape = match samples.iter().all(|mask| mask.hidden() == count) {
            true => vec![samples.len(), count],
            false => vec![bytes.len() / 8],
        };
        self.tensors.push(("hidden", Dtype::I64, shape, bytes));
    }

    fn write(&self, path: &Path) -> Result<()> {
        tensors::write(path, &self.tensors)
    }
}
