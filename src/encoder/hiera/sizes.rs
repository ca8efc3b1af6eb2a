//! What follows from Hiera's sizes: grids, windows, and how stages attend.

use super::HieraConfig;
use crate::encoder::Stack;
use crate::grid::Grid;

/// How a block attends and pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attends {
    /// The tokens of which one is made.
    pub(super) pool: usize,
    /// The tokens of a window after pooling; `None` where all tokens are one window.
    pub(super) window: Option<usize>,
}

impl Attends {
    /// The number of windows of `tokens` before pooling.
    pub(super) fn windows(&self, tokens: usize) -> usize {
        self.window.map_or(1, |window| tokens / (self.pool * window.max(1)))
    }
}

impl HieraConfig {
    /// The grid of tokens of the first stage.
    pub fn grid(&self) -> Grid {
        self.grid_of([self.image.height, self.image.width])
    }

    /// The grid of tokens of an image of another height and width.
    pub(super) fn grid_of(&self, [height, width]: [usize; 2]) -> Grid {
        Grid::new(height / self.patch_stride[0], width / self.patch_stride[1])
    }

    /// The grid of a stage, counted from 0.
    pub fn stage_grid(&self, stage: usize) -> Grid {
        let Grid { rows, cols } = self.grid();
        let [down, right] = self.query_stride.map(|stride| to_the(stride, stage.min(self.pools)));
        Grid::new(rows / down, cols / right)
    }

    /// The grid of mask units.
    pub fn units(&self) -> Grid {
        let Grid { rows, cols } = self.grid();
        Grid::new(rows / self.unit[0], cols / self.unit[1])
    }

    /// Height and width of a cell of the features in pixels.
    pub fn stride(&self) -> [usize; 2] {
        let pooled = self.query_stride.map(|stride| to_the(stride, self.pools));
        [pooled[0] * self.patch_stride[0], pooled[1] * self.patch_stride[1]]
    }

    /// The tokens that lie together: as many as would become one if all stages but the first pooled.
    pub(super) fn group(&self) -> [usize; 2] {
        self.query_stride.map(|stride| to_the(stride, self.depths.len() - 1))
    }

    /// How the block of a stage attends, both counted from 0.
    pub(super) fn attends(&self, stage: usize, block: usize) -> Attends {
        let first = block == 0 && stage > 0;
        let within = self.unit_attention[stage] || first && self.unit_attention[stage - 1];
        // Also of stages that do not pool: the reference's.
        let window = area(self.unit) / area(self.query_stride.map(|stride| to_the(stride, stage)));
        Attends {
            pool: if first && stage <= self.pools { area(self.query_stride) } else { 1 },
            window: within.then_some(window.max(1)),
        }
    }

    /// The blocks of each stage in a step that shows them `units` mask units of an image.
    pub fn stacks(&self, units: usize) -> Vec<Stack> {
        let stages = self.depths.iter().enumerate();
        let stack = |(stage, &blocks): (usize, &usize)| Stack {
            tokens: units * area(self.unit) / self.pooled_area(stage),
            width: self.stage_width(stage),
            mlp_width: self.mlp_width(stage),
            blocks,
        };
        stages.map(stack).collect()
    }
}

/// The product of two sides.
pub(super) fn area([rows, cols]: [usize; 2]) -> usize {
    rows.saturating_mul(cols)
}

/// `base` to the power of `times`, or the largest number where it is larger.
pub(super) fn to_the(base: usize, times: usize) -> usize {
    base.saturating_pow(times as u32)
}
