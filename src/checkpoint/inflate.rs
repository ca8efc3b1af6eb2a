//! An encoder of clips from one of images, and back.

use std::collections::HashMap;

use burn::module::Module;

use super::parameters;
use super::report::{LoadReport, Loaded};
use super::weights_file::HostTensor;
use crate::encoder::{ClipVit, ClipVitConfig, RelativePositions, VisibleVit, VitBody, VitConfig};
use crate::error::{Result, ensure};
use crate::grid::ClipShape;
use crate::nn::{InitialWeights, Positions};

/// The one parameter of another shape.
const EMBEDDING: &str = "patch_embed.weight";
const POSITIONS: &str = "positions.table";

/// An encoder of clips of shape `clip`, cut into tubelets of `tubelet` frames, that begins as an
/// encoder of images: blocks and norms are the same, and the embedding of patches is repeated over the
/// tubelet's frames and divided by their number, so that it embeds a still clip as the image (Carreira
/// & Zisserman 2017, arXiv 1705.07750 §2.4). The report names it as reshaped, and class token and
/// positions, which are left out, as unused.
///
/// # Errors
///
/// When the images' encoder has a part that the clips' lacks, or the tubelets do not tile the clip.
pub fn inflate(
    encoder: &VisibleVit,
    clip: ClipShape,
    tubelet: usize,
) -> Result<Loaded<ClipVit, ClipVitConfig>> {
    let body = &encoder.body;
    let from = body.config();
    check_inflatable(from)?;
    ensure!(
        from.image.channels == clip.image.channels,
        "an encoder of images of {} channels cannot read clips of {}",
        from.image.channels,
        clip.image.channels
    );
    let VitConfig { patch, width, depth, heads, .. } = *from;
    let config = ClipVitConfig::new(clip, tubelet, patch, width, depth, heads)
        .with_mlp_ratio(from.mlp_ratio)
        .with_norm_epsilon(from.norm_epsilon)
        .with_qkv_bias(from.qkv_bias)
        .with_drop_path(from.drop_path);
    config.validate()?;
    let device = body.patch_embed.weight.device();
    let model = config.init(&mut InitialWeights::new(0, &device));
    let channel = patch * patch * width;
    let (model, report) =
        moved(body, model, "an encoder of images", |weights| repeated(weights, channel, tubelet));
    Ok(Loaded { model, config, report })
}

/// Checks that an encoder of images has no part that one of clips lacks.
///
/// # Errors
///
/// Names the part.
pub(crate) fn check_inflatable(from: &VitConfig) -> Result<()> {
    let newer = from.newer_part().or(from.layer_scale.map(|_| "layer scale"));
    let relative = from.relative_positions != RelativePositions::None;
    let newer = newer.or(relative.then_some("relative positions"));
    ensure!(newer.is_none(), "an encoder of clips has no {}", newer.unwrap_or_default());
    Ok(())
}

/// The embedding of patches, whose channels have `channel` weights each, over the frames of a tubelet,
/// divided by their number.
pub(crate) fn repeated(weights: &[f32], channel: usize, tubelet: usize) -> Vec<f32> {
    let channels = weights.chunks(channel);
    let repeated = channels.flat_map(|channel| channel.repeat(tubelet));
    repeated.map(|value| value / tubelet as f32).collect()
}

