//! From what somebody wrote to a whole document.

use serde_json::{Value, json};

use super::{Draft, FORMAT, NO_PRESET, RunDocument, tree};
use crate::config::nearest;
use crate::data::augment::Augmentation;
use crate::data::{DataOptions, DataSpec};
use crate::error::{Error, Result, ensure};
use crate::grid::ImageShape;
use crate::limits;
use crate::method::{InitFrom, Method, Methods, PresetEntry, RefineStage};
use crate::train::Precision;

impl Draft {
    /// The whole document: what was written, laid over the preset it names, or over the method's
    /// first preset, or over nothing with `preset = "none"`. Weights to begin with decide the sizes
    /// that were not written. The images have `channels` channels.
    ///
    /// # Errors
    ///
    /// When the document is of another version or another method; when there is no such preset;
    /// when a field is unknown, of a wrong type or out of range, or fields contradict each other.
    /// Names the file or the flag, the field and the rule.
    pub fn resolve<M: Method>(&self, channels: usize) -> Result<RunDocument<M>> {
        let document = self.assemble::<M>(channels)?;
        document.numbers.validate().map_err(|error| self.broken("numbers", error))?;
        let image = document.numbers.image().frame();
        if let Some(statistics) = &document.statistics {
            statistics.check(image).map_err(|error| self.broken("statistics", error))?;
        }
        match self.image_size()? {
            Some([height, width]) if [image.height, image.width] != [height, width] => {
                let rule = format!(
                    "{height}×{width} contradicts the numbers, whose image is {image}: leave one of \
                     them out"
                );
                Err(self.fault("image_size", rule))
            }
            _ => Ok(document),
        }
    }

    /// Checks what can be checked before the images are opened; the document is that of some images
    /// of three channels.
    ///
    /// # Errors
    ///
    /// As [`resolve`](Self::resolve), but for the rules of the method's numbers.
    pub fn check<M: Method>(&self) -> Result<RunDocument<M>> {
        self.assemble::<M>(3)
    }

    /// The document, whose numbers may break their rules.
    fn assemble<M: Method>(&self, channels: usize) -> Result<RunDocument<M>> {
        self.check_method::<M>()?;
        let read = self.knobs.image()?.map(|image| [image.height, image.width]);
        let (given, size) = (self.given()?, self.image_size()?.or(read));
        let frame = given.as_ref().map(|given| given.image.frame());
        let own = frame.map(|image| [image.height, image.width]);
        let mut tree = self.base::<M>(channels, size.or(own))?;
        if let Some(given) = given {
            given.lay::<M>(&mut tree["numbers"], channels, size)?;
        }
        let mut written = self.values().clone();
        written.as_object_mut().map(|written| written.remove("image_size"));
        tree::lay(&mut tree, written);
        tree["format"] = FORMAT.into();
        tree["method"] = M::NAME.into();
        tree["variant"] = M::VARIANT.into();
        tree["preset"] = NO_PRESET.into();
        self.knobs.turn(&mut tree["numbers"])?;
        if tree["recipe"].is_null() || tree["augmentation"].is_null() {
            let method: M = self.read_as("numbers", tree["numbers"].clone())?;
            let below = json!({ "recipe": method.recipe(), "augmentation": method.augmentation() });
            let written = std::mem::replace(&mut tree, below);
            tree::lay(&mut tree, written);
        }
        let document: RunDocument<M> = self.read_as("", tree)?;
        self.check_parts(&document)?;
        Ok(document)
    }

    /// The name and the variant of the method that the document names, or whose preset it names.
    ///
    /// # Errors
    ///
    /// When it names none.
    pub fn method<L: Methods>(&self) -> Result<(String, String)> {
        let presets = L::presets();
        let preset = self.text("preset")?.filter(|name| *name != NO_PRESET);
        let preset = preset.and_then(|name| presets.iter().find(|preset| preset.name == name));
        let name = self.text("method")?.or(preset.map(|preset| preset.method));
        let Some(name) = name else {
            return Err(match self.text("preset")? {
                Some(unknown) => self.fault("preset", unknown_preset(unknown, &presets)),
                None => {
                    let names = L::names().join(", ");
                    Error::config(format!("no method is named: `method` is one of {names}"))
                }
            });
        };
        let of_preset = preset.filter(|preset| preset.method == name).map(|preset| preset.variant);
        let first = || L::NAMES.iter().zip(L::VARIANTS).find(|(listed, _)| **listed == name);
        let variant = self.text("variant")?.or(of_preset);
        let variant = variant.or_else(|| first().map(|(_, variant)| *variant));
        Ok((name.to_string(), variant.unwrap_or_default().to_string()))
    }

