//! What a task computes in half precision, against f32.

use burn::optim::GradientsParams;
use burn::tensor::{DType, FloatDType, Tensor};
use burn_mim::PretextTask;

/// A task's loss and all its gradients as one vector, in f32 or in half precision.
fn step<T: PretextTask>(task: &T, batch: T::Batch, dtype: Option<FloatDType>) -> (f32, Vec<f32>) {
    let output = match dtype {
        None => task.loss(batch),
        Some(dtype) => task.loss_in(batch, dtype).unwrap(),
    };
    assert_eq!(output.loss.dtype(), DType::F32);
    let gradients = GradientsParams::from_grads((output.loss.clone() * 1024.0).backward(), task);
    let mut all = Gradients { gradients, values: vec![] };
    task.visit(&mut all);
    (output.loss.into_scalar(), all.values)
}

struct Gradients {
    gradients: GradientsParams,
    values: Vec<f32>,
}

impl burn::module::ModuleVisitor for Gradients {
    fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get::<D>(param.id) else { return };
        assert_eq!(gradient.dtype(), DType::F32);
        self.values.extend(gradient.into_data().iter::<f32>());
    }
}

/// Holds a task's loss and gradients in half precision to those in f32, to within what rounding
/// explains.
pub(crate) fn nearly_the_same<T>(task: &T, batch: &T::Batch)
where
    T: PretextTask<Batch: Clone>,
{
    nearly(task, batch, 1.0, |rounding| 8.0 * rounding);
}

/// As [`nearly_the_same`], for a task that is no smooth function of its numbers. Rounding moves a share
/// of them across the kink of a relu, or a cell to another code; each then has a wholly other
/// gradient, and the norm of all differs by the root of that share.
#[allow(dead_code, reason = "each test file uses its own part")]
pub(crate) fn nearly_the_same_but_for_kinks<T>(task: &T, batch: &T::Batch)
where
    T: PretextTask<Batch: Clone>,
{
    nearly(task, batch, 4.0, |rounding| 3.0 * rounding.sqrt());
}

fn nearly<T>(task: &T, batch: &T::Batch, slack: f32, most: impl Fn(f32) -> f32)
where
    T: PretextTask<Batch: Clone>,
{
    let (loss, gradients) = step(task, batch.clone(), None);
    // Half the distance between two numbers next to 1: 8 and 11 bits of mantissa.
    for (dtype, rounding) in [(FloatDType::BF16, 2f32.powi(-8)), (FloatDType::F16, 2f32.powi(-11))]
    {
        let (half_loss, half_gradients) = step(task, batch.clone(), Some(dtype));
        assert_eq!(half_gradients.len(), gradients.len());
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let norm = |a: &[f32]| dot(a, a).sqrt();
        let difference: Vec<_> =
            gradients.iter().zip(&half_gradients).map(|(a, b)| a - b).collect();
        let (loss_off, gradient_off) =
            ((half_loss - loss).abs() / loss.abs(), norm(&difference) / norm(&gradients));
        println!("{dtype:?}: loss off by {loss_off:.1e}, gradient by {gradient_off:.1e}");
        assert!(loss_off < slack * rounding, "{dtype:?}: a loss of {half_loss} for {loss}");
        assert!(gradient_off < most(rounding), "{dtype:?}: gradients off by {gradient_off}");
    }
}
