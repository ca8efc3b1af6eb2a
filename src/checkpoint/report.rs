//! What a load found, and how strict it is.

use std::fmt;
use std::path::Path;

use crate::error::{Error, Result};

/// How a checkpoint may differ from the model it is loaded into.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Whether a missing, unused or reshaped key is an error.
    pub strict: bool,
    /// Whether position tables may be resized to another grid (bicubically) and patch embeddings
    /// to another number of channels (inflation: the mean over the old channels, scaled to keep
    /// the sum). Otherwise another shape is an error.
    pub resize: bool,
}

/// What became of every key, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Keys of the file that were loaded.
    pub matched: Vec<String>,
    /// Keys the model needs and the file lacks; those parameters keep their initial values.
    pub missing: Vec<String>,
    /// Keys of the file that the model has no place for.
    pub unused: Vec<String>,
    /// Keys that were resized, with both shapes.
    pub reshaped: Vec<String>,
}

/// A loaded model, the configuration it was built by, and what became of the file's keys.
#[derive(Debug)]
pub struct Loaded<M, C> {
    /// The model, on a plain device.
    pub model: M,
    /// What it is made of.
    pub config: C,
    /// What became of the keys.
    pub report: LoadReport,
}

impl LoadReport {
    pub(super) fn check(mut self, options: LoadOptions, path: &Path) -> Result<Self> {
        for keys in [&mut self.matched, &mut self.missing, &mut self.unused, &mut self.reshaped] {
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
        Ok(self)
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys matched", self.matched.len())?;
        for (keys, what) in
            [(&self.missing, "missing"), (&self.unused, "unused"), (&self.reshaped, "reshaped")]
        {
            if let [first, rest @ ..] = keys.as_slice() {
                write!(f, ", {} {what} ({first}", keys.len())?;
                rest.iter().take(4).try_for_each(|key| write!(f, ", {key}"))?;
                f.write_str(if rest.len() > 4 { ", ...)" } else { ")" })?;
            }
        }
        Ok(())
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
        let lenient = report().check(LoadOptions::default(), Path::new("m.pth")).unwrap();
        assert_eq!(lenient.matched, ["a", "b"]);
    }

    #[test]
    fn a_file_of_another_model_is_an_error_even_when_lenient() {
        let nothing = LoadReport { unused: vec!["x".into()], ..LoadReport::default() };
        let message = nothing.check(LoadOptions::default(), Path::new("m")).unwrap_err();
        assert!(message.to_string().contains("holds nothing of this model"));
    }
}