    fn check_method<M: Method>(&self) -> Result<()> {
        match self.get("format") {
            None => {}
            Some(version) if *version == FORMAT => {}
            Some(version) => {
                let reason = format!(
                    "documents have version {FORMAT}, this one has {version}, which this version \
                     of burn-mim does not read"
                );
                return Err(self.fault("format", reason));
            }
        }
        for (field, own) in [("method", M::NAME), ("variant", M::VARIANT)] {
            let written = self.text(field)?.filter(|written| *written != own);
            if let Some(written) = written {
                return Err(self.fault(field, format!("`{written}`, where a {own} belongs")));
            }
        }
        Ok(())
    }

    /// The image's height and width, where they are given.
    fn image_size(&self) -> Result<Option<[usize; 2]>> {
        let sides: Option<Vec<usize>> = match self.get("image_size") {
            None | Some(Value::Null) => return Ok(None),
            Some(value @ Value::Number(_)) => {
                serde_json::from_value(value.clone()).ok().map(|side| vec![side; 2])
            }
            Some(value) => serde_json::from_value(value.clone()).ok(),
        };
        let sides = sides.and_then(|sides| <[usize; 2]>::try_from(sides).ok());
        match sides {
            Some(sides) if sides.iter().all(|side| (1..=limits::SIDE).contains(side)) => {
                Ok(Some(sides))
            }
            _ => {
                let rule =
                    format!("must be a side, or [height, width], of 1 to {} pixels", limits::SIDE);
                Err(self.fault("image_size", rule))
            }
        }
    }

    /// What absent fields have.
    fn base<M: Method>(&self, channels: usize, size: Option<[usize; 2]>) -> Result<Value> {
        let mut base = json!({
            "data": DataSpec::Shapes, "data_options": DataOptions::default(), "seed": 0,
            "batch_size": 64, "precision": Precision::default(), "workers": 1, "probe": 0,
        });
        let named = self.text("preset")?;
        if named == Some(NO_PRESET) {
            base["numbers"] = json!({});
            base["recipe"] = json!({});
            base["augmentation"] = json!(Augmentation::none());
            return Ok(base);
        }
        let presets = M::presets();
        let preset = match named {
            None => presets.first(),
            Some(name) => {
                let found = presets.iter().find(|preset| preset.name == name);
                Some(found.ok_or_else(|| {
                    self.fault("preset", unknown_preset(name, &PresetEntry::all::<M>()))
                })?)
            }
        };
        let Some(preset) = preset else {
            // The method itself says how it trains, once its numbers are known.
            base["numbers"] = json!({});
            return Ok(base);
        };
        let frame = preset.image.frame();
        let [height, width] = size.unwrap_or([frame.height, frame.width]);
        let numbers = (preset.numbers)(ImageShape::new(channels, height, width));
        base["data"] = json!(DataSpec::built_in(numbers.image()));
        base["numbers"] = json!(numbers);
        base["recipe"] = json!(preset.recipe);
        base["augmentation"] = json!(preset.augmentation);
        base["batch_size"] = preset.batch_size.into();
        Ok(base)
    }

    /// The rules of every part but the method's numbers.
    fn check_parts<M: Method>(&self, document: &RunDocument<M>) -> Result<()> {
        let broken = |path: &'static str| move |error| self.broken(path, error);
        document.recipe.validate().map_err(broken("recipe"))?;
        document.augmentation.validate().map_err(broken("augmentation"))?;
        document.data_options.validate().map_err(broken("data_options"))?;
        document.budget.map_or(Ok(()), |budget| budget.validate()).map_err(broken("budget"))?;
        let epochs = self.get("recipe.epochs").filter(|_| document.budget.is_some());
        if let Some(epochs) = epochs.filter(|_| !matches!(self.text("preset"), Ok(Some(NO_PRESET))))
        {
            let rule = format!("contradicts recipe.epochs = {epochs}: leave one of them out");
            return Err(self.fault("budget", rule));
        }
        let init_from = document.init_from.as_ref().map_or(Ok(()), InitFrom::validate);
        init_from.map_err(broken("init_from"))?;
        let refine = document.refine.as_ref().map_or(Ok(()), RefineStage::validate);
        refine.map_err(broken("refine"))?;
        let RunDocument { batch_size, workers, .. } = *document;
        check_count(batch_size, 1, limits::BATCH).map_err(broken("batch_size"))?;
        check_count(workers, 0, limits::WORKERS).map_err(broken("workers"))
    }
}

fn check_count(count: usize, least: usize, most: usize) -> Result<()> {
    ensure!((least..=most).contains(&count), "must be from {least} to {most}, got {count}");
    Ok(())
}

fn unknown_preset(name: &str, presets: &[PresetEntry]) -> String {
    let names: Vec<_> = presets.iter().map(|preset| preset.name).collect();
    let hint = nearest(name, &names);
    let hint = hint.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    match names.is_empty() {
        true => format!("there is no preset `{name}`: the method has none"),
        false => format!("there is no preset `{name}`, expected one of {}{hint}", names.join(", ")),
    }
}
