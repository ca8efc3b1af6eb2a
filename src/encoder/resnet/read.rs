//! How a ResNet reads images.

use burn::tensor::Tensor;

use crate::mask::VisibleMaps;
use crate::nn::{Moments, RunningNorm};

/// Whole images by what the norms remember, or visible cells by the statistics of these.
pub(super) struct Read {
    visible: Option<VisibleMaps>,
    /// Those of all norms that were computed, in order.
    pub(super) moments: Vec<Moments>,
}

impl Read {
    pub(super) fn whole() -> Self {
        Self { visible: None, moments: Vec::new() }
    }

    pub(super) fn visible(visible: VisibleMaps) -> Self {
        Self { visible: Some(visible), moments: Vec::new() }
    }

    /// Zeros at hidden cells.
    pub(super) fn only(&self, maps: Tensor<4>) -> Tensor<4> {
        match &self.visible {
            Some(visible) => visible.only(maps),
            None => maps,
        }
    }

    /// Normalized maps, zeros at hidden cells.
    pub(super) fn norm(&mut self, norm: &RunningNorm, maps: Tensor<4>) -> Tensor<4> {
        let Some(visible) = &self.visible else { return norm.forward(maps) };
        let (output, moments) = visible.batch_norm(&norm.norm, maps);
        self.moments.push(moments);
        output
    }
}
