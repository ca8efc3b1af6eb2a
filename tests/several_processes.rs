//! Runs that several processes do together end at the bits of a run of one. Threads stand for the
//! processes here; `tests/mpi` does the same with real ones.
#![cfg(all(feature = "run", feature = "flex"))]

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use burn::data::dataset::{Dataset, DatasetError};
use burn_mim::data::{BadImage, ImageData, ImageDataset, Sample, source::MemoryDataset};
use burn_mim::encoder::GptConfig;
use burn_mim::method::{Method, TokenizerRecipe};
use burn_mim::nn::Momentum;
use burn_mim::run::Run;
use burn_mim::target::tokenizer::{TokenizerConfig, VqConfig};
use burn_mim::train::{Interrupt, Ranks, Recipe, RunFolder, thread_ranks};
use burn_mim::{
    BeitConfig, Error, IBotConfig, ImageGptConfig, ImageShape, MaskConfig, RefineConfig, Result,
    VitConfig,
};
use common::{IMAGE, device, encoder, mae, recipe, waves};
use serde_json::Value;

/// Steps of four micro-batches of 4 images; the last step of an epoch of 43 has two.
fn cut() -> Recipe {
    recipe(2).with_accumulation(4)
}

fn run_on(data: ImageData, out: &Path, ranks: Ranks) -> Run {
    let mut run = Run::new(data, out, &device());
    run.recipe = Some(cut());
    run.batch_size = 4;
    run.ranks = ranks;
    run
}

fn images(image: ImageShape) -> ImageData {
    let (train, test): (Arc<MemoryDataset>, _) = (waves(image, 43), waves(image, 12));
    ImageData::new(train, test, vec![]).unwrap()
}

/// What each of `count` processes makes of `work`.
fn by<T: Send>(count: usize, work: impl Fn(Ranks) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let ranks = thread_ranks(count).unwrap().into_iter();
        let threads: Vec<_> = ranks.map(|ranks| scope.spawn(|| work(ranks))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// What a run has come to: its metrics but for the clock, with the sum of all weights.
fn metrics(out: &Path) -> Value {
    fn without_clock(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for clock in ["seconds", "images_per_second", "wall_seconds"] {
                    fields.remove(clock);
                }
                fields.values_mut().for_each(without_clock);
            }
            Value::Array(values) => values.iter_mut().for_each(without_clock),
            _ => {}
        }
    }
    let text = fs::read_to_string(out.join("metrics.json")).unwrap();
    let mut metrics: Value = serde_json::from_str(&text).unwrap();
    without_clock(&mut metrics);
    // It names folders.
    metrics["config"].take();
    metrics
}

/// Trains `method` by 1, 2 and 4 processes, and by 2 that are stopped after a step, with 4 and then 1
/// that go on.
fn equal_by_any_number<M: Method + Sync>(method: &M)
where
    M::Task: Send,
{
    let folder = tempfile::tempdir().unwrap();
    let trained = |count: usize, out: &Path, stops: bool, resume: bool| {
        by(count, |ranks| {
            let is_last = ranks.rank() == count - 1;
            let mut run = run_on(images(method.image()), out, ranks);
            // One process is asked; all of them stop.
            run.interrupt = Interrupt::default();
            if stops && is_last {
                run.interrupt.request();
            }
            run.resume = resume;
            let trained = run.pretrain(method).unwrap();
            assert_eq!(trained.interrupted, stops);
            trained.history.epochs.len()
        })
    };
    let alone = folder.path().join("1");
    trained(1, &alone, false, false);
    let expected = metrics(&alone);
    assert!(expected["weights_sha256"].is_string(), "{expected}");
    for count in [2, 4] {
        let out = folder.path().join(count.to_string());
        assert_eq!(trained(count, &out, false, false), vec![2; count]);
        assert_eq!(metrics(&out), expected, "{count} processes");
    }
    let out = folder.path().join("stopped");
    trained(2, &out, true, false);
    trained(4, &out, true, true);
    trained(1, &out, false, true);
    assert_eq!(metrics(&out), expected, "stopped and resumed");
}

#[test]
fn masked_autoencoders() {
    equal_by_any_number(&mae(IMAGE));
}

#[test]
fn image_gpt() {
    let sizes = GptConfig::new(ImageShape::square(3, 8), 16, 2, 2).with_colors(5);
    equal_by_any_number(&ImageGptConfig::new(sizes));
}

#[test]
fn queues_of_what_earlier_batches_were() {
    let small = RefineConfig::new(encoder(IMAGE))
        .with_projector_hidden(8)
        .with_projection(4)
        .with_predictor_hidden(8)
        .with_queue(30);
    equal_by_any_number(&small);
}

#[test]
fn centers_and_teachers_that_follow() {
    let small = IBotConfig::new(encoder(IMAGE))
        .with_mask(MaskConfig::blocks(0.3, 1))
        .with_head_hidden(8)
        .with_bottleneck(4)
        .with_outputs(6)
        .with_momentum(Momentum::new(0.9, 1.0));
    equal_by_any_number(&small);
}

