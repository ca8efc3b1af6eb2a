//! Finds which split the name of a folder stands for.

/// The purpose of a split; the splits that are not for training are in order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Train,
    Test,
    Valid,
    Dev,
    Eval,
}

/// The name of a folder that stands for a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SplitName {
    pub(crate) role: Role,
    /// The words beside the word for the split, in lower case: `seg` of `seg_train`.
    pub(crate) rest: Vec<String>,
}

/// Words that only mean that there are images.
const PLAIN: [&str; 16] = [
    "set", "split", "data", "dataset", "images", "image", "imgs", "img", "pictures", "photos",
    "folder", "dir", "files", "jpegs", "pngs", "raw",
];

impl SplitName {
    /// Finds the split that `name` stands for, in any letter case and with its words run together,
    /// in camel case, or apart: `train`, `Training_set`, `testData`, `val2017`, `seg_test`; `None`
    /// for any other name and for one with two words for splits.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let words = words(name);
        let mut roles = words.iter().filter_map(|word| role(word));
        let role = roles.next()?;
        if roles.next().is_some() {
            return None;
        }
        let rest = words.into_iter().filter(|word| self::role(word).is_none()).collect();
        Some(Self { role, rest })
    }

    /// Whether the name has no other words, so that the folder is a split even without its
    /// counterpart.
    pub(crate) fn is_plain(&self) -> bool {
        let plain = |word: &String| {
            PLAIN.contains(&word.as_str()) || word.bytes().all(|byte| byte.is_ascii_digit())
        };
        self.rest.iter().all(plain)
    }
}

/// Whether a folder of this name is searched for splits and classes, and is not a class itself.
pub(crate) fn is_plain_word(name: &str) -> bool {
    const IMAGES: [&str; 6] = ["images", "image", "imgs", "img", "jpegimages", "data"];
    IMAGES.contains(&name.to_lowercase().as_str())
}

fn role(word: &str) -> Option<Role> {
    let word = word.strip_suffix("set").filter(|rest| !rest.is_empty()).unwrap_or(word);
    Some(match word {
        "train" | "training" | "trn" | "trainval" => Role::Train,
        "test" | "testing" | "tst" => Role::Test,
        "val" | "valid" | "validation" | "validate" | "holdout" => Role::Valid,
        "dev" | "devel" | "development" => Role::Dev,
        "eval" | "evaluation" => Role::Eval,
        _ => return None,
    })
}

/// The words of a name in lower case: it is cut at every character that is neither letter nor
/// digit, between letters and digits, and before a capital after a small letter.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for letter in name.chars() {
        let cut = letter.is_ascii_digit() != before.is_ascii_digit()
            || letter.is_uppercase() && before.is_lowercase();
        if cut || !letter.is_alphanumeric() {
            words.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
        before = letter;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_sets_in_circulation_are_known() {
        for (names, role) in [
            (
                "train Train TRAIN training Training trn train2017 training_set trainset",
                Role::Train,
            ),
            ("TrainingSet train_images trainData TrainImages train-data", Role::Train),
            ("test Test testing TESTING test_set testset test1 TestImages", Role::Test),
            ("val Val valid validation Validation val2017 val_images valset", Role::Valid),
            ("dev Dev", Role::Dev),
            ("eval evaluation", Role::Eval),
        ] {
            for name in names.split(' ') {
                let found = SplitName::of(name).unwrap_or_else(|| panic!("{name}"));
                assert!(found.role == role && found.is_plain(), "{name}: {found:?}");
            }
        }
    }

    #[test]
    fn names_with_other_words_need_their_counterpart() {
        for (name, rest) in
            [("seg_train", "seg"), ("DIV2K_train_HR", "div 2 k hr"), ("bullet train", "bullet")]
        {
            let found = SplitName::of(name).unwrap();
            assert!(found.role == Role::Train && !found.is_plain(), "{name}");
            assert_eq!(found.rest.join(" "), rest);
        }
    }

    #[test]
    fn classes_are_no_splits() {
        for name in
            ["cat", "trains", "contest", "valley", "streetcar", "train_test", "unlabeled", ""]
        {
            assert_eq!(SplitName::of(name), None, "{name}");
        }
    }
}
