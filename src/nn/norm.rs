//! Norms of each token's features.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use super::{Init, InitialWeights};
use crate::error::{Result, ensure};
use crate::kernel;

/// What a [`Norm`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormKind {
    /// Takes the mean away and divides by the deviation; with a bias (arXiv 1607.06450).
    Layer,
    /// Divides by the root of the mean square; without a bias (arXiv 1910.07467).
    RootMeanSquare,
}

/// Checks that a norm divides by a number, whatever the features.
pub(crate) fn check_norm_epsilon(epsilon: f64) -> Result<()> {
    ensure!(
        epsilon as f32 > 0.0 && (epsilon as f32).is_finite(),
        "norm_epsilon must be finite and above 0, got {epsilon:?}"
    );
    Ok(())
}

/// A norm over each token's features: layer normalization, or without `beta` x / √(mean(x²) + ε) · γ.
#[derive(Module, Debug)]
pub struct Norm {
    /// The scale of each feature.
    pub gamma: Param<Tensor<1>>,
    /// What is added to each feature by a layer norm; a root-mean-square norm has none.
    pub beta: Option<Param<Tensor<1>>>,
    /// Added to the variance, or to the mean square.
    pub epsilon: f64,
}

impl InitialWeights {
    /// A layer norm of weight 1 and bias 0.
    pub fn norm(&self, width: usize, epsilon: f64) -> Norm {
        Norm::layer(width, epsilon, self.device())
    }

    /// A norm of weight 1 and, where it has one, bias 0.
    pub fn norm_of(&mut self, kind: NormKind, width: usize, epsilon: f64) -> Norm {
        match kind {
            NormKind::Layer => self.norm(width, epsilon),
            NormKind::RootMeanSquare => {
                Norm { gamma: self.param([width], Init::Constant(1.0)), beta: None, epsilon }
            }
        }
    }
}

impl Norm {
    /// A layer norm of weight 1 and bias 0.
    pub fn layer(width: usize, epsilon: f64, device: &Device) -> Self {
        let [gamma, beta] =
            [Initializer::Ones, Initializer::Zeros].map(|start| start.init([width], device));
        Self { gamma, beta: Some(beta), epsilon }
    }

    /// The tokens, each normalized over its features, then scaled and moved. Tokens of half
    /// precision stay so, but what happens to them is computed in f32.
    ///
    /// # Shapes
    ///
    /// - tokens: `[.., width]`
    /// - output: the same
    ///
    /// # Panics
    ///
    /// When the tokens are of another width.
    pub fn forward<const D: usize>(&self, tokens: Tensor<D>) -> Tensor<D> {
        let (gamma, beta) = (self.gamma.val(), self.beta.as_ref().map(|beta| beta.val()));
        let dtype = tokens.dtype();
        // As in PyTorch's autocast; f16 would not hold the sum of squares.
        if !matches!(dtype, DType::F16 | DType::BF16) {
            return normalize(tokens, gamma, beta, self.epsilon);
        }
        let whole = |parameter: Tensor<1>| parameter.cast(DType::F32);
        let (gamma, beta) = (whole(gamma), beta.map(whole));
        normalize(tokens.cast(DType::F32), gamma, beta, self.epsilon).cast(dtype)
    }
}

fn normalize<const D: usize>(
    tokens: Tensor<D>,
    gamma: Tensor<1>,
    beta: Option<Tensor<1>>,
    epsilon: f64,
) -> Tensor<D> {
    match beta {
        Some(beta) => kernel::layer_norm(tokens, gamma, beta, epsilon),
        None => kernel::root_mean_square_norm(tokens, gamma, epsilon),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::InitialWeights;
    use crate::test_device;
    use burn::tensor::{TensorData, Tolerance};

    #[test]
    fn the_norm_divides_by_the_root_of_the_mean_square() {
        let mut weights = InitialWeights::new(0, &test_device());
        let mut norm = weights.norm_of(NormKind::RootMeanSquare, 2, 0.5);
        norm.gamma = Param::from_tensor(Tensor::from_floats([1.0, 10.0], &test_device()));
        let out = norm.forward(Tensor::<3>::from_floats([[[1.0, 4.0]]], &test_device()));
        // √((1 + 16) / 2 + 0.5) = 3.
        let expected = TensorData::from([[[1.0f32 / 3.0, 40.0 / 3.0]]]);
        out.into_data().assert_approx_eq::<f32>(&expected, Tolerance::default());
    }
}
