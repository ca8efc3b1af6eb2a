//! What the norms of maps have in common.

use burn::tensor::{DType, Tensor, assert_shape};

/// What a norm of maps reads.
///
/// # Shapes
///
/// - maps: `[batch, channels, rows, cols]`
/// - γ and β: `[channels]`
/// - visible: `[batch, 1, rows, cols]`, zeros and ones; none stands for all pixels
pub(super) struct MapNorm {
    pub(super) maps: Tensor<4>,
    pub(super) weights: [Tensor<1>; 2],
    pub(super) visible: Option<Tensor<4>>,
}

impl MapNorm {
    /// # Panics
    ///
    /// When the shapes are not these.
    pub(super) fn check_shapes(&self) {
        let [batch, channels, rows, cols] = self.maps.dims();
        if let Some(visible) = &self.visible {
            assert_shape!(visible, [batch, 1, rows, cols]);
        }
        let [gamma, beta] = &self.weights;
        assert_shape!(gamma, [channels]);
        assert_shape!(beta, [channels]);
    }

    pub(super) fn is_half(&self) -> bool {
        matches!(self.maps.dtype(), DType::F16 | DType::BF16)
    }

    /// The same in f32.
    pub(super) fn in_single(self) -> Self {
        Self {
            maps: self.maps.cast(DType::F32),
            weights: self.weights.map(|weight| weight.cast(DType::F32)),
            visible: self.visible.map(|visible| visible.cast(DType::F32)),
        }
    }

    /// Whether all of it can go into a kernel.
    #[cfg(feature = "flex")]
    pub(super) fn fits(&self) -> bool {
        super::fits(&self.maps)
            && self.weights.iter().all(super::fits)
            && self.visible.as_ref().is_none_or(super::fits)
    }
}

/// What of `maps` is visible, ones where nothing is said of it.
pub(super) fn shown(visible: Option<Tensor<4>>, maps: &Tensor<4>) -> Tensor<4> {
    let [batch, _, rows, cols] = maps.dims();
    visible.unwrap_or_else(|| Tensor::ones([batch, 1, rows, cols], (&maps.device(), maps.dtype())))
}
