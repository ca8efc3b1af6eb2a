//! Tells published weights from runs, loads them, and reports about them.

use std::path::Path;

use burn::tensor::Device;

use super::encoder_spec::EncoderSpec;
use super::loaded::{BackboneVisitor, LoadedBackbone};
use crate::checkpoint::{LoadOptions, LoadReport, Transformers, TransformersModel};
use crate::data::ChannelStatistics;
use crate::encoder::{
    Backbone, ClipVit, EncoderConfig, GptConfig, Hiera, PixelGpt, VitBody, VitConfig,
};
use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::nn::InitialWeights;
use crate::train::RunFolder;

/// What there is at a path.
pub(super) enum Found {
    /// A run with a checkpoint, whole or damaged.
    Run(RunFolder),
    /// Published weights: a transformers folder or a single file.
    Published(Box<Transformers>),
}

/// Finds the run, or opens the published weights, at `path`.
pub(super) fn open(path: &Path) -> Result<Found> {
    let (folder, config) = (RunFolder::new(path), path.join("config.json"));
    if !path.is_file() && folder.has_checkpoints()? {
        return Ok(Found::Run(folder));
    }
    if path.is_file() || is_transformers(&config) {
        return Ok(Found::Published(Box::new(Transformers::open(path)?)));
    }
    let reason = if config.is_file() {
        "holds no checkpoint of a run, and its config.json does not belong to a transformers model"
    } else {
        "holds neither the checkpoints of a run nor the config.json of a transformers model; \
         weights without one are given by their file"
    };
    Err(Error::checkpoint(path, reason))
}

/// Notes about published weights, line by line. If no file says how images are normalized, the note
/// names the mean and deviation of `other`.
pub(super) fn notes(
    opened: &Transformers,
    report: &LoadReport,
    statistics: Option<&ChannelStatistics>,
    other: &str,
) -> Vec<String> {
    let mut notes = report.lines(opened.path());
    notes.extend(opened.assumed().map(String::from));
    notes.push(match statistics {
        Some(ChannelStatistics { mean, std }) => {
            format!(
                "images are normalized as preprocessor_config.json says: mean {mean:?}, std {std:?}"
            )
        }
        None => format!(
            "no preprocessor_config.json says how images are normalized: {other} own mean and \
             deviation are taken"
        ),
    });
    notes
}

/// Loads the encoder of published weights and hands it to `visitor`; with `side`, for square images
/// of that many pixels.
pub(super) fn of_published<V: BackboneVisitor>(
    opened: Transformers,
    side: Option<usize>,
    device: &Device,
    visitor: V,
) -> Result<V::Output> {
    let opened = &match side {
        Some(side) => opened.resized_to(side),
        None => opened,
    };
    let model =
        opened.load(LoadOptions { resize: side.is_some(), ..LoadOptions::default() }, device)?;
    let report = model.report().clone();
    report.require_encoder(opened.path())?;
    let found = Loaded { opened, report };
    match model {
        TransformersModel::Mae(l) => found.vit(l.model.encoder.body, l.config.encoder, visitor),
        TransformersModel::SimMim(l) => found.vit(l.model.encoder.body, l.config.encoder, visitor),
        TransformersModel::Encoder(l) => found.vit(l.model.body, l.config, visitor),
        TransformersModel::Beit(l) => found.vit(l.model.encoder.body, l.config, visitor),
        TransformersModel::BeitEncoder(l) => found.vit(l.model.body, l.config, visitor),
        TransformersModel::SwinSimMim(l) => {
            let spec = EncoderSpec::Swin(l.config.encoder.clone());
            found.masked(l.model.encoder, l.config.encoder, spec, visitor)
        }
        TransformersModel::Swin(l) => {
            let spec = EncoderSpec::Swin(l.config.clone());
            found.masked(l.model, l.config, spec, visitor)
        }
        TransformersModel::SwinV2SimMim(l) => {
            let spec = EncoderSpec::SwinV2(l.config.encoder.clone());
            found.masked(l.model.encoder, l.config.encoder, spec, visitor)
        }
        TransformersModel::SwinV2(l) => {
            let spec = EncoderSpec::SwinV2(l.config.clone());
            found.masked(l.model, l.config, spec, visitor)
        }
        TransformersModel::ConvNextV2(l) => {
            let (config, spec) = (l.config, EncoderSpec::of(&l.model));
            found.hand(l.model, config.image, spec, move |weights| config.init(weights), visitor)
        }
        TransformersModel::ResNet(l) => {
            let (config, image) = (l.config, opened.resnet_image(l.model.config()));
            let spec = Some(EncoderSpec::ResNet { config: config.clone(), image });
            found.hand(l.model, image, spec, move |weights| config.init(weights), visitor)
        }
        TransformersModel::HieraMae(l) => found.hiera(l.model.encoder, visitor),
        TransformersModel::Hiera(l) => found.hiera(l.model, visitor),
        TransformersModel::ImageGpt(l) => found.gpt(l.model.encoder, l.config.encoder, visitor),
        TransformersModel::PixelGpt(l) => found.gpt(l.model, l.config, visitor),
        TransformersModel::VideoMae(l) => found.clips(l.model.encoder, visitor),
        TransformersModel::ClipEncoder(l) => found.clips(l.model, visitor),
    }
}

