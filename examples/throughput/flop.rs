//! What a step must compute, and what the processor can.

use std::hint::black_box;
use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use burn_mim::{DecoderConfig, MaeConfig, MaskStrategy, Result, SwinConfig, VitConfig};

use crate::args::Case;

/// Side of the matrices the peak is measured on, and how often.
const PEAK: (usize, usize) = (1536, 10);

/// The floating-point operations of a step's matrix products, where they are counted here: forward, and
/// twice that backward.
///
/// Only what the loss needs counts: no gradient for the images, hidden cells alone where others
/// are not looked at. What an implementation computes beyond that is not useful.
///
/// # Errors
///
/// When the masks cannot be made.
pub(crate) fn per_step(case: &Case, batch: usize) -> Result<Option<f64>> {
    let forward = match case {
        Case::Mae(mae) => masked_autoencoder(mae, &*mae.mask()?),
        Case::SimMim(simmim) => {
            transformer(&simmim.encoder, &*simmim.mask()?, simmim.encoder.patch_values())
        }
        Case::Beit(beit) => transformer(&beit.encoder, &*beit.mask()?, beit.tokenizer.vocabulary()),
        Case::Swin(simmim) => hierarchy(&simmim.encoder, &*simmim.mask()?),
        Case::SwinV2(simmim) => hierarchy(&simmim.encoder.sizes, &*simmim.mask()?),
        Case::Dvae(_) | Case::Vq(_) | Case::VideoMae(_) => return Ok(None),
    };
    Ok(Some(3.0 * forward * batch as f64))
}

fn transformer(vit: &VitConfig, mask: &dyn MaskStrategy, outputs: usize) -> f64 {
    let cells = vit.grid().cells();
    let all = cells + usize::from(vit.class_token);
    let hidden = hidden(mask, cells);
    embedding(cells - hidden, vit.patch_values(), vit.width)
        + blocks(vit.width, vit.mlp_width(), vit.depth, [all; 3])
        + product(hidden, vit.width, outputs)
}

fn masked_autoencoder(mae: &MaeConfig, mask: &dyn MaskStrategy) -> f64 {
    let vit = &mae.encoder;
    let (cells, class) = (vit.grid().cells(), usize::from(vit.class_token));
    let hidden = hidden(mask, cells);
    let (visible, all) = (cells - hidden + class, cells + class);
    let DecoderConfig { width, depth, mlp_ratio, .. } = mae.decoder;
    let mlp = (width as f64 * mlp_ratio) as usize;
    embedding(cells - hidden, vit.patch_values(), vit.width)
        + blocks(vit.width, vit.mlp_width(), vit.depth, [visible; 3])
        + product(visible, vit.width, width)
        + blocks(width, mlp, depth - 1, [all; 3])
        + blocks(width, mlp, 1, [all, hidden, all])
        + product(hidden, width, vit.patch_values())
}

/// Swin's stages; its windows divide its grids.
fn hierarchy(swin: &SwinConfig, mask: &dyn MaskStrategy) -> f64 {
    let patches = swin.grid();
    let values = swin.image.channels * swin.patch * swin.patch;
    let visible = patches.cells() - hidden(mask, patches.cells());
    let stages = swin.depths.len();
    let stages_flop: f64 = (0..stages)
        .map(|stage| {
            let (tokens, width) = (patches.cells() >> (2 * stage), swin.stage_width(stage));
            let side = swin.window.min(patches.rows >> stage).min(patches.cols >> stage);
            let within = [tokens, tokens, side * side];
            let merging =
                if stage + 1 < stages { product(tokens / 4, 4 * width, 2 * width) } else { 0.0 };
            blocks(width, swin.mlp_width(stage), swin.depths[stage], within) + merging
        })
        .sum();
    let cells = patches.cells() >> (2 * (stages - 1));
    let outputs = swin.image.channels * swin.stride() * swin.stride();
    embedding(visible, values, swin.width)
        + stages_flop
        + product(hidden(mask, cells), swin.output_width(), outputs)
}

/// Hidden cells of a grid of `cells`.
fn hidden(mask: &dyn MaskStrategy, cells: usize) -> usize {
    mask.hidden() * cells / mask.grid().cells()
}

/// The patches' product has a gradient for its weight alone.
fn embedding(patches: usize, values: usize, width: usize) -> f64 {
    2.0 / 3.0 * product(patches, values, width)
}

/// Blocks over `tokens` of which only `queries` are read afterwards, each seeing `keys`.
fn blocks(width: usize, mlp: usize, depth: usize, [tokens, queries, keys]: [usize; 3]) -> f64 {
    let keys_and_values = product(tokens, width, 2 * width);
    let queries_and_output = product(queries, width, 2 * width);
    let attention = 2.0 * product(queries, width, keys);
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