fn vq() -> VqConfig {
    let encoder = VitConfig::new(IMAGE, 4, 8, 1, 2).with_class_token(false);
    VqConfig::new(encoder).with_vocabulary(6).with_code_width(4).with_decay(0.8)
}

#[test]
fn codebooks_that_follow_their_cells_and_what_learns_their_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let expected = [1, 2].map(|count| {
        let out = folder.path().join(count.to_string());
        by(count, |ranks| {
            let first = run_on(images(IMAGE), &out.join("tokenizer"), ranks);
            let mut recipe = TokenizerRecipe::small_images(2);
            recipe.recipe = cut();
            let config = TokenizerConfig::Vq(vq());
            let fitted = first.fit_tokenizer(config.clone(), &recipe).unwrap().unwrap();
            let beit = BeitConfig::new(encoder(IMAGE), config)
                .with_mask(MaskConfig::blocks(75.0 / 196.0, 1))
                .with_tokenizer_folder(Some(first.out.clone()));
            let mut run = first.clone();
            run.out = out.clone();
            run.pretrain(&beit).unwrap();
            fitted.report.to_string()
        });
        let parts = [out.join("tokenizer"), out].map(|out| metrics(&out));
        assert!(parts[0]["tokenizer"].is_object(), "{}", parts[0]);
        parts
    });
    assert_eq!(expected[0], expected[1]);
}

#[test]
fn a_step_with_fewer_micro_batches_than_processes_is_refused_by_all() {
    let folder = tempfile::tempdir().unwrap();
    let refused = by(2, |ranks| {
        let mut run = run_on(images(IMAGE), folder.path(), ranks);
        run.recipe = Some(recipe(1));
        run.pretrain(&mae(IMAGE)).unwrap_err().to_string()
    });
    let advice = "--batch-size 2 --accumulation 2";
    assert!(refused.iter().all(|message| message.contains(advice)), "{refused:?}");
    assert!(!folder.path().join("checkpoints").exists());
}

/// Images of which one cannot be read, and may be left out.
#[derive(Debug)]
struct Damaged {
    inner: Arc<MemoryDataset>,
    may_be_left_out: bool,
}

impl Dataset<Sample> for Damaged {
    fn get(&self, index: usize) -> Result<Sample, DatasetError> {
        let fault = || Error::data("7.png", "is cut");
        match index {
            7 if self.may_be_left_out => Err(DatasetError::new(BadImage(fault()))),
            7 => Err(DatasetError::new(fault())),
            _ => self.inner.get(index),
        }
    }

    fn len(&self) -> usize {
        Dataset::len(&*self.inner)
    }
}

impl ImageDataset for Damaged {}

fn damaged(may_be_left_out: bool) -> ImageData {
    let train = Damaged { inner: waves(IMAGE, 43), may_be_left_out };
    let whole = images(IMAGE);
    ImageData { train: Arc::new(train), ..whole }
}

#[test]
fn an_image_that_one_process_leaves_out_is_told_by_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let expected = [1, 4].map(|count| {
        let out = folder.path().join(count.to_string());
        by(count, |ranks| {
            run_on(damaged(true), &out, ranks).pretrain(&mae(IMAGE)).map(drop).unwrap()
        });
        metrics(&out)
    });
    assert_eq!(expected[0]["skipped_images"]["count"], 1);
    assert_eq!(expected[0], expected[1]);
}

#[test]
fn a_fault_that_one_process_meets_ends_all_and_costs_no_finished_step() {
    let folder = tempfile::tempdir().unwrap();
    let done = [1, 2, 4].map(|count| {
        let out = folder.path().join(count.to_string());
        let faults = by(count, |ranks| {
            let run = run_on(damaged(false), &out, ranks);
            run.pretrain(&mae(IMAGE)).unwrap_err()
        });
        let own = faults.iter().filter(|fault| !matches!(fault, Error::Process { .. }));
        assert_eq!(own.count(), 1, "{faults:?}");
        assert!(faults.iter().all(|fault| fault.to_string().contains("7.png: is cut")));
        RunFolder::new(&out).require_latest().unwrap().snapshot().step
    });
    assert_eq!(done, [done[0]; 3]);
}

#[test]
fn processes_of_other_images_are_told_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let refused = by(2, |ranks| {
        let data = if ranks.is_first() { images(IMAGE) } else { damaged(true) };
        let mut run = run_on(data, folder.path(), ranks);
        run.seed = 3 + run.ranks.rank() as u64;
        run.pretrain(&mae(IMAGE)).unwrap_err().to_string()
    });
    assert!(refused[0].contains("process 1 has other images, numbers or"), "{refused:?}");
    assert!(!folder.path().join("checkpoints").exists());
}
