//! SimMIM on masks that hide a part of a cell, as transformers allows.

use burn::tensor::Tensor;
use burn_mim::image::unpatchify;
use burn_mim::{
    Encoder, Grid, GridTokens, Mask, MimBatch, PredictionHead, PretextTask, Result, SimMim,
    UnitMask,
};

use crate::class_token_first;
use crate::outputs::Outputs;

/// What SimMIM computes of `images`; the masks may be finer than its features.
pub(crate) fn simmim<E: Encoder<Images = Tensor<4>, Features = GridTokens>>(
    model: &SimMim<E>,
    images: Tensor<4>,
    masks: Vec<UnitMask>,
    outputs: &mut Outputs,
) -> Result<()> {
    let device = images.device();
    let mask = Mask::new(masks, &device)?;
    let features = model.encoder.encode(images.clone(), &mask);
    outputs.hidden(&mask);
    outputs.add("features", class_token_first(features.clone()));
    if let Some(units) = units(mask.samples(), features.grid) {
        let batch = MimBatch::new(images, Mask::new(units, &device)?);
        let prediction = model.predict(&batch);
        outputs.add("reconstruction", model.target.place(prediction, &batch));
        outputs.add("loss", model.loss(batch).loss);
        return Ok(());
    }
    // Some cells are hidden in part: predict them all, and look at the hidden pixels.
    let (grid, patch) = (features.grid, model.target.patch);
    let all = UnitMask::from_indices(grid, 0..grid.cells())?;
    let all = Mask::new(vec![all; mask.samples().len()], &device)?;
    let prediction =
        unpatchify(model.head.predict(features, &all), grid, patch, model.target.layout);
    let hidden = hidden_pixels(&mask, &prediction);
    let error = (prediction.clone() - images).abs() * hidden.clone();
    outputs.add("reconstruction", prediction * hidden.clone());
    outputs.add("loss", error.sum() / hidden.sum());
    Ok(())
}

/// The masks on a coarser grid, where they hide whole cells of it.
fn units(masks: &[UnitMask], grid: Grid) -> Option<Vec<UnitMask>> {
    let unit = |mask: &UnitMask| {
        let scale = grid.refinement(mask.grid())?;
        let first =
            |cell: &usize| mask.is_hidden(cell / grid.cols * scale, cell % grid.cols * scale);
        let unit = UnitMask::from_indices(grid, (0..grid.cells()).filter(first)).ok()?;
        (unit.at(mask.grid()).ok()? == *mask).then_some(unit)
    };
    masks.iter().map(unit).collect()
}

/// 1 at every value of a hidden pixel of `images`, 0 elsewhere.
fn hidden_pixels(mask: &Mask, images: &Tensor<4>) -> Tensor<4> {
    let ([batch, channels, height, width], grid) = (images.dims(), mask.grid());
    let patch = height / grid.rows;
    let hidden = mask.at(grid).asked.map().reshape([batch, 1, grid.rows, 1, grid.cols, 1]);
    hidden
        .expand([batch, channels, grid.rows, patch, grid.cols, patch])
        .reshape([batch, channels, height, width])
}
