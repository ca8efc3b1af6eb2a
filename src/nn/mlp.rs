//! The transformer's feed-forward layer.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn::tensor::activation::{gelu_approximate, relu, silu};
use serde::{Deserialize, Serialize};

use super::{Init, InitialWeights, per_token};
use crate::kernel::{self, Activation};

/// What comes between the two layers of an [`Mlp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MlpActivation {
    /// x · σ(1.702 x), Image GPT's.
    QuickGelu,
    /// The exact GELU, by the error function.
    Gelu,
    /// The GELU by a hyperbolic tangent, GPT-2's.
    GeluTanh,
    /// max(x, 0).
    Relu,
    /// x · σ(x).
    Silu,
}

impl MlpActivation {
    fn apply(self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::QuickGelu => Activation::QuickGelu.apply(x),
            Self::Gelu => Activation::Gelu.apply(x),
            Self::GeluTanh => gelu_approximate(x),
            Self::Relu => relu(x),
            Self::Silu => silu(x),
        }
    }
}

/// Two linear layers with an activation between, the exact GELU unless it is told otherwise.
#[derive(Module, Debug)]
pub struct Mlp {
    /// `width` → `hidden`.
    pub fc1: Linear,
    /// `hidden` → `width`.
    pub fc2: Linear,
    /// What comes between.
    #[module(skip)]
    pub activation: MlpActivation,
    /// Whether the first layer yields twice as many features, of which the activation of the first
    /// half scales the second: SwiGLU with [`MlpActivation::Silu`] (arXiv 2002.05202).
    pub gated: bool,
}

impl Mlp {
    /// A feed-forward layer of `width` features with `hidden` in between, its two matrices
    /// starting as `init` and `output_init`.
    pub fn new(
        width: usize,
        hidden: usize,
        [init, output_init]: [Init; 2],
        weights: &mut InitialWeights,
    ) -> Self {
        Self {
            fc1: weights.linear(width, hidden, init),
            fc2: weights.linear(hidden, width, output_init),
            activation: MlpActivation::Gelu,
            gated: false,
        }
    }

    /// The same layer with another activation.
    pub fn with_activation(self, activation: MlpActivation) -> Self {
        Self { activation, ..self }
    }

    /// A feed-forward layer whose `hidden` features are scaled by the activation of as many others.
    pub fn gated(
        width: usize,
        hidden: usize,
        activation: MlpActivation,
        [init, output_init]: [Init; 2],
        weights: &mut InitialWeights,
    ) -> Self {
        Self {
            fc1: weights.linear(width, 2 * hidden, init),
            fc2: weights.linear(hidden, width, output_init),
            activation,
            gated: true,
        }
    }

    /// Every token on its own.
    ///
    /// # Shapes
    ///
    /// - tokens: `[batch, tokens, width]`
    /// - output: the same
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        if self.gated {
            let hidden = per_token(&self.fc1, tokens);
            let [gate, value] = hidden.chunk(2, 2).try_into().expect("two halves");
            return per_token(&self.fc2, self.activation.apply(gate) * value);
        }
        let weights = [&self.fc1, &self.fc2].map(|layer| layer.weight.val());
        let kind = match self.activation {
            MlpActivation::Gelu => Some(Activation::Gelu),
            MlpActivation::QuickGelu => Some(Activation::QuickGelu),
            _ => None,
        };
        match (kind, &self.fc1.bias, &self.fc2.bias) {
            (Some(kind), Some(bias1), Some(bias2)) => {
                kernel::mlp(tokens, weights, [bias1.val(), bias2.val()], kind)
            }
            _ => per_token(&self.fc2, self.activation.apply(per_token(&self.fc1, tokens))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    #[test]
    fn activations_have_their_values_at_one() {
        let sigma = |x: f32| 1.0 / (1.0 + (-x).exp());
        for (activation, expected) in [
            (MlpActivation::QuickGelu, sigma(1.702)),
            (MlpActivation::Gelu, 0.841_344_7),
            (MlpActivation::GeluTanh, 0.841_192),
            (MlpActivation::Relu, 1.0),
            (MlpActivation::Silu, sigma(1.0)),
        ] {
            let one = Tensor::<3>::ones([1, 1, 1], &test_device());
            let got = activation.apply(one).into_scalar::<f32>();
            assert!((got - expected).abs() < 1e-5, "{activation:?}: {got} {expected}");
        }
    }

    #[test]
    fn a_gated_layer_scales_half_of_its_features_by_the_others() {
        let mut weights = InitialWeights::new(0, &test_device());
        let mut mlp = Mlp::gated(1, 1, MlpActivation::Relu, [Init::Constant(1.0); 2], &mut weights);
        mlp.fc1.weight = mlp.fc1.weight.map(|_| Tensor::from_floats([[2.0, 5.0]], &test_device()));
        let of =
            |x: f32| mlp.forward(Tensor::from_floats([[[x]]], &test_device())).into_scalar::<f32>();
        // max(2 x, 0) · 5 x.
        assert_eq!([of(3.0), of(-3.0)], [90.0, 0.0]);
    }
}
