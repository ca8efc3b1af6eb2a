//! What a training step tells of its batches, in a form that reaches other processes.

use std::fmt::Debug;

use burn::tensor::{Device, Tensor, TensorData};

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

/// The tensors that were made data of.
///
/// # Panics
///
/// When they are not as many.
pub(crate) fn tensors<const N: usize>(data: Vec<TensorData>) -> [TensorData; N] {
    let given = data.len();
    data.try_into().unwrap_or_else(|_| panic!("{N} tensors were observed, {given} arrived"))
}
