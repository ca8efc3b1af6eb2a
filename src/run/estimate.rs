//! What a run will take: sizes, memory and time, before it starts.

use std::fmt;
use std::fs;

use crate::data::augment::Augmentation;
use crate::encoder::Stack;
use crate::error::{Error, Result};
use crate::method::{DataFacts, Method, Run};
use crate::nn::InitialWeights;
use crate::train::{
    Budget, Pace, Precision, Pretraining, Recipe, orthogonalized_values, parameter_counts,
};

/// Tokens of an image that a laptop's processor still trains on.
const MANY_TOKENS: usize = 1024;

/// Tokens of an image whose attention no machine holds.
const TOO_MANY_TOKENS: usize = 1 << 16;

/// What a process takes up before it trains: its code, threads, and buffers of matrix products.
const PROCESS: usize = 80 << 20;

/// How many seconds are spent on timing steps.
const TIMING: f64 = 10.0;

/// The memory of a training step in bytes.
///
/// Weights, gradients and AdamW's two moments are four bytes a parameter each, the last three for
/// trained ones alone. Activations are what [`Stack::activations`] counts, for each image of a
/// batch: four bytes each, or two in a half precision, which also keeps the weights a second time.
/// On three small models (MAE and SimMIM on ViT, SimMIM on Swin) at two batch sizes the sum was
/// within 30 % of the largest resident set. Gradient checkpointing takes less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Memory {
    /// Weights, with their moving average where the recipe keeps one.
    pub weights: usize,
    /// Gradients.
    pub gradients: usize,
    /// Moments of the optimizer.
    pub moments: usize,
    /// What a step keeps for its gradients; 0 of methods that do not say what they are made of.
    pub activations: usize,
    /// Images of the batches that are under way.
    pub images: usize,
}

impl Memory {
    /// All of it, with the process itself.
    pub fn total(&self) -> usize {
        let Self { weights, gradients, moments, activations, images } = self;
        weights + gradients + moments + activations + images + PROCESS
    }
}

/// What a run will take. Shown, it is a few lines of text.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Estimate {
    /// Numbers in all parameters.
    pub parameters: usize,
    /// Numbers in those that are trained.
    pub trained: usize,
    /// The most tokens that a block reads of an image; `None` of methods that do not say what they
    /// are made of.
    pub tokens: Option<usize>,
    /// The memory of a step.
    pub memory: Memory,
    /// Steps of the optimizer in an epoch.
    pub steps_per_epoch: usize,
    /// Steps of the whole run; `None` of a budget in minutes without timing.
    pub steps: Option<usize>,
    /// What a step and a validation take, where it was asked for.
    pub pace: Option<Pace>,
    /// Tokens and memory that explode, with the setting that would help.
    pub warnings: Vec<String>,
    /// What is rarely meant in the recipe ([`Recipe::warnings`](crate::train::Recipe::warnings)).
    pub recipe_warnings: Vec<String>,
}

impl Run {
    /// What pre-training by `method` will take; leaves nothing in the run's folder. With `timed` a
    /// few steps are done for about ten seconds: there is no other honest way to know how long one
    /// takes.
    ///
    /// # Errors
    ///
    /// As [`Run::pretrain`], when the run could not start.
    pub fn estimate<M: Method>(&self, method: &M, timed: bool) -> Result<Estimate> {
        method.validate()?;
        let statistics = method.normalization(self.data.statistics.clone());
        let facts = DataFacts::new(statistics);
        let recipe = self.recipe.clone().unwrap_or_else(|| method.recipe());
        recipe.validate()?;
        self.budget.map_or(Ok(()), |budget| budget.validate())?;
        let augmentation = self.augmentation.unwrap_or_else(|| method.augmentation());
        let weights = &mut InitialWeights::new(self.seed, &self.device.clone().autodiff());
        let task = method.init(&facts, weights)?;
        let train = self.loader(&self.data.train, method.collate(&facts, augmentation)?, true)?;
        let (parameters, trained) = parameter_counts(&task);
        let steps_per_epoch = train.batches().div_ceil(recipe.accumulation);
        let pace = match timed {
            true => {
                let valid = method.collate(&facts, Augmentation::none())?;
                let valid = self.loader(&self.data.test, valid, false)?;
                let folder = tempfile::tempdir()
                    .map_err(|error| Error::checkpoint(std::env::temp_dir(), error))?;
                let plan = Pretraining::new(folder.path(), recipe.clone())
                    .seed(self.seed)
                    .precision(self.precision)
                    .interrupt(self.interrupt.clone());
                Some(plan.pace(&task, &train, &valid, TIMING)?)
            }
            false => None,
        };
        let steps = match self.budget {
            Some(Budget::Steps(steps)) => Some(steps),
            Some(Budget::Epochs(epochs)) => Some(epochs * steps_per_epoch),
            Some(Budget::Minutes(minutes)) => {
                pace.map(|pace| pace.steps_in(60.0 * minutes, steps_per_epoch))
            }
            None => Some(recipe.epochs * steps_per_epoch),
        };
        let memory = self.memory(method, &task, &recipe);
        let tokens = tokens(method);
        Ok(Estimate {
            parameters,
            trained,
            tokens,
            memory,
            steps_per_epoch,
            steps,
            pace,
            warnings: warnings(tokens, memory, available_memory()),
            recipe_warnings: recipe.warnings(self.batch_size, train.batches()),
        })
    }

    /// What explodes in training `task`, the task of `method`.
    pub(super) fn size_warnings<M: Method>(
        &self,
        method: &M,
        task: &M::Task,
        recipe: &Recipe,
    ) -> Vec<String> {
        warnings(tokens(method), self.memory(method, task, recipe), available_memory())
    }

