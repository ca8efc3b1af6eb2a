//! Whether a run may go on from a checkpoint: everything that decides its result must be the same.

use serde_json::{Map, Value};

use super::Snapshot;
use super::budget::{length_in, steps_per_epoch_in};

/// Longest value that a message shows.
const SHOWN: usize = 60;

/// The parts of a fingerprint that must be equal in the run and its checkpoint, in the order in
/// which differences are reported.
const FIELDS: &[&str] = &["config", "recipe", "seed", "precision", "batch_size"];

/// Compares a run with the checkpoint that it is to go on from. Paths, the number of workers,
/// probes and the number of checkpoints kept may differ. A longer run is allowed, and
/// `changed_data` allows other images.
///
/// Returns notes for the report, or the one difference that forbids to go on.
pub(super) fn compare(
    saved: &Snapshot,
    now: &Value,
    changed_data: bool,
) -> Result<Vec<String>, String> {
    let was = &saved.fingerprint;
    for field in FIELDS {
        let (mut here, mut there) = (now[field].clone(), was[field].clone());
        for recipe in [&mut here, &mut there] {
            let Some(recipe) = recipe.as_object_mut() else { continue };
            // A longer run is allowed, see below.
            recipe.remove("epochs");
            if *field == "recipe" {
                // Recipes from before there was a choice are AdamW's.
                recipe.entry("optimizer").or_insert_with(|| "adamw".into());
            }
        }
        // Fields of the configuration are named as in its file, without `config.` before them.
        let name = if *field == "config" { "" } else { field };
        if let Some(difference) = difference(name, &here, &there) {
            return Err(difference);
        }
    }
    let mut notes = Vec::new();
    notes.extend(lengths(was, now)?);
    notes.extend(images(was, now, changed_data)?);
    Ok(notes)
}

/// Compares where the two end: a run may become longer.
fn lengths(was: &Value, now: &Value) -> Result<Option<String>, String> {
    let (Some(here), Some(there), Some(steps)) =
        (length_in(now), length_in(was), steps_per_epoch_in(now))
    else {
        return Ok(None);
    };
    if here.epochs(steps) < there.epochs(steps) {
        return Err(format!("the run has {here} here and {there} in the checkpoint"));
    }
    let longer = here.epochs(steps) > there.epochs(steps);
    Ok(longer.then(|| {
        format!(
            "the schedule of {here} differs from that of {there}: steps already done keep their \
             rates"
        )
    }))
}

/// Compares the images, and the number of batches that follows from them.
fn images(was: &Value, now: &Value, changed_data: bool) -> Result<Option<String>, String> {
    let difference = match (&was["images"], &now["images"]) {
        (Value::Null, _) | (_, Value::Null) => None,
        (there, here) => counts(there, here),
    };
    let batches = difference_of_batches(was, now);
    let Some(difference) = difference.or(batches) else { return Ok(None) };
    if changed_data {
        let kept = "going on with these images, and with the statistics the run began with";
        return Ok(Some(format!("{difference}: {kept}")));
    }
    let advice = "bring back the earlier images, or accept these (--accept-changed-data)";
    Err(format!("{difference}; {advice}"))
}

fn counts(there: &Value, here: &Value) -> Option<String> {
    for (split, name) in [("train", "training"), ("test", "validation")] {
        if let (Some(was), Some(now)) = (there[split].as_u64(), here[split].as_u64())
            && was != now
        {
            return Some(format!(
                "the data has {now} {name} images, the checkpoint's run had {was}"
            ));
        }
    }
    let other = "the data has as many images as the checkpoint's run had, and others (by their names and sizes)";
    (there != here).then(|| other.into())
}

fn difference_of_batches(was: &Value, now: &Value) -> Option<String> {
    let (there, here) = (&was["batches"], &now["batches"]);
    (there != here).then(|| format!("batches is {here} here and {there} in the checkpoint"))
}

/// Names the first value below `name` that differs between `saved` and `now`. A value that only one
/// of the two has is passed over, because versions add fields.
pub(super) fn difference(name: &str, now: &Value, saved: &Value) -> Option<String> {
    match (now, saved) {
        (Value::Object(now), Value::Object(saved)) if share_a_key(now, saved) => {
            let both = now.iter().filter_map(|(key, here)| Some((key, here, saved.get(key)?)));
            let named =
                |key: &str| if name.is_empty() { key.into() } else { format!("{name}.{key}") };
            both.into_iter().find_map(|(key, here, there)| difference(&named(key), here, there))
        }
        (Value::Array(now), Value::Array(saved)) if now.len() == saved.len() => {
            let both = now.iter().zip(saved).enumerate();
            both.into_iter()
                .find_map(|(at, (here, there))| difference(&format!("{name}[{at}]"), here, there))
        }
        // An older fingerprint without this field cannot contradict.
        (_, Value::Null) if name.is_empty() => None,
        _ if now == saved => None,
        _ => {
            let name = if name.is_empty() { "the configuration" } else { name };
            Some(format!("{name} is {} here and {} in the checkpoint", shown(now), shown(saved)))
        }
    }
}

