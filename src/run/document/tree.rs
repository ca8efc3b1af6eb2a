//! Trees of values: how what somebody wrote is laid over what would be without it.

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Fields that tell which choice of several a table is.
const TAGS: [&str; 4] = ["strategy", "tokenizer", "target", "asked"];

/// Tables that hold one choice, of which nothing is joined.
const WHOLE: [&str; 1] = ["budget"];

type Table = Map<String, Value>;

/// Lays `over` over `base`, which has all its fields: tables are joined field by field, and everything
/// else is replaced. A table that is another choice than the one below it (another mask strategy, say)
/// replaces it.
pub(super) fn lay(base: &mut Value, over: Value) {
    join(base, over, &|base, over| {
        is_tagged_otherwise(base, over) || is_named_otherwise(base, over)
    });
}

/// As [`lay`], over what somebody has written so far: a table of one field may get others.
pub(super) fn add(base: &mut Value, over: Value) {
    join(base, over, &is_tagged_otherwise);
}

fn join(base: &mut Value, over: Value, is_another_choice: &dyn Fn(&Table, &Table) -> bool) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) if !is_another_choice(base, &over) => {
            for (name, value) in over {
                let whole = WHOLE.contains(&name.as_str());
                let below = base.entry(name).or_insert(Value::Null);
                if whole { *below = value } else { join(below, value, is_another_choice) }
            }
        }
        (base, over) => *base = over,
    }
}

fn is_tagged_otherwise(base: &Table, over: &Table) -> bool {
    TAGS.iter().any(|&tag| match (base.get(tag), over.get(tag)) {
        (Some(Value::String(below)), Some(Value::String(above))) => below != above,
        _ => false,
    })
}

/// `{ multi-step: { ... } }` in place of `{ hog: { ... } }`.
fn is_named_otherwise(base: &Table, over: &Table) -> bool {
    let only = |table: &Table| match table.len() {
        1 => table.iter().next().map(|(name, value)| (name.clone(), value.is_object())),
        _ => None,
    };
    match (only(base), only(over)) {
        (Some((below, true)), Some((above, true))) => below != above,
        _ => false,
    }
}

/// A table that holds `value` at `path`, the names of tables separated by dots.
pub(super) fn at(path: &str, value: Value) -> Value {
    path.rsplit('.').fold(value, |value, name| {
        Value::Object(Map::from_iter([(name.trim().to_string(), value)]))
    })
}

/// What is at `path`.
pub(super) fn get<'a>(tree: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(tree, |tree, name| tree.get(name))
}

/// Reads TOML; the text `"null"` stands for no value, for which TOML has no word.
pub(super) fn from_toml(text: &str) -> Result<Value, toml::de::Error> {
    text.parse::<toml::Table>().map(|table| from_value(toml::Value::Table(table)))
}

/// Reads the value of an assignment: as TOML has it, or a text without quotes.
pub(super) fn from_assigned(text: &str) -> Value {
    let text = text.trim();
    match from_toml(&format!("value = {text}")) {
        // A line that goes on would be a second field.
        Ok(Value::Object(mut table)) if table.len() == 1 => {
            table.remove("value").unwrap_or(Value::Null)
        }
        _ if text == "null" => Value::Null,
        _ => Value::String(text.to_string()),
    }
}

fn from_value(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) if text == "null" => Value::Null,
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        // Not a number and infinity are texts, so that the field at fault is named with them.
        toml::Value::Float(number) => {
            serde_json::Number::from_f64(number).map_or(number.to_string().into(), Value::Number)
        }
        toml::Value::Boolean(yes) => yes.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(values) => values.into_iter().map(from_value).collect(),
        toml::Value::Table(table) => Value::Object(
            table.into_iter().map(|(name, value)| (name, from_value(value))).collect(),
        ),
    }
}

/// Splits `path.to.field=value`.
pub(super) fn assignment(text: &str) -> Result<(&str, Value)> {
    let (path, value) = text.split_once('=').unwrap_or_default();
    let path = path.trim();
    if path.is_empty() || path.split('.').any(|name| name.trim().is_empty()) {
        return Err(Error::config(format!("`{text}` is no assignment: write path.to.field=value")));
    }
    Ok((path, from_assigned(value)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn laid(mut base: Value, over: Value) -> Value {
        lay(&mut base, over);
        base
    }

    #[test]
    fn tables_are_joined_and_other_values_replaced() {
        let base = json!({ "a": { "b": 1, "c": [1, 2] }, "d": 5 });
        let over = json!({ "a": { "c": [3] }, "e": null });
        assert_eq!(laid(base, over), json!({ "a": { "b": 1, "c": [3] }, "d": 5, "e": null }));
    }

    #[test]
    fn another_choice_takes_no_field_from_the_one_below() {
        let simmim = json!({ "strategy": "simmim", "unit": 8, "ratio": 0.6 });
        let ratio = json!({ "ratio": 0.5 });
        let half = json!({ "strategy": "simmim", "unit": 8, "ratio": 0.5 });
        assert_eq!(laid(simmim.clone(), ratio), half);
        let mae = json!({ "strategy": "mae" });
        assert_eq!(laid(simmim, mae.clone()), mae);
        let steps = json!({ "multi-step": { "epochs": [3] } });
        assert_eq!(laid(json!("cosine"), steps.clone()), steps);
        let budget = |unit: &str| json!({ "budget": { unit: 3 } });
        assert_eq!(laid(budget("minutes"), budget("steps")), budget("steps"));
        assert_eq!(laid(json!({ "hog": { "cell": 8 } }), steps.clone()), steps);
    }

    #[test]
    fn a_table_of_one_table_that_somebody_wrote_may_get_another() {
        let mut written = at("numbers.mask.ratio", json!(0.25));
        add(&mut written, at("numbers.contrast.weight", json!(2)));
        let both = json!({ "numbers": { "mask": { "ratio": 0.25 }, "contrast": { "weight": 2 } } });
        assert_eq!(written, both);
        add(&mut written, at("numbers.mask", json!({ "strategy": "mae" })));
        add(&mut written, at("numbers.mask", json!({ "strategy": "block" })));
        assert_eq!(written["numbers"]["mask"], json!({ "strategy": "block" }));
    }

    #[test]
    fn an_assignment_is_a_path_and_a_value_of_toml_or_a_plain_text() {
        let value = |text| assignment(text).unwrap();
        assert_eq!(value("recipe.epochs=3"), ("recipe.epochs", json!(3)));
        assert_eq!(value("a.b = [1, 2.5]"), ("a.b", json!([1, 2.5])));
        assert_eq!(value("mask={ strategy = 'mae' }").1, json!({ "strategy": "mae" }));
        assert_eq!(value("data=folder:/a=b").1, json!("folder:/a=b"));
        assert_eq!(value("recipe.clip_norm=null").1, Value::Null);
        assert_eq!(value("x='null'").1, Value::Null);
        assert_eq!(value("x=inf").1, json!("inf"));
        for wrong in ["recipe", "=3", "a..b=3", " .=1"] {
            let message = assignment(wrong).unwrap_err().to_string();
            assert!(message.ends_with("write path.to.field=value"), "{message}");
        }
    }

    #[test]
    fn a_value_at_a_path_is_found_there() {
        let tree = at("a.b", json!(1));
        assert_eq!(tree, json!({ "a": { "b": 1 } }));
        assert_eq!((get(&tree, "a.b"), get(&tree, "a.c.d")), (Some(&json!(1)), None));
    }
}
