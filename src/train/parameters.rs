//! Which of a task's parameters are trained: the numbers and warnings that a run reports, and the
//! tasks that it refuses.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor};

use crate::error::{Error, Result};

/// How many parameters a message names; further parameters are only counted.
const NAMED: usize = 10;

/// Refuses a task in which two parameters have the same id, as happens when a module is cloned: one
/// of the two would be trained, averaged and saved as the other. Parameters on plain devices are
/// never trained, and may share an id.
pub(super) fn check_identities<M: Module>(task: &M) -> Result<()> {
    let mut seen = HashMap::new();
    for Parameter { path, id, device_trains, .. } in parameters(task, false) {
        match seen.entry(id) {
            Entry::Vacant(entry) => {
                entry.insert((path, device_trains));
            }
            Entry::Occupied(entry) if device_trains || entry.get().1 => {
                return Err(Error::config(format!(
                    "{} and {path} are one parameter, since a clone of a module keeps its \
                     identity, and cannot be trained apart: make a teacher by nn::teacher_of, and a second \
                     module with its own InitialWeights (of the same seed, for the same numbers)",
                    entry.get().0
                )));
            }
            Entry::Occupied(_) => {}
        }
    }
    Ok(())
}

/// The numbers in all parameters of a task, and in those that are trained.
#[cfg(feature = "run")]
pub(crate) fn parameter_counts<M: Module>(task: &M) -> (usize, usize) {
    let Parameters { total, trained, .. } = Parameters::of(task);
    (total, trained)
}

/// How many numbers of a task are trained, and which parameters are not although nobody froze them.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    /// Numbers in all parameters.
    pub(super) total: usize,
    /// Numbers in the parameters that gradients may move.
    pub(super) trained: usize,
    plain: Vec<String>,
    /// The trained parameters, until the first step.
    expected: Vec<(String, ParamId)>,
}

impl Parameters {
    /// Counts the parameters of `task`. Weights that were not drawn yet are drawn for this.
    pub(super) fn of<M: Module>(task: &M) -> Self {
        let mut found = Self::default();
        for Parameter { path, id, values, device_trains, trainable, .. } in parameters(task, true) {
            found.total += values;
            match (device_trains, trainable) {
                (true, true) => {
                    found.trained += values;
                    found.expected.push((path, id));
                }
                (false, true) => found.plain.push(path),
                (_, false) => {}
            }
        }
        found
    }

    /// Refuses a task of which nothing is trained.
    pub(super) fn check(self) -> Result<Self> {
        if self.trained > 0 {
            return Ok(self);
        }
        Err(Error::config(format!(
            "none of the task's {} numbers is trained: all parameters are frozen or on a plain \
             device. Freezing a clone freezes its original too where weights were not drawn yet: \
             make a teacher by nn::teacher_of",
            self.total
        )))
    }

    /// A warning about the parameters on a plain device that nobody froze.
    pub(super) fn plain_warning(&self) -> Option<String> {
        (!self.plain.is_empty()).then(|| {
            format!(
                "on a plain device, and so not trained: {}; build them on the autodiff device, or \
                 freeze them",
                named(&self.plain)
            )
        })
    }

    /// The trained parameters that the first step's `gradients` do not reach; `None` for later steps,
    /// which it costs nothing.
    pub(super) fn first_step<M: Module>(
        &mut self,
        task: &M,
        gradients: &GradientsParams,
    ) -> Option<Vec<String>> {
        if self.expected.is_empty() {
            return None;
        }
        let mut reached = Reached { gradients, ids: HashSet::new() };
        task.visit(&mut reached);
        let expected = std::mem::take(&mut self.expected).into_iter();
        let unreached = expected.filter(|(_, id)| !reached.ids.contains(id));
        Some(unreached.map(|(path, _)| path).collect())
    }
}

/// A warning about the parameters that the first step did not reach.
pub(super) fn unreached_warning(unreached: &[String]) -> Option<String> {
    (!unreached.is_empty()).then(|| {
        format!(
            "the loss of the first step does not reach, and so does not train: {}; freeze what \
             is not to be trained",
            named(unreached)
        )
    })
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |count: usize| match count {
            0..100_000 => count.to_string(),
            _ => format!("{:.2} M", count as f64 / 1e6),
        };
        write!(f, "{} parameters, {} trained", count(self.total), count(self.trained))
    }
}

/// `a, b, c, and 4 more`.
fn named(paths: &[String]) -> String {
    let first = paths[..paths.len().min(NAMED)].join(", ");
    match paths.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first}, and {more} more"),
    }
}

/// The path of the first trained parameter that is not of f32, if there is one.
pub(super) fn trained_in_other_than_f32<M: Module>(task: &M) -> Option<String> {
    let is_other = |p: &Parameter| p.device_trains && p.trainable && p.dtype != Some(DType::F32);
    parameters(task, true).into_iter().find(is_other).map(|parameter| parameter.path)
}

/// A floating-point parameter, with the two conditions for its training.
struct Parameter {
    path: String,
    id: ParamId,
    values: usize,
    /// Whether the parameter is on a device that computes gradients.
    device_trains: bool,
    /// Whether the parameter asks for gradients, that is, was not frozen.
    trainable: bool,
    /// The type of its values, where they are drawn.
    dtype: Option<DType>,
}

