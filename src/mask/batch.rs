//! The masks of a batch, as index tensors for any grid that refines them.

use std::sync::{Arc, Mutex};

use burn::tensor::{Device, Tensor};

use super::selection::earlier;
use super::{Selection, UnitMask};
use crate::error::{Error, Result};
use crate::grid::Grid;

/// The masks of a batch, one for each sample: which cells are visible to the encoder, and which are
/// asked of the head. Both are equally many in every sample.
///
/// Unless [`with_asked`](Mask::with_asked) says otherwise, what is hidden is asked. The masks' own
/// grid is the grid of the mask units; [`Mask::at`] reads them at any finer grid, since a unit may
/// cover several patches. The index tensors are made once per grid and shared by clones.
#[derive(Debug, Clone)]
pub struct Mask {
    samples: Arc<[UnitMask]>,
    asked: Option<Arc<[UnitMask]>>,
    device: Device,
    read: Arc<Mutex<Vec<GridMask>>>,
    grids: KnownGrids,
}

/// The grids that a data loader's masks are read at. Who makes a batch makes the index tensors for
/// the grids that earlier batches were read at, so that a training step finds them ready.
#[derive(Debug, Clone, Default)]
pub struct KnownGrids {
    grids: Arc<Mutex<Vec<Grid>>>,
}

impl KnownGrids {
    fn add(&self, grid: Grid) {
        let mut grids = self.grids.lock().expect("no thread panics while it holds the lock");
        if !grids.contains(&grid) {
            grids.push(grid);
        }
    }

    fn all(&self) -> Vec<Grid> {
        self.grids.lock().expect("no thread panics while it holds the lock").clone()
    }
}

impl Mask {
    /// The masks of a batch on `device`.
    ///
    /// # Errors
    ///
    /// When there is none, or when two differ in grid or in the number of hidden cells.
    pub fn new(samples: impl Into<Arc<[UnitMask]>>, device: &Device) -> Result<Self> {
        let samples = samples.into();
        check_alike(&samples, "hides")?;
        let device = device.clone().without_autodiff();
        let (read, grids) = (Arc::default(), KnownGrids::default());
        Ok(Self { samples, asked: None, device, read, grids })
    }

    /// The same masks, where the head is asked for other cells than the hidden ones: those that
    /// `asked` marks as hidden. An encoder still sees the visible cells alone.
    ///
    /// # Errors
    ///
    /// When there is not one for each sample, when one is of another grid, or when two differ in the
    /// number of cells.
    pub fn with_asked(self, asked: impl Into<Arc<[UnitMask]>>) -> Result<Self> {
        let asked = asked.into();
        check_alike(&asked, "asks for")?;
        if (asked.len(), asked[0].grid()) != (self.samples.len(), self.grid()) {
            return Err(Error::config(format!(
                "a batch hides cells of {} masks of {} and asks for cells of {} masks of {}: there \
                 must be one for each sample, of the same grid",
                self.samples.len(),
                self.grid(),
                asked.len(),
                asked[0].grid()
            )));
        }
        Ok(Self { asked: Some(asked), read: Arc::default(), ..self })
    }

    /// The same masks, where what is hidden is asked.
    pub fn asking_hidden(self) -> Self {
        match self.asked {
            Some(_) => Self { asked: None, read: Arc::default(), ..self },
            None => self,
        }
    }

    /// The same masks with the index tensors of all `grids` known by now, which also learn of those
    /// that are still to come.
    pub fn prepared(mut self, grids: &KnownGrids) -> Self {
        self.grids = grids.clone();
        for grid in grids.all() {
            self.at(grid);
        }
        self
    }

    /// The inverted masks, which hide the visible cells and show the hidden ones. What is hidden is
    /// asked.
    pub fn inverted(&self) -> Self {
        let samples = self.samples.iter().map(UnitMask::inverted).collect();
        Self { samples, asked: None, read: Arc::default(), ..self.clone() }
    }

    /// The masks of the first `count` samples, on another device.
    ///
    /// # Errors
    ///
    /// When `count` is 0.
    pub(crate) fn first(&self, count: usize, device: &Device) -> Result<Self> {
        let mask = Self::new(&self.samples[..count], device)?;
        match &self.asked {
            Some(asked) => mask.with_asked(&asked[..count]),
            None => Ok(mask),
        }
    }

