//! Swin and Swin-v2: transformers' folders, and the official files of SimMIM on them.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn_mim::checkpoint::LoadOptions;
use burn_mim::checkpoint::{
    Transformers, TransformersModel, load_official_simmim_swin, load_official_simmim_swin_v2,
    save_official_simmim_swin, save_official_simmim_swin_v2, save_swin, save_swin_simmim,
    save_swin_v2, save_swin_v2_simmim,
};
use burn_mim::encoder::swin::{SwinTransformer, WindowBlock};
use burn_mim::{
    Backbone, Encoder, EncoderConfig, Grid, GridTokens, ImageShape, MaskConfig, MimBatch,
    PretextTask, SimMim, SimMimConfig, SwinConfig, SwinV2Config,
};

use crate::io::{Io, STRICT, close, device, folder, gradient, weights_in};

/// The share of the largest value that activations may differ by. Swin-v2's norms at the end of
/// each branch divide by whatever size that has: transformers' own 32-bit features of
/// `swin_v2_mim_padded` are 1.5e-5 off its 64-bit ones, those of Swin's fixtures 6e-7.
fn tolerance(name: &str) -> f32 {
    if name.contains("v2") { 5e-5 } else { 5e-6 }
}

/// Features, reconstruction and loss with hidden patches; the model, ready for its gradients.
fn check_simmim<E: Encoder<Images = Tensor<4>, Features = GridTokens>>(
    name: &str,
    io: &Io,
    model: &SimMim<E>,
    cells: Grid,
) -> MimBatch {
    let patches = io.0["bool_masked_pos"].0[1];
    let scale = (patches / cells.cells()).isqrt();
    let grid = Grid::new(cells.rows * scale, cells.cols * scale);
    let (fine, _) = io.masks(grid, io.0["hidden"].0[1]);
    let units = fine.samples().iter().map(|mask| {
        let unit =
            |cell: &usize| mask.is_hidden(cell / cells.cols * scale, cell % cells.cols * scale);
        burn_mim::UnitMask::from_indices(cells, (0..cells.cells()).filter(unit)).unwrap()
    });
    let units: Vec<_> = units.collect();
    let mask = burn_mim::Mask::new(units, &device()).unwrap();
    let batch = MimBatch::new(io.tensor("pixel_values"), mask);
    let features = model.encoder.encode(batch.images.clone(), &batch.mask).tokens;
    close(&format!("{name} features"), features, &io.0["features"], tolerance(name));
    let placed = model.target.place(model.predict(&batch), &batch);
    close(&format!("{name} reconstruction"), placed, &io.0["reconstruction"], tolerance(name));
    close(&format!("{name} loss"), model.loss(batch.clone()).loss, &io.0["loss"], 1e-5);
    batch
}

