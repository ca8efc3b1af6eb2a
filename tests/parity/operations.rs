//! Single operations against torch.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::activation::gelu;
use burn::tensor::{Tensor, TensorData};
use burn_mim::Grid;
use burn_mim::nn::{Attention, InitialWeights, PositionTable, Positions, sin_cos_table};

use crate::io::{Io, close, device, folder, gradient};

#[test]
fn position_tables_are_resized_and_computed_as_in_torch() {
    let io = Io::read(&folder("ops.safetensors"));
    let sin_cos = sin_cos_table(Grid::new(4, 6), 16);
    let sin_cos = Tensor::<2>::from_data(TensorData::new(sin_cos, [24, 16]), &device());
    close("sin-cos", sin_cos, &io.0["sin_cos.4x6_width_16"], 1e-6);
    let (grid, weights) = (Grid::new(4, 3), &mut InitialWeights::new(0, &device()));
    let mut table = PositionTable::new(Positions::Learned, grid, 8, false, weights).unwrap();
    table.table = Param::from_tensor(io.tensor("resize.table_4x3"));
    for (rows, cols) in [(6, 5), (2, 2), (4, 3)] {
        let key = format!("resize.to_{rows}x{cols}");
        close(&key, table.cells(Grid::new(rows, cols)), &io.0[&key], 1e-5);
    }
}

#[test]
fn attention_gives_torchs_output_and_gradients() {
    let io = Io::read(&folder("ops.safetensors"));
    let key = |name: &str| format!("attention_2_heads.{name}");
    let leaf = |tensor: Tensor<2>| Param::from_tensor(tensor.transpose().autodiff());
    let bias = |name: &str| Some(Param::from_tensor(io.tensor::<1>(&key(name)).autodiff()));
    let width = io.tensor::<2>(&key("out_weight")).dims()[0];
    let layer = Attention {
        qkv: Linear { weight: leaf(io.tensor(&key("qkv_weight"))), bias: bias("qkv_bias") },
        query_bias: None,
        value_bias: None,
        query_norm: None,
        key_norm: None,
        out: Linear { weight: leaf(io.tensor(&key("out_weight"))), bias: bias("out_bias") },
        heads: 2,
        scale: ((width / 2) as f64).powf(-0.5),
    };
    let input = io.tensor::<3>(&key("input")).autodiff().require_grad();
    let scores = io.tensor::<4>(&key("scores_bias")).autodiff().require_grad();
    let output = layer.forward(input.clone(), Some(scores.clone()));
    close("output", output.clone(), &io.0[&key("output")], 1e-5);
    let gradients = (output * io.tensor(&key("grad_output"))).sum().backward();
    close("input", input.grad(&gradients).unwrap(), &io.0[&key("grad.input")], 1e-5);
    close("scores", scores.grad(&gradients).unwrap(), &io.0[&key("grad.scores_bias")], 1e-5);
    for (linear, name) in [(&layer.qkv, "qkv"), (&layer.out, "out")] {
        let weight = gradient(&gradients, &linear.weight).transpose();
        close(name, weight, &io.0[&key(&format!("grad.{name}_weight"))], 1e-5);
        let bias = gradient(&gradients, linear.bias.as_ref().unwrap());
        close(name, bias, &io.0[&key(&format!("grad.{name}_bias"))], 1e-5);
    }
}

#[test]
fn gelu_and_layer_norm_give_torchs_output_and_gradients() {
    let io = Io::read(&folder("ops.safetensors"));
    let input = io.tensor::<1>("gelu.input").autodiff().require_grad();
    let output = gelu(input.clone());
    close("gelu", output.clone(), &io.0["gelu.output"], 1e-6);
    let gradients = (output * io.tensor("gelu.grad_output")).sum().backward();
    close("gelu", input.grad(&gradients).unwrap(), &io.0["gelu.grad.input"], 1e-5);

    let key = |name: &str| format!("layer_norm_eps_1e-3.{name}");
    let mut norm = InitialWeights::new(0, &device().autodiff()).norm(8, 1e-3);
    norm.gamma = Param::from_tensor(io.tensor::<1>(&key("weight")).autodiff());
    norm.beta = Some(Param::from_tensor(io.tensor::<1>(&key("bias")).autodiff()));
    let input = io.tensor::<3>(&key("input")).autodiff().require_grad();
    let output = norm.forward(input.clone());
    close("norm", output.clone(), &io.0[&key("output")], 1e-6);
    let gradients = (output * io.tensor(&key("grad_output"))).sum().backward();
    close("norm", input.grad(&gradients).unwrap(), &io.0[&key("grad.input")], 1e-5);
    close("norm", gradient(&gradients, &norm.gamma), &io.0[&key("grad.weight")], 1e-5);
}
