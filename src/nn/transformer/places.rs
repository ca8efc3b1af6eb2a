//! Where tokens are.

use burn::tensor::Tensor;

use super::Transformer;
use crate::grid::Grid;
use crate::nn::Rotations;

/// Where a transformer's tokens are, as far as attention depends on it.
#[derive(Debug, Clone)]
pub struct Places {
    /// The grid that tables of relative positions are read on.
    pub grid: Grid,
    /// What turns queries and keys, where positions are rotary.
    pub rotations: Option<Rotations>,
}

impl From<Grid> for Places {
    /// Without rotary positions.
    fn from(grid: Grid) -> Self {
        Self { grid, rotations: None }
    }
}

impl Transformer {
    /// The places of the cells of `grid` after `first` other tokens, which have no place.
    pub fn places(&self, grid: Grid, first: usize) -> Places {
        Places { grid, rotations: self.rotations(grid).map(|rotations| rotations.after(first)) }
    }

    /// As [`Transformer::places`], of some of the cells: for each sample those rows of a table over
    /// the grid that `select` picks, `[cells, depth]` → `[batch, tokens, depth]`.
    pub fn places_of(
        &self,
        grid: Grid,
        first: usize,
        select: impl Fn(Tensor<2>) -> Tensor<3>,
    ) -> Places {
        let rotations = self.rotations(grid);
        let rotations = rotations.map(|rotations| rotations.select(select).after(first));
        Places { grid, rotations }
    }

    fn rotations(&self, grid: Grid) -> Option<Rotations> {
        let (base, attention) = (self.rotary?, &self.blocks.first()?.attention);
        let [width, _] = attention.out.weight.dims();
        let device = attention.out.weight.val().device();
        Some(Rotations::of_grid(grid, width / attention.heads, base, &device))
    }
}
