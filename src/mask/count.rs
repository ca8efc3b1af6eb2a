//! From a ratio to the exact number of hidden cells.

use crate::error::{Error, Result, ensure};
use crate::grid::Grid;
use crate::limits;

/// `hidden` itself, when a mask of `grid` may hide so many cells: at least one cell is hidden and
/// at least one stays visible.
pub(super) fn checked(grid: Grid, hidden: usize) -> Result<usize> {
    let cells = checked_cells(grid)?;
    ensure!(
        hidden > 0 && hidden < cells,
        "a mask must hide at least one cell and leave at least one visible, got {hidden} hidden of \
         the {cells} cells of {grid}"
    );
    Ok(hidden)
}

/// The cells of `grid`, when they are not too many to draw masks on.
pub(super) fn checked_cells(grid: Grid) -> Result<usize> {
    limits::at_most("the cells of a mask", grid.cells(), limits::CELLS)?;
    Ok(grid.cells())
}

/// `ratio` itself, when it lies strictly between 0 and 1.
pub(super) fn checked_ratio(ratio: f64) -> Result<f64> {
    if ratio > 0.0 && ratio < 1.0 {
        return Ok(ratio);
    }
    Err(Error::config(format!(
        "a mask ratio must lie strictly between 0 (nothing hidden) and 1 (everything hidden), \
         got {ratio:?}"
    )))
}

/// The cells of `cells` that stay visible at `ratio`, rounded down in `f64` as MAE's and UM-MAE's
/// published code does: 100 cells at 0.9 keep 9.
pub(super) fn kept(cells: usize, ratio: f64) -> Result<usize> {
    Ok((cells as f64 * (1.0 - checked_ratio(ratio)?)) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_cells_are_rounded_down_in_double_precision() {
        assert_eq!(kept(196, 0.75).unwrap(), 49);
        assert_eq!(kept(100, 0.9).unwrap(), 9);
        assert_eq!(kept(49, 0.25).unwrap(), 36);
    }

    #[test]
    fn a_ratio_outside_the_open_unit_interval_is_named() {
        for ratio in [0.0, 1.0, -0.5, 1.5, f64::NAN, f64::INFINITY] {
            let message = checked_ratio(ratio).unwrap_err().to_string();
            assert!(message.ends_with(&format!("got {ratio:?}")), "{message}");
        }
    }

    #[test]
    fn hiding_nothing_or_everything_names_the_counts() {
        let grid = Grid::new(2, 3);
        for hidden in [0, 6, 7] {
            let message = checked(grid, hidden).unwrap_err().to_string();
            assert!(message.contains(&format!("got {hidden} hidden of the 6 cells of 2×3")));
        }
        assert_eq!(checked(grid, 5).unwrap(), 5);
    }
}