/// The encoder of images that sees an image as the first step of a still clip: the inverse of
/// [`inflate`]. The embedding of patches is the sum over the tubelet's frames, which is their mean for
/// a clip as long as they; positions are those of the first step, in a table that learns; there is no
/// class token. Where the clips' encoder has no final norm, the report names it as missing.
///
/// # Errors
///
/// When an encoder of images cannot have these sizes.
pub fn deflate(encoder: &ClipVit) -> Result<Loaded<VisibleVit, VitConfig>> {
    let from = encoder.config();
    ensure!(
        from.stem.is_none(),
        "what a convolutional stem makes of clips is not for images: this encoder of clips has one"
    );
    let ClipVitConfig { clip, tubelet, patch, width, depth, heads, .. } = *from;
    let config = VitConfig::new(clip.image, patch, width, depth, heads)
        .with_mlp_ratio(from.mlp_ratio)
        .with_activation(from.activation)
        .with_norm_epsilon(from.norm_epsilon)
        .with_qkv_bias(from.qkv_bias)
        .with_drop_path(from.drop_path)
        .with_class_token(false)
        .with_positions(Positions::Learned);
    config.validate()?;
    let device = encoder.patch_embed.weight.device();
    let body = VitBody::new(&config, &mut InitialWeights::new(0, &device));
    let values = patch * patch * width;
    let summed = |weights: &[f32]| {
        let sum = |frames: &[f32]| -> Vec<f32> {
            (0..values).map(|at| frames[at..].iter().step_by(values).sum()).collect()
        };
        weights.chunks(tubelet * values).flat_map(sum).collect()
    };
    let (mut body, mut report) = moved(encoder, body, "an encoder of clips", summed);
    let cells = config.grid().cells();
    let first = encoder.positions.cells(from.grid().flat()).narrow(0, 0, cells);
    if let Some(positions) = &mut body.positions {
        let table = positions.table.clone();
        positions.table = table.map(|own| {
            let first = first.clone().to_device(&own.device()).detach();
            first.set_require_grad(own.is_require_grad())
        });
    }
    report.fresh.retain(|path| path != POSITIONS);
    report.unused.retain(|path| path != POSITIONS);
    report.matched.push(POSITIONS.into());
    report.matched.sort();
    let reshaped =
        format!("{POSITIONS} {:?} -> {:?}", [from.grid().cells(), width], [cells, width]);
    report.reshaped.push(reshaped);
    Ok(Loaded { model: VisibleVit::from(body), config, report })
}

