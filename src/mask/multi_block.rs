//! I-JEPA's masks: one context, and several target blocks that are predicted from it.

use burn::tensor::Device;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

use super::block::Block;
use super::{KnownGrids, Mask, UnitMask, count};
use crate::config::config;
use crate::error::{Result, ensure};
use crate::grid::Grid;
use crate::limits;

/// Tries at a context that is large enough, as in I-JEPA's published code.
const ATTEMPTS: usize = 20;

config! {
    /// A context block without what several target blocks cover of it (I-JEPA, Assran et al. 2023,
    /// arXiv 2301.08243 §3 and appendix A.1; facebookresearch/ijepa, `multiblock.py`).
    ///
    /// Areas are shares of the grid's cells, aspect ratios rows / columns; both are drawn uniformly,
    /// anew for each batch, and the places of the blocks anew for each image. The context block is a
    /// square. Target blocks may overlap each other.
    #[derive(Debug, PartialEq)]
    pub struct MultiBlockConfig {
        /// Target blocks of an image. Default: 4
        pub targets: usize = 4,
        /// The smallest and the largest area of a target block. Default: 0.15 and 0.2
        pub target_scale: [f64; 2] = [0.15, 0.2],
        /// The smallest and the largest aspect ratio of a target block. Default: 0.75 and 1.5
        pub target_aspect: [f64; 2] = [0.75, 1.5],
        /// The smallest and the largest area of the context block, before the target blocks are taken
        /// out of it. Default: 0.85 and 1
        pub context_scale: [f64; 2] = [0.85, 1.0],
        /// The cells that a context has at least. Default: 11, since the published code asks for more
        /// than 10
        pub min_context: usize = 11,
    }
}

impl MultiBlockConfig {
    /// The same masks for images of a few dozen pixels: a context of at least a quarter of `grid`,
    /// which is what the paper's numbers come to on its own.
    pub fn small_images(grid: Grid) -> Self {
        Self::new().with_min_context((grid.cells() / 4).max(1))
    }

    /// What draws such masks on `grid`, the model's patches.
    ///
    /// # Errors
    ///
    /// When there is no target block, a range is empty or no share, or target blocks may leave less
    /// than `min_context` of the context even where all of them lie in one place.
    pub fn build(&self, grid: Grid) -> Result<MultiBlock> {
        let Self { targets, target_scale, target_aspect, context_scale, min_context } = *self;
        let cells = count::checked_cells(grid)?;
        ensure!(targets > 0 && min_context > 0, "targets and min_context must be at least 1");
        let all = targets.saturating_mul(cells);
        limits::at_most("the cells of all target blocks' masks", all, limits::CELLS)?;
        for (name, [least, most], limit) in [
            ("target_scale", target_scale, 1.0),
            ("target_aspect", target_aspect, limits::SIDE as f64),
            ("context_scale", context_scale, 1.0),
        ] {
            ensure!(
                0.0 < least && least <= most && most <= limit,
                "{name} must be two ascending numbers above 0, no share above 1, got {least:?} and \
                 {most:?}"
            );
        }
        let [narrow, tall] =
            target_aspect.map(|aspect| size(grid, area(grid, target_scale[1]), aspect));
        let (largest, context) = (tall[0] * narrow[1], square(grid, context_scale[0]));
        let context = context[0] * context[1];
        ensure!(
            largest.saturating_add(min_context) <= context,
            "target blocks of up to {largest} cells may leave fewer than {min_context} cells \
             (min_context) of a context block of {context}, on a grid of {grid}: choose smaller target \
             blocks, a larger context or a smaller min_context"
        );
        Ok(MultiBlock { grid, config: self.clone() })
    }
}

/// The cells of an area that is a share of the grid: at least one.
fn area(grid: Grid, scale: f64) -> usize {
    ((grid.cells() as f64 * scale) as usize).max(1)
}

/// Rows and columns of a block of about `area` cells. One too long for the grid is made as long as the
/// grid, of the same area.
fn size(grid: Grid, area: usize, aspect: f64) -> [usize; 2] {
    let area = area as f64;
    let whole = |length: f64, most: usize| (length.round() as usize).clamp(1, most);
    let (rows, cols) = ((area * aspect).sqrt().round(), (area / aspect).sqrt().round());
    if rows > grid.rows as f64 {
        return [grid.rows, whole(area / grid.rows as f64, grid.cols)];
    }
    if cols > grid.cols as f64 {
        return [whole(area / grid.cols as f64, grid.rows), grid.cols];
    }
    [whole(rows, grid.rows), whole(cols, grid.cols)]
}

/// Rows and columns of a context block.
fn square(grid: Grid, scale: f64) -> [usize; 2] {
    size(grid, area(grid, scale), 1.0)
}

