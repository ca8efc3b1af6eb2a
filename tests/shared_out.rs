//! Features that several processes extract together are those of one. Threads stand for the processes
//! here; `tests/mpi` does the same with real ones.
#![cfg(all(feature = "run", feature = "flex"))]

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use burn::data::dataset::{Dataset, DatasetError};
use burn_mim::data::{ChannelStatistics, ImageData, ImageDataset, Sample, source::MemoryDataset};
use burn_mim::encoder::VitBody;
use burn_mim::eval::{FineTuning, Score};
use burn_mim::method::BuiltIn;
use burn_mim::run::{
    BackboneSource, Embed, EmbedOptions, Evaluation, FeatureFormat, LoadedBackbone, Plan, Protocol,
};
use burn_mim::train::{Interrupt, Ranks, thread_ranks};
use burn_mim::{Error, Result};
use common::{IMAGE, device, encoder, waves};

/// What each of `count` processes makes of `work`.
fn by<T: Send>(count: usize, work: impl Fn(Ranks) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let ranks = thread_ranks(count).unwrap().into_iter();
        let threads: Vec<_> = ranks.map(|ranks| scope.spawn(|| work(ranks))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn random() -> LoadedBackbone<VitBody> {
    BackboneSource::None.load::<BuiltIn, _>(None, &encoder(IMAGE), 3, &device()).unwrap()
}

fn data() -> ImageData {
    let names = ["even", "odd"].map(String::from).to_vec();
    ImageData::new(waves(IMAGE, 41), waves(IMAGE, 12), names).unwrap()
}

fn plan(protocol: Protocol, out: &Path) -> Plan {
    Plan { protocol, baselines: false, tuning: FineTuning::small_images(1), out: out.into() }
}

/// Evaluates by `ranks`; only the first process has scores, which are given without their clock.
fn evaluated(ranks: &Ranks, data: &ImageData, plan: &Plan) -> Result<Option<Vec<Score>>> {
    let random = random();
    let mut evaluation = Evaluation::new(&random, data, &device());
    (evaluation.batch_size, evaluation.workers) = (8, 0);
    // Random encoders differ between seeds.
    evaluation.seeds = if plan.baselines { 2 } else { 1 };
    let mut said = 0;
    let scores = evaluation.run_by(ranks, plan, &mut |_| said += 1)?;
    Ok(scores.map(|scores| {
        let all: Vec<_> = scores.given.into_iter().chain(scores.baselines).collect();
        assert_eq!(said, all.len());
        all.into_iter().map(|score| Score { seconds: 0.0, ..score }).collect()
    }))
}

/// The scores of `protocol` by one process are those by each of `counts`.
fn the_same_by(counts: &[usize], protocol: Protocol, baselines: bool) {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan { baselines, ..plan(protocol, folder.path()) };
    let expected = evaluated(&Ranks::default(), &data(), &plan).unwrap().unwrap();
    assert!(!expected.is_empty());
    for &count in counts {
        let mut found = by(count, |ranks| evaluated(&ranks, &data(), &plan).unwrap()).into_iter();
        assert!(found.next().unwrap().unwrap() == expected, "{protocol} by {count}");
        assert!(found.all(|others| others.is_none()));
    }
}

#[test]
fn scores_of_an_encoder_and_of_its_baselines_are_those_of_one_process_to_the_last_bit() {
    the_same_by(&[2, 4], Protocol::Knn, true);
}

#[test]
fn so_are_those_of_its_layers_and_of_its_cells() {
    the_same_by(&[2], Protocol::Layers, false);
    the_same_by(&[2], Protocol::Attentive, false);
}

/// Images of which one cannot be read.
#[derive(Debug)]
struct Damaged(Arc<MemoryDataset>);

impl Dataset<Sample> for Damaged {
    fn get(&self, index: usize) -> Result<Sample, DatasetError> {
        match index {
            // Of the second batch of 8.
            11 => Err(DatasetError::new(Error::data("11.png", "is cut"))),
            _ => self.0.get(index),
        }
    }

    fn len(&self) -> usize {
        Dataset::len(&*self.0)
    }
}

impl ImageDataset for Damaged {
    fn label(&self, index: usize) -> Result<Option<usize>> {
        self.0.label(index)
    }
}

#[test]
fn an_image_that_one_process_cannot_read_ends_the_evaluation_of_all() {
    let folder = tempfile::tempdir().unwrap();
    let data = ImageData { train: Arc::new(Damaged(waves(IMAGE, 41))), ..data() };
    let faults =
        by(2, |ranks| evaluated(&ranks, &data, &plan(Protocol::Knn, folder.path())).unwrap_err());
    assert!(matches!(faults[0], Error::Process { rank: 1, .. }), "{faults:?}");
    assert!(!matches!(faults[1], Error::Process { .. }), "{faults:?}");
    assert!(faults.iter().all(|fault| fault.to_string().ends_with("11.png: is cut")), "{faults:?}");
}

#[test]
fn processes_of_other_settings_are_told_before_anything_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let refused = by(2, |ranks| {
        let protocol = if ranks.is_first() { Protocol::Knn } else { Protocol::Linear };
        evaluated(&ranks, &data(), &plan(protocol, folder.path())).unwrap_err().to_string()
    });
    assert!(refused[0].contains("process 1 has other images, weights or settings"), "{refused:?}");
}

/// Embeds `images` by `ranks` in `out`.
fn embedded(
    ranks: &Ranks,
    images: Arc<dyn ImageDataset>,
    out: &Path,
) -> Result<Option<Vec<usize>>> {
    let statistics = ChannelStatistics { mean: vec![0.5; 3], std: vec![0.25; 3] };
    let options = EmbedOptions {
        device: &device(),
        statistics: Some(&statistics),
        class_names: &[],
        interrupt: &Interrupt::default(),
        told: &|_| {},
    };
    let embed = Embed::new().with_format(FeatureFormat::Both).with_batch_size(5);
    let done = embed.run_by(ranks, &random(), &images, out, options)?;
    Ok(done.map(|done| done.shape))
}

#[test]
fn files_of_features_are_those_of_one_process_to_the_last_bit() {
    let folder = tempfile::tempdir().unwrap();
    let files = |count: usize| {
        let out = folder.path().join(count.to_string());
        let shapes = by(count, |ranks| embedded(&ranks, waves(IMAGE, 23), &out).unwrap());
        assert_eq!(shapes[0], Some(vec![23, 16]));
        assert!(shapes[1..].iter().all(Option::is_none));
        let names = ["features.npy", "features.safetensors", "names.json", "labels.npy"];
        names.map(|name| fs::read(out.join(name)).unwrap())
    };
    let expected = files(1);
    assert!(files(2) == expected && files(4) == expected);
}

#[test]
fn features_that_cannot_be_written_or_read_are_told_by_all_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("features");
    let faults = by(2, |ranks| {
        embedded(&ranks, Arc::new(Damaged(waves(IMAGE, 23))), &out).unwrap_err().to_string()
    });
    assert!(faults.iter().all(|fault| fault.ends_with("11.png: is cut")), "{faults:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    fs::create_dir_all(out.join("something")).unwrap();
    let faults = by(2, |ranks| embedded(&ranks, waves(IMAGE, 23), &out).unwrap_err().to_string());
    assert!(faults.iter().all(|fault| fault.contains("holds something already")), "{faults:?}");
}