/// Published weights that were loaded.
struct Loaded<'a> {
    opened: &'a Transformers,
    report: LoadReport,
}

impl Loaded<'_> {
    fn vit<V: BackboneVisitor>(self, body: VitBody, config: VitConfig, to: V) -> Result<V::Output> {
        let spec = EncoderSpec::of(&body);
        self.hand(body, config.image, spec, move |weights| VitBody::new(&config, weights), to)
    }

    fn hiera<V: BackboneVisitor>(self, hiera: Hiera, to: V) -> Result<V::Output> {
        let (spec, config) = (EncoderSpec::of(&hiera), hiera.config().clone());
        self.hand(hiera, config.image, spec, move |weights| config.init(weights), to)
    }

    fn clips<V: BackboneVisitor>(self, clip: ClipVit, to: V) -> Result<V::Output> {
        let (spec, config) = (EncoderSpec::of(&clip), clip.config().clone());
        self.hand(clip, config.image(), spec, move |weights| config.init(weights), to)
    }

    fn masked<C, V>(
        self,
        encoder: C::Encoder,
        config: C,
        spec: EncoderSpec,
        to: V,
    ) -> Result<V::Output>
    where
        C: EncoderConfig<Encoder: Clone> + Send + Sync + 'static,
        V: BackboneVisitor,
    {
        self.hand(encoder, config.image(), Some(spec), move |weights| config.init(weights), to)
    }

    fn gpt<V: BackboneVisitor>(self, gpt: PixelGpt, config: GptConfig, to: V) -> Result<V::Output> {
        let Some(palette) = gpt.palette.as_ref().map(|palette| palette.val()) else {
            let reason = "has no palette (preprocessor_config.json), so it reads ids, not images";
            return Err(Error::checkpoint(self.opened.path(), reason));
        };
        let (layer, image) = (gpt.layer, config.image);
        let random = move |weights: &mut InitialWeights| {
            PixelGpt::new(config.init(weights), Some(palette.clone())).at_layer(layer)
        };
        let spec = EncoderSpec::of(&gpt);
        self.hand(gpt, image, spec, random, to)
    }

    fn hand<B, V>(
        self,
        encoder: B,
        image: ImageShape,
        spec: Option<EncoderSpec>,
        random: impl Fn(&mut InitialWeights) -> B + Send + 'static,
        to: V,
    ) -> Result<V::Output>
    where
        B: Backbone + Clone + 'static,
        V: BackboneVisitor,
    {
        let Self { opened, report } = self;
        let statistics = opened.statistics(image.channels)?;
        let notes = notes(opened, &report, statistics.as_ref(), "the data's");
        let title = format!("{} {}", opened.architecture(), encoder.describe());
        let mut loaded =
            LoadedBackbone::new(encoder, image, title, move |weights| Ok(random(weights)));
        loaded.framing = opened.framing(image.frame())?.unwrap_or_default();
        (loaded.statistics, loaded.report, loaded.notes) = (statistics, Some(report), notes);
        loaded.spec = spec;
        to.visit(loaded)
    }
}

/// Whether there is a `config.json` of a transformers model, or one that cannot be read, which is
/// said when it is opened.
fn is_transformers(config: &Path) -> bool {
    let Ok(bytes) = std::fs::read(config) else { return config.exists() };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    match serde_json::from_slice::<serde_json::Value>(bytes) {
        Ok(json) => json.get("model_type").or(json.get("architectures")).is_some(),
        Err(_) => true,
    }
}
