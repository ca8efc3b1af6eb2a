//! AdamW in one pass over memory, in place.

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Flex, backend_extension};
use rayon::prelude::*;

use super::buffer::{dense, values, values_mut};
use super::simd::vectorized;
use crate::kernel::AdamWStep;

/// How many values one thread updates at a time.
const CHUNK: usize = 1 << 14;

#[backend_extension(Flex)]
pub(crate) trait AdamWKernel: Backend {
    fn mim_adamw(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        moment_1: FloatTensor<Self>,
        moment_2: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

impl AdamWKernel for Flex {
    fn mim_adamw(
        parameter: FlexTensor,
        gradient: FlexTensor,
        moment_1: FlexTensor,
        moment_2: FlexTensor,
        step: AdamWStep,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let gradient = dense(gradient);
        let [mut parameter, mut moment_1, mut moment_2] =
            [parameter, moment_1, moment_2].map(dense);
        values_mut(&mut parameter)
            .par_chunks_mut(CHUNK)
            .zip(values_mut(&mut moment_1).par_chunks_mut(CHUNK))
            .zip(values_mut(&mut moment_2).par_chunks_mut(CHUNK))
            .zip(values(&gradient).par_chunks(CHUNK))
            .for_each(|(((parameter, moment_1), moment_2), gradient)| {
                update(parameter, gradient, [moment_1, moment_2], step);
            });
        (parameter, moment_1, moment_2)
    }
}

vectorized! {
    fn update<_A>(
        parameter: &mut [f32],
        gradient: &[f32],
        moments: [&mut [f32]; 2],
        step: AdamWStep,
    ) {
        let ([beta_1, beta_2], [correction_1, correction_2]) = (step.betas, step.corrections());
        let (kept, rate) = (step.kept() as f32, step.rate as f32);
        let [moment_1, moment_2] = moments;
        let moments = moment_1.iter_mut().zip(moment_2);
        for ((parameter, gradient), (moment_1, moment_2)) in
            parameter.iter_mut().zip(gradient).zip(moments)
        {
            *moment_1 = *moment_1 * beta_1 + gradient * (1.0 - beta_1);
            *moment_2 = *moment_2 * beta_2 + gradient * gradient * (1.0 - beta_2);
            let update =
                *moment_1 / correction_1 / ((*moment_2 / correction_2).sqrt() + step.epsilon);
            *parameter = *parameter * kept - update * rate;
        }
    }
}
