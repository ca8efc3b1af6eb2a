//! Models of clips.

use burn::tensor::{Device, Tensor};
use burn_mim::{Backbone, ClipBatch, ClipVit, Encoder, Mask, PretextTask, Result, VideoMae};

use crate::input::Input;
use crate::outputs::Outputs;

/// What a masked autoencoder of video computes of the clips and masks of `input`.
pub(crate) fn videomae(
    model: &VideoMae,
    input: &Input,
    outputs: &mut Outputs,
    device: &Device,
) -> Result<()> {
    let config = model.encoder.config();
    let mask = Mask::new(input.hidden_cells(config.grid().flat())?, device)?;
    let batch = ClipBatch::new(input.clips(config.clip, device)?, mask);
    let features = model.encoder.encode(batch.clips.clone(), &batch.mask);
    outputs.add("features", features.tokens);
    outputs.add("logits", model.predict(&batch));
    outputs.hidden(&batch.mask);
    outputs.add("loss", model.loss(batch).loss);
    Ok(())
}

/// The features of the clips of `input`, of the visible cells where it has masks.
pub(crate) fn clip_features(
    encoder: &ClipVit,
    input: &Input,
    device: &Device,
) -> Result<Tensor<3>> {
    let config = encoder.config();
    let clips = input.clips(config.clip, device)?;
    if !input.has("bool_masked_pos") {
        return Ok(encoder.represent(clips).tokens);
    }
    let mask = Mask::new(input.hidden_cells(config.grid().flat())?, device)?;
    Ok(encoder.encode(clips, &mask).tokens)
}
