//! Tables resized along one axis after the other, by matrices of weights.

use burn::tensor::{Device, Tensor, TensorData};

use crate::grid::Grid;

/// A table over `from`, `[from.cells(), width]`, whose rows and columns are mixed by `rows` and
/// `cols`, each `[new, old]`.
pub(super) fn mixed(table: Tensor<2>, from: Grid, rows: Tensor<2>, cols: Tensor<2>) -> Tensor<2> {
    let ([_, width], [new_rows, _], [new_cols, _]) = (table.dims(), rows.dims(), cols.dims());
    let along_rows = rows.matmul(table.reshape([from.rows, from.cols * width]));
    let transposed = along_rows
        .reshape([new_rows, from.cols, width])
        .permute([1, 0, 2])
        .reshape([from.cols, new_rows * width]);
    let both = cols.matmul(transposed).reshape([new_cols, new_rows, width]);
    both.permute([1, 0, 2]).reshape([new_rows * new_cols, width])
}

/// The weights of `from` places along one axis at each of `to`, `[to, from]`: those of PyTorch's
/// `interpolate(mode="bicubic", antialias=True)`, a cubic of a = −0.5 that is as much wider as there
/// are fewer places.
pub(super) fn antialiased(from: usize, to: usize, device: &Device) -> Tensor<2> {
    let weights = (0..to).flat_map(|place| weights_at(place, from, to)).collect::<Vec<f32>>();
    Tensor::from_data(TensorData::new(weights, [to, from]), device)
}

fn weights_at(place: usize, from: usize, to: usize) -> Vec<f32> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let (center, support) = (scale * (place as f64 + 0.5), 2.0 * stretch);
    let first = (center - support + 0.5).max(0.0) as usize;
    let end = ((center + support + 0.5) as usize).min(from);
    let weight = |index: usize| match (first..end).contains(&index) {
        true => cubic((index as f64 + 0.5 - center) / stretch),
        false => 0.0,
    };
    let weights: Vec<f64> = (0..from).map(weight).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| (weight / sum) as f32).collect()
}

/// Keys' cubic of a = −0.5.
fn cubic(x: f64) -> f64 {
    let x = x.abs();
    match x {
        _ if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
        _ if x < 2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    #[test]
    fn antialiased_weights_are_pytorchs() {
        // interpolate(eye(n)[None, :, :, None].expand(1, n, n, 5).contiguous(), size=(m, 5),
        // mode="bicubic", antialias=True)[0, :, row, 2]
        let expected: [(usize, usize, usize, &[f32]); 3] = [
            (4, 7, 2, &[0.045_264, 0.985_457, -0.030_722, 0.0]),
            (5, 2, 0, &[0.347_095, 0.415_62, 0.239_413, 0.029_155, -0.031_283]),
            (6, 4, 1, &[-0.038_285, 0.372_129, 0.620_215, 0.087_289, -0.041_348, 0.0]),
        ];
        for (from, to, row, expected) in expected {
            let weights = antialiased(from, to, &test_device());
            let weights: Vec<f32> = weights.into_data().try_to_vec().unwrap();
            for (got, want) in weights[row * from..][..from].iter().zip(expected) {
                assert!((got - want).abs() < 1e-6, "{from} to {to}: {got} {want}");
            }
        }
    }

    #[test]
    fn as_many_places_stay_as_they_are() {
        let weights: Vec<f32> = antialiased(3, 3, &test_device()).into_data().try_to_vec().unwrap();
        assert_eq!(weights, [1., 0., 0., 0., 1., 0., 0., 0., 1.]);
    }
}
