//! The head of DINO.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::Tensor;

use super::{Init, InitialWeights, unit};
use crate::kernel::{self, gelu};

/// Linear layers with a GELU between, whose output is scaled to length 1 and compared with one vector
/// for each of the head's outputs (DINO, arXiv 2104.14294, appendix C).
#[derive(Module, Debug)]
pub struct DinoHead {
    /// The layers, the first first.
    pub layers: Vec<Linear>,
    /// One vector for each output, of which only the direction counts, `[bottleneck, outputs]`.
    pub directions: Param<Tensor<2>>,
    /// What the cosines are multiplied by, `[1, outputs]`; 1 where there is none.
    pub lengths: Option<Param<Tensor<2>>>,
}

impl DinoHead {
    /// Layers from each of `widths` to the next, and `outputs` vectors, whose lengths are trained if
    /// `lengths` says so. Layers start normal with 0.02, vectors with the variance of PyTorch's linear
    /// layer, which sets how fast a direction turns.
    ///
    /// # Panics
    ///
    /// When there is no width.
    pub fn new(
        widths: &[usize],
        outputs: usize,
        lengths: bool,
        weights: &mut InitialWeights,
    ) -> Self {
        let bottleneck = *widths.last().expect("a head needs an input");
        let init = Init::Normal { std: 0.02 };
        let layers = widths.windows(2).map(|pair| weights.linear(pair[0], pair[1], init)).collect();
        let directions =
            weights.param([bottleneck, outputs], Init::of_fan_in(bottleneck, 1.0 / 3.0));
        let lengths = lengths.then(|| weights.param([1, outputs], Init::Constant(1.0)));
        Self { layers, directions, lengths }
    }

    /// What the layers make of features: `[.., width]` to `[.., bottleneck]`.
    pub fn bottleneck<const D: usize>(&self, features: Tensor<D>) -> Tensor<D> {
        let apply = |layer: &Linear, features| {
            let bias = layer.bias.as_ref().map(|bias| bias.val());
            kernel::linear(features, layer.weight.val(), bias)
        };
        let [first, rest @ ..] = &self.layers[..] else { return features };
        let first = apply(first, features);
        rest.iter().fold(first, |features, layer| apply(layer, gelu(features)))
    }

    /// The outputs of what [`bottleneck`](Self::bottleneck) made, scaled to length 1: `[.., bottleneck]`
    /// to `[.., outputs]`. They are linear in it.
    pub fn outputs<const D: usize>(&self, narrow: Tensor<D>) -> Tensor<D> {
        let directions = unit(self.directions.val(), 0);
        let weight = match &self.lengths {
            Some(lengths) => directions * lengths.val(),
            None => directions,
        };
        kernel::linear(narrow, weight, None)
    }

    /// The outputs of features: `[.., width]` to `[.., outputs]`.
    pub fn forward<const D: usize>(&self, features: Tensor<D>) -> Tensor<D> {
        self.outputs(unit(self.bottleneck(features), D - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    #[test]
    fn outputs_are_cosines_times_lengths() {
        let weights = &mut InitialWeights::new(0, &test_device());
        let mut head = DinoHead::new(&[2], 2, true, weights);
        let vectors = Tensor::from_floats([[0.0, 5.0], [0.5, 0.0]], &test_device());
        head.directions = Param::from_tensor(vectors);
        head.lengths = Some(Param::from_tensor(Tensor::from_floats([[1.0, 2.0]], &test_device())));
        let outputs = head.forward(Tensor::<2>::from_floats([[3.0, 4.0]], &test_device()));
        let outputs: Vec<f32> = outputs.into_data().iter().collect();
        assert!((outputs[0] - 0.8).abs() < 1e-6 && (outputs[1] - 1.2).abs() < 1e-6, "{outputs:?}");
    }
}
