//! One sample's mask: which cells of a grid are hidden.

use std::fmt;
use std::iter::repeat_n;

use crate::error::{Error, Result};
use crate::grid::Grid;

/// Which cells of a grid are hidden, row-major: `true` = hidden.
///
/// Its [`Display`](fmt::Display) form draws the grid, one row a line, `█` hidden and `·` visible.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UnitMask {
    grid: Grid,
    bits: Vec<bool>,
}

impl UnitMask {
    /// A mask of `grid` from its row-major `bits`, `true` = hidden.
    ///
    /// # Errors
    ///
    /// When the number of bits differs from the number of the grid's cells.
    pub fn new(grid: Grid, bits: Vec<bool>) -> Result<Self> {
        if bits.len() != grid.cells() {
            return Err(Error::config(format!(
                "a mask of {grid} needs {} bits, got {}",
                grid.cells(),
                bits.len()
            )));
        }
        Ok(Self { grid, bits })
    }

    /// A mask of `grid` that hides nothing.
    pub fn all_visible(grid: Grid) -> Self {
        Self { grid, bits: vec![false; grid.cells()] }
    }

    /// A mask of `grid` that hides the cells of the row-major indices `hidden`, in any order; a
    /// repeated index counts once.
    ///
    /// # Errors
    ///
    /// When an index lies outside the grid.
    pub fn from_indices(grid: Grid, hidden: impl IntoIterator<Item = usize>) -> Result<Self> {
        super::count::checked_cells(grid)?;
        let mut mask = Self::all_visible(grid);
        for index in hidden {
            *mask.bits.get_mut(index).ok_or_else(|| {
                Error::config(format!(
                    "cell {index} lies outside a mask of {grid}, whose {} cells count from 0",
                    grid.cells()
                ))
            })? = true;
        }
        Ok(mask)
    }

    /// A mask from bits that a strategy made for `grid` itself.
    pub(super) fn from_bits(grid: Grid, bits: Vec<bool>) -> Self {
        debug_assert_eq!(bits.len(), grid.cells());
        Self { grid, bits }
    }

    /// The grid of mask units.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// Whether the cell at `row`, `col` is hidden.
    ///
    /// # Panics
    ///
    /// When the cell lies outside the grid.
    pub fn is_hidden(&self, row: usize, col: usize) -> bool {
        assert!(
            row < self.grid.rows && col < self.grid.cols,
            "cell ({row}, {col}) lies outside a mask of {}",
            self.grid
        );
        self.bits[row * self.grid.cols + col]
    }

    /// Every cell, row-major: `true` = hidden.
    pub fn bits(&self) -> &[bool] {
        &self.bits
    }

    /// The number of hidden cells.
    pub fn hidden(&self) -> usize {
        self.bits.iter().filter(|&&bit| bit).count()
    }

    /// The number of visible cells.
    pub fn visible(&self) -> usize {
        self.bits.len() - self.hidden()
    }

    /// The row-major indices of the hidden cells, ascending.
    pub fn hidden_indices(&self) -> impl Iterator<Item = usize> + '_ {
        self.indices(true)
    }

    /// The row-major indices of the visible cells, ascending.
    pub fn visible_indices(&self) -> impl Iterator<Item = usize> + '_ {
        self.indices(false)
    }

    /// The same mask read on the finer `grid`: a hidden unit hides all the cells it covers.
    ///
    /// # Errors
    ///
    /// When `grid` does not cut every unit into `scale` × `scale` cells, with one whole scale.
    pub fn at(&self, grid: Grid) -> Result<Self> {
        let scale = self.grid.refinement(grid).ok_or_else(|| {
            Error::config(format!(
                "a mask of {} cannot be read on a grid of {grid}: rows and columns must grow by \
                 the same whole factor",
                self.grid
            ))
        })?;
        let mut bits = Vec::with_capacity(grid.cells());
        for row in 0..self.grid.rows {
            let start = bits.len();
            for &bit in &self.bits[row * self.grid.cols..][..self.grid.cols] {
                bits.extend(repeat_n(bit, scale));
            }
            for _ in 1..scale {
                bits.extend_from_within(start..start + grid.cols);
            }
        }
        Ok(Self { grid, bits })
    }

    /// The mask that hides what this one shows, and shows what it hides.
    pub fn inverted(&self) -> Self {
        Self { grid: self.grid, bits: self.bits.iter().map(|bit| !bit).collect() }
    }

    fn indices(&self, wanted: bool) -> impl Iterator<Item = usize> + '_ {
        self.bits.iter().enumerate().filter_map(move |(i, &bit)| (bit == wanted).then_some(i))
    }
}

