//! A document as somebody writes it: some of the fields, of files and of command lines.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::knobs::Knobs;
use super::tree;
use crate::config::explained;
use crate::data::{DataOptions, DataSpec};
use crate::error::{Error, Result};
use crate::image::ChannelStatistics;

/// A [`RunDocument`](super::RunDocument) that is being written: the fields that somebody wrote,
/// later ones over earlier ones, and where each was written. [`resolve`](Self::resolve) fills in the
/// rest.
///
/// ```
/// use burn_mim::run::{Draft, Knobs};
///
/// let mut draft = Draft::new();
/// draft.set("method=mae")?;
/// draft.set("recipe.base_lr=1e-3")?;
/// draft.set("numbers.mask={ strategy = 'block', ratio = 0.5 }")?;
/// let image = burn_mim::ImageShape::square(3, 32);
/// let document = draft.resolve::<burn_mim::MaeConfig>(image.channels)?;
/// assert_eq!(document.recipe.base_lr, 1e-3);
/// assert_eq!(document.numbers.mask.ratio(), Some(0.5));
/// // Everything else is the preset's.
/// assert_eq!(document.numbers.encoder.image, image);
/// # Ok::<(), burn_mim::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Draft {
    values: Value,
    /// Which part of the tree was written where; later ones win.
    origins: Vec<(String, Origin)>,
    /// What flags change of the numbers, whatever these are.
    pub knobs: Knobs,
}

/// Where a field was written.
#[derive(Debug, Clone)]
enum Origin {
    File(PathBuf),
    Flag(String),
}

impl Draft {
    /// A document without a word.
    pub fn new() -> Self {
        Self { values: json!({}), ..Self::default() }
    }

    /// Reads a file: JSON if its name ends with `.json`, and TOML otherwise.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is no TOML or JSON; names the file, and the line.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| Error::data(path, error))?;
        // The mark by which some editors begin a file.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let is_json = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
        let read = match is_json {
            true => serde_json::from_str(text).map_err(|error| error.to_string()),
            false => tree::from_toml(text).map_err(|error| one_line(&error, text)),
        };
        let values: Value = read.map_err(|fault| Error::data(path, fault))?;
        if !values.is_object() {
            return Err(Error::data(path, "holds one value where fields with names belong"));
        }
        let mut draft = Self::new();
        draft.lay("", values, Origin::File(path.into()));
        Ok(draft)
    }

    /// Sets a field by an assignment, `path.to.field=value`, whose value is written as in TOML;
    /// texts need no quotes, and `null` stands for no value.
    ///
    /// # Errors
    ///
    /// When it is no assignment.
    pub fn set(&mut self, assignment: &str) -> Result<()> {
        let (path, value) = tree::assignment(assignment)?;
        self.lay(path, value, Origin::Flag(format!("--set {assignment}")));
        Ok(())
    }

    /// Sets the field at `path` on behalf of `flag`, which errors name; without a value it stays as
    /// it is.
    ///
    /// # Errors
    ///
    /// When `value` cannot be written as JSON.
    pub fn put(&mut self, path: &str, value: Option<impl Serialize>, flag: &str) -> Result<()> {
        let Some(value) = value else { return Ok(()) };
        let value = serde_json::to_value(value);
        let value = value.map_err(|error| Error::config(format!("{flag}: {error}")))?;
        self.lay(path, value, Origin::Flag(flag.into()));
        Ok(())
    }

    fn lay(&mut self, path: &str, value: Value, origin: Origin) {
        let value = if path.is_empty() { value } else { tree::at(path, value) };
        tree::add(&mut self.values, value);
        self.origins.push((path.to_string(), origin));
    }

    /// The field at `path` as it was written, if it was.
    pub fn get(&self, path: &str) -> Option<&Value> {
        tree::get(&self.values, path)
    }

    pub(super) fn values(&self) -> &Value {
        &self.values
    }

    /// The text at `path`, if there is one.
    ///
    /// # Errors
    ///
    /// When there is something else.
    pub fn text(&self, path: &str) -> Result<Option<&str>> {
        match self.get(path) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.fault(path, format_args!("expected a text, got {other}"))),
        }
    }

    /// The images that the run is on: the built-in ones unless others are named.
    ///
    /// # Errors
    ///
    /// When a field about them is wrong.
    pub fn images(&self) -> Result<(DataSpec, DataOptions, Option<ChannelStatistics>)> {
        let field = |path: &str| self.get(path).cloned().unwrap_or(Value::Null);
        let spec = match field("data") {
            Value::Null => DataSpec::Shapes,
            value => self.read_as("data", value)?,
        };
        let options: DataOptions = match field("data_options") {
            Value::Null => DataOptions::default(),
            value => self.read_as("data_options", value)?,
        };
        options.validate().map_err(|error| self.broken("data_options", error))?;
        let statistics = match field("statistics") {
            Value::Null => None,
            value => Some(self.read_as("statistics", value)?),
        };
        Ok((spec, options, statistics))
    }

    /// Reads the value at `path` of the tree as a `T`.
    pub(super) fn read_as<T: DeserializeOwned>(&self, path: &str, value: Value) -> Result<T> {
        serde_path_to_error::deserialize(value).map_err(|error| {
            let (within, mut message) = (error.path().to_string(), error.inner().to_string());
            // What a part says of the place is in the path, and further in where that ends early.
            let mut place = if within == "." { String::new() } else { within };
            while let Some((inner, rest)) =
                message.strip_prefix("in `").and_then(|rest| rest.split_once("`: "))
            {
                if !place.ends_with(inner) {
                    place = [place.as_str(), inner].join(".");
                }
                message = rest.to_string();
            }
            let place = [path, &place].into_iter().filter(|part| !part.is_empty());
            let place = place.collect::<Vec<_>>().join(".");
            self.fault(place.trim_start_matches('.'), explained(message))
        })
    }

    /// The error of the value at `path`, with the file or the flag that wrote it.
    pub(super) fn fault(&self, path: &str, reason: impl fmt::Display) -> Error {
        let place = if path.is_empty() { String::new() } else { format!("{path}: ") };
        match self.origin(path) {
            Some(Origin::File(file)) => Error::data(file, format!("{place}{reason}")),
            Some(Origin::Flag(flag)) => Error::config(format!("{flag}: {place}{reason}")),
            None => Error::config(format!("{place}{reason}")),
        }
    }

    /// The error of a rule that the part at `path` breaks, which names its own field.
    pub(super) fn broken(&self, path: &str, error: Error) -> Error {
        match error {
            Error::Config(rule) => self.fault(path, rule),
            other => other,
        }
    }

    /// Who wrote the value at `path`: the last one that wrote it, something within it, or something
    /// that holds it.
    fn origin(&self, path: &str) -> Option<&Origin> {
        let touches = |written: &str| {
            let (long, short) = match path.len() > written.len() {
                true => (path, written),
                false => (written, path),
            };
            short.is_empty()
                || long
                    .strip_prefix(short)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let mut touching = self.origins.iter().rev().filter(|(written, _)| touches(written));
        touching.next().map(|(_, origin)| origin)
    }
}

/// A fault of TOML's reader in one line.
fn one_line(error: &toml::de::Error, text: &str) -> String {
    let message = error.message().replace('\n', ", ");
    match error.span() {
        Some(span) => {
            let line = 1 + text[..span.start.min(text.len())].matches('\n').count();
            format!("line {line}: {message}")
        }
        None => message,
    }
}