    /// The masks on the host.
    pub fn samples(&self) -> &[UnitMask] {
        &self.samples
    }

    /// The grid of mask units.
    pub fn grid(&self) -> Grid {
        self.samples[0].grid()
    }

    /// The same masks on another device.
    pub fn to_device(&self, device: &Device) -> Self {
        let device = device.clone().without_autodiff();
        Self { device, read: Arc::default(), ..self.clone() }
    }

    /// The masks read on `grid`, where each unit covers a square of cells.
    ///
    /// # Panics
    ///
    /// When `grid` is not a whole refinement of the grid of units.
    pub fn at(&self, grid: Grid) -> GridMask {
        let known = || self.read.lock().expect("no thread panics while it holds the lock");
        if let Some(mask) = known().iter().find(|mask| mask.grid == grid) {
            return mask.clone();
        }
        let read = |masks: &[UnitMask]| -> Vec<UnitMask> {
            let cells: Result<_> = masks.iter().map(|mask| mask.at(grid)).collect();
            cells.unwrap_or_else(|error| panic!("{error}"))
        };
        let hidden = read(&self.samples);
        let asked = self.asked.as_deref().map(read);
        let asked = asked.as_ref().unwrap_or(&hidden);
        let [visible, asked] = Selection::all([(&hidden, false), (asked, true)], &self.device);
        let mask = GridMask { grid, visible, asked };
        known().push(mask.clone());
        self.grids.add(grid);
        mask
    }
}

/// Refuses an empty batch of masks, and masks of different grids or counts.
fn check_alike(samples: &[UnitMask], what: &str) -> Result<()> {
    let first = samples.first().ok_or_else(|| Error::config("a batch needs at least one mask"))?;
    let (grid, count) = (first.grid(), first.hidden());
    for (index, mask) in samples.iter().enumerate() {
        if (mask.grid(), mask.hidden()) != (grid, count) {
            return Err(Error::config(format!(
                "the masks of a batch must agree: sample 0 {what} {count} of {grid} cells, sample \
                 {index} {what} {} of {}",
                mask.hidden(),
                mask.grid()
            )));
        }
    }
    Ok(())
}

/// A batch's [`Mask`] read on one grid: two selections of its cells.
#[derive(Debug, Clone)]
pub struct GridMask {
    grid: Grid,
    /// What the encoder sees.
    pub visible: Selection,
    /// What the head is asked for; all that is hidden, unless [`Mask::with_asked`] says otherwise.
    pub asked: Selection,
}

impl GridMask {
    /// The grid read.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// The inverted mask: what is asked is visible, and what is visible is asked.
    pub fn inverted(&self) -> Self {
        Self { visible: self.asked.clone(), asked: self.visible.clone(), ..*self }
    }

    /// Masks by scores that are known on the device alone, computed there: of each sample the `visible`
    /// cells with the highest scores are visible, the first ones where scores are equal; the others are
    /// hidden, and asked.
    ///
    /// # Shapes
    ///
    /// - scores: `[batch, cells]`, finite
    ///
    /// # Panics
    ///
    /// When there are not as many scores as cells, or fewer cells than visible ones.
    pub fn of_scores(grid: Grid, scores: Tensor<2>, visible: usize) -> Self {
        let [batch, cells] = scores.dims();
        assert_eq!(cells, grid.cells(), "a grid of {grid} has as many scores as cells");
        assert!(visible <= cells, "{visible} of {cells} cells cannot be visible");
        let scores = scores.without_autodiff();
        let (own, others) = (scores.clone().unsqueeze_dim::<3>(2), scores.unsqueeze_dim::<3>(1));
        let dims = [batch, cells, cells];
        let (own, others) = (own.expand(dims), others.expand(dims));
        let first = earlier(cells, &own.device()).unsqueeze::<3>().expand(dims);
        let ahead = others.clone().greater(own.clone()).bool_or(others.equal(own).bool_and(first));
        let rank = ahead.int().sum_dim(2).squeeze_dim::<2>(2);
        let is_visible = rank.lower_elem(visible as i64);
        let asked = Selection::of_bits(grid, is_visible.clone().bool_not(), cells - visible);
        Self { grid, visible: Selection::of_bits(grid, is_visible, visible), asked }
    }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
