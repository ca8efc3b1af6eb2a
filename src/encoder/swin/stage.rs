//! Blocks over one grid, and the merging that ends them.

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;

use super::PatchMerging;
use crate::grid::Grid;
use crate::nn::{DropPath, Dropped, Windows, WindowsCache, checkpointed};

/// A block whose attention stays within windows.
pub trait WindowBlock: Module + ModuleDisplay + Sync + 'static {
    /// The name of a transformer of such blocks.
    const TITLE: &'static str;

    /// The drop path of its two branches.
    fn drop_path(&self) -> &DropPath;

    /// The same weights with another probability to drop each branch.
    fn with_drop_path(self, probability: f64) -> Self;

    /// The tokens after this block, whose branches are `dropped` for some samples.
    ///
    /// # Shapes
    ///
    /// - tokens: `[batch, cells, width]`
    /// - output: the same
    fn compute(&self, tokens: Tensor<3>, windows: &Windows, dropped: &[Dropped; 2]) -> Tensor<3>;

    /// The tokens after this block, [`checkpointed`].
    ///
    /// # Shapes
    ///
    /// - tokens: `[batch, cells, width]`
    /// - output: the same
    fn forward(&self, tokens: Tensor<3>, windows: &Windows) -> Tensor<3> {
        let (windows, dropped) = (windows.clone(), self.drop_path().draw_two(&tokens));
        checkpointed(self, tokens, None, move |block, tokens, _| {
            block.compute(tokens, &windows, &dropped)
        })
    }
}

/// One stage: every second block sees shifted windows.
#[derive(Module, Debug)]
pub struct Stage<B: Module> {
    /// The blocks.
    pub blocks: Vec<B>,
    /// The merging that leads to the next stage, if there is one.
    pub merging: Option<PatchMerging>,
    #[module(skip)]
    pub(super) window: StageWindow,
    #[module(skip)]
    pub(super) windows: WindowsCache,
}

/// The parts of a stage.
pub(in crate::encoder) struct StageParts<B> {
    pub(in crate::encoder) window: StageWindow,
    pub(in crate::encoder) blocks: Vec<B>,
    /// Whether the merging's norm comes after its linear layer.
    pub(in crate::encoder) norm_last: bool,
}

/// The rule for the windows of a stage's blocks on any grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::encoder) struct StageWindow {
    side: usize,
    shift: usize,
    shrinks: bool,
}

impl StageWindow {
    /// Windows that shrink to the shorter side of a grid that is not larger, unshifted then.
    pub(in crate::encoder) fn shrinking(side: usize) -> Self {
        Self { side, shift: side / 2, shrinks: true }
    }

    /// Windows of one size and shift, whatever grid is read.
    pub(in crate::encoder) fn fixed(side: usize, shift: usize) -> Self {
        Self { side, shift, shrinks: false }
    }

    /// Side and shift of the windows over `grid`.
    fn over(self, grid: Grid) -> (usize, usize) {
        let shorter = grid.rows.min(grid.cols);
        if self.shrinks && shorter <= self.side { (shorter, 0) } else { (self.side, self.shift) }
    }
}

impl<B: WindowBlock> Stage<B> {
    /// The tokens after the last block, before they are merged.
    ///
    /// # Shapes
    ///
    /// - tokens: `[batch, cells, width]`
    /// - output: the same
    pub fn forward(&self, tokens: Tensor<3>, grid: Grid) -> Tensor<3> {
        self.forward_seen(tokens, grid, |_| {})
    }

    /// As [`Stage::forward`]; `see` is shown the tokens after every block.
    pub(super) fn forward_seen(
        &self,
        mut tokens: Tensor<3>,
        grid: Grid,
        mut see: impl FnMut(&Tensor<3>),
    ) -> Tensor<3> {
        let ([batch, ..], device) = (tokens.dims(), tokens.device());
        let (side, shift) = self.window.over(grid);
        let [plain, shifted] =
            [0, shift].map(|shift| self.windows.get(grid, side, shift, batch, &device));
        for (index, block) in self.blocks.iter().enumerate() {
            let windows = if index % 2 == 0 { &plain } else { &shifted };
            tokens = block.forward(tokens, windows);
            see(&tokens);
        }
        tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_shrink_to_the_shorter_side_and_lose_their_shift() {
        let window = StageWindow::shrinking(7);
        assert_eq!(window.over(Grid::new(14, 8)), (7, 3));
        assert_eq!(window.over(Grid::new(14, 7)), (7, 0));
        assert_eq!(window.over(Grid::new(5, 14)), (5, 0));
        assert_eq!(StageWindow::fixed(7, 3).over(Grid::new(5, 14)), (7, 3));
    }
}