/// `to` with the values of `from` at equal paths, those of the embedding by `embedding`, and not those
/// of positions.
fn moved<A: Module, B: Module>(
    from: &A,
    to: B,
    form: &str,
    embedding: impl Fn(&[f32]) -> Vec<f32>,
) -> (B, LoadReport) {
    let mut values = parameters::values(from);
    let positions = values.remove(POSITIONS).map(|_| POSITIONS.to_string());
    let mut report = LoadReport { form: form.into(), ..LoadReport::default() };
    let mut found = HashMap::new();
    for (path, shape) in parameters::shapes(&to) {
        match values.remove(&path) {
            Some(value) if path == EMBEDDING => {
                report.reshaped.push(format!("{path} {:?} -> {shape:?}", value.shape));
                report.matched.push(path.clone());
                found.insert(path, HostTensor { values: embedding(&value.values), shape });
            }
            Some(value) => {
                report.matched.push(path.clone());
                found.insert(path, value);
            }
            None if path == POSITIONS => report.fresh.push(path),
            None => {
                report.missing.push(path.clone());
                report.encoder_missing.push(path.clone());
                report.fresh.push(path);
            }
        }
    }
    report.unused.extend(values.into_keys().chain(positions));
    report.unused.sort();
    (parameters::replaced(to, found), report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::{Backbone, Encoder};
    use crate::grid::{ClipGrid, Grid, ImageShape};
    use crate::mask::{Mask, MaskStrategy, StepMask};
    use crate::nn::Init;
    use crate::rng::{Purpose, stream};
    use crate::test_device;
    use burn::tensor::{Tensor, Tolerance};

    const IMAGE: ImageShape = ImageShape::new(2, 6, 4);

    fn weights() -> InitialWeights {
        InitialWeights::new(3, &test_device())
    }

    fn vit() -> VisibleVit {
        VitConfig::new(IMAGE, 2, 8, 2, 2).init_visible(&mut weights())
    }

    fn images() -> Tensor<4> {
        weights().param([2, 2, 6, 4], Init::Normal { std: 1.0 }).val()
    }

    fn still(frames: usize) -> Tensor<5> {
        images().unsqueeze_dim::<5>(2).expand([2, 2, frames, 6, 4])
    }

    #[test]
    fn an_inflated_encoder_embeds_a_still_clip_as_the_image() {
        let loaded = inflate(&vit(), ClipShape::new(IMAGE, 6), 3).unwrap();
        let clip = loaded.model;
        let mut flat = clip.clone();
        flat.positions.table = flat.positions.table.map(|table| table.zeros_like());
        let embedded = flat.represent_layers(still(6), &[0]).remove(0);
        assert_eq!(embedded.grid, ClipGrid::new(2, Grid::new(3, 2)).flat());
        let body = vit().body;
        let of_image = body.embed(body.patches(images()).1);
        let twice = Tensor::cat(vec![of_image.clone(), of_image], 1).into_data();
        embedded.tokens.into_data().assert_approx_eq::<f32>(&twice, Tolerance::absolute(1e-5));
        let block = |b: &crate::nn::Block| b.attention.qkv.weight.val().into_data();
        assert_eq!(block(&clip.transformer.blocks[1]), block(&body.transformer.blocks[1]));
        let report = loaded.report;
        assert_eq!(report.reshaped, ["patch_embed.weight [8, 8] -> [24, 8]"]);
        assert_eq!(report.unused, ["class_token", "positions.table"]);
        assert!(report.missing.is_empty() && report.matched.len() == 28, "{report:?}");
    }

    #[test]
    fn a_deflated_encoder_sees_an_image_as_the_first_step_of_a_still_clip() {
        let config = ClipVitConfig::new(ClipShape::new(IMAGE, 6), 2, 2, 8, 2, 2);
        let clip = config.init(&mut weights());
        let loaded = deflate(&clip).unwrap();
        let mask = StepMask::future(config.grid(), 2).unwrap();
        let mask = vec![mask.sample(&mut stream(0, Purpose::Mask, 0, 0)); 2];
        let first = clip.encode(still(6), &Mask::new(mask, &test_device()).unwrap()).tokens;
        let tokens = loaded.model.represent(images()).tokens.into_data();
        tokens.assert_approx_eq::<f32>(&first.into_data(), Tolerance::absolute(1e-5));
        let reshaped =
            ["patch_embed.weight [16, 8] -> [8, 8]", "positions.table [18, 8] -> [6, 8]"];
        assert_eq!(loaded.report.reshaped, reshaped);
        assert!(loaded.report.missing.is_empty() && loaded.report.fresh.is_empty());
    }

    #[test]
    fn back_and_forth_gives_the_same_embedding() {
        let clip = inflate(&vit(), ClipShape::new(IMAGE, 4), 4).unwrap().model;
        let back = deflate(&clip).unwrap().model.body.patch_embed.weight.val();
        let own = vit().body.patch_embed.weight.val().into_data();
        back.into_data().assert_approx_eq::<f32>(&own, Tolerance::absolute(1e-6));
    }

    #[test]
    fn a_missing_norm_is_reported_and_what_cannot_be_is_named() {
        let config = ClipVitConfig::new(ClipShape::new(IMAGE, 2), 2, 2, 8, 1, 2);
        let report = deflate(&config.with_final_norm(false).init(&mut weights())).unwrap().report;
        assert_eq!(report.missing, ["transformer.norm.beta", "transformer.norm.gamma"]);
        let scaled = VitConfig::new(IMAGE, 2, 8, 1, 2).with_layer_scale(Some(0.1));
        let refused = |vit: &VisibleVit, image, tubelet| {
            inflate(vit, ClipShape::new(image, 6), tubelet).unwrap_err().to_string()
        };
        let message = refused(&scaled.init_visible(&mut weights()), IMAGE, 2);
        assert!(message.contains("no layer scale"), "{message}");
        let message = refused(&vit(), ImageShape::new(3, 6, 4), 2);
        assert!(message.contains("images of 2 channels cannot read clips of 3"), "{message}");
        assert!(refused(&vit(), IMAGE, 4).contains("6 frames cannot be cut"));
    }
}
