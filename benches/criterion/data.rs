//! Images into patches, and procedural images into batches.
//!
//! ```text
//! cd benches/criterion && cargo bench --bench data
//! ```

use std::hint::black_box;
use std::sync::Arc;

use burn::tensor::{Device, Distribution, Tensor};
use burn_mim::data::augment::Augmentation;
use burn_mim::data::{DataOptions, DataSpec, Loader, LoaderConfig, MimCollate};
use burn_mim::image::{PatchLayout, patchify};
use burn_mim::{Grid, ImageShape, RandomMask};
use criterion::{Criterion, criterion_group, criterion_main};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn patches(c: &mut Criterion) {
    let images = Tensor::<4>::random([64, 3, 224, 224], Distribution::Default, &Device::flex());
    for layout in [PatchLayout::ChannelsFirst, PatchLayout::ChannelsLast] {
        c.bench_function(&format!("64 images of 224 pixels, {layout:?}"), |bench| {
            bench.iter(|| black_box(patchify(images.clone(), 16, layout)));
        });
    }
}

fn loader(c: &mut Criterion) {
    let data = DataSpec::Shapes.open(&DataOptions::default(), &mut |_| {}).expect("it needs no files");
    let mask = Arc::new(RandomMask::mae(Grid::square(8), 0.75).expect("a legal ratio"));
    let shape = ImageShape::square(3, 32);
    let collate = MimCollate::new(shape, &data.statistics, Augmentation::mae(), mask)
        .expect("the statistics are those of the images");
    let config = LoaderConfig { batch_size: 64, seed: 0, workers: 2, training: true };
    let loader = Loader::new(data.train, collate, config, &Device::flex()).expect("enough images");
    c.bench_function("8 batches of 64 shapes of 32 pixels", |bench| {
        bench.iter(|| black_box(loader.epoch(0, 0).take(8).count()));
    });
}

criterion_group!(benches, patches, loader);
criterion_main!(benches);