/// Gradients of what both have, and of `position`, the second block's own.
fn check_gradients<B: WindowBlock, const D: usize>(
    io: &Io,
    model: SimMim<SwinTransformer<B>>,
    batch: MimBatch,
    position: impl Fn(&B) -> (&'static str, Param<Tensor<D>>),
) {
    let model = model.train();
    let gradients = model.loss(batch).loss.backward();
    let expect = |key: &str, shape: [usize; 2]| {
        let is_it = |name: &&String| name.starts_with("grad.") && name.ends_with(key);
        (shape.to_vec(), io.0[io.0.keys().find(is_it).unwrap()].1.clone())
    };
    let token = gradient(&gradients, &model.encoder.mask_token);
    close("token", token.clone(), &expect("embeddings.mask_token", token.dims()), 1e-3);
    let bias = gradient(&gradients, model.head.projection.bias.as_ref().unwrap());
    let bias = bias.unsqueeze::<2>();
    close("head", bias.clone(), &expect("decoder.0.bias", bias.dims()), 1e-3);
    let merging = model.encoder.stages[0].merging.as_ref().unwrap();
    let reduction = gradient(&gradients, &merging.reduction.weight).transpose();
    let expected = expect("layers.0.downsample.reduction.weight", reduction.dims());
    close("merging", reduction, &expected, 1e-3);
    if let Some(block) = model.encoder.stages[0].blocks.get(1) {
        let (key, param) = position(block);
        let got = gradient(&gradients, &param).flatten::<1>(0, -1).unsqueeze::<2>();
        close(key, got.clone(), &expect(key, got.dims()), 1e-3);
    }
}

fn check_encoder(name: &str, io: &Io, encoder: &impl Backbone) {
    let features = encoder.represent(io.tensor("pixel_values")).tokens;
    close(name, features, &io.0["features"], tolerance(name));
    if io.0.contains_key("pixel_values_resized") {
        let features = encoder.represent(io.tensor("pixel_values_resized")).tokens;
        close(&format!("{name} resized"), features, &io.0["features_resized"], tolerance(name));
    }
}

fn cells(config: &SimMimConfig<impl EncoderConfig>) -> Grid {
    config.encoder.image().grid(config.encoder.stride()).unwrap()
}

fn check_folder(name: &str) {
    let io = Io::open(name);
    match Transformers::open(folder(name)).unwrap().load(STRICT, &device()).unwrap() {
        TransformersModel::SwinSimMim(loaded) => {
            let batch = check_simmim(name, &io, &loaded.model, cells(&loaded.config));
            check_gradients(&io, loaded.model, batch, |block| {
                ("relative_position_bias_table", block.relative_positions.table.clone())
            });
        }
        TransformersModel::SwinV2SimMim(loaded) => {
            let batch = check_simmim(name, &io, &loaded.model, cells(&loaded.config));
            check_gradients(&io, loaded.model, batch, |block| {
                ("logit_scale", block.attention.logit_scale.clone())
            });
        }
        TransformersModel::Swin(loaded) => check_encoder(name, &io, &loaded.model),
        TransformersModel::SwinV2(loaded) => check_encoder(name, &io, &loaded.model),
        other => panic!("{name}: {other:?}"),
    }
}

const FOLDERS: [&str; 8] = [
    "swin_mim_padded",
    "swin_mim_three_stages",
    "swin_mim_memory_spelling",
    "swin_model_any_size",
    "swin_v2_mim_padded",
    "swin_v2_mim_pretrained_windows",
    "swin_v2_model_any_size",
    "swin_v2_model_deep",
];

#[test]
fn every_transformers_folder_gives_its_numbers() {
    FOLDERS.into_iter().for_each(check_folder);
}

/// What the fixtures of the official layout are made of.
fn official(window: usize, depths: [usize; 2]) -> SwinConfig {
    SwinConfig::new(ImageShape::square(3, 24), 2, 8, depths.into(), vec![2, 4], window)
        .with_mlp_ratio(1.5)
}

#[test]
fn official_files_give_their_numbers_and_can_be_written_again() {
    let out = tempfile::tempdir().unwrap();
    let again = out.path().join("again.safetensors");

    let (name, config) = ("official_swin_simmim", SimMimConfig::new(official(6, [2, 3])));
    let (config, io) =
        (config.with_mask(MaskConfig::Simmim { unit: 4, ratio: 0.6 }), Io::open(name));
    let file = folder(name).join("model.pth");
    let loaded = load_official_simmim_swin(file, &config, STRICT, &device()).unwrap();
    check_simmim(name, &io, &loaded.model, cells(&config));
    save_official_simmim_swin(&again, &loaded.model, &config).unwrap();
    let loaded = load_official_simmim_swin(&again, &config, STRICT, &device()).unwrap();
    check_simmim(name, &io, &loaded.model, cells(&config));

    let encoder = SwinV2Config::new(official(5, [2, 2]));
    let (name, config) = ("official_swin_v2_simmim", SimMimConfig::new(encoder));
    let (config, io) =
        (config.with_mask(MaskConfig::Simmim { unit: 4, ratio: 0.6 }), Io::open(name));
    let file = folder(name).join("model.pth");
    let loaded = load_official_simmim_swin_v2(file, &config, STRICT, &device()).unwrap();
    check_simmim(name, &io, &loaded.model, cells(&config));
    save_official_simmim_swin_v2(&again, &loaded.model, &config).unwrap();
    let loaded = load_official_simmim_swin_v2(&again, &config, STRICT, &device()).unwrap();
    check_simmim(name, &io, &loaded.model, cells(&config));
}

#[test]
fn an_official_file_loads_into_another_window_if_asked() {
    let config = SimMimConfig::new(official(8, [2, 3]))
        .with_mask(MaskConfig::Simmim { unit: 4, ratio: 0.6 });
    let file = folder("official_swin_simmim").join("model.pth");
    let error = load_official_simmim_swin(&file, &config, STRICT, &device()).unwrap_err();
    assert!(error.to_string().contains("to resize it, set the option resize"), "{error}");
    let options = LoadOptions { resize: true, ..LoadOptions::default() };
    let loaded = load_official_simmim_swin(&file, &config, options, &device()).unwrap();
    // The second stage's 6×6 tokens still fill one window of 6.
    assert_eq!(loaded.report.reshaped.len(), 2, "{}", loaded.report);
    assert_eq!(loaded.model.encoder.stages[0].blocks[0].relative_positions.table.dims(), [225, 2]);
}

#[test]
fn what_is_saved_loads_again_to_the_same_bits() {
    let out = tempfile::tempdir().unwrap();
    for name in FOLDERS {
        match Transformers::open(folder(name)).unwrap().load(STRICT, &device()).unwrap() {
            TransformersModel::SwinSimMim(loaded) => {
                save_swin_simmim(out.path(), &loaded.model, &loaded.config)
            }
            TransformersModel::Swin(loaded) => save_swin(out.path(), &loaded.model, &loaded.config),
            TransformersModel::SwinV2SimMim(loaded) => {
                save_swin_v2_simmim(out.path(), &loaded.model, &loaded.config)
            }
            TransformersModel::SwinV2(loaded) => {
                save_swin_v2(out.path(), &loaded.model, &loaded.config)
            }
            _ => unreachable!("no other architecture is in the list"),
        }
        .unwrap();
        assert_eq!(weights_in(out.path()), weights_in(&folder(name)), "{name}");
        Transformers::open(out.path()).unwrap().load(STRICT, &device()).unwrap();
    }
}
