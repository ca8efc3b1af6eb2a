//! A linear layer on rows.

use burn::tensor::{Tensor, assert_shape};

/// `rows` · `weight` + `bias`.
///
/// # Shapes
///
/// - rows: `[.., inputs]`
/// - weight: `[inputs, outputs]`
/// - bias: `[outputs]`
/// - output: `[.., outputs]`
///
/// # Panics
///
/// When the shapes are not these.
pub fn linear<const D: usize>(
    rows: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let [inputs, outputs] = weight.dims();
    assert_shape!(rows, [.., inputs]);
    if let Some(bias) = &bias {
        assert_shape!(bias, [outputs]);
    }
    #[cfg(feature = "flex")]
    if super::takes(
        super::fits(&rows) && super::fits(&weight) && bias.as_ref().is_none_or(super::fits),
    ) {
        use super::flex::LinearKernel;
        let bias = bias.unwrap_or_else(|| super::zeros_beside(&weight, [outputs]));
        return Tensor::from_dispatch(burn::backend::Dispatch::mim_linear(
            rows.into_dispatch(),
            weight.into_dispatch(),
            bias.into_dispatch(),
        ));
    }
    linear_composed(rows, weight, bias)
}

/// [`linear`] as burn composes it.
///
/// All rows go into a single matrix product. burn computes a tensor of three axes as one product
/// per sample, and small samples leave most of a processor idle.
pub fn linear_composed<const D: usize>(
    rows: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let [inputs, outputs] = weight.dims();
    let mut shape = rows.dims();
    shape[D - 1] = outputs;
    let rows = rows.reshape([-1, inputs as i64]);
    burn::tensor::module::linear(rows, weight, bias).reshape(shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::compare::{Case, compare};

    #[test]
    fn the_kernel_and_its_gradients_are_those_of_the_composition() {
        for (rows, inputs, outputs) in [(1, 1, 1), (3, 5, 7), (70, 192, 30), (600, 9, 20)] {
            let case = Case::new([&[2, rows, inputs], &[inputs, outputs], &[outputs]]);
            let on_tensors = |[x, weight, bias]: [Tensor<1>; 3]| {
                (x.reshape([2, rows, inputs]), weight.reshape([inputs, outputs]), bias)
            };
            compare(
                case.clone(),
                |tensors| {
                    let (x, weight, bias) = on_tensors(tensors);
                    linear(x, weight, Some(bias)).flatten(0, 2)
                },
                |tensors| {
                    let (x, weight, bias) = on_tensors(tensors);
                    linear_composed(x, weight, Some(bias)).flatten(0, 2)
                },
            );
            compare(
                case,
                |tensors| {
                    let (x, weight, _) = on_tensors(tensors);
                    linear(x, weight, None).flatten(0, 2)
                },
                |tensors| {
                    let (x, weight, _) = on_tensors(tensors);
                    linear_composed(x, weight, None).flatten(0, 2)
                },
            );
        }
    }
}
