//! The masks of a batch of 4096 on a grid of 14×14, on all processors.
//!
//! ```text
//! cd benches/criterion && cargo bench --bench masks
//! ```

use std::hint::black_box;

use burn_mim::rng::{Purpose, stream};
use burn_mim::{BlockMask, Grid, MaskStrategy, UnitMask, RandomMask};
use criterion::{Criterion, criterion_group, criterion_main};
use mimalloc::MiMalloc;
use rayon::prelude::*;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const BATCH: u64 = 4096;
const GRID: Grid = Grid::square(14);

fn batch(strategy: &impl MaskStrategy) -> Vec<UnitMask> {
    let mask = |sample| strategy.sample(&mut stream(0, Purpose::Mask, 0, sample));
    (0..BATCH).into_par_iter().map(mask).collect()
}

fn masks(c: &mut Criterion) {
    let random = RandomMask::mae(GRID, 0.75).expect("a legal ratio");
    c.bench_function("4096 random masks", |bench| bench.iter(|| black_box(batch(&random))));
    let blocks = BlockMask::beit(GRID).expect("a legal grid");
    c.bench_function("4096 blockwise masks", |bench| bench.iter(|| black_box(batch(&blocks))));
}

criterion_group!(benches, masks);
criterion_main!(benches);
