//! A run's second stage: the refinement of its encoder, a run of its own.

use std::any::TypeId;
use std::path::Path;

use serde_json::{Value, json};

use super::encoder_spec::EncoderSpec;
use super::{Draft, RunDocument};
use crate::encoder::{Swin, SwinV2, Vit, VitBody};
use crate::error::{Error, Result};
use crate::method::{InitFrom, InitPart, Method, RefineStage, RunConfig};
use crate::train::RunFolder;

/// The method of the second stage.
pub(crate) const REFINE: &str = "refine";

/// Who writes the document of the second stage, for messages.
const WRITER: &str = "refine";

/// The variant of the second stage for encoders of `M`.
///
/// # Errors
///
/// When such encoders cannot be refined.
pub(crate) fn refined_variant<M: Method>() -> Result<&'static str> {
    let kind = TypeId::of::<M::Encoder>();
    let vits = [TypeId::of::<VitBody>(), TypeId::of::<Vit>()];
    match kind {
        kind if vits.contains(&kind) => Ok("vit"),
        kind if kind == TypeId::of::<Swin>() => Ok("swin"),
        kind if kind == TypeId::of::<SwinV2>() => Ok("swin-v2"),
        _ => Err(Error::config(format!(
            "refine: the encoder of {} is neither a ViT nor a Swin, which can be refined",
            M::TITLE
        ))),
    }
}

/// What is known of the second stage before the first: all but the encoder.
///
/// # Errors
///
/// When the stage cannot be written down.
pub(crate) fn refine_draft(stage: &RefineStage, variant: &str) -> Result<Draft> {
    stage.validate()?;
    let mut draft = Draft::new();
    draft.put("method", Some(REFINE), WRITER)?;
    draft.put("variant", Some(variant), WRITER)?;
    draft.put("preset", stage.preset.as_ref(), WRITER)?;
    draft.put("batch_size", stage.batch_size, WRITER)?;
    draft.put("numbers", Some(&stage.numbers), WRITER)?;
    draft.put("recipe", Some(&stage.recipe), WRITER)?;
    draft.put("recipe.epochs", Some(stage.epochs), WRITER)?;
    draft.put("augmentation", Some(&stage.augmentation), WRITER)?;
    Ok(draft)
}

/// The document of the second stage of the run in `out`, by `document`, that has ended.
///
/// # Errors
///
/// When the run cannot be read, or its encoder cannot be refined.
pub(crate) fn refine_document<M: Method>(
    stage: &RefineStage,
    document: &RunDocument<M>,
    encoder: &M::Encoder,
    out: &Path,
) -> Result<Draft> {
    let variant = refined_variant::<M>()?;
    let config = RunConfig::<M>::of(&RunFolder::new(out))?;
    let sizes: Value = match EncoderSpec::of_method(&config, encoder) {
        Some(EncoderSpec::Vit(sizes) | EncoderSpec::MaskedVit(sizes)) => json!(sizes),
        Some(EncoderSpec::Swin(sizes)) => json!(sizes),
        Some(EncoderSpec::SwinV2(sizes)) => json!(sizes),
        _ => {
            let fault = format!("refine: the sizes of the encoder of {} are not known", M::TITLE);
            return Err(Error::config(fault));
        }
    };
    let mut draft = refine_draft(stage, variant)?;
    let from = InitFrom::new(out.into()).with_load(Some(InitPart::Encoder));
    draft.put("init_from", Some(from), WRITER)?;
    draft.put("numbers.encoder", Some(sizes), WRITER)?;
    // Whole numbers above 2^63 are texts in a document.
    draft.put("seed", Some(document.seed.to_string()), WRITER)?;
    draft.put("precision", Some(document.precision), WRITER)?;
    draft.put("workers", Some(document.workers), WRITER)?;
    draft.put("probe", Some(document.probe), WRITER)?;
    if !stage.recipe.contains_key("accumulation") {
        let accumulation = document.recipe.accumulation;
        draft.put("recipe.accumulation", (accumulation > 1).then_some(accumulation), WRITER)?;
    }
    Ok(draft)
}
