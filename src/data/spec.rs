//! A data source named in one word, for command lines and JSON.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

const CHOICES: &str = "shapes, moving-shapes, cifar10, cifar10:DIR, cifar100, cifar100:DIR, idx:DIR, folder:DIR, clips:DIR, tar:DIR or parquet:DIR";

/// Which images to use; written as `shapes`, `moving-shapes`, `cifar10`, `cifar10:DIR`, `cifar100`,
/// `cifar100:DIR`, `idx:DIR`, `folder:DIR`, `clips:DIR`, `tar:DIR` or `parquet:DIR`, in JSON too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Saved", into = "Saved")]
#[non_exhaustive]
pub enum DataSpec {
    /// Procedural images: nothing to download.
    Shapes,
    /// Procedural clips, [`MovingShapes`](crate::data::source::MovingShapes): nothing to download.
    MovingShapes,
    /// [`cifar::cifar10`](crate::data::source::cifar::cifar10): a folder or archive; downloaded when there is none.
    Cifar10(Option<PathBuf>),
    /// [`cifar::cifar100`](crate::data::source::cifar::cifar100): a folder or archive; downloaded when there is none.
    Cifar100(Option<PathBuf>),
    /// [`idx::open`](crate::data::source::idx::open): a folder of IDX files (MNIST and its family).
    Idx(PathBuf),
    /// [`folder::open`](crate::data::source::folder::open): a folder of image files.
    Folder(PathBuf),
    /// [`clips::open`](crate::data::source::clips::open): a folder of films.
    Clips(PathBuf),
    /// [`shards::open`](crate::data::source::shards::open): a folder of tar files of images, or their
    /// address.
    Tar(PathBuf),
    /// A folder of Parquet files of images, which the feature `parquet` reads.
    Parquet(PathBuf),
}

impl DataSpec {
    /// Reads what [`FromStr`] reads, with a path in any bytes. A path that begins with `~/` lies in
    /// the user's home folder: shells do not expand it after the colon.
    ///
    /// # Errors
    ///
    /// As [`FromStr`].
    pub fn from_os(text: &OsStr) -> Result<Self> {
        let (name, path) = parts(text);
        let path = match path {
            Some(path) if path.is_empty() => {
                return Err(Error::config(format!("`{name}:` lacks the folder after the colon")));
            }
            Some(path) => Some(in_home(Path::new(&path))?),
            None => None,
        };
        match (name.as_str(), path) {
            ("shapes", None) => Ok(Self::Shapes),
            ("moving-shapes", None) => Ok(Self::MovingShapes),
            ("shapes" | "moving-shapes", Some(_)) => {
                let text = text.display();
                Err(Error::config(format!("`{text}`: {name} takes no folder")))
            }
            ("cifar10", path) => Ok(Self::Cifar10(path)),
            ("cifar100", path) => Ok(Self::Cifar100(path)),
            ("idx", Some(path)) => Ok(Self::Idx(path)),
            ("folder", Some(path)) => Ok(Self::Folder(path)),
            ("clips", Some(path)) => Ok(Self::Clips(path)),
            ("tar", Some(path)) => Ok(Self::Tar(path)),
            ("parquet", Some(path)) => Ok(Self::Parquet(path)),
            ("idx" | "folder" | "clips" | "tar" | "parquet", None) => {
                Err(Error::config(format!("`{name}` needs a folder: {name}:DIR")))
            }
            _ => {
                let text = text.display();
                Err(Error::config(format!("unknown data `{text}`, expected {CHOICES}")))
            }
        }
    }

    /// Whether the samples are clips.
    pub fn is_of_clips(&self) -> bool {
        matches!(self, Self::MovingShapes | Self::Clips(_))
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Self::Shapes | Self::MovingShapes => None,
            Self::Cifar10(path) | Self::Cifar100(path) => path.as_deref(),
            Self::Idx(path)
            | Self::Folder(path)
            | Self::Clips(path)
            | Self::Tar(path)
            | Self::Parquet(path) => Some(path),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Shapes => "shapes",
            Self::MovingShapes => "moving-shapes",
            Self::Cifar10(_) => "cifar10",
            Self::Cifar100(_) => "cifar100",
            Self::Idx(_) => "idx",
            Self::Folder(_) => "folder",
            Self::Clips(_) => "clips",
            Self::Tar(_) => "tar",
            Self::Parquet(_) => "parquet",
        }
    }
}

/// What is before the first colon and what is after it.
fn parts(text: &OsStr) -> (String, Option<OsString>) {
    if let Some(text) = text.to_str() {
        return match text.split_once(':') {
            Some((name, path)) => (name.into(), Some(path.into())),
            None => (text.into(), None),
        };
    }
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let bytes = text.as_bytes();
        if let Some(colon) = bytes.iter().position(|byte| *byte == b':') {
            let (name, path) = (&bytes[..colon], OsStr::from_bytes(&bytes[colon + 1..]));
            return (String::from_utf8_lossy(name).into_owned(), Some(path.into()));
        }
    }
    (text.to_string_lossy().into_owned(), None)
}

