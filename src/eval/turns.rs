//! Batches that are read by one process or by several.

use burn::tensor::{Device, Tensor, TensorData};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::LabelledBatch;
use crate::error::Result;
use crate::train::{Piece, Ranks};

/// What is read of one batch.
#[derive(Debug)]
pub(super) struct Read<const D: usize, A> {
    /// One tensor of each kind, with a row for each image of the batch.
    pub(super) kinds: Vec<Tensor<D>>,
    /// What there is to say of them.
    pub(super) about: A,
    /// The class of each image.
    pub(super) labels: Vec<usize>,
    /// How many classes there are.
    pub(super) classes: usize,
}

/// Hands what `read` makes of every batch to `take`, in the order of all batches, on the first process.
/// `batches` are those of this process: of several, its turns.
pub(super) fn read_in_turns<const D: usize, A: Serialize + DeserializeOwned>(
    ranks: &Ranks,
    batches: impl IntoIterator<Item = Result<LabelledBatch>>,
    mut read: impl FnMut(Tensor<4>) -> Result<(Vec<Tensor<D>>, A)>,
    mut take: impl FnMut(Read<D, A>) -> Result<()>,
) -> Result<()> {
    let own = batches.into_iter().map(|batch| {
        let LabelledBatch { images, targets, labels } = batch?;
        let (kinds, about) = read(images)?;
        Ok(Turn::Own(Read { kinds, about, labels, classes: targets.dims()[1] }))
    });
    let mut device = None;
    ranks.in_turns(own, |turn| match turn {
        Turn::Own(read) => {
            device = device.take().or_else(|| read.kinds.first().map(Tensor::device));
            take(read)
        }
        // The first turn is this process's own.
        Turn::Sent(about, numbers) => {
            take(received(about, numbers, device.as_ref().expect("a device of own tensors")))
        }
    })
}

/// What a process makes of a batch in its turn, or another has sent of one.
enum Turn<const D: usize, A> {
    Own(Read<D, A>),
    Sent(About<A>, Vec<f32>),
}

/// What is sent beside the numbers.
#[derive(Serialize, serde::Deserialize)]
struct About<A> {
    about: A,
    labels: Vec<usize>,
    classes: usize,
    shapes: Vec<Vec<usize>>,
}

impl<const D: usize, A: Serialize + DeserializeOwned> Piece for Turn<D, A> {
    type About = About<A>;

    fn apart(self) -> (About<A>, Vec<f32>) {
        match self {
            Self::Sent(about, numbers) => (about, numbers),
            Self::Own(Read { kinds, about, labels, classes }) => {
                let shapes = kinds.iter().map(|kind| kind.dims().to_vec()).collect();
                let numbers = |kind: Tensor<D>| kind.into_data().iter().collect::<Vec<f32>>();
                let numbers = kinds.into_iter().flat_map(numbers).collect();
                (About { about, labels, classes, shapes }, numbers)
            }
        }
    }

    fn whole(about: About<A>, numbers: Vec<f32>) -> Self {
        Self::Sent(about, numbers)
    }
}

fn received<const D: usize, A>(about: About<A>, numbers: Vec<f32>, device: &Device) -> Read<D, A> {
    let About { about, labels, classes, shapes } = about;
    let mut numbers = numbers.into_iter();
    let kind = |shape: Vec<usize>| {
        let values = numbers.by_ref().take(shape.iter().product()).collect::<Vec<_>>();
        Tensor::from_data(TensorData::new(values, shape), device)
    };
    Read { kinds: shapes.into_iter().map(kind).collect(), about, labels, classes }
}
