//! `validate` and `init` agree: whatever the one accepts, the other builds, and it computes a
//! finite loss; whatever it does not, `init` refuses with the same words.

use std::cell::Cell;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use burn_mim::{Result, TokenizerConfig};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::Value;

use crate::any_method::AnyMethod;
use crate::loss::of_tokenizer;
use crate::presets::{tiny_methods, tiny_tokenizers};

/// What a number may become: the edges of rules, and sizes that take no time.
const WHOLE: [u64; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, u64::MAX];
const FRACTIONS: [f64; 10] = [0.0, 1e-60, 0.1, 0.5, 0.999_999_999, 1.0, 1.5, 4.0, -1.0, 1e300];

/// What a word may become; a configuration reads those that it knows.
const WORDS: [&str; 16] = [
    "none",
    "learned",
    "sin-cos",
    "shared",
    "per-block",
    "all",
    "query-value",
    "cell",
    "mae",
    "beit",
    "normal-by-depth",
    "l2",
    "logit-laplace",
    "pixels",
    "projection",
    "dropping",
];

/// The JSON pointers of everything that is no object.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, item)| leaves(item, &format!("{path}/{name}"), found));
        }
        Value::Array(items) if !items.is_empty() => {
            let items = items.iter().enumerate();
            items.for_each(|(i, item)| leaves(item, &format!("{path}/{i}"), found));
        }
        _ => found.push(path.to_string()),
    }
}

/// Another value of the same kind, the `draw`-th.
fn other(value: &Value, draw: usize) -> Value {
    match value {
        Value::Bool(value) => (!value).into(),
        Value::Number(number) if number.is_f64() => FRACTIONS[draw % FRACTIONS.len()].into(),
        Value::Number(_) => WHOLE[draw % WHOLE.len()].into(),
        Value::String(_) => WORDS[draw % WORDS.len()].into(),
        Value::Null if draw.is_multiple_of(2) => WHOLE[draw / 2 % WHOLE.len()].into(),
        Value::Null => FRACTIONS[draw / 2 % FRACTIONS.len()].into(),
        other => other.clone(),
    }
}

/// `json` with some of its values changed.
fn changed(mut json: Value, changes: &[(prop::sample::Index, usize)]) -> Value {
    let mut paths = Vec::new();
    leaves(&json, "", &mut paths);
    for (place, draw) in changes {
        let place = json.pointer_mut(place.get::<String>(&paths)).unwrap();
        *place = other(place, *draw);
    }
    json
}

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// What `run` gives, or what it says when it panics, which is not reported.
fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !EXPECTED.get() {
                usual(panic);
            }
        }));
    });
    EXPECTED.set(true);
    let result = catch_unwind(AssertUnwindSafe(run));
    EXPECTED.set(false);
    result.map_err(|panic| match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => panic.downcast_ref::<&str>().unwrap_or(&"").to_string(),
    })
}

fn agree<C: Debug + ?Sized>(
    config: &C,
    validate: impl Fn(&C) -> Result<()>,
    loss: impl Fn(&C) -> f32,
) {
    let valid = caught(|| validate(config)).unwrap_or_else(|panic| {
        panic!("validate panics with {panic:?} on {config:?}");
    });
    let computed = caught(|| loss(config));
    match (valid, computed) {
        (Ok(()), Ok(loss)) => assert!(loss.is_finite(), "a loss of {loss} of {config:?}"),
        (Ok(()), Err(panic)) => panic!("valid, but {panic:?}: {config:?}"),
        (Err(error), Ok(_)) => panic!("computes, but {error}: {config:?}"),
        (Err(error), Err(panic)) => {
            let said = error.to_string();
            assert!(said.len() < 300 && !said.contains('\n'), "{said}");
            // A part that is built before the whole may speak first, as a tokenizer does.
            assert!(panic.starts_with("invalid configuration: "), "{panic:?}, not {said}");
        }
    }
}

type Changes = Vec<(prop::sample::Index, usize)>;

fn changes() -> impl Strategy<Value = Changes> {
    prop::collection::vec((any::<prop::sample::Index>(), 0..1000usize), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(3),
        ..ProptestConfig::default()
    })]

    #[test]
    fn methods_are_refused_or_compute_a_loss(
        which in any::<prop::sample::Index>(),
        changes in changes(),
    ) {
        let methods = tiny_methods();
        let method = &methods[which.index(methods.len())];
        if let Ok(method) = method.with(changed(method.json(), &changes)) {
            agree(&*method, AnyMethod::validate, AnyMethod::loss);
        }
    }

    #[test]
    fn tokenizers_are_refused_or_compute_a_loss(
        which in any::<prop::sample::Index>(),
        changes in changes(),
    ) {
        let json = serde_json::to_value(which.get(&tiny_tokenizers())).unwrap();
        if let Ok(config) = serde_json::from_value(changed(json, &changes)) {
            agree(&config, TokenizerConfig::validate, of_tokenizer);
        }
    }
}

#[test]
fn every_configuration_that_is_changed_computes_a_loss_as_it_is() {
    for method in tiny_methods() {
        agree(&*method, AnyMethod::validate, AnyMethod::loss);
        method.validate().unwrap();
    }
    for config in tiny_tokenizers() {
        agree(&config, TokenizerConfig::validate, of_tokenizer);
        config.validate().unwrap();
    }
}
