//! What a training step tells of its batches, in a form that reaches other processes.

use std::fmt::Debug;

use burn::tensor::{Device, Tensor, TensorData};

use crate::nn::{Moments, NormsSeen};

/// What [`PretextTask::after_step`](super::PretextTask::after_step) needs to know of a batch. Where
/// several processes train a task, every one of them must know it of all batches of a step.
pub trait Observed: Debug + Send + Sized + 'static {
    /// Its values, all of them numbers that f32 holds exactly.
    fn into_data(self) -> Vec<TensorData>;

    /// What [`into_data`](Self::into_data) was made of, on `device`.
    fn from_data(data: Vec<TensorData>, device: &Device) -> Self;
}

impl Observed for () {
    fn into_data(self) -> Vec<TensorData> {
        Vec::new()
    }

    fn from_data(_: Vec<TensorData>, _: &Device) {}
}

impl<const D: usize> Observed for Tensor<D> {
    fn into_data(self) -> Vec<TensorData> {
        vec![Tensor::into_data(self)]
    }

    fn from_data(data: Vec<TensorData>, device: &Device) -> Self {
        let [values] = tensors(data);
        Tensor::from_data(values, device)
    }
}

impl Observed for NormsSeen {
    fn into_data(self) -> Vec<TensorData> {
        let both = self.0.into_iter().flat_map(|Moments { mean, variance }| [mean, variance]);
        both.map(Tensor::into_data).collect()
    }

    fn from_data(data: Vec<TensorData>, device: &Device) -> Self {
        let mut tensors = data.into_iter().map(|data| Tensor::from_data(data, device));
        let mut seen = Vec::new();
        while let (Some(mean), Some(variance)) = (tensors.next(), tensors.next()) {
            seen.push(Moments { mean, variance });
        }
        Self(seen)
    }
}

/// The tensors that were made data of.
///
/// # Panics
///
/// When they are not as many.
pub(crate) fn tensors<const N: usize>(data: Vec<TensorData>) -> [TensorData; N] {
    let given = data.len();
    data.try_into().unwrap_or_else(|_| panic!("{N} tensors were observed, {given} arrived"))
}