impl fmt::Display for UnitMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in 0..self.grid.rows {
            if row > 0 {
                writeln!(f)?;
            }
            for col in 0..self.grid.cols {
                f.write_str(if self.is_hidden(row, col) { "█" } else { "·" })?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GRID: Grid = Grid::new(2, 3);

    #[test]
    fn a_mask_reads_row_by_row() {
        let mask = UnitMask::from_indices(GRID, [4, 0, 2, 4]).unwrap();
        assert_eq!(mask.bits(), [true, false, true, false, true, false]);
        assert_eq!(mask.to_string(), "█·█\n·█·");
        assert!(mask.is_hidden(1, 1) && !mask.is_hidden(1, 2));
        assert_eq!((mask.hidden(), mask.visible()), (3, 3));
        assert_eq!(mask.hidden_indices().collect::<Vec<_>>(), [0, 2, 4]);
        assert_eq!(mask.visible_indices().collect::<Vec<_>>(), [1, 3, 5]);
        assert_eq!(UnitMask::new(GRID, mask.bits().to_vec()).unwrap(), mask);
    }

    #[test]
    fn a_visible_mask_hides_nothing() {
        let mask = UnitMask::all_visible(GRID);
        assert_eq!((mask.grid(), mask.hidden()), (GRID, 0));
        assert_eq!(mask.visible_indices().count(), 6);
    }

    #[test]
    fn bits_and_indices_must_fit_the_grid() {
        let message = UnitMask::new(GRID, vec![true; 5]).unwrap_err().to_string();
        assert_eq!(message, "invalid configuration: a mask of 2×3 needs 6 bits, got 5");
        let message = UnitMask::from_indices(GRID, [0, 6]).unwrap_err().to_string();
        assert!(message.contains("cell 6 lies outside a mask of 2×3"), "{message}");
    }

    #[test]
    #[should_panic(expected = "cell (0, 3) lies outside a mask of 2×3")]
    fn a_column_outside_the_grid_is_not_the_next_row() {
        UnitMask::all_visible(GRID).is_hidden(0, 3);
    }

    #[test]
    fn a_finer_grid_repeats_every_unit() {
        let mask = UnitMask::from_indices(GRID, [0, 5]).unwrap();
        let fine = mask.at(Grid::new(4, 6)).unwrap();
        assert_eq!(fine.to_string(), "██····\n██····\n····██\n····██");
        assert_eq!(mask.at(GRID).unwrap(), mask);
    }

    #[test]
    fn a_grid_that_is_no_refinement_is_named_beside_the_masks_own() {
        let message = UnitMask::all_visible(GRID).at(Grid::new(4, 9)).unwrap_err().to_string();
        assert!(message.contains("a mask of 2×3 cannot be read on a grid of 4×9"), "{message}");
    }

    proptest! {
        #[test]
        fn a_finer_grid_multiplies_the_counts(
            rows in 1usize..=20,
            cols in 1usize..=20,
            scale in 1usize..=4,
            bits in prop::collection::vec(any::<bool>(), 400),
        ) {
            let grid = Grid::new(rows, cols);
            let mask = UnitMask::new(grid, bits[..grid.cells()].to_vec()).unwrap();
            let fine = mask.at(Grid::new(rows * scale, cols * scale)).unwrap();
            prop_assert_eq!(fine.hidden(), mask.hidden() * scale * scale);
            for cell in 0..fine.grid().cells() {
                let (row, col) = (cell / fine.grid().cols, cell % fine.grid().cols);
                prop_assert_eq!(fine.is_hidden(row, col), mask.is_hidden(row / scale, col / scale));
            }
        }
    }
}
