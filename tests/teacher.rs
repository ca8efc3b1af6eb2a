//! Targets that follow the encoder: data2vec's teacher (Baevski et al. 2022, arXiv 2202.03555) in a few
//! lines, on the public parts alone, and those of the crate.
#![cfg(feature = "train")]

mod common;

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Tensor;
use burn_mim::encoder::VitBody;
use burn_mim::nn::{Momentum, follow, teacher_of};
use burn_mim::train::{History, Interrupt, Pretraining, RunFolder};
use burn_mim::{
    Backbone, ConvDecoderConfig, Data2VecConfig, Data2VecV1Config, FeatureConfig, FeatureLayers,
    LinearHead, MaskConfig, MaskStrategy, Mim, MimBatch, PretextTask, RandomMask, Target, Vit,
};
use common::{IMAGE, encoder, loader, losses, pretraining, recipe, weights};

/// The hidden cells' features of a teacher that is a moving average of the encoder.
#[derive(Module, Debug)]
struct TeacherFeatures {
    teacher: Vit,
}

impl Target for TeacherFeatures {
    type Prediction = Tensor<3>;
    type Value = Tensor<3>;

    fn width(&self) -> usize {
        self.teacher.width()
    }

    fn of(&self, batch: &MimBatch) -> Tensor<3> {
        let features = self.teacher.represent(batch.images.clone());
        batch.mask.at(features.grid).asked.select(features.tokens)
    }

    fn loss(&self, prediction: Tensor<3>, value: Tensor<3>) -> Tensor<1> {
        (prediction - value).square().mean()
    }

    fn embeddings(
        &self,
        prediction: &Tensor<3>,
        value: &Tensor<3>,
    ) -> Vec<(&'static str, Tensor<2>)> {
        let mean = |cells: &Tensor<3>| cells.clone().mean_dim(1).squeeze_dim(1);
        vec![("prediction", mean(prediction)), ("target", mean(value))]
    }

    fn after_step<E: Module>(self, encoder: &E, progress: f64) -> Self {
        Self { teacher: follow(self.teacher, encoder, Momentum::new(0.5, 1.0).at(progress)) }
    }
}

/// Student and teacher start alike.
fn data2vec() -> Mim<Vit, LinearHead, TeacherFeatures> {
    let (config, weights) = (encoder(IMAGE), &mut weights(3));
    let encoder = config.init(weights);
    let teacher = teacher_of(&encoder);
    Mim {
        encoder,
        head: LinearHead::new(config.width, config.width, weights),
        target: TeacherFeatures { teacher },
    }
}

fn train<T>(plan: Pretraining, task: T, mask: Arc<dyn MaskStrategy>) -> (History, T)
where
    T: PretextTask<Batch = MimBatch>,
{
    let loaders = [true, false].map(|training| loader(IMAGE, mask.clone(), training, 0));
    let trained = plan.run(task, &loaders[0], &loaders[1]).unwrap();
    (trained.history, trained.task)
}

fn first_weight(vit: &VitBody) -> Vec<f32> {
    vit.patch_embed.weight.val().into_data().iter().collect()
}

/// Trains the task that `fresh` makes at once, and in two parts; `ends` gives its encoder and its
/// teacher.
fn follows_and_resumes<T>(
    fresh: impl Fn() -> T,
    mask: Arc<dyn MaskStrategy>,
    ends: impl Fn(&T) -> [&VitBody; 2],
) where
    T: PretextTask<Batch = MimBatch>,
{
    let whole = tempfile::tempdir().unwrap();
    let (history, task) = train(pretraining(whole.path(), recipe(3)), fresh(), mask.clone());
    let start = first_weight(ends(&fresh())[0]);
    let [encoder, teacher] = ends(&task).map(first_weight);
    assert!(teacher != start && teacher != encoder);
    let saved = RunFolder::new(whole.path()).load_into(fresh()).unwrap();
    assert_eq!(first_weight(ends(&saved)[1]), teacher);
    let metrics = &history.last().unwrap().valid_metrics;
    assert!(metrics["target_spread"] > 0.0 && metrics["target_rank_me"] >= 1.0, "{metrics:?}");

    let parts = tempfile::tempdir().unwrap();
    // Asked from the start, a run stops after its first step.
    let interrupt = Interrupt::default();
    interrupt.request();
    train(pretraining(parts.path(), recipe(3)).interrupt(interrupt), fresh(), mask.clone());
    let (resumed, task) = train(pretraining(parts.path(), recipe(3)).resume(true), fresh(), mask);
    assert_eq!(losses(&resumed), losses(&history));
    assert_eq!(first_weight(ends(&task)[1]), teacher);
}

#[test]
fn a_teacher_follows_the_encoder_without_being_it_and_resumes_to_the_bit() {
    let mask = RandomMask::mae(encoder(IMAGE).grid(), 0.5).unwrap();
    follows_and_resumes(data2vec, Arc::new(mask), |task| {
        [&task.encoder.body, &task.target.teacher.body]
    });
}

#[test]
fn the_teacher_of_data2vec_follows_and_resumes_to_the_bit() {
    let decoder = ConvDecoderConfig::new().with_width(16).with_depth(2).with_groups(4);
    let config = Data2VecConfig::new(encoder(IMAGE))
        .with_decoder(decoder)
        .with_features(FeatureConfig::new(FeatureLayers::Mlps { last: 2 }))
        .with_momentum(Momentum::new(0.5, 1.0));
    let mask = RandomMask::mae(encoder(IMAGE).grid(), 0.5).unwrap();
    follows_and_resumes(
        || config.init(&mut weights(3)),
        Arc::new(mask),
        |task| [&task.encoder.body, &task.target.teacher.body],
    );
}

#[test]
fn the_teacher_of_the_first_data2vec_follows_and_resumes_to_the_bit() {
    let config = Data2VecV1Config::new(encoder(IMAGE))
        .with_mask(MaskConfig::blocks(0.6, 2))
        .with_features(FeatureConfig::new(FeatureLayers::Blocks { last: 2 }))
        .with_momentum(Momentum::new(0.5, 1.0));
    follows_and_resumes(
        || config.init(&mut weights(3)),
        config.mask().unwrap(),
        |task| [&task.encoder.body, &task.target.teacher.body],
    );
}
