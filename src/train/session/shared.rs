//! The steps of a run that several processes do together.

use burn::optim::GradientsParams;
use burn::tensor::TensorData;

use super::Session;
use crate::data::{Collate, Epoch, Loader};
use crate::error::{Error, Result};
use crate::task::{Observed, PretextTask, TaskOutput};
use crate::train::exchange::{NOTHING, Tree};
use crate::train::gradients;

/// What one process has computed of a step.
struct Part {
    /// The number of the first of its micro-batches within the step.
    first: usize,
    losses: Vec<f32>,
    samples: Vec<usize>,
    /// What was observed of each, as numbers.
    observed: Vec<Vec<f32>>,
    gradients: GradientsParams,
}

/// The numbers of a step beside its gradients, of `count` micro-batches on `ranks` processes: a loss, a
/// number of samples and the length of what was observed of each micro-batch, whether one wants to stop,
/// whether the first says that a checkpoint is due, and of each process whether it has failed.
struct Head {
    count: usize,
    ranks: usize,
}

impl Head {
    fn len(&self) -> usize {
        self.fault(self.ranks)
    }

    fn stop(&self) -> usize {
        3 * self.count
    }

    fn save(&self) -> usize {
        self.stop() + 1
    }

    fn fault(&self, rank: usize) -> usize {
        self.save() + 1 + rank
    }
}

impl<T: PretextTask> Session<'_, T> {
    /// As `train`, with this process's share of every step. The sums of all gradients, and everything
    /// else that decides how the run goes on, are the same on every process: none ever waits for one
    /// that has stopped, or has met a fault.
    pub(super) fn train_shared<C: Collate<Batch = T::Batch>>(
        &mut self,
        train: &Loader<C>,
    ) -> Result<()> {
        let (begun, each) = (self.snapshot.batch, self.plan.recipe.accumulation);
        let own = (begun..self.batches).step_by(each).flat_map(|first| {
            self.plan.ranks.share(self.parts(first)).map(move |part| first + part)
        });
        let mut batches = train.part(self.snapshot.epoch as u64, own.collect::<Vec<_>>());
        while self.snapshot.batch < self.batches {
            let count = self.parts(self.snapshot.batch);
            let computed = self.own_part(count, &mut batches);
            self.shared_step(count, computed)?;
            if self.has_all_steps() || self.is_asked_to_stop() {
                break;
            }
            if self.is_save_due() {
                self.save()?;
            }
        }
        Ok(())
    }

    /// Computes this process's share of a step of `count` micro-batches.
    fn own_part(&self, count: usize, batches: &mut Epoch<T::Batch>) -> Result<Part> {
        let own = self.plan.ranks.share(count);
        let mut sum = Tree::new(own.len());
        let (mut losses, mut samples, mut observed) = (Vec::new(), Vec::new(), Vec::new());
        for _ in own.clone() {
            let Some(batch) = batches.next() else { break };
            let number = Epoch::position(batches);
            let TaskOutput { loss, observed: seen } = self.forward(batch, number)?;
            sum.give(self.gradients(&loss), |a, b| gradients::added(self.task(), a, b));
            losses.push(loss.without_autodiff().try_into_scalar().map_err(Error::device)?);
            samples.push(batches.samples());
            observed.push(packed(seen.into_data()));
        }
        let gradients = sum.sum().unwrap_or_default();
        Ok(Part { first: own.start, losses, samples, observed, gradients })
    }

    /// Adds the parts of all processes, and steps. Where one of them has failed, all do.
    fn shared_step(&mut self, count: usize, own: Result<Part>) -> Result<()> {
        let ranks = &self.plan.ranks;
        let head = Head { count, ranks: ranks.ranks() };
        let mut numbers = vec![NOTHING; head.len()];
        let stop = self.plan.interrupt.is_requested();
        numbers[head.stop()] = f32::from(u8::from(stop));
        let save = ranks.is_first() && self.is_save_overdue();
        numbers[head.save()] = f32::from(u8::from(save));
        let (own, fault) = match own {
            Ok(own) => (Some(own), Ok(())),
            Err(error) => (None, Err(error)),
        };
        numbers[head.fault(ranks.rank())] = f32::from(u8::from(fault.is_err()));
        let (mut first, mut observed) = (0, Vec::new());
        let mut gradients = GradientsParams::new();
        if let Some(part) = own {
            first = part.first;
            for (index, (loss, samples)) in part.losses.iter().zip(&part.samples).enumerate() {
                numbers[first + index] = *loss;
                numbers[count + first + index] = *samples as f32;
                numbers[2 * count + first + index] = part.observed[index].len() as f32;
            }
            (observed, gradients) = (part.observed, part.gradients);
        }
        let large = gradients::write(self.task(), gradients, &mut numbers);
        ranks.sum(&mut numbers)?;
        if (0..ranks.ranks()).any(|rank| numbers[head.fault(rank)] > 0.0) {
            return ranks.together(fault);
        }
        let lengths = &numbers[2 * count..3 * count];
        let observed = self.all_observed(first, observed, lengths)?;
        self.all_stop = numbers[head.stop()] > 0.0;
        self.all_save = numbers[head.save()] > 0.0;
        let images: f32 = numbers[count..2 * count].iter().sum();
        let mut room = Vec::new();
        let sum = |values: &mut [f32]| ranks.sum_in(values, &mut room);
        let gradients = gradients::read(self.task(), &numbers[head.len()..], large, sum)?;
        let step = self.snapshot.step;
        let norm = self.step(gradients, count, observed);
        self.count(self.snapshot.batch + count, images as usize);
        let norm = norm.filter(|_| self.logs(step));
        let norm = norm.map(|norm| norm.try_into_scalar()).transpose().map_err(Error::device)?;
        for (index, &loss) in numbers[..count].iter().enumerate() {
            let ends_step = index + 1 == count;
            self.record(loss, norm.filter(|_| ends_step), step, ends_step)?;
        }
        Ok(())
    }

    /// What was observed of all micro-batches of a step, whose `lengths` are known: `own` is that of
    /// those from number `first` on.
    fn all_observed(
        &self,
        first: usize,
        own: Vec<Vec<f32>>,
        lengths: &[f32],
    ) -> Result<Vec<T::Observed>> {
        let lengths: Vec<usize> = lengths.iter().map(|&length| length as usize).collect();
        let start: usize = lengths[..first].iter().sum();
        let mut numbers = vec![NOTHING; lengths.iter().sum()];
        let own = own.into_iter().flatten();
        numbers[start..].iter_mut().zip(own).for_each(|(place, number)| *place = number);
        self.plan.ranks.sum(&mut numbers)?;
        let (mut rest, device) = (numbers.as_slice(), self.device.clone().without_autodiff());
        let observed = lengths.into_iter().map(|length| {
            let (one, others) = rest.split_at(length);
            rest = others;
            T::Observed::from_data(unpacked(one), &device)
        });
        Ok(observed.collect())
    }

    /// Refuses what several processes cannot do to the same bits.
    pub(super) fn check_shared(&self) -> Result<()> {
        let ranks = &self.plan.ranks;
        if ranks.ranks() == 1 {
            return Ok(());
        }
        let other = crate::train::parameters::trained_in_other_than_f32(self.task());
        ranks.together(match other {
            Some(path) => Err(Error::config(format!(
                "several processes add gradients in f32, and {path} is of another type"
            ))),
            None => ranks.check(self.plan.recipe.accumulation, self.batch_size),
        })?;
        let place = self.snapshot.step;
        ranks.agree(
            "images, numbers or checkpoint",
            format!("{place} {}", self.snapshot.fingerprint),
        )?;
        ranks.agree("weights", crate::train::weights_sha256(self.task()))
    }
}

