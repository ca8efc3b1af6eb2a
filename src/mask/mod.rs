//! Mask strategies, which choose the hidden patches. They run on the host, without tensors.
//!
//! A [`MaskStrategy`] draws one [`UnitMask`] for each sample on a grid of *mask units*, each
//! covering one or more of the model's patches. In every type `true` = hidden.

mod asked;
mod batch;
mod block;
mod clip_config;
mod closure;
mod config;
mod count;
mod fixed;
mod inverse_block;
mod multi_block;
mod random;
mod region;
mod selection;
mod spread;
mod steps;
mod tube;
mod uniform;
mod unit_mask;
mod visible_maps;

use std::fmt::Debug;
use std::sync::Arc;

use rand::Rng;

use crate::grid::Grid;

pub use asked::AskedConfig;
pub use batch::{GridMask, KnownGrids, Mask};
pub use block::BlockMask;
pub use clip_config::ClipMaskConfig;
pub use closure::{ClosureMask, mask_fn};
pub use config::MaskConfig;
pub use fixed::FixedMask;
pub use inverse_block::InverseBlockMask;
pub use multi_block::{BatchBlocks, BlockMasks, MultiBlock, MultiBlockConfig};
pub use random::RandomMask;
pub use region::RegionMask;
pub use selection::Selection;
pub use steps::StepMask;
pub use tube::TubeMask;
pub use uniform::UniformMask;
pub use unit_mask::UnitMask;
pub use visible_maps::VisibleMaps;

/// How the hidden cells of a sample are chosen.
///
/// Every sample of a batch hides exactly [`hidden`](Self::hidden) cells, so that a batch's hidden (or
/// visible) cells make a whole tensor. The mask depends on `rng` alone: the same stream, the same
/// mask. A closure is the shortest way to a strategy of one's own: [`mask_fn`].
///
/// ```
/// use burn_mim::{Grid, MaskStrategy, RandomMask};
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
///
/// let strategy = RandomMask::mae(Grid::square(14), 0.75)?;
/// let mask = strategy.sample(&mut ChaCha8Rng::seed_from_u64(0));
/// assert_eq!((mask.hidden(), mask.visible()), (147, 49));
/// # Ok::<(), burn_mim::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not draw masks",
    note = "implement `MaskStrategy`, or make one of a closure with `mask_fn`"
)]
pub trait MaskStrategy: Debug + Send + Sync {
    /// The grid of mask units.
    fn grid(&self) -> Grid;

    /// The number of units that every sample hides: at least 1, and fewer than the grid has.
    fn hidden(&self) -> usize;

    /// One sample's mask, of [`grid`](Self::grid) and with [`hidden`](Self::hidden) hidden units.
    fn sample(&self, rng: &mut dyn Rng) -> UnitMask;

    /// The strategy of one batch, where the number of hidden units differs from batch to batch, as
    /// MAGE's does (arXiv 2211.09117); `rng` is the batch's own. It must be of the same grid. Default:
    /// `None`, every batch is masked by this strategy
    fn for_batch(&self, rng: &mut dyn Rng) -> Option<Arc<dyn MaskStrategy>> {
        let _ = rng;
        None
    }
}

impl<S: MaskStrategy + ?Sized> MaskStrategy for Arc<S> {
    fn grid(&self) -> Grid {
        (**self).grid()
    }

    fn hidden(&self) -> usize {
        (**self).hidden()
    }

    fn sample(&self, rng: &mut dyn Rng) -> UnitMask {
        (**self).sample(rng)
    }

    fn for_batch(&self, rng: &mut dyn Rng) -> Option<Arc<dyn MaskStrategy>> {
        (**self).for_batch(rng)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};
    use proptest::prelude::*;

    /// Every built-in strategy that `grid` and `hidden` allow.
    fn strategies(grid: Grid, hidden: usize) -> Vec<Arc<dyn MaskStrategy>> {
        let mut all: Vec<Arc<dyn MaskStrategy>> = vec![
            Arc::new(RandomMask::new(grid, hidden).unwrap()),
            Arc::new(BlockMask::new(grid, hidden, hidden.min(16), 0.3).unwrap()),
            Arc::new(InverseBlockMask::new(grid, hidden as f64 / 401.0, 1, 0.1).unwrap()),
            Arc::new(FixedMask::new(UnitMask::from_indices(grid, 0..hidden).unwrap()).unwrap()),
            Arc::new(RegionMask::square(grid, 1).unwrap()),
            Arc::new(RegionMask::central(grid, 1, 1).unwrap()),
            Arc::new(RegionMask::border(grid, 1, 1).unwrap()),
        ];
        all.extend(UniformMask::new(grid).map(|mask| Arc::new(mask) as Arc<dyn MaskStrategy>));
        all.extend(
            UniformMask::with_secondary(grid, 0.25)
                .map(|mask| Arc::new(mask) as Arc<dyn MaskStrategy>),
        );
        all
    }

    /// Grids of up to 20 × 20 cells, with a legal count of hidden ones.
    fn grid_and_count() -> impl Strategy<Value = (Grid, usize)> {
        (1usize..=20, 1usize..=20)
            .prop_map(|(rows, cols)| Grid::new(rows, cols))
            .prop_filter("one cell cannot be both hidden and visible", |grid| grid.cells() > 1)
            .prop_flat_map(|grid| (Just(grid), 1..grid.cells()))
    }

    proptest! {
        #[test]
        fn every_sample_hides_the_same_count_on_the_same_grid(
            (grid, hidden) in grid_and_count(),
            seed: u64,
        ) {
            for strategy in strategies(grid, hidden) {
                for index in 0..3 {
                    let mask = strategy.sample(&mut stream(seed, Purpose::Mask, 0, index));
                    prop_assert_eq!(mask.grid(), grid, "{:?}", strategy);
                    prop_assert_eq!(mask.hidden(), strategy.hidden(), "{:?}", strategy);
                    prop_assert!(mask.hidden() > 0 && mask.visible() > 0, "{:?}", strategy);
                }
            }
        }

        #[test]
        fn the_same_stream_gives_the_same_mask(
            (grid, hidden) in grid_and_count(),
            seed: u64,
        ) {
            for strategy in strategies(grid, hidden) {
                let sample = || strategy.sample(&mut stream(seed, Purpose::Mask, 3, 5));
                prop_assert_eq!(sample(), sample(), "{:?}", strategy);
            }
        }
    }

    #[test]
    fn a_shared_strategy_is_a_strategy() {
        let plain = RandomMask::new(Grid::new(3, 4), 5).unwrap();
        let shared: Arc<dyn MaskStrategy> = Arc::new(plain.clone());
        let sample = |strategy: &dyn MaskStrategy| {
            (
                strategy.grid(),
                strategy.hidden(),
                strategy.sample(&mut stream(1, Purpose::Mask, 0, 0)),
            )
        };
        assert_eq!(sample(&shared), sample(&plain));
    }
}
