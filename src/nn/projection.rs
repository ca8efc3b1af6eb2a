//! The heads of contrastive learning.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::{BatchNorm, Init, InitialWeights};

/// A few linear layers on one vector an image, each normalized over the batch, with a rectifier
/// between: the projectors and predictors of SimCLR, BYOL and NNCLR (arXiv 2104.14548 §4.1).
#[derive(Module, Debug)]
pub struct Projection {
    /// The layers, the first first.
    pub layers: Vec<ProjectionLayer>,
}

/// One layer of a [`Projection`].
#[derive(Module, Debug)]
pub struct ProjectionLayer {
    /// Without a bias where it is normalized.
    pub linear: Linear,
    /// The normalization, which the last layer may lack.
    pub norm: Option<BatchNorm>,
}

impl Projection {
    /// Layers from each of `widths` to the next; the last one's output is normalized over the batch
    /// if `last_norm` says so.
    ///
    /// # Panics
    ///
    /// When there are fewer than two widths.
    pub fn new(widths: &[usize], last_norm: bool, weights: &mut InitialWeights) -> Self {
        assert!(widths.len() > 1, "a projection needs an input and an output, got {widths:?}");
        let layers = (1..widths.len()).map(|layer| {
            let (inputs, outputs) = (widths[layer - 1], widths[layer]);
            let init = Init::XavierUniform;
            if last_norm || layer + 1 < widths.len() {
                let linear = weights.linear_without_bias(inputs, outputs, init);
                return ProjectionLayer { linear, norm: Some(BatchNorm::new(outputs, weights)) };
            }
            ProjectionLayer { linear: weights.linear(inputs, outputs, init), norm: None }
        });
        Self { layers: layers.collect() }
    }

    /// # Shapes
    ///
    /// - input: `[batch, first width]`
    /// - output: `[batch, last width]`
    pub fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let last = self.layers.len() - 1;
        self.layers.iter().enumerate().fold(input, |input, (index, layer)| {
            let output = layer.linear.forward(input);
            let output = match &layer.norm {
                Some(norm) => norm.forward(output),
                None => output,
            };
            if index < last { relu(output) } else { output }
        })
    }

    /// The number of parameters of layers from each of `widths` to the next, biases and norms left
    /// out.
    pub(crate) fn parameters(widths: &[usize]) -> usize {
        widths.windows(2).fold(0, |sum: usize, pair| {
            sum.saturating_add(crate::limits::product(&[pair[0], pair[1]]))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    #[test]
    fn only_a_last_layer_that_is_not_normalized_has_a_bias() {
        let weights = &mut InitialWeights::new(0, &test_device());
        let has = |projection: &Projection| -> Vec<(bool, bool)> {
            let layers = projection.layers.iter();
            layers.map(|layer| (layer.linear.bias.is_some(), layer.norm.is_some())).collect()
        };
        let normalized = Projection::new(&[4, 6, 3], true, weights);
        assert_eq!(has(&normalized), [(false, true), (false, true)]);
        let free = Projection::new(&[3, 6, 3], false, weights);
        assert_eq!(has(&free), [(false, true), (true, false)]);
        assert_eq!(Projection::parameters(&[4, 6, 3]), 4 * 6 + 6 * 3);
        let input = Tensor::<2>::ones([5, 4], &test_device());
        assert_eq!(free.forward(normalized.forward(input)).dims(), [5, 3]);
    }

    #[test]
    #[should_panic(expected = "needs an input and an output, got [4]")]
    fn a_projection_of_one_width_panics() {
        Projection::new(&[4], true, &mut InitialWeights::new(0, &test_device()));
    }
}
