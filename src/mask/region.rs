//! One region, hidden or spared: for inpainting, outpainting and studies of what a model fills in.

use rand::{Rng, RngExt};

use super::{MaskStrategy, UnitMask, count};
use crate::error::{Error, Result};
use crate::grid::Grid;

/// Hides one rectangle, or everything but one.
///
/// Context encoders (arXiv 1604.07379 §3.3 "Region masks") fill in a central region; SimMIM (arXiv
/// 2111.09886 §3.2) compares random units with a square at a random place. Where the grid and a
/// centered rectangle differ by an odd number of cells, the rectangle lies half a cell towards the
/// top left.
#[derive(Debug, Clone)]
pub struct RegionMask {
    hidden: usize,
    region: Region,
}

#[derive(Debug, Clone)]
enum Region {
    /// The same mask for every sample.
    Still(UnitMask),
    /// A hidden square at a random place.
    Square { grid: Grid, side: usize },
}

impl RegionMask {
    /// Hides the central `rows` × `cols` cells of `grid`, in every sample.
    ///
    /// # Errors
    ///
    /// When the region is empty, larger than the grid, or all of it.
    pub fn central(grid: Grid, rows: usize, cols: usize) -> Result<Self> {
        Self::still(central_rectangle(grid, Grid::new(rows, cols))?)
    }

    /// Hides a central rectangle of the grid's own proportions: its sides are √`ratio` of the
    /// grid's, rounded to whole cells, so the hidden share is near `ratio`.
    ///
    /// # Errors
    ///
    /// When `ratio` is not strictly between 0 and 1, or rounds to nothing or everything.
    pub fn central_ratio(grid: Grid, ratio: f64) -> Result<Self> {
        let region = scaled(grid, count::checked_ratio(ratio)?);
        Self::central(grid, region.rows, region.cols)
    }

    /// Hides everything but the central `rows` × `cols` cells of `grid`, in every sample.
    ///
    /// # Errors
    ///
    /// When the region is empty, larger than the grid, or all of it.
    pub fn border(grid: Grid, rows: usize, cols: usize) -> Result<Self> {
        let center = central_rectangle(grid, Grid::new(rows, cols))?;
        Self::still(UnitMask::from_indices(grid, center.visible_indices())?)
    }

    /// Hides everything but a central rectangle of the grid's own proportions: its sides are
    /// √(1 − `ratio`) of the grid's, rounded to whole cells, so the hidden share is near `ratio`.
    ///
    /// # Errors
    ///
    /// When `ratio` is not strictly between 0 and 1, or rounds to nothing or everything.
    pub fn border_ratio(grid: Grid, ratio: f64) -> Result<Self> {
        let region = scaled(grid, 1.0 - count::checked_ratio(ratio)?);
        Self::border(grid, region.rows, region.cols)
    }

    /// Hides a square of `side` × `side` cells, anywhere in `grid` with equal probability.
    ///
    /// # Errors
    ///
    /// When the square is empty, larger than the grid, or all of it.
    pub fn square(grid: Grid, side: usize) -> Result<Self> {
        check_fits(grid, Grid::square(side))?;
        let hidden = count::checked(grid, side.saturating_mul(side))?;
        Ok(Self { hidden, region: Region::Square { grid, side } })
    }

    fn still(mask: UnitMask) -> Result<Self> {
        let hidden = count::checked(mask.grid(), mask.hidden())?;
        Ok(Self { hidden, region: Region::Still(mask) })
    }
}

impl MaskStrategy for RegionMask {
    fn grid(&self) -> Grid {
        match &self.region {
            Region::Still(mask) => mask.grid(),
            Region::Square { grid, .. } => *grid,
        }
    }

    fn hidden(&self) -> usize {
        self.hidden
    }

    fn sample(&self, rng: &mut dyn Rng) -> UnitMask {
        match self.region {
            Region::Still(ref mask) => mask.clone(),
            Region::Square { grid, side } => {
                let top = rng.random_range(0..=grid.rows - side);
                let left = rng.random_range(0..=grid.cols - side);
                rectangle(grid, top, left, Grid::square(side))
            }
        }
    }
}

