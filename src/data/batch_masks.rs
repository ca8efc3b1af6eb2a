//! The masks of a batch: the only place where they are drawn.

use std::sync::Arc;

use rand::Rng;

use crate::data::loader::Item;
use crate::error::{Result, ensure};
use crate::grid::{Grid, ImageShape};
use crate::mask::{MaskStrategy, UnitMask};
use crate::rng::Purpose;

/// Draws the masks of one batch.
pub(crate) struct BatchMasks<'a> {
    strategy: &'a dyn MaskStrategy,
    /// What takes its place in this batch, once the first sample is known.
    of_batch: Option<Option<Arc<dyn MaskStrategy>>>,
}

impl<'a> BatchMasks<'a> {
    pub(crate) fn new(strategy: &'a dyn MaskStrategy) -> Self {
        Self { strategy, of_batch: None }
    }

    /// The mask of a sample, drawn from `rng`, which hides as much as the strategy says.
    pub(crate) fn draw(&mut self, item: &Item, rng: &mut dyn Rng) -> Result<UnitMask> {
        // The batch uses the stream of its first sample.
        let of_batch = || self.strategy.for_batch(&mut item.stream(Purpose::BatchMask));
        let strategy = self.of_batch.get_or_insert_with(of_batch).as_deref();
        let strategy = strategy.unwrap_or(self.strategy);
        let mask = strategy.sample(rng);
        let promised = (strategy.hidden(), strategy.grid());
        ensure!(
            (mask.hidden(), mask.grid()) == promised,
            "a mask strategy that promises {} hidden units of {} drew a mask of {} of {} for sample {}: \
             its `hidden` must be the count that its `sample` hides",
            promised.0,
            promised.1,
            mask.hidden(),
            mask.grid(),
            item.index
        );
        Ok(mask)
    }
}

/// Whether the units of a mask tile images of `shape`; of a clip those of the same frames tile each of
/// these ([`ClipGrid::flat`](crate::grid::ClipGrid::flat)).
pub(super) fn tiles(units: Grid, shape: ImageShape) -> bool {
    let frame = shape.frame();
    let Some(side) = frame.width.checked_div(units.cols) else { return false };
    let Ok(space) = frame.grid(side) else { return false };
    let times = units.rows / space.rows;
    let fits = space.cols == units.cols && units.rows == times * space.rows;
    fits && times > 0 && shape.frames.is_multiple_of(times)
}