    fn memory<M: Method>(&self, method: &M, task: &M::Task, recipe: &Recipe) -> Memory {
        let (parameters, trained) = parameter_counts(task);
        let (averaged, values) = (recipe.ema.is_some(), method.image().values());
        let half = self.precision != Precision::F32;
        let kept: usize = method.stacks().iter().map(Stack::activations).sum();
        // The batch that is trained on, and those that each worker has made ahead.
        let batches = 2 + 2 * self.workers;
        Memory {
            weights: parameters * (4 + 4 * usize::from(averaged) + 2 * usize::from(half)),
            gradients: 4 * trained,
            // AdamW keeps two moments, Muon one.
            moments: 8 * trained - 4 * orthogonalized_values(task, recipe).min(trained),
            activations: self.batch_size * kept * if half { 2 } else { 4 },
            images: 4 * batches * self.batch_size * values,
        }
    }
}

impl Estimate {
    /// The seconds that the whole run takes; `None` where no step was timed.
    pub fn seconds(&self) -> Option<f64> {
        Some(self.pace?.seconds(self.steps?, self.steps_per_epoch))
    }
}

/// The most tokens that a block of `method` reads of an image.
fn tokens<M: Method>(method: &M) -> Option<usize> {
    method.stacks().iter().map(|stack| stack.tokens).max()
}

/// What explodes, on a machine with `available` bytes.
fn warnings(tokens: Option<usize>, memory: Memory, available: Option<usize>) -> Vec<String> {
    let fewer = "a larger patch or a smaller image makes them fewer";
    let tokens = match tokens {
        Some(tokens) if tokens > TOO_MANY_TOKENS => Some(format!(
            "{tokens} tokens an image are more than {TOO_MANY_TOKENS}, whose attention no machine \
             holds: {fewer}"
        )),
        Some(tokens) if tokens > MANY_TOKENS => {
            Some(format!("{tokens} tokens an image: a step takes time by their square; {fewer}"))
        }
        _ => None,
    };
    let (total, rest) = (memory.total(), memory.total() - memory.activations);
    let memory = available.filter(|&available| total > available).map(|available| {
        let help = if rest < available / 2 {
            "a smaller batch_size, made up for by the recipe's accumulation, takes less"
        } else {
            "a smaller model (width, depth) takes less: most of it is weights, gradients and moments"
        };
        let (total, available) = (gibibytes(total), gibibytes(available));
        format!("a step takes about {total}, and {available} are free: {help}")
    });
    tokens.into_iter().chain(memory).collect()
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millions = |count: usize| count as f64 / 1e6;
        let (all, trained) = (millions(self.parameters), millions(self.trained));
        writeln!(f, "parameters  {all:.2} M, {trained:.2} M trained")?;
        if let Some(tokens) = self.tokens {
            writeln!(f, "tokens      {tokens} an image")?;
        }
        let Memory { weights, gradients, moments, activations, .. } = self.memory;
        let parts = [weights, gradients, moments, activations].map(gibibytes);
        write!(f, "memory      about {}", gibibytes(self.memory.total()))?;
        writeln!(
            f,
            " (weights {}, gradients {}, moments {}, activations {})",
            parts[0], parts[1], parts[2], parts[3]
        )?;
        let steps = self.steps.map_or("as many as fit".into(), |steps| steps.to_string());
        writeln!(f, "steps       {steps}, {} an epoch", self.steps_per_epoch)?;
        if let (Some(pace), Some(seconds)) = (self.pace, self.seconds()) {
            let minutes = seconds / 60.0;
            writeln!(f, "time        {:.3} s a step, {minutes:.1} minutes in all", pace.step)?;
        }
        let mut warnings = self.warnings.iter().chain(&self.recipe_warnings);
        warnings.try_for_each(|warning| writeln!(f, "warning: {warning}"))
    }
}

fn gibibytes(bytes: usize) -> String {
    format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30))
}

/// The main memory that a process can still get, where the system tells (Linux).
fn available_memory() -> Option<usize> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(tokens: usize, memory: Memory) -> Estimate {
        Estimate {
            parameters: 10,
            trained: 8,
            tokens: Some(tokens),
            memory,
            steps_per_epoch: 5,
            steps: Some(12),
            pace: None,
            warnings: vec![],
            recipe_warnings: vec![],
        }
    }

    #[test]
    fn too_many_tokens_and_too_much_memory_are_warned_of_with_what_helps() {
        let gib = 1 << 30;
        let warned = |tokens, memory| warnings(Some(tokens), memory, Some(4 * gib)).concat();
        let small = Memory::default();
        assert_eq!(warned(196, small), "");
        assert!(warned(4096, small).starts_with("4096 tokens an image: a step takes time"));
        assert!(warned(1 << 17, small).contains("131072 tokens an image are more than 65536"));
        let large_batch = warned(196, Memory { activations: 5 * gib, ..small });
        assert!(large_batch.starts_with("a step takes about 5.08 GiB, and 4.00 GiB are free"));
        assert!(large_batch.contains("batch_size"), "{large_batch}");
        let large_model = warned(196, Memory { moments: 5 * gib, ..small });
        assert!(large_model.contains("width, depth"), "{large_model}");
    }

    #[test]
    fn a_run_takes_its_steps_and_a_validation_for_each_epoch_begun() {
        let mut estimate = estimate(196, Memory::default());
        assert_eq!(estimate.seconds(), None);
        estimate.pace = Some(Pace { step: 2.0, validation: 1.0 });
        assert_eq!(estimate.seconds(), Some(27.0));
        assert!(estimate.to_string().contains("2.000 s a step, 0.5 minutes in all"));
    }
}
