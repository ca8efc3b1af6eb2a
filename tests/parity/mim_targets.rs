//! Masked autoencoders with other targets and asked cells than MAE's, against mim_targets.py.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor};
use burn_mim::nn::InitialWeights;
use burn_mim::{
    DecoderAttention, DecoderConfig, Grid, ImageShape, MaeConfig, MaeTargetConfig, Mask, MimBatch,
    PretextTask, UnitMask, VitConfig,
};

use crate::io::{Io, close, device, folder};

fn config() -> MaeConfig {
    let decoder = DecoderConfig::new().with_width(12).with_depth(2).with_heads(3);
    MaeConfig::new(VitConfig::new(ImageShape::new(2, 8, 12), 4, 8, 2, 2)).with_decoder(decoder)
}

/// The parameters of a case, at their paths.
struct Weights<'a> {
    io: &'a Io,
    case: &'a str,
    path: Vec<String>,
}

impl ModuleMapper for Weights<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let key = format!("{}.weight.{}", self.case, self.path.join("."));
        let value = self.io.tensor(&key);
        param.map(|_| value)
    }
}

/// Compares the gradient of every trained parameter with that of its path.
struct Gradient<'a> {
    io: &'a Io,
    case: &'a str,
    gradients: &'a Gradients,
    path: Vec<String>,
    compared: usize,
}

impl ModuleVisitor for Gradient<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let key = format!("{}.grad.{}", self.case, self.path.join("."));
        if param.is_require_grad() {
            let got = param.val().grad(self.gradients).unwrap_or_else(|| panic!("{key}"));
            close(&key, got, &self.io.0[&key], 1e-3);
            self.compared += 1;
        }
    }
}

/// Compares prediction, loss and all gradients of a case where the cells under `asked` are asked
/// for; all of them where there is no such key.
fn check(case: &str, config: &MaeConfig, asked: &str) {
    let io = Io::read(&folder("mim_targets.safetensors"));
    let grid = Grid::new(2, 3);
    let masks = |key: &str| -> Vec<UnitMask> {
        match io.0.get(key) {
            Some((shape, cells)) => cells
                .chunks(shape[1])
                .map(|cells| UnitMask::from_indices(grid, cells.iter().map(|&cell| cell as usize)))
                .collect::<Result<_, _>>()
                .unwrap(),
            None => vec![UnitMask::all_visible(grid).inverted(); 2],
        }
    };
    let mask = Mask::new(masks("hidden"), &device()).unwrap().with_asked(masks(asked)).unwrap();
    let batch = MimBatch::new(io.tensor("images"), mask);
    let model = config.init(&mut InitialWeights::new(0, &device()));
    let model = model.map(&mut Weights { io: &io, case, path: vec![] });
    let prediction = format!("{case}.prediction");
    close(&prediction, model.predict(&batch), &io.0[&prediction], 1e-4);
    let loss = format!("{case}.loss");
    close(&loss, model.loss(batch.clone()).loss, &io.0[&loss], 1e-5);
    let model = model.train();
    let gradients = &model.loss(batch).loss.backward();
    let mut visitor = Gradient { io: &io, case, gradients, path: vec![], compared: 0 };
    model.visit(&mut visitor);
    let prefix = format!("{case}.grad.");
    let expected = io.0.keys().filter(|key| key.starts_with(&prefix)).count();
    assert_eq!(visitor.compared, expected, "{case}");
}

#[test]
fn pixels_and_histograms_at_once_give_torchs_loss_and_gradients() {
    let target = MaeTargetConfig::PixelsAndHog {
        cell: None,
        window: None,
        pixels_weight: 0.5,
        hog_weight: 2.0,
    };
    check("both", &config().with_target(target), "hidden");
}

#[test]
fn low_frequencies_of_all_cells_give_torchs_loss_and_gradients() {
    let target = MaeTargetConfig::LowPass { radius: 1.5 };
    check("low_pass", &config().with_target(target).with_normalized(false), "all");
}

#[test]
fn cross_attention_on_a_part_of_the_hidden_cells_gives_torchs_loss_and_gradients() {
    let config = config();
    let decoder = config.decoder.clone().with_attention(DecoderAttention::Cross);
    check("cross", &config.with_decoder(decoder), "asked");
}
