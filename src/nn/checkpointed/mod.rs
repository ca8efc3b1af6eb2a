//! Blocks that keep nothing but their input for the backward pass, and are computed again there
//! (Chen et al. 2016, arXiv 1604.06174).

#[cfg(feature = "extension")]
mod record;
#[cfg(feature = "extension")]
mod segment;

use burn::module::Module;
use burn::tensor::{GradientCheckpointingStrategy, Tensor};

/// `forward(block, tokens, bias)`; on a device with gradient checkpointing what lies between is not
/// kept, but computed a second time when the gradients need it.
///
/// Values and gradients equal those without checkpointing to the bit. `forward` must draw no random
/// numbers, because the second time would draw other ones. On backends that are not compiled into
/// this crate everything is kept.
///
/// # Shapes
///
/// - tokens: `[batch, tokens, width]`
/// - bias: what `forward` takes; it has a gradient too
/// - output: what `forward` returns
pub fn checkpointed<M: Module + Sync + 'static>(
    block: &M,
    tokens: Tensor<3>,
    bias: Option<Tensor<4>>,
    forward: impl Fn(&M, Tensor<3>, Option<Tensor<4>>) -> Tensor<3> + Send + Sync + 'static,
) -> Tensor<3> {
    let strategy = tokens.gradient_checkpointing_strategy();
    if strategy != Some(GradientCheckpointingStrategy::Balanced) {
        return forward(block, tokens, bias);
    }
    #[cfg(feature = "extension")]
    {
        let parameters = segment::flattened(block, &bias);
        let plain = bias.clone().map(Tensor::inner);
        let segment = segment::Segment { block: block.valid(), bias: plain, forward };
        let segment = std::sync::Arc::new(segment);
        if let Some(output) = record::record(&tokens, &parameters, segment.clone()) {
            return output;
        }
        (segment.forward)(block, tokens, bias)
    }
    #[cfg(not(feature = "extension"))]
    forward(block, tokens, bias)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{
        AttentionConfig, Block, BlockConfig, Init, InitialWeights, MlpActivation, NormKind, QkvBias,
    };
    use crate::test_device;
    use burn::tensor::{Device, TensorData};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn block(weights: &mut InitialWeights) -> Block {
        let init = Init::Normal { std: 0.3 };
        let qkv_bias = QkvBias::QueryValue;
        let attention = AttentionConfig { qkv_bias, ..AttentionConfig::new(8, 2, init) };
        let config = BlockConfig {
            attention,
            mlp_width: 12,
            activation: MlpActivation::Gelu,
            gated: false,
            norm: NormKind::Layer,
            norm_epsilon: 1e-6,
            post_norm: false,
            layer_scale: Some(0.5),
            drop_path: 0.0,
        };
        config.init(weights)
    }

    /// The output of two blocks, the gradients of tokens, bias and two parameters of each block, and
    /// how often a block was computed.
    fn run(device: &Device) -> (Vec<TensorData>, usize) {
        let mut weights = InitialWeights::new(0, device);
        let blocks = [block(&mut weights), block(&mut weights)];
        let normal = Init::Normal { std: 1.0 };
        let tokens = weights.param([2, 5, 8], normal).val();
        let bias = weights.param([1, 2, 5, 5], normal).val();
        let computed = Arc::new(AtomicUsize::new(0));
        let output = blocks.iter().fold(tokens.clone(), |tokens, block| {
            let computed = computed.clone();
            checkpointed(block, tokens, Some(bias.clone()), move |block, tokens, bias| {
                computed.fetch_add(1, Ordering::Relaxed);
                block.forward(tokens, bias)
            })
        });
        let gradients = output.clone().powi_scalar(3).sum().backward();
        let mut values = vec![output.into_data()];
        values.extend(tokens.grad(&gradients).map(Tensor::into_data));
        values.extend(bias.grad(&gradients).map(Tensor::into_data));
        for block in &blocks {
            values.extend(block.norm1.gamma.val().grad(&gradients).map(Tensor::into_data));
            values.extend(block.mlp.fc2.weight.val().grad(&gradients).map(Tensor::into_data));
        }
        (values, computed.load(Ordering::Relaxed))
    }

    #[test]
    fn blocks_computed_twice_have_the_bits_of_blocks_computed_once() {
        let device = test_device().autodiff();
        let ((once, two), (twice, four)) = (run(&device), run(&device.gradient_checkpointing()));
        assert_eq!((once.len(), two, four), (7, 2, 4));
        assert_eq!(once, twice);
    }

    #[test]
    fn a_frozen_block_passes_the_gradient_on() {
        let device = test_device().autodiff().gradient_checkpointing();
        let mut weights = InitialWeights::new(0, &device);
        let block = block(&mut weights).no_grad();
        let tokens = weights.param([2, 5, 8], Init::Normal { std: 1.0 }).val();
        let forward = |block: &Block, tokens, bias| block.forward(tokens, bias);
        let gradients = checkpointed(&block, tokens.clone(), None, forward).sum().backward();
        assert!(tokens.grad(&gradients).is_some());
        assert!(block.norm1.gamma.val().grad(&gradients).is_none());
    }

    #[test]
    fn a_block_above_frozen_ones_is_trained() {
        let device = test_device().autodiff().gradient_checkpointing();
        let mut weights = InitialWeights::new(0, &device);
        let block = block(&mut weights);
        let tokens = weights.param([2, 5, 8], Init::Normal { std: 1.0 }).val().detach();
        let forward = |block: &Block, tokens, bias| block.forward(tokens, bias);
        let gradients = checkpointed(&block, tokens, None, forward).sum().backward();
        assert!(block.norm1.gamma.val().grad(&gradients).is_some());
    }
}
