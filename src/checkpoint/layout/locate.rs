//! Finds the prefix below which a file keeps the tensors of a layout.
//!
//! Training frameworks put words in front of every key: `module.`, `_orig_mod.`, `model.`,
//! `state_dict.model.`, `teacher.backbone.`. No list of them is needed: the prefix is the one below
//! which most of the layout's keys are found.

use std::collections::{BTreeMap, BTreeSet};

use super::Entry;

/// The prefix of a layout's keys in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The beginning of the layout's own keys that the file's keys lack.
    stripped: String,
    /// The beginning of the file's keys that the layout's keys lack.
    pub(super) prefix: String,
    /// Other prefixes below which as many keys are found.
    pub(super) beside: Vec<String>,
}

impl Place {
    /// The file's spelling of the layout's `key`.
    pub(super) fn of(&self, key: &str) -> String {
        let rest = key.strip_prefix(self.stripped.as_str()).unwrap_or(key);
        format!("{}{rest}", self.prefix)
    }
}

/// The prefix of the encoder's keys, and the prefix of all others.
pub(super) fn places(entries: &[Entry], keys: &BTreeSet<&str>) -> [Place; 2] {
    let (encoder, others): (Vec<_>, Vec<_>) =
        entries.iter().partition(|entry| !entry.ours.starts_with("head."));
    let names = |entries: &[&Entry]| -> Vec<String> {
        entries.iter().flat_map(|entry| entry.theirs.iter().cloned()).collect()
    };
    let (encoder, others) = (names(&encoder), names(&others));
    let of_encoder = place(&encoder, keys);
    let same = others.iter().any(|key| keys.contains(of_encoder.of(key).as_str()));
    let of_others = if same { of_encoder.clone() } else { place(&others, keys) };
    [of_encoder, of_others]
}

/// The place in which most of `names` are found; without a prefix if none is found.
fn place(names: &[String], keys: &BTreeSet<&str>) -> Place {
    let own = common_prefix(names);
    let mut found: Vec<(usize, Place)> = Vec::new();
    for stripped in BTreeSet::from(["", own]) {
        let rest: BTreeSet<&str> =
            names.iter().map(|name| name.strip_prefix(stripped).unwrap_or(name)).collect();
        for (prefix, count) in prefixes(&rest, keys) {
            // This is the same place as without stripping.
            if !stripped.is_empty() && prefix.ends_with(stripped) {
                continue;
            }
            let (stripped, prefix) = (stripped.to_string(), prefix.to_string());
            found.push((count, Place { stripped, prefix, beside: Vec::new() }));
        }
    }
    let most = found.iter().map(|(count, _)| *count).max().unwrap_or(0);
    found.retain(|(count, _)| *count == most);
    found.sort_by_cached_key(|(_, place)| rank(&place.prefix));
    let mut places = found.into_iter().map(|(_, place)| place);
    let mut first = places.next().unwrap_or_default();
    first.beside = places.map(|place| place.prefix).filter(|p| *p != first.prefix).collect();
    first
}

/// How many of `names` the file has below each prefix; a prefix ends with a dot.
fn prefixes<'a>(names: &BTreeSet<&str>, keys: &BTreeSet<&'a str>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for key in keys {
        let starts = key.match_indices('.').map(|(dot, _)| dot + 1);
        for start in std::iter::once(0).chain(starts) {
            if names.contains(&key[start..]) {
                *counts.entry(&key[..start]).or_insert(0) += 1;
            }
        }
    }
    counts
}

/// The order of prefixes below which equally many keys are found, the preferred one first: averaged
/// weights such as a teacher's, which every evaluation of such models uses; then the shortest
/// prefix; a student and the state of an optimizer last.
fn rank(prefix: &str) -> (usize, usize, String) {
    let segments = || prefix.split('.').filter(|segment| !segment.is_empty());
    let is_average = |segment: &str| {
        ["teacher", "target_encoder"].contains(&segment) || segment.split('_').any(|w| w == "ema")
    };
    let is_last = |segment: &str| {
        segment.contains("student") || segment.contains("momentum") || segment.ends_with("_k")
    };
    let kind = match () {
        () if segments().any(|segment| segment.starts_with("optim")) => 3,
        () if segments().any(is_average) => 0,
        () if segments().any(is_last) => 2,
        () => 1,
    };
    (kind, segments().count(), prefix.to_string())
}

/// The beginning that all names share, up to a dot.
fn common_prefix(names: &[String]) -> &str {
    let Some(first) = names.first() else { return "" };
    let dots = first.match_indices('.').map(|(dot, _)| &first[..=dot]);
    dots.take_while(|prefix| names.iter().all(|name| name.starts_with(prefix))).last().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["vit.embed.weight", "vit.blocks.0.norm.weight", "vit.norm.weight"];

    fn found(keys: &[&str]) -> Place {
        place(&NAMES.map(String::from), &keys.iter().copied().collect())
    }

    fn below(prefix: &str, names: &[&str]) -> Vec<String> {
        names.iter().map(|name| format!("{prefix}{name}")).collect()
    }

    #[test]
    fn any_prefix_of_all_keys_is_found() {
        for prefix in ["", "module.", "_orig_mod.", "state_dict.model.", "anything.at.all."] {
            let keys = below(prefix, &NAMES);
            let keys: Vec<&str> = keys.iter().map(String::as_str).chain(["head.weight"]).collect();
            assert_eq!(found(&keys).of("vit.norm.weight"), format!("{prefix}vit.norm.weight"));
        }
    }

    #[test]
    fn the_layouts_own_prefix_may_be_missing_or_another() {
        let without = ["embed.weight", "blocks.0.norm.weight", "norm.weight"];
        assert_eq!(found(&without).of("vit.norm.weight"), "norm.weight");
        let backbone = below("backbone.", &without);
        let backbone: Vec<&str> = backbone.iter().map(String::as_str).collect();
        assert_eq!(found(&backbone).of("vit.norm.weight"), "backbone.norm.weight");
    }

    #[test]
    fn a_teacher_is_taken_beside_its_student_and_a_model_beside_its_optimizer() {
        let both = [below("student.", &NAMES), below("teacher.", &NAMES)].concat();
        let both: Vec<&str> = both.iter().map(String::as_str).collect();
        let place = found(&both);
        assert_eq!((place.prefix.as_str(), place.beside), ("teacher.", vec!["student.".into()]));
        let both = [below("model.", &NAMES), below("exp_avg.optim.", &NAMES)].concat();
        let both: Vec<&str> = both.iter().map(String::as_str).collect();
        assert_eq!(found(&both).prefix, "model.");
    }

    #[test]
    fn a_segment_that_only_ends_alike_is_no_match() {
        let place = found(&["embed_weight", "patch_embed.weight", "xnorm.weight"]);
        assert_eq!(place.of("vit.norm.weight"), "vit.norm.weight");
    }
}
