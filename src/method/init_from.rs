//! Where the first weights of a run come from, if they are not fresh.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::config;
use crate::error::{Result, ensure};

/// Which of a source's weights a run begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InitPart {
    /// The whole task: the encoder, and its decoder or head.
    All,
    /// The encoder; everything else is fresh.
    Encoder,
}

/// Whose statistics a run that begins with given weights normalizes its images with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormalizationOf {
    /// Those that the weights were trained with, where the source says them: the statistics of a
    /// run, or those of a `preprocessor_config.json`.
    Source,
    /// Those of the training images.
    Data,
}

config! {
    /// Continued pre-training: weights that a run begins with in place of fresh ones.
    #[derive(Debug, PartialEq)]
    pub struct InitFrom {
        /// The folder of a run, a folder of transformers, or a file of published weights.
        pub source: PathBuf,
        /// Which of its weights are taken. Default: all of them where the source holds the whole
        /// model of the run's method in the run's sizes, and those of the encoder elsewhere
        pub load: Option<InitPart> = None,
        /// Whether position tables may be resized to the run's images, and patch embeddings to
        /// their channels; without it, images of another size are an error. Default: no
        pub resize: bool = false,
        /// Whose statistics images are normalized with. Default: the source's
        pub normalization: NormalizationOf = NormalizationOf::Source,
    }
}

impl InitFrom {
    /// Checks every rule that the fields must keep; looks at no file.
    ///
    /// # Errors
    ///
    /// When the path is empty.
    pub fn validate(&self) -> Result<()> {
        ensure!(
            !self.source.as_os_str().is_empty(),
            "init_from.source is empty: give the path of a run, of a transformers folder or of a \
             file of weights"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_alone_is_enough_and_a_misspelt_field_is_named() {
        let read = |json: &str| serde_json::from_str::<InitFrom>(json);
        let path = read(r#"{ "source": "runs/mae" }"#).unwrap();
        assert_eq!(path, InitFrom::new("runs/mae".into()));
        assert_eq!((path.load, path.resize), (None, false));
        assert_eq!(path.normalization, NormalizationOf::Source);
        let all = read(r#"{ "source": "a", "load": "encoder", "normalization": "data" }"#).unwrap();
        assert_eq!((all.load, all.normalization), (Some(InitPart::Encoder), NormalizationOf::Data));
        let message = read(r#"{ "source": "a", "resise": true }"#).unwrap_err().to_string();
        assert!(message.contains("unknown field `resise`; did you mean `resize`?"), "{message}");
        let message = InitFrom::new(PathBuf::new()).validate().unwrap_err().to_string();
        assert!(message.contains("init_from.source is empty"), "{message}");
    }
}
