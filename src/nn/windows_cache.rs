//! Windows that were made before.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::Device;

use super::Windows;
use crate::grid::Grid;

/// How many windows are kept: those of training and of validation, shifted and not, whose last batch
/// may be smaller.
const KEPT: usize = 8;

/// The windows that blocks were recently read with, so that a forward pass finds their index
/// tensors ready. Clones share them.
#[derive(Clone, Default)]
pub struct WindowsCache {
    made: Arc<Mutex<Vec<(Key, Windows)>>>,
}

#[derive(Clone, PartialEq)]
struct Key {
    grid: Grid,
    side: usize,
    shift: usize,
    batch: usize,
    device: Device,
}

impl WindowsCache {
    /// As [`Windows::new`].
    ///
    /// # Panics
    ///
    /// As [`Windows::new`].
    pub fn get(
        &self,
        grid: Grid,
        side: usize,
        shift: usize,
        batch: usize,
        device: &Device,
    ) -> Windows {
        let device = device.clone().without_autodiff();
        let key = Key { grid, side, shift, batch, device };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, windows)) = made.iter().find(|(known, _)| *known == key) {
            return windows.clone();
        }
        let windows = Windows::new(grid, side, shift, batch, &key.device);
        if made.len() == KEPT {
            made.remove(0);
        }
        made.push((key, windows.clone()));
        windows
    }
}

impl fmt::Debug for WindowsCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WindowsCache")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::tensor::{Int, Tensor};

    /// The first cell of each window of a grid of 4 × `cols`, counted row by row.
    fn first_cells(cache: &WindowsCache, cols: usize, shift: usize) -> Vec<f32> {
        let windows = cache.get(Grid::new(4, cols), 2, shift, 1, &test_device());
        let cells = Tensor::<1, Int>::arange(0..4 * cols as i64, &test_device()).float();
        let cut = windows.partition(cells.reshape([1, 4 * cols, 1]));
        cut.slice_dim(1, 0..1).into_data().try_to_vec().unwrap()
    }

    #[test]
    fn windows_of_other_grids_and_shifts_are_told_apart_and_only_a_few_are_kept() {
        let cache = WindowsCache::default();
        for _ in 0..2 {
            assert_eq!(first_cells(&cache, 4, 0), [0., 2., 8., 10.]);
            assert_eq!(first_cells(&cache, 4, 1), [5., 7., 13., 15.]);
            assert_eq!(first_cells(&cache, 2, 0), [0., 4.]);
        }
        assert_eq!(cache.made.lock().unwrap().len(), 3);
        for cols in 1..20 {
            first_cells(&cache.clone(), 2 * cols, 0);
        }
        assert_eq!(cache.made.lock().unwrap().len(), KEPT);
    }
}