fn share_a_key(a: &Map<String, Value>, b: &Map<String, Value>) -> bool {
    a.is_empty() || b.is_empty() || a.keys().any(|key| b.contains_key(key))
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= SHOWN {
        return text;
    }
    let start: String = text.chars().take(SHOWN).collect();
    format!("{start}…")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fingerprint() -> Value {
        json!({
            "recipe": { "epochs": 2, "base_lr": 0.002, "betas": [0.9, 0.95] },
            "config": { "task": { "method": "mae", "encoder": { "depth": 4 } } },
            "images": { "train": 2000, "test": 200, "identity": "a" },
            "seed": 0, "precision": "f32", "batch_size": 8, "batches": 250,
        })
    }

    fn compared(edit: fn(&mut Value), changed_data: bool) -> Result<Vec<String>, String> {
        let snapshot = json!({
            "fingerprint": fingerprint(), "epoch": 0, "batch": 0, "step": 0,
            "history": { "trivial_loss": null, "epochs": [] }, "running": { "sum": 0.0, "count": 0 },
        });
        let mut now = fingerprint();
        edit(&mut now);
        compare(&serde_json::from_value(snapshot).unwrap(), &now, changed_data)
    }

    #[test]
    fn one_field_that_differs_is_named_with_both_values() {
        let refusal = |edit| compared(edit, false).unwrap_err();
        let lr = refusal(|now| now["recipe"]["base_lr"] = json!(0.004));
        assert_eq!(lr, "recipe.base_lr is 0.004 here and 0.002 in the checkpoint");
        let beta = refusal(|now| now["recipe"]["betas"][1] = json!(0.999));
        assert_eq!(beta, "recipe.betas[1] is 0.999 here and 0.95 in the checkpoint");
        let depth = refusal(|now| now["config"]["task"]["encoder"]["depth"] = json!(5));
        assert_eq!(depth, "task.encoder.depth is 5 here and 4 in the checkpoint");
        // A recipe without a choice of optimizer is AdamW's.
        let muon = refusal(|now| now["recipe"]["optimizer"] = json!("muon"));
        assert_eq!(muon, "recipe.optimizer is \"muon\" here and \"adamw\" in the checkpoint");
        let seed = refusal(|now| now["seed"] = json!(1));
        assert_eq!(seed, "seed is 1 here and 0 in the checkpoint");
        let fewer = refusal(|now| now["recipe"]["epochs"] = json!(1));
        assert_eq!(fewer, "the run has 1 epoch here and 2 epochs in the checkpoint");
        let steps = refusal(|now| now["budget"] = json!({ "steps": 499 }));
        assert_eq!(steps, "the run has 499 steps here and 2 epochs in the checkpoint");
        let other = refusal(|now| now["config"]["task"] = json!({ "simmim": vec![0; 100] }));
        assert!(other.starts_with("task is {\"simmim\":[0,") && other.len() < 200, "{other}");
    }

    #[test]
    fn more_epochs_and_what_an_older_version_did_not_say_are_allowed() {
        let notes = compared(|now| now["recipe"]["epochs"] = json!(3), false).unwrap();
        let said = "the schedule of 3 epochs differs from that of 2 epochs: steps already done \
                    keep their rates";
        assert_eq!(notes, [said]);
        let newer = |now: &mut Value| now["recipe"]["new"] = json!(1);
        assert_eq!(compared(newer, false), Ok(vec![]));
        assert_eq!(compared(|now| now["images"] = Value::Null, false), Ok(vec![]));
    }

    #[test]
    fn other_images_are_counted_and_taken_only_when_that_is_accepted() {
        let fewer = |now: &mut Value| {
            now["images"] = json!({ "train": 1999, "test": 200, "identity": "b" })
        };
        let said = "the data has 1999 training images, the checkpoint's run had 2000";
        assert!(compared(fewer, false).unwrap_err().starts_with(&format!("{said}; ")));
        assert!(compared(fewer, true).unwrap()[0].starts_with(&format!("{said}: going on")));
        let others = |now: &mut Value| now["images"]["identity"] = json!("b");
        assert!(compared(others, false).unwrap_err().contains("as many images"));
    }
}