/// All floating-point parameters of `task`. With `drawn`, this also finds out which of them are
/// frozen, for which their weights must be drawn.
fn parameters<M: Module>(task: &M, drawn: bool) -> Vec<Parameter> {
    let mut visitor = Visitor { drawn, path: Vec::new(), found: Vec::new() };
    task.visit(&mut visitor);
    visitor.found
}

struct Visitor {
    drawn: bool,
    path: Vec<String>,
    found: Vec<Parameter>,
}

impl ModuleVisitor for Visitor {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found.push(Parameter {
            path: self.path.join("."),
            id: param.id,
            values: param.lazy_shape().num_elements(),
            device_trains: param.lazy_device().is_autodiff(),
            dtype: self.drawn.then(|| param.val().dtype()),
            // A parameter on a plain device asks for no gradient, but remembers whether it would on
            // an autodiff device.
            trainable: self.drawn
                && match param.lazy_device().is_autodiff() {
                    true => param.is_require_grad(),
                    false => param.clone().train().is_require_grad(),
                },
        });
    }
}

struct Reached<'a> {
    gradients: &'a GradientsParams,
    ids: HashSet<ParamId>,
}

impl ModuleVisitor for Reached<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.gradients.get::<D>(param.id).is_some() {
            self.ids.insert(param.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Init, InitialWeights};
    use crate::test_device;
    use burn::nn::Linear;

    fn linear(seed: u64) -> Linear {
        InitialWeights::new(seed, &test_device().autodiff()).linear(2, 3, Init::XavierUniform)
    }

    #[test]
    fn a_clone_beside_its_original_is_named_with_both_paths_drawn_or_not() {
        for drawn in [false, true] {
            let student = linear(0);
            if drawn {
                student.weight.val();
            }
            let pair = vec![student.clone(), student.no_grad()];
            let message = check_identities(&pair).unwrap_err().to_string();
            assert!(message.contains("0.weight and 1.weight are one parameter"), "{message}");
            assert!(message.contains("its own InitialWeights"), "{message}");
        }
        check_identities(&vec![linear(0), linear(0).no_grad()]).unwrap();
    }

    #[test]
    fn two_clones_that_are_never_trained_may_stay() {
        let teacher = linear(0).valid().freeze();
        check_identities(&vec![teacher.clone(), teacher, linear(1)]).unwrap();
    }

    #[test]
    fn frozen_parameters_are_counted_and_plain_ones_named() {
        let frozen = linear(1).valid().freeze();
        let plain = InitialWeights::new(2, &test_device()).linear(2, 3, Init::XavierUniform);
        let found = Parameters::of(&vec![linear(0), frozen, linear(3).no_grad(), plain]);
        assert_eq!(found.to_string(), "36 parameters, 9 trained");
        let warning = found.plain_warning().unwrap();
        assert!(warning.contains("plain device, and so not trained: 3.weight, 3.bias;"));
        let million = Parameters { total: 1_234_567, trained: 99_999, ..Parameters::default() };
        assert_eq!(million.to_string(), "1.23 M parameters, 99999 trained");
    }

    #[test]
    fn what_the_first_steps_loss_does_not_reach_is_named_once_and_what_is_frozen_is_not() {
        let task = vec![linear(0), linear(1), linear(2).no_grad()];
        let mut found = Parameters::of(&task);
        let mut step = |reached: usize| {
            let loss = task[reached].forward(Tensor::<2>::ones([1, 2], &test_device())).sum();
            let gradients = GradientsParams::from_grads(loss.backward(), &task);
            found.first_step(&task, &gradients)
        };
        let unreached = step(0).unwrap();
        let warning = unreached_warning(&unreached).unwrap();
        assert!(warning.contains("so does not train: 1.weight, 1.bias; freeze"), "{warning}");
        assert_eq!(step(1), None);
        assert_eq!(unreached, ["1.weight", "1.bias"]);
    }

    #[test]
    fn a_task_of_which_nothing_is_trained_is_refused_as_is_one_frozen_by_its_clone() {
        assert!(Parameters::of(&linear(0)).check().is_ok());
        let frozen = Parameters::of(&linear(0).no_grad()).check().unwrap_err().to_string();
        assert!(frozen.contains("none of the task's 9 numbers is trained"), "{frozen}");
        let student = linear(0);
        let _ = student.clone().no_grad();
        assert!(Parameters::of(&student).check().is_err());
        let student = linear(0);
        let _ = crate::nn::teacher_of(&student);
        assert_eq!(Parameters::of(&student).trained, 9);
    }

    #[test]
    fn a_loss_that_reaches_everything_is_no_warning() {
        let task = linear(0);
        let mut found = Parameters::of(&task);
        let loss = task.forward(Tensor::<2>::ones([1, 2], &test_device())).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &task);
        let unreached = found.first_step(&task, &gradients);
        assert_eq!(unreached, Some(Vec::new()));
        assert_eq!(unreached_warning(&unreached.unwrap()), None);
    }

    #[test]
    fn at_most_ten_are_named_and_the_rest_counted() {
        let paths: Vec<_> = (0..13).map(|index| index.to_string()).collect();
        assert_eq!(named(&paths), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, and 3 more");
        assert_eq!(named(&paths[..10]), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9");
    }
}