/// Tensors as numbers: of each the number of its dimensions, these, and its values.
fn packed(tensors: Vec<TensorData>) -> Vec<f32> {
    let mut numbers = Vec::new();
    for tensor in tensors {
        numbers.push(tensor.shape().len() as f32);
        numbers.extend(tensor.shape().iter().map(|&size| size as f32));
        numbers.extend(tensor.iter::<f32>());
    }
    numbers
}

/// The tensors that were [`packed`].
fn unpacked(mut numbers: &[f32]) -> Vec<TensorData> {
    let mut tensors = Vec::new();
    while let Some((&dimensions, rest)) = numbers.split_first() {
        let (shape, rest) = rest.split_at(dimensions as usize);
        let shape: Vec<usize> = shape.iter().map(|&size| size as usize).collect();
        let (values, rest) = rest.split_at(shape.iter().product());
        tensors.push(TensorData::new(values.to_vec(), shape));
        numbers = rest;
    }
    tensors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_of_any_shape_come_out_as_they_went_in() {
        let tensors = vec![
            TensorData::new(vec![1.5f32, -2.0, 0.0, 4.0, 5.0, 6.0], [3, 1, 2]),
            TensorData::new(Vec::<f32>::new(), [0, 7]),
            TensorData::new(vec![9.0f32], [1]),
        ];
        assert_eq!(unpacked(&packed(tensors.clone())), tensors);
        assert!(unpacked(&packed(vec![])).is_empty());
    }
}
