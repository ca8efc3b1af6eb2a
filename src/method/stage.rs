//! What a run goes on with after its own epochs.

use serde_json::{Map, Value};

use crate::config::config;
use crate::error::{Result, ensure};
use crate::limits;

config! {
    /// A refinement of a run's encoder: a second run, of the method `refine`, that begins with the
    /// encoder of the first. Of its fields only those are written that are not the preset's.
    #[derive(Debug, PartialEq)]
    pub struct RefineStage {
        /// Passes over the training images.
        pub epochs: usize,
        /// The preset whose values absent fields have. Default: the first on the run's encoder
        pub preset: Option<String> = None,
        /// Images per step. Default: the preset's
        pub batch_size: Option<usize> = None,
        /// Fields of the method's numbers but for its encoder, which is the run's.
        pub numbers: Map<String, Value> = Map::new(),
        /// Fields of its recipe.
        pub recipe: Map<String, Value> = Map::new(),
        /// Fields of its augmentation.
        pub augmentation: Map<String, Value> = Map::new(),
    }
}

impl RefineStage {
    /// Checks what can be checked without the encoder.
    ///
    /// # Errors
    ///
    /// When there are no epochs or too many, or the fields contradict each other.
    pub fn validate(&self) -> Result<()> {
        let Self { epochs, numbers, recipe, augmentation, .. } = self;
        ensure!(*epochs > 0, "refine.epochs must be at least 1, got 0");
        limits::at_most("refine.epochs", *epochs, limits::EPOCHS)?;
        ensure!(
            !numbers.contains_key("encoder"),
            "refine.numbers.encoder: the encoder is the run's own"
        );
        ensure!(
            !recipe.contains_key("epochs"),
            "refine.recipe.epochs contradicts refine.epochs: leave it out"
        );
        let parts = [("numbers", numbers), ("recipe", recipe), ("augmentation", augmentation)];
        for (part, fields) in parts {
            let null = fields.iter().find(|(_, value)| has_null(value));
            // A file of TOML could not say it.
            ensure!(
                null.is_none(),
                "refine.{part}.{} has no value: leave it out to have the preset's",
                null.map_or("", |(name, _)| name)
            );
        }
        Ok(())
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.values().any(has_null),
        Value::Array(values) => values.iter().any(has_null),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(json: &str) -> String {
        let stage: RefineStage = serde_json::from_str(json).unwrap();
        stage.validate().unwrap_err().to_string()
    }

    #[test]
    fn a_number_of_epochs_is_enough_and_what_contradicts_it_is_named() {
        let stage: RefineStage = serde_json::from_str(r#"{ "epochs": 3 }"#).unwrap();
        assert_eq!(stage, RefineStage::new(3));
        stage.validate().unwrap();
        assert!(fault(r#"{ "epochs": 0 }"#).contains("refine.epochs must be at least 1"));
        let twice = fault(r#"{ "epochs": 3, "recipe": { "epochs": 4 } }"#);
        assert!(twice.contains("refine.recipe.epochs contradicts refine.epochs"), "{twice}");
        let encoder = fault(r#"{ "epochs": 3, "numbers": { "encoder": {} } }"#);
        assert!(encoder.contains("the encoder is the run's own"), "{encoder}");
        let null = fault(r#"{ "epochs": 3, "augmentation": { "jitter": null } }"#);
        assert!(null.contains("refine.augmentation.jitter has no value"), "{null}");
    }

    #[test]
    fn a_misspelt_field_is_told_the_right_one() {
        let read = serde_json::from_str::<RefineStage>(r#"{ "epoch": 3 }"#);
        assert!(read.unwrap_err().to_string().contains("epochs"));
    }
}
