//! The residual network under masks: a sparse convolution, in the words of dense ones.

use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::residual::{ConvNorm, ResidualBlock, ResidualNet};
use super::{Encoder, FeatureMaps, check_channels};
use crate::mask::{Mask, VisibleMaps};
use crate::nn::convolve;

/// What a visible cell becomes is what a convolution of visible cells alone makes of it (SparK, Tian et
/// al. 2023, arXiv 2301.03580 §3.1).
impl Encoder for ResidualNet {
    type Images = Tensor<4>;
    type Features = FeatureMaps;

    /// The features that each stage leaves, zeros at hidden cells.
    ///
    /// # Panics
    ///
    /// When the images have other channels, or a mask unit is not a whole number of cells of the last
    /// stage.
    fn encode(&self, images: Tensor<4>, mask: &Mask) -> FeatureMaps {
        check_channels(&images, self.stem.weight.dims()[1]);
        let visible = VisibleMaps::new(mask, &images);
        let features = convolve(&self.stem, visible.only(images));
        let mut features = visible.only(relu(features));
        let mut stages = Vec::new();
        for block in &self.blocks {
            if block.first.conv.stride[0] > 1 {
                stages.push(features.clone());
            }
            features = block.encode(features, &visible);
        }
        stages.push(features);
        FeatureMaps { stages }
    }
}

impl ResidualBlock {
    /// The block over visible cells.
    fn encode(&self, features: Tensor<4>, visible: &VisibleMaps) -> Tensor<4> {
        let ConvNorm { conv, norm } = &self.first;
        let branch = visible.rectified_norm(norm, convolve(conv, features.clone()));
        let branch = self.second.encode(branch, visible);
        let identity = match &self.projection {
            Some(projection) => projection.encode(features, visible),
            None => features,
        };
        relu(identity + branch)
    }
}

impl ConvNorm {
    fn encode(&self, features: Tensor<4>, visible: &VisibleMaps) -> Tensor<4> {
        visible.norm(&self.norm, convolve(&self.conv, features))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::{Backbone, ResidualConfig};
    use crate::grid::Grid;
    use crate::mask::UnitMask;
    use crate::nn::{Init, InitialWeights};
    use crate::test_device;
    use burn::tensor::Tolerance;

    fn net() -> ResidualNet {
        let config = ResidualConfig::new(2).with_widths(vec![8, 12]).with_groups(2).with_blocks(2);
        config.init(&mut InitialWeights::new(0, &test_device()))
    }

    fn images(seed: u64) -> Tensor<4> {
        let init = Init::Normal { std: 1.0 };
        InitialWeights::new(seed, &test_device()).param([2, 2, 8, 12], init).val()
    }

    fn mask(hidden: [&[usize]; 2]) -> Mask {
        let masks =
            hidden.map(|hidden| UnitMask::from_indices(Grid::new(2, 3), hidden.to_vec()).unwrap());
        Mask::new(masks, &test_device()).unwrap()
    }

    #[test]
    fn with_nothing_hidden_the_stages_are_those_of_whole_images() {
        let net = net();
        let stages = net.encode(images(1), &mask([&[], &[]])).stages;
        let sizes: Vec<_> = stages.iter().map(Tensor::dims).collect();
        assert_eq!(sizes, [[2, 8, 8, 12], [2, 12, 4, 6]]);
        for (stage, whole) in stages.iter().zip(net.stages(images(1))) {
            let tokens = stage.clone().flatten::<3>(2, 3).swap_dims(1, 2).into_data();
            tokens.assert_approx_eq::<f32>(&whole.tokens.into_data(), Tolerance::absolute(1e-4));
        }
    }

    #[test]
    fn no_hidden_pixel_reaches_a_feature_and_hidden_cells_are_zeros() {
        let (net, mask) = (net(), mask([&[0, 4], &[2, 3]]));
        let visible = VisibleMaps::new(&mask, &images(1));
        let hidden = |grid: Grid| visible.on(grid).0.neg() + 1.0;
        let changed = images(1) + hidden(Grid::new(8, 12)) * 5.0;
        let pairs = net.encode(images(1), &mask).stages.into_iter();
        for (one, other) in pairs.zip(net.encode(changed, &mask).stages) {
            one.clone().into_data().assert_eq(&other.into_data(), true);
            let [.., rows, cols] = one.dims();
            let left = one * hidden(Grid::new(rows, cols));
            assert_eq!(left.abs().max().into_scalar::<f32>(), 0.0);
        }
    }
}
