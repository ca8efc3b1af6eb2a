//! A data source named in one word, for command lines and JSON.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::data::options::{DataOptions, OpenProgress, OpenStep};
use crate::data::source::{Shapes, cifar, folder, idx};
use crate::data::splits::ImageData;
use crate::error::{Error, Result};

const CHOICES: &str = "shapes, cifar10, cifar10:DIR, cifar100, cifar100:DIR, idx:DIR or folder:DIR";

/// Which images to use; written as `shapes`, `cifar10`, `cifar10:DIR`, `cifar100`, `cifar100:DIR`,
/// `idx:DIR` or `folder:DIR`, in JSON too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum DataSpec {
    /// Procedural images: nothing to download.
    Shapes,
    /// [`cifar::cifar10`]: a folder or archive; downloaded when there is none.
    Cifar10(Option<PathBuf>),
    /// [`cifar::cifar100`]: a folder or archive; downloaded when there is none.
    Cifar100(Option<PathBuf>),
    /// [`idx::open`]: a folder of IDX files (MNIST and its family).
    Idx(PathBuf),
    /// [`folder::open`]: a folder of image files.
    Folder(PathBuf),
}

impl DataSpec {
    /// Opens the source by `options`. `progress` hears how far that is.
    ///
    /// # Errors
    ///
    /// When an option is broken, or the data cannot be had or is not what it should be; names the
    /// file at fault.
    pub fn open(
        &self,
        options: &DataOptions,
        progress: &mut dyn FnMut(OpenProgress),
    ) -> Result<ImageData> {
        options.validate()?;
        let mut download =
            |done, total| progress(OpenProgress { step: OpenStep::Download, done, total });
        let splits = match self {
            Self::Shapes => Shapes::splits(),
            Self::Cifar10(path) => cifar::cifar10_splits(path.as_deref(), &mut download)?,
            Self::Cifar100(path) => cifar::cifar100_splits(path.as_deref(), &mut download)?,
            Self::Idx(path) => idx::splits(path)?,
            Self::Folder(path) => folder::splits(path)?,
        };
        splits.open(options, progress)
    }
}

impl FromStr for DataSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, path) = match text.split_once(':') {
            Some((name, "")) => {
                return Err(Error::config(format!("`{name}:` lacks the folder after the colon")));
            }
            Some((name, path)) => (name, Some(PathBuf::from(path))),
            None => (text, None),
        };
        match (name, path) {
            ("shapes", None) => Ok(Self::Shapes),
            ("shapes", Some(_)) => Err(Error::config(format!("`{text}`: shapes takes no folder"))),
            ("cifar10", path) => Ok(Self::Cifar10(path)),
            ("cifar100", path) => Ok(Self::Cifar100(path)),
            ("idx", Some(path)) => Ok(Self::Idx(path)),
            ("folder", Some(path)) => Ok(Self::Folder(path)),
            ("idx" | "folder", None) => {
                Err(Error::config(format!("`{name}` needs a folder: {name}:DIR")))
            }
            _ => Err(Error::config(format!("unknown data `{text}`, expected {CHOICES}"))),
        }
    }
}

impl fmt::Display for DataSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, path) = match self {
            Self::Shapes => ("shapes", None),
            Self::Cifar10(path) => ("cifar10", path.as_ref()),
            Self::Cifar100(path) => ("cifar100", path.as_ref()),
            Self::Idx(path) => ("idx", Some(path)),
            Self::Folder(path) => ("folder", Some(path)),
        };
        match path {
            Some(path) => write!(f, "{name}:{}", path.display()),
            None => f.write_str(name),
        }
    }
}

impl TryFrom<String> for DataSpec {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<DataSpec> for String {
    fn from(spec: DataSpec) -> Self {
        spec.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_reads_back_as_it_is_written() {
        let cases = [
            ("shapes", DataSpec::Shapes),
            ("cifar10", DataSpec::Cifar10(None)),
            ("cifar10:/data/c10", DataSpec::Cifar10(Some("/data/c10".into()))),
            ("cifar100", DataSpec::Cifar100(None)),
            ("cifar100:c100.tar.gz", DataSpec::Cifar100(Some("c100.tar.gz".into()))),
            ("idx:mnist", DataSpec::Idx("mnist".into())),
            (r"folder:C:\my photos", DataSpec::Folder(r"C:\my photos".into())),
        ];
        for (text, spec) in cases {
            assert_eq!(text.parse::<DataSpec>().unwrap(), spec);
            assert_eq!(spec.to_string(), text);
            let json = serde_json::to_string(&spec).unwrap();
            assert_eq!(json, serde_json::to_string(text).unwrap());
            assert_eq!(serde_json::from_str::<DataSpec>(&json).unwrap(), spec);
        }
    }

    #[test]
    fn a_wrong_choice_is_told_the_right_ones() {
        let message = |text: &str| text.parse::<DataSpec>().unwrap_err().to_string();
        let unknown = message("imagenet");
        assert!(unknown.contains("unknown data `imagenet`, expected shapes, cifar10"), "{unknown}");
        assert!(message("idx").ends_with("`idx` needs a folder: idx:DIR"));
        assert!(message("folder").ends_with("`folder` needs a folder: folder:DIR"));
        assert!(message("cifar10:").ends_with("`cifar10:` lacks the folder after the colon"));
        assert!(message("shapes:3").ends_with("shapes takes no folder"));
        assert!(message("").contains("expected shapes"));
        assert!(serde_json::from_str::<DataSpec>("\"Shapes\"").is_err());
    }

    #[test]
    fn a_specification_opens_its_source() {
        let missing = DataSpec::Idx("no/such/folder".into());
        let missing = missing.open(&DataOptions::default(), &mut |_| {});
        assert!(missing.unwrap_err().to_string().starts_with("no/such/folder"));
    }
}
