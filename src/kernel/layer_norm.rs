//! Layer normalization, and the one by the root of the mean square.

use burn::tensor::{Tensor, assert_shape};

/// (x − mean) / √(variance + `epsilon`) · `gamma` + `beta` over each token's features
/// (arXiv 1607.06450), with the biased variance.
///
/// # Shapes
///
/// - tokens: `[.., width]`
/// - gamma, beta: `[width]`
/// - output: as `tokens`
///
/// # Panics
///
/// When `gamma` or `beta` is not of the tokens' width.
pub fn layer_norm<const D: usize>(
    tokens: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    let width = tokens.dims()[D - 1];
    assert_shape!(gamma, [width]);
    assert_shape!(beta, [width]);
    #[cfg(feature = "flex")]
    if super::takes(super::fits(&tokens) && super::fits(&gamma) && super::fits(&beta)) {
        use super::flex::LayerNormKernel;
        return Tensor::from_dispatch(burn::backend::Dispatch::mim_layer_norm(
            tokens.into_dispatch(),
            gamma.into_dispatch(),
            beta.into_dispatch(),
            epsilon as f32,
            true,
        ));
    }
    layer_norm_composed(tokens, gamma, beta, epsilon)
}

/// x / √(mean(x²) + `epsilon`) · `gamma` over each token's features (arXiv 1910.07467).
///
/// # Shapes
///
/// - tokens: `[.., width]`
/// - gamma: `[width]`
/// - output: as `tokens`
///
/// # Panics
///
/// When `gamma` is not of the tokens' width.
pub fn root_mean_square_norm<const D: usize>(
    tokens: Tensor<D>,
    gamma: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    let width = tokens.dims()[D - 1];
    assert_shape!(gamma, [width]);
    #[cfg(feature = "flex")]
    if super::takes(super::fits(&tokens) && super::fits(&gamma)) {
        use super::flex::LayerNormKernel;
        let zeros = super::zeros_beside(&gamma, [width]);
        return Tensor::from_dispatch(burn::backend::Dispatch::mim_layer_norm(
            tokens.into_dispatch(),
            gamma.into_dispatch(),
            zeros.into_dispatch(),
            epsilon as f32,
            false,
        ));
    }
    root_mean_square_norm_composed(tokens, gamma, epsilon)
}

/// [`root_mean_square_norm`] as burn composes it.
pub fn root_mean_square_norm_composed<const D: usize>(
    tokens: Tensor<D>,
    gamma: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    let square = tokens.clone().square().mean_dim(D - 1);
    tokens / (square + epsilon).sqrt() * gamma.unsqueeze()
}

/// [`layer_norm`] as burn composes it.
pub fn layer_norm_composed<const D: usize>(
    tokens: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    burn::tensor::module::layer_norm(tokens, gamma, Some(beta), epsilon)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::compare::{Case, compare};

    #[test]
    fn the_kernel_and_its_gradients_are_those_of_the_composition() {
        for (rows, width) in [(1, 1), (3, 5), (7, 192), (600, 33)] {
            let case = Case::new([&[2, rows, width], &[width]]);
            compare(
                case,
                |[x, gamma]| {
                    let x = x.reshape([2, rows, width]);
                    root_mean_square_norm(x, gamma, 1e-6).flatten(0, 2)
                },
                |[x, gamma]| {
                    let x = x.reshape([2, rows, width]);
                    root_mean_square_norm_composed(x, gamma, 1e-6).flatten(0, 2)
                },
            );
            let case = Case::new([&[2, rows, width], &[width], &[width]]);
            compare(
                case,
                |[x, gamma, beta]| {
                    layer_norm(x.reshape([2, rows, width]), gamma, beta, 1e-6).flatten(0, 2)
                },
                |[x, gamma, beta]| {
                    layer_norm_composed(x.reshape([2, rows, width]), gamma, beta, 1e-6)
                        .flatten(0, 2)
                },
            );
        }
    }
}
