//! What of a source goes where in a task: decided, and checked, before a parameter is replaced.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

use super::compare::{differences, network};
use super::matching::common_part;
use super::resize::Change;
use crate::checkpoint::{Contents, HostTensor, check_inflatable};
use crate::encoder::VitConfig;
use crate::error::{Error, Result};
use crate::method::{InitFrom, InitPart, Method};
use crate::nn::{NamedParameter, named_parameters};

/// The values that a task gets, by the paths of its parameters.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) part: InitPart,
    pub(super) values: HashMap<String, HostTensor>,
    /// The task's parameters that get none.
    pub(super) fresh: Vec<String>,
    /// The source's parameters that have no place.
    pub(super) unused: Vec<String>,
    /// Parameters that were resized, with both shapes.
    pub(super) resized: Vec<String>,
    /// Why not the whole model, and in which numbers it differs.
    pub(super) notes: Vec<String>,
}

/// A source's weights, the task that they are for, and what both are made for.
pub(super) struct Matched<'a, M: Method> {
    pub(super) from: &'a InitFrom,
    pub(super) method: &'a M,
    pub(super) task: &'a M::Task,
    pub(super) contents: &'a Contents,
    /// The source's numbers for the run's images.
    pub(super) numbers: &'a serde_json::Value,
    pub(super) device: &'a Device,
}

