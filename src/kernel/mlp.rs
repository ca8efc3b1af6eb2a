//! The transformer's feed-forward layer.

use burn::tensor::activation::sigmoid;
use burn::tensor::{Tensor, assert_shape};

use super::gelu::gelu;
use super::linear::linear_composed;

/// What comes between the two layers of [`mlp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// [`gelu`](super::gelu()).
    Gelu,
    /// x · σ(1.702 x), Image GPT's.
    QuickGelu,
    /// The hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// Its values of x.
    pub fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Gelu => gelu(x),
            Self::QuickGelu => x.clone() * sigmoid(x * 1.702),
            Self::Tanh => x.tanh(),
        }
    }
}

/// `activation`(`rows` · `weights[0]` + `biases[0]`) · `weights[1]` + `biases[1]`.
///
/// # Shapes
///
/// - rows: `[.., inputs]`
/// - weights: `[inputs, hidden]`, `[hidden, outputs]`
/// - biases: `[hidden]`, `[outputs]`
/// - output: `[.., outputs]`
///
/// # Panics
///
/// When the shapes are not these.
pub fn mlp<const D: usize>(
    rows: Tensor<D>,
    weights: [Tensor<2>; 2],
    biases: [Tensor<1>; 2],
    activation: Activation,
) -> Tensor<D> {
    let [[inputs, hidden], [_, outputs]] = [weights[0].dims(), weights[1].dims()];
    assert_shape!(rows, [.., inputs]);
    assert_shape!(&weights[1], [hidden, _]);
    assert_shape!(&biases[0], [hidden]);
    assert_shape!(&biases[1], [outputs]);
    #[cfg(feature = "flex")]
    if super::takes(
        super::fits(&rows) && weights.iter().all(super::fits) && biases.iter().all(super::fits),
    ) {
        use super::flex::MlpKernel;
        let [weight1, weight2] = weights.map(Tensor::into_dispatch);
        let [bias1, bias2] = biases.map(Tensor::into_dispatch);
        return Tensor::from_dispatch(burn::backend::Dispatch::mim_mlp(
            rows.into_dispatch(),
            weight1,
            bias1,
            weight2,
            bias2,
            activation,
        ));
    }
    mlp_composed(rows, weights, biases, activation)
}

/// [`mlp`] as burn composes it.
pub fn mlp_composed<const D: usize>(
    rows: Tensor<D>,
    [weight1, weight2]: [Tensor<2>; 2],
    [bias1, bias2]: [Tensor<1>; 2],
    activation: Activation,
) -> Tensor<D> {
    let hidden = activation.apply(linear_composed(rows, weight1, Some(bias1)));
    linear_composed(hidden, weight2, Some(bias2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::compare::{Case, compare};

    #[test]
    fn the_kernel_and_its_gradients_are_those_of_the_composition() {
        for (rows, inputs, hidden, outputs) in [(1, 1, 1, 1), (3, 5, 7, 2), (300, 10, 33, 11)] {
            let sizes: [&[usize]; 5] =
                [&[2, rows, inputs], &[inputs, hidden], &[hidden], &[hidden, outputs], &[outputs]];
            let parts = |[x, w1, b1, w2, b2]: [Tensor<1>; 5]| {
                let weights = [w1.reshape([inputs, hidden]), w2.reshape([hidden, outputs])];
                (x.reshape([2, rows, inputs]), weights, [b1, b2])
            };
            for activation in [Activation::Gelu, Activation::QuickGelu, Activation::Tanh] {
                compare(
                    Case::new(sizes),
                    |tensors| {
                        let (x, weights, biases) = parts(tensors);
                        mlp(x, weights, biases, activation).flatten(0, 2)
                    },
                    |tensors| {
                        let (x, weights, biases) = parts(tensors);
                        mlp_composed(x, weights, biases, activation).flatten(0, 2)
                    },
                );
            }
        }
    }
}
