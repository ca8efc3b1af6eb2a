//! What a step must compute, and what the processor can.

use std::hint::black_box;
use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use burn_mim::{MaskStrategy, TaskConfig, VitConfig};

/// Side of the matrices the peak is measured on, and how often.
const PEAK: (usize, usize) = (1536, 10);

/// The floating-point operations of a step's matrix products: forward, and twice that backward.
///
/// Only what the loss needs counts: no gradient for the images, hidden cells alone where others
/// are not looked at. What an implementation computes beyond that is not useful.
pub(crate) fn per_step(task: &TaskConfig, batch: usize) -> f64 {
    let encoder = task.encoder();
    let cells = encoder.grid().cells();
    let class = usize::from(encoder.class_token);
    let hidden = task.mask().map_or(0, |mask| mask.hidden() * cells / mask.grid().cells());
    let visible = cells - hidden;
    // The patches' product has a gradient for its weight alone.
    let embed = 2.0 / 3.0 * product(visible, encoder.patch_values(), encoder.width);
    let forward = match task {
        TaskConfig::Mae(mae) => {
            let decoder = VitConfig::new(
                encoder.image,
                encoder.patch,
                mae.decoder.width,
                mae.decoder.depth,
                mae.decoder.heads,
            )
            .with_mlp_ratio(mae.decoder.mlp_ratio);
            let all = cells + class;
            embed
                + blocks(encoder, encoder.depth, visible + class, visible + class)
                + product(visible + class, encoder.width, decoder.width)
                + blocks(&decoder, decoder.depth - 1, all, all)
                + blocks(&decoder, 1, all, hidden)
                + product(hidden, decoder.width, encoder.patch_values())
        }
        _ => {
            let all = cells + class;
            embed
                + blocks(encoder, encoder.depth, all, all)
                + product(hidden, encoder.width, encoder.patch_values())
        }
    };
    3.0 * forward * batch as f64
}

/// Blocks over `tokens` of which only `queries` are read afterwards.
fn blocks(vit: &VitConfig, depth: usize, tokens: usize, queries: usize) -> f64 {
    let (width, mlp) = (vit.width, vit.mlp_width());
    let keys_and_values = product(tokens, width, 2 * width);
    let queries_and_output = product(queries, width, 2 * width);
    let attention = 2.0 * product(queries, width, tokens);
    let mlp = 2.0 * product(queries, width, mlp);
    depth as f64 * (keys_and_values + queries_and_output + attention + mlp)
}

fn product(rows: usize, inner: usize, columns: usize) -> f64 {
    2.0 * rows as f64 * inner as f64 * columns as f64
}

/// The operations per second of the fastest of several large matrix products on `device`.
pub(crate) fn peak(device: &Device) -> f64 {
    let (side, times) = PEAK;
    let matrix = || Tensor::<2>::random([side, side], Distribution::Default, device);
    let (left, right) = (matrix(), matrix());
    let seconds = (0..times).map(|_| {
        let start = Instant::now();
        let result = left.clone().matmul(right.clone());
        device.sync().expect("a matrix product fits into memory");
        black_box(result);
        start.elapsed().as_secs_f64()
    });
    product(side, side, side) / seconds.fold(f64::INFINITY, f64::min)
}