impl<M: Method> Matched<'_, M> {
    /// # Errors
    ///
    /// When the encoder is not the method's, any of its weights is missing or of another shape, or
    /// the whole model is asked for and not there.
    pub(super) fn plan(&self) -> Result<Plan> {
        let here = serde_json::to_value(self.method).map_err(|e| Error::config(e.to_string()))?;
        let change = Change::new(self.contents.kind.image, self.method.image(), network(&here));
        let mut plan = Plan {
            part: InitPart::Encoder,
            values: HashMap::new(),
            fresh: Vec::new(),
            unused: Vec::new(),
            resized: Vec::new(),
            notes: Vec::new(),
        };
        self.compare(&here, &mut plan)?;
        if change.inflates() {
            let other =
                |_| self.fault("an encoder of clips begins with one of clips or with a ViT");
            let vit: VitConfig =
                serde_json::from_value(network(self.numbers).clone()).map_err(other)?;
            check_inflatable(&vit).map_err(|error| self.fault(error))?;
        }
        let all = named_parameters(self.task);
        let encoder: Vec<_> = named_parameters(M::encoder(self.task));
        let ids: BTreeSet<_> = encoder.iter().map(|parameter| parameter.id).collect();
        let (encoder, others): (Vec<_>, Vec<_>) =
            all.iter().partition(|parameter| ids.contains(&parameter.id));
        let mut used = self.encoder(&encoder, &change, &mut plan)?;
        if self.from.load != Some(InitPart::Encoder) {
            match self.whole(&here, &others, &change, &mut plan)? {
                Ok(names) => {
                    plan.part = InitPart::All;
                    used.extend(names);
                }
                Err(reason) if self.from.load == Some(InitPart::All) => {
                    return Err(self.fault(format!("{reason}, and init_from.load asks for all")));
                }
                Err(reason) => plan.notes.push(format!("the encoder alone is taken: {reason}")),
            }
        }
        let fresh = all.iter().filter(|parameter| !plan.values.contains_key(&parameter.path));
        plan.fresh = fresh.map(|parameter| parameter.path.clone()).collect();
        let unused = self.contents.values.keys().filter(|path| !used.contains(*path));
        plan.unused = unused.cloned().collect();
        Ok(plan)
    }

    /// Compares the sizes of both encoders: of other heads, or another epsilon, weights have the
    /// same shapes and other features. How far apart frames are is no part of the weights.
    fn compare(&self, here: &serde_json::Value, plan: &mut Plan) -> Result<()> {
        let found = differences("encoder", network(here), network(self.numbers));
        let (told, refused): (Vec<_>, Vec<_>) = found.into_iter().partition(|difference| {
            ["norm_epsilon", "encoder.stride"].iter().any(|name| difference.contains(name))
        });
        plan.notes.extend(told.into_iter().map(|note| format!("note: {note}")));
        match refused.first() {
            Some(difference) => Err(self.fault(format!(
                "{difference}, in the weights to begin with; leave it out of the run's numbers to \
                 have the source's"
            ))),
            None => Ok(()),
        }
    }

    /// The encoder's values; returns the paths in the source that are used.
    fn encoder(
        &self,
        encoder: &[&NamedParameter],
        change: &Change,
        plan: &mut Plan,
    ) -> Result<BTreeSet<String>> {
        let ours: BTreeSet<String> = encoder.iter().map(|p| p.path.clone()).collect();
        let theirs: BTreeSet<String> = self.contents.values.keys().cloned().collect();
        let form = &self.contents.report.form;
        let nothing = || self.fault(format!("{form} has nothing of the encoder of {}", M::TITLE));
        let part = common_part(&ours, &theirs).ok_or_else(nothing)?;
        let (mut used, mut missing) = (BTreeSet::new(), BTreeSet::new());
        for parameter in encoder.iter().filter(|p| p.path.starts_with(part.ours)) {
            let theirs = format!("{}{}", part.theirs, &parameter.path[part.ours.len()..]);
            match self.contents.values.get(&theirs) {
                // The positions of clips are fixed, whatever they are of.
                Some(value)
                    if change.to.frames > 1
                        && parameter.path.ends_with("positions.table")
                        && value.shape != parameter.shape => {}
                Some(value) => {
                    let value = self.fitted(parameter, &theirs, value, change, plan);
                    plan.values.insert(parameter.path.clone(), value.map_err(|e| self.fault(e))?);
                    used.insert(theirs);
                }
                None if parameter.path.ends_with("mask_token") => {}
                None => {
                    missing.insert(parameter.path.as_str());
                }
            }
        }
        // What no gradient moves, such as fixed positions, is as it has to be.
        let missing = Trained::of(self.task, &missing);
        if let Some(first) = missing.first() {
            return Err(self.fault(format!(
                "{form} lacks {} parameters of the encoder of {}, such as {first}",
                missing.len(),
                M::TITLE
            )));
        }
        Ok(used)
    }

    /// The values of everything but the encoder; returns the paths that are used, or the reason why
    /// the source does not hold the whole model.
    fn whole(
        &self,
        here: &serde_json::Value,
        others: &[&NamedParameter],
        change: &Change,
        plan: &mut Plan,
    ) -> Result<Result<Vec<String>, String>> {
        let form = &self.contents.report.form;
        match &self.contents.kind.method {
            Some([name, variant]) if name == M::NAME && variant == M::VARIANT => {}
            Some([name, _]) => return Ok(Err(format!("{form} is a model of {name}"))),
            None => return Ok(Err(format!("{form} holds an encoder"))),
        }
        let decoder = differences("decoder", &here["decoder"], &self.numbers["decoder"]);
        if let Some(difference) = decoder.first() {
            return Ok(Err(difference.clone()));
        }
        let (mut found, mut missing) = (BTreeMap::new(), BTreeSet::new());
        for parameter in others {
            let Some(value) = self.contents.values.get(&parameter.path) else {
                missing.insert(parameter.path.as_str());
                continue;
            };
            match self.fitted(parameter, &parameter.path, value, change, plan) {
                Ok(value) => found.insert(parameter.path.clone(), value),
                Err(reason) => return Ok(Err(reason)),
            };
        }
        // What no gradient moves, such as a tokenizer, a run makes before it trains.
        let trained = Trained::of(self.task, &missing);
        if let Some(first) = trained.first() {
            return Ok(Err(format!("{form} lacks {} parameters, such as {first}", trained.len())));
        }
        self.tell(here, plan);
        let used = found.keys().cloned().collect();
        plan.values.extend(found);
        Ok(Ok(used))
    }

    /// Notes of the numbers beside encoder and decoder that are others in the source.
    fn tell(&self, here: &serde_json::Value, plan: &mut Plan) {
        let Some(fields) = here.as_object() else { return };
        let others = fields.iter().filter(|(name, _)| !["encoder", "decoder"].contains(&&***name));
        for (name, value) in others {
            let Some(there) = self.numbers.get(name) else { continue };
            let found = differences(name, value, there).into_iter();
            plan.notes.extend(found.map(|difference| format!("note: {difference}")));
        }
    }

    /// `value` in the shape of `parameter`.
    fn fitted(
        &self,
        parameter: &NamedParameter,
        theirs: &str,
        value: &HostTensor,
        change: &Change,
        plan: &mut Plan,
    ) -> Result<HostTensor, String> {
        let NamedParameter { path, shape, .. } = parameter;
        if let Some(resized) = change.of(path, value, shape, self.device) {
            plan.resized.push(format!("{path} {:?} -> {shape:?}", value.shape));
            return Ok(resized);
        }
        if value.shape == *shape {
            return Ok(value.clone());
        }
        let form = &self.contents.report.form;
        Err(format!("{path} is {shape:?} here, and {theirs} of {form} is {:?}", value.shape))
    }

    fn fault(&self, reason: impl ToString) -> Error {
        Error::checkpoint(&self.from.source, reason)
    }
}

/// Those of the parameters `among` that a gradient may move.
struct Trained<'a> {
    path: Vec<String>,
    among: &'a BTreeSet<&'a str>,
    found: Vec<String>,
}

impl<'a> Trained<'a> {
    fn of<T: Module>(task: &T, among: &'a BTreeSet<&'a str>) -> Vec<String> {
        let mut visitor = Self { path: Vec::new(), among, found: Vec::new() };
        if !among.is_empty() {
            task.visit(&mut visitor);
        }
        visitor.found
    }
}

impl ModuleVisitor for Trained<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        if self.among.contains(path.as_str()) && param.is_require_grad() {
            self.found.push(path);
        }
    }
}
