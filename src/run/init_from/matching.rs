//! Which of a source's weights belong to which parameter of an encoder, by their paths.

use std::collections::{BTreeMap, BTreeSet};

/// A part of a task and the part of a source with the same parameters in it.
#[derive(Debug, PartialEq)]
pub(super) struct Part<'a> {
    /// The beginning of the paths in the task.
    pub(super) ours: &'a str,
    /// The beginning of the paths in the source.
    pub(super) theirs: &'a str,
}

/// The part of `ours`, the paths of an encoder, and the part of `theirs` that have the most
/// parameters in common; of several the encoder's, and then the largest. An encoder within another
/// is found so, such as a transformer with a mask token around it. `None` if nothing is in common.
pub(super) fn common_part<'a>(
    ours: &'a BTreeSet<String>,
    theirs: &'a BTreeSet<String>,
) -> Option<Part<'a>> {
    let (ours, theirs) = (parts(ours), parts(theirs));
    let mut best: Option<((usize, bool, usize), Part)> = None;
    for (mine, within) in &ours {
        for (their, others) in &theirs {
            let common = within.intersection(others).count();
            let shorter = usize::MAX - mine.len() - their.len();
            let rank = (common, their.starts_with("encoder."), shorter);
            if common > 1 && best.as_ref().is_none_or(|(other, _)| rank > *other) {
                best = Some((rank, Part { ours: mine, theirs: their }));
            }
        }
    }
    best.map(|(_, part)| part)
}

/// The rest of every path below each beginning that ends with a dot and holds no index: what is
/// below an index is one of several alike.
fn parts(paths: &BTreeSet<String>) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut parts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for path in paths {
        let dots = path.match_indices('.').map(|(dot, _)| dot + 1);
        for start in std::iter::once(0).chain(dots) {
            let (beginning, rest) = path.split_at(start);
            let is_index =
                |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
            if beginning.split('.').any(is_index) {
                break;
            }
            parts.entry(beginning).or_default().insert(rest);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_string()).collect()
    }

    const BODY: [&str; 4] = ["patch_embed.weight", "blocks.0.w", "blocks.1.w", "norm.gamma"];

    fn below(prefix: &str, more: &[&str]) -> BTreeSet<String> {
        let body = BODY.iter().map(|name| format!("{prefix}{name}"));
        body.chain(more.iter().map(|name| (*name).to_string())).collect()
    }

    #[test]
    fn the_same_transformer_is_found_with_a_mask_token_around_it_and_without() {
        let with_token = below("encoder.body.", &["encoder.mask_token", "head.w"]);
        let encoder = below("encoder.body.", &["encoder.mask_token"]);
        let alone = below("encoder.", &["head.blocks.0.w", "head.blocks.1.w", "head.norm.gamma"]);
        let part = |ours: &'static str, theirs: &'static str| Some(Part { ours, theirs });
        assert_eq!(common_part(&encoder, &with_token), part("encoder.", "encoder."));
        assert_eq!(common_part(&encoder, &alone), part("encoder.body.", "encoder."));
        let body = below("network.", &[]);
        assert_eq!(common_part(&body, &with_token), part("network.", "encoder.body."));
    }

    #[test]
    fn an_encoder_is_preferred_to_its_teacher_and_blocks_to_no_single_block() {
        let teacher = BODY.iter().map(|name| format!("target.teacher.{name}"));
        let both: BTreeSet<String> = below("encoder.", &[]).into_iter().chain(teacher).collect();
        let ours = below("encoder.", &[]);
        let found = common_part(&ours, &both).unwrap();
        assert_eq!((found.ours, found.theirs), ("encoder.", "encoder."));
        assert_eq!(common_part(&ours, &paths(&["conv.weight"])), None);
    }
}