/// Draws the context and the target blocks of every image of a batch.
///
/// ```
/// use burn_mim::rng::{Purpose, stream};
/// use burn_mim::{Grid, MultiBlockConfig};
///
/// # #[cfg(feature = "flex")] {
/// let grid = Grid::square(14);
/// let blocks = MultiBlockConfig::new().build(grid)?;
/// let mut batch = blocks.for_batch(&mut stream(1, Purpose::BatchMask, 0, 0));
/// for image in 0..8 {
///     batch.draw(&mut stream(1, Purpose::Mask, 0, image));
/// }
/// let masks = batch.masks(&burn::tensor::Device::flex())?;
/// // One context for each image, of as many cells, and four masks that ask for a block each.
/// assert_eq!((masks.context.samples().len(), masks.targets.samples().len()), (8, 32));
/// assert!(masks.context.at(grid).visible.count() >= 11);
/// # }
/// # Ok::<(), burn_mim::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct MultiBlock {
    grid: Grid,
    config: MultiBlockConfig,
}

impl MultiBlock {
    /// The grid of the masks.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// Draws how large the blocks of a batch are; `rng` is the batch's own.
    pub fn for_batch(&self, rng: &mut dyn Rng) -> BatchBlocks<'_> {
        let MultiBlockConfig { target_scale, target_aspect, context_scale, .. } = self.config;
        let mut between = |[least, most]: [f64; 2]| least + (most - least) * rng.random::<f64>();
        let (scale, aspect) = (between(target_scale), between(target_aspect));
        let target = size(self.grid, area(self.grid, scale), aspect);
        let context = square(self.grid, between(context_scale));
        BatchBlocks { of: self, target, context, drawn: Vec::new() }
    }
}

/// The context and the target blocks of a batch, image by image: blocks of the same sizes in each.
#[derive(Debug)]
pub struct BatchBlocks<'a> {
    of: &'a MultiBlock,
    target: [usize; 2],
    context: [usize; 2],
    drawn: Vec<Drawn>,
}

/// An image's blocks.
#[derive(Debug)]
struct Drawn {
    /// Cells of the context block that no target block covers, in an order of chance.
    context: Vec<usize>,
    targets: Vec<UnitMask>,
}

/// The masks of a batch that hide all but a context, and ask for target blocks.
#[derive(Debug, Clone)]
pub struct BlockMasks {
    /// One mask for each image: its context is visible.
    pub context: Mask,
    /// A mask for each target block, those of an image side by side: the same context is visible, and
    /// the block is asked for.
    pub targets: Mask,
}

impl BlockMasks {
    /// As [`Mask::prepared`], of both.
    pub fn prepared(self, grids: &KnownGrids) -> Self {
        let Self { context, targets } = self;
        Self { context: context.prepared(grids), targets: targets.prepared(grids) }
    }
}

impl BatchBlocks<'_> {
    /// Draws the blocks of the next image.
    ///
    /// A context of too few cells is drawn again, with its target blocks. Where twenty are too small,
    /// the last image's target blocks all lie where its first does.
    pub fn draw(&mut self, rng: &mut dyn Rng) {
        let MultiBlock { grid, config } = self.of;
        let place = |[rows, cols]: [usize; 2], rng: &mut dyn Rng| {
            let top = rng.random_range(0..=grid.rows - rows);
            let left = rng.random_range(0..=grid.cols - cols);
            Block { top, left, rows, cols }.cells(*grid)
        };
        let mut attempt = 0;
        let (mut context, targets) = loop {
            attempt += 1;
            let mut targets: Vec<_> =
                (0..config.targets).map(|_| marked(*grid, place(self.target, rng))).collect();
            if attempt > ATTEMPTS {
                let first = targets[0].clone();
                targets.fill(first);
            }
            let is_free = |cell: &usize| !targets.iter().any(|target| target.bits()[*cell]);
            let context: Vec<_> = place(self.context, rng).filter(is_free).collect();
            if context.len() >= config.min_context {
                break (context, targets);
            }
        };
        context.shuffle(rng);
        self.drawn.push(Drawn { context, targets });
    }

    /// The masks of all images that were drawn. Every context loses cells by chance until it is as
    /// small as the batch's smallest.
    ///
    /// # Errors
    ///
    /// When no image was drawn.
    pub fn masks(self, device: &Device) -> Result<BlockMasks> {
        let grid = self.of.grid;
        let count = self.drawn.iter().map(|drawn| drawn.context.len()).min().unwrap_or(0);
        let (mut contexts, mut hidden, mut asked) = (vec![], vec![], vec![]);
        for Drawn { mut context, targets } in self.drawn {
            context.truncate(count);
            let context = marked(grid, context).inverted();
            hidden.extend(std::iter::repeat_n(context.clone(), targets.len()));
            asked.extend(targets);
            contexts.push(context);
        }
        let context = Mask::new(contexts, device)?;
        Ok(BlockMasks { context, targets: Mask::new(hidden, device)?.with_asked(asked)? })
    }
}

/// A mask that hides these cells of `grid`.
fn marked(grid: Grid, cells: impl IntoIterator<Item = usize>) -> UnitMask {
    let mut bits = vec![false; grid.cells()];
    for cell in cells {
        bits[cell] = true;
    }
    UnitMask::from_bits(grid, bits)
}

#[cfg(test)]
#[path = "multi_block_tests.rs"]
mod tests;