/// The path with `~` as the user's home folder.
fn in_home(path: &Path) -> Result<PathBuf> {
    let Ok(below) = path.strip_prefix("~") else { return Ok(path.into()) };
    let home = dirs::home_dir().ok_or_else(|| {
        Error::config(format!(
            "`{}`: there is no home folder; write the whole path",
            path.display()
        ))
    })?;
    Ok(home.join(below))
}

impl FromStr for DataSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::from_os(OsStr::new(text))
    }
}

impl fmt::Display for DataSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            Some(path) => write!(f, "{}:{}", self.name(), path.display()),
            None => f.write_str(self.name()),
        }
    }
}

/// How a specification is written in JSON: in one word, and with its path in bytes where that is
/// no text.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Saved {
    Text(String),
    Bytes { data: String, path_bytes: Vec<u8> },
}

impl TryFrom<Saved> for DataSpec {
    type Error = Error;

    fn try_from(saved: Saved) -> Result<Self> {
        match saved {
            Saved::Text(text) => text.parse(),
            #[cfg(unix)]
            Saved::Bytes { data, path_bytes } => {
                use std::os::unix::ffi::OsStringExt;
                let mut text = data.into_bytes();
                text.push(b':');
                text.extend(path_bytes);
                Self::from_os(&OsString::from_vec(text))
            }
            #[cfg(not(unix))]
            Saved::Bytes { data, .. } => {
                Err(Error::config(format!("the path of `{data}` is none on this system")))
            }
        }
    }
}

impl From<DataSpec> for Saved {
    fn from(spec: DataSpec) -> Self {
        match spec.path() {
            Some(path) if path.to_str().is_none() => Self::Bytes {
                data: spec.name().into(),
                path_bytes: path.as_os_str().as_encoded_bytes().to_vec(),
            },
            _ => Self::Text(spec.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DataOptions;

    #[test]
    fn every_choice_reads_back_as_it_is_written() {
        let cases = [
            ("shapes", DataSpec::Shapes),
            ("moving-shapes", DataSpec::MovingShapes),
            ("cifar10", DataSpec::Cifar10(None)),
            ("cifar10:/data/c10", DataSpec::Cifar10(Some("/data/c10".into()))),
            ("cifar100", DataSpec::Cifar100(None)),
            ("cifar100:c100.tar.gz", DataSpec::Cifar100(Some("c100.tar.gz".into()))),
            ("idx:mnist", DataSpec::Idx("mnist".into())),
            ("clips:films", DataSpec::Clips("films".into())),
            ("tar:shards", DataSpec::Tar("shards".into())),
            ("tar:https://a.org/{0..9}.tar", DataSpec::Tar("https://a.org/{0..9}.tar".into())),
            ("parquet:hub", DataSpec::Parquet("hub".into())),
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
        assert!(
            unknown.contains("unknown data `imagenet`, expected shapes, moving-shapes, cifar10"),
            "{unknown}"
        );
        assert!(message("idx").ends_with("`idx` needs a folder: idx:DIR"));
        assert!(message("folder").ends_with("`folder` needs a folder: folder:DIR"));
        assert!(message("cifar10:").ends_with("`cifar10:` lacks the folder after the colon"));
        assert!(message("shapes:3").ends_with("shapes takes no folder"));
        assert!(message("").contains("expected shapes"));
        assert!(serde_json::from_str::<DataSpec>("\"Shapes\"").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_path_in_any_bytes_is_kept() {
        use std::os::unix::ffi::OsStrExt;
        let spec = DataSpec::from_os(OsStr::from_bytes(b"folder:/data/caf\xe9:1")).unwrap();
        let path = Path::new(OsStr::from_bytes(b"/data/caf\xe9:1"));
        assert_eq!(spec, DataSpec::Folder(path.into()));
        let json = serde_json::to_string(&spec).unwrap();
        assert!(json.starts_with(r#"{"data":"folder","path_bytes":[47,"#), "{json}");
        assert_eq!(serde_json::from_str::<DataSpec>(&json).unwrap(), spec);
        let unknown = DataSpec::from_os(OsStr::from_bytes(b"caf\xe9:1")).unwrap_err();
        assert!(unknown.to_string().contains("unknown data"), "{unknown}");
    }

    #[test]
    fn a_tilde_is_the_home_folder_and_only_at_the_start() {
        let home = dirs::home_dir().unwrap();
        assert_eq!("folder:~/a/b".parse::<DataSpec>().unwrap(), DataSpec::Folder(home.join("a/b")));
        assert_eq!("idx:~".parse::<DataSpec>().unwrap(), DataSpec::Idx(home));
        for path in ["~other/a", "./~/a", "/a/~"] {
            let spec = format!("folder:{path}").parse::<DataSpec>().unwrap();
            assert_eq!(spec, DataSpec::Folder(path.into()));
        }
    }

    #[test]
    fn a_specification_opens_its_source() {
        let missing = DataSpec::Idx("no/such/folder".into());
        let missing = missing.open(&DataOptions::default(), &mut |_| {});
        assert!(missing.unwrap_err().to_string().starts_with("no/such/folder"));
    }
}
