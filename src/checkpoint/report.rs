//! The report of a load, and its strictness.

use std::fmt;
use std::path::Path;

use crate::error::{Error, Result};

/// How a checkpoint may differ from the model it is loaded into.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Whether a missing, unused or reshaped key is an error.
    pub strict: bool,
    /// Whether position tables may be resized to another grid (bicubically) and patch embeddings to
    /// another number of channels (inflation: the mean over the old channels, scaled to keep the
    /// sum). Without this option, another shape is an error.
    pub resize: bool,
}

/// The fate of every key of a load, each list sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Keys of the file that were loaded.
    pub matched: Vec<String>,
    /// Keys the model needs and the file lacks; those parameters keep their initial values.
    pub missing: Vec<String>,
    /// The missing keys that belong to the encoder, without which its features mean nothing. A mask
    /// token and a head do not belong to it.
    pub encoder_missing: Vec<String>,
    /// Keys of the file that the model has no place for.
    pub unused: Vec<String>,
    /// Keys that were resized, with both shapes.
    pub reshaped: Vec<String>,
    /// The paths of the model's parameters that the file has nothing for.
    pub fresh: Vec<String>,
    /// The layout whose keys the file has, such as `transformers ViTMAE`, and their prefix.
    pub form: String,
}

/// A loaded model, the configuration it was built from, and the report of the load.
#[derive(Debug)]
pub struct Loaded<M, C> {
    /// The model, on a plain device.
    pub model: M,
    /// The configuration of the model.
    pub config: C,
    /// The report of the load.
    pub report: LoadReport,
}

impl LoadReport {
    /// Checks the rules of a strict load, and that the file has any weight of the model at all.
    pub(super) fn check(&mut self, options: LoadOptions, path: &Path) -> Result<()> {
        let Self { matched, missing, encoder_missing, unused, reshaped, .. } = self;
        for keys in [matched, missing, encoder_missing, unused, reshaped] {
            keys.sort();
        }
        let differs =
            !(self.missing.is_empty() && self.unused.is_empty() && self.reshaped.is_empty());
        if options.strict && differs {
            return Err(Error::checkpoint(path, format!("is not exactly this model: {self}")));
        }
        if self.matched.is_empty() {
            return Err(Error::checkpoint(path, format!("holds nothing of this model: {self}")));
        }
        Ok(())
    }

    /// Refuses an encoder if some of its weights were not in the file and stay random.
    ///
    /// # Errors
    ///
    /// Names the missing keys of the file at `path`, at most ten, and how many there are.
    pub fn require_encoder(&self, path: impl AsRef<Path>) -> Result<()> {
        require(&self.encoder_missing, "of the encoder's weights", path.as_ref())
    }

    /// Refuses a model if some of its weights were not in the file and stay random.
    ///
    /// # Errors
    ///
    /// As [`Self::require_encoder`].
    pub fn require_all(&self, path: impl AsRef<Path>) -> Result<()> {
        require(&self.missing, "of the model's weights", path.as_ref())
    }

    /// Lines for people about the keys of `path`: one line, and a second one if some keys did not
    /// match.
    pub fn lines(&self, path: impl AsRef<Path>) -> Vec<String> {
        let (count, path) = (self.matched.len(), path.as_ref().display());
        let mut lines = vec![format!("{count} keys of {path} matched, form: {}", self.form)];
        let rest = self.differences();
        if !rest.is_empty() {
            lines.push(rest.join(", "));
        }
        lines
    }

    /// The keys that did not match, with the first ones of each kind.
    fn differences(&self) -> Vec<String> {
        let kinds =
            [(&self.missing, "missing"), (&self.unused, "unused"), (&self.reshaped, "reshaped")];
        let kinds = kinds.into_iter().filter(|(keys, _)| !keys.is_empty());
        kinds.map(|(keys, what)| format!("{} {what} ({})", keys.len(), some(keys, 5))).collect()
    }
}

/// The length of the longest list of keys in a message.
const LONGEST: usize = 300;

/// The first of `keys`, at most `most` of them, and no more than fit into a message.
fn some(keys: &[String], most: usize) -> String {
    let mut list = String::new();
    for (nth, key) in keys.iter().enumerate() {
        if nth == most || (nth > 0 && list.len() + key.len() > LONGEST) {
            return list + ", ...";
        }
        list += if nth > 0 { ", " } else { "" };
        list.extend(key.chars().take(LONGEST));
    }
    list
}

fn require(missing: &[String], what: &str, path: &Path) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let reason = format!("lacks {} {what}: {}", missing.len(), some(missing, 10));
    Err(Error::checkpoint(path, format!("{reason} are missing")))
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys matched", self.matched.len())?;
        self.differences().iter().try_for_each(|difference| write!(f, ", {difference}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> LoadReport {
        LoadReport {
            matched: vec!["b".into(), "a".into()],
            unused: vec!["head.bias".into()],
            ..LoadReport::default()
        }
    }

    #[test]
    fn a_strict_load_names_what_differs() {
        let strict = LoadOptions { strict: true, ..LoadOptions::default() };
        let message = report().check(strict, Path::new("m.pth")).unwrap_err().to_string();
        assert!(message.ends_with("2 keys matched, 1 unused (head.bias)"), "{message}");
        let mut lenient = report();
        lenient.check(LoadOptions::default(), Path::new("m.pth")).unwrap();
        assert_eq!(lenient.matched, ["a", "b"]);
    }

    #[test]
    fn a_file_of_another_model_is_an_error_even_when_lenient() {
        let mut nothing = LoadReport { unused: vec!["x".into()], ..LoadReport::default() };
        let message = nothing.check(LoadOptions::default(), Path::new("m")).unwrap_err();
        assert!(message.to_string().contains("holds nothing of this model"));
    }

    #[test]
    fn at_most_ten_missing_keys_are_named_with_their_number() {
        let keys: Vec<String> = (10..40).map(|key| format!("k{key}")).collect();
        let report = LoadReport { encoder_missing: keys, ..report() };
        let message = report.require_encoder("m.pth").unwrap_err().to_string();
        assert!(message.contains("m.pth: lacks 30 of the encoder's weights: k10, "), "{message}");
        assert!(message.contains("k19") && !message.contains("k20"), "{message}");
        assert!(report.require_all("m.pth").is_ok());
        let long = LoadReport { missing: vec!["x".repeat(5000); 9], ..LoadReport::default() };
        assert!(long.require_all("m").unwrap_err().to_string().len() < 500);
    }

    #[test]
    fn a_load_is_told_in_one_line_or_two() {
        let mut all = LoadReport { unused: Vec::new(), ..report() };
        all.form = "timm ViT".into();
        assert_eq!(all.lines("m.pth"), ["2 keys of m.pth matched, form: timm ViT"]);
        assert_eq!(report().lines("m.pth")[1], "1 unused (head.bias)");
    }
}