fn check_fits(grid: Grid, region: Grid) -> Result<()> {
    count::checked_cells(grid)?;
    let fits = |side, limit| (1..=limit).contains(&side);
    if !(fits(region.rows, grid.rows) && fits(region.cols, grid.cols)) {
        return Err(Error::config(format!(
            "a region of {region} cells must have at least one cell and fit into the mask's grid \
             of {grid}"
        )));
    }
    Ok(())
}

fn central_rectangle(grid: Grid, region: Grid) -> Result<UnitMask> {
    check_fits(grid, region)?;
    let (top, left) = ((grid.rows - region.rows) / 2, (grid.cols - region.cols) / 2);
    Ok(rectangle(grid, top, left, region))
}

/// A mask that hides the cells of a `region` that lies within `grid`.
fn rectangle(grid: Grid, top: usize, left: usize, region: Grid) -> UnitMask {
    let mut bits = vec![false; grid.cells()];
    for row in top..top + region.rows {
        bits[row * grid.cols + left..][..region.cols].fill(true);
    }
    UnitMask::from_bits(grid, bits)
}

/// The rectangle of `grid`'s proportions and about `ratio` of its area.
fn scaled(grid: Grid, ratio: f64) -> Grid {
    let side = |cells: usize| (cells as f64 * ratio.sqrt()).round() as usize;
    Grid::new(side(grid.rows), side(grid.cols))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    fn drawn(strategy: &RegionMask, index: u64) -> String {
        strategy.sample(&mut stream(1, Purpose::Mask, 0, index)).to_string()
    }

    #[test]
    fn the_center_is_hidden_or_spared() {
        let grid = Grid::new(4, 5);
        let central = RegionMask::central(grid, 2, 3).unwrap();
        assert_eq!(drawn(&central, 0), "·····\n·███·\n·███·\n·····");
        let border = RegionMask::border(grid, 2, 3).unwrap();
        assert_eq!(drawn(&border, 0), "█████\n█···█\n█···█\n█████");
        assert_eq!((central.hidden(), border.hidden()), (6, 14));
    }

    #[test]
    fn a_region_that_cannot_be_centered_lies_towards_the_top_left() {
        let strategy = RegionMask::central(Grid::new(2, 4), 1, 1).unwrap();
        assert_eq!(drawn(&strategy, 0), "·█··\n····");
    }

    #[test]
    fn a_ratio_keeps_the_grids_proportions() {
        assert_eq!(RegionMask::central_ratio(Grid::square(14), 0.25).unwrap().hidden(), 49);
        assert_eq!(RegionMask::border_ratio(Grid::square(14), 0.75).unwrap().hidden(), 147);
        assert_eq!(RegionMask::central_ratio(Grid::new(6, 10), 0.25).unwrap().hidden(), 15);
    }

    #[test]
    fn the_still_regions_ignore_the_stream() {
        let strategy = RegionMask::central_ratio(Grid::square(6), 0.5).unwrap();
        assert_eq!(drawn(&strategy, 0), drawn(&strategy, 1));
    }

    #[test]
    fn a_square_reaches_every_place() {
        let strategy = RegionMask::square(Grid::new(3, 4), 2).unwrap();
        let places: std::collections::HashSet<_> =
            (0..200).map(|index| drawn(&strategy, index)).collect();
        assert_eq!(places.len(), 2 * 3);
        assert!(places.contains("····\n·██·\n·██·"));
    }

    #[test]
    fn a_region_must_fit_and_leave_something() {
        let grid = Grid::new(3, 4);
        let message = RegionMask::square(grid, 4).unwrap_err().to_string();
        assert!(message.contains("4×4") && message.contains("3×4"), "{message}");
        assert!(RegionMask::central(grid, 0, 2).is_err());
        assert!(RegionMask::central(grid, 3, 4).is_err());
        assert!(RegionMask::border(grid, 3, 4).is_err());
        assert!(RegionMask::square(grid, usize::MAX).is_err());
        for ratio in [0.0, 1.0, f64::NAN, -1.0] {
            assert!(RegionMask::central_ratio(grid, ratio).is_err());
            assert!(RegionMask::border_ratio(grid, ratio).is_err());
        }
    }
}
