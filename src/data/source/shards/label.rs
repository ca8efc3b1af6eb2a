//! Labels as shards have them, and the classes that they stand for.

use std::io::Read;

use serde_json::Value;

/// The largest size of a member that holds a label, in bytes.
const MOST_BYTES: u64 = 1 << 20;
/// The largest number of classes.
pub(crate) const MOST_CLASSES: u32 = 1 << 20;

/// What is said of a sample's class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Label {
    /// That it has none: -1 or `null`.
    None,
    Number(u32),
    Name(String),
}

impl Label {
    /// The whole text of a member.
    pub(super) fn text(member: &mut impl Read) -> Result<String, String> {
        let mut text = String::new();
        let read = member.take(MOST_BYTES + 1).read_to_string(&mut text);
        match read {
            Ok(bytes) if bytes as u64 > MOST_BYTES => Err("the label has more than 1 MB".into()),
            Ok(_) => Ok(text),
            Err(error) => Err(format!("the label cannot be read: {error}")),
        }
    }

    /// The number in a file of the kind `cls`.
    pub(super) fn of_cls(text: &str) -> Result<Self, String> {
        let number = text.trim().parse().map_err(|_| {
            let text: String = text.trim().chars().take(40).collect();
            format!("the label in .cls is `{text}`, expected a whole number")
        })?;
        Self::of_number(number)
    }

    /// The field `label` of a file of the kind `json`; `None` if there is no such field.
    pub(super) fn of_json(text: &str) -> Result<Option<Self>, String> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| format!("its .json cannot be read: {error}"))?;
        Ok(match value.get("label") {
            None => None,
            Some(Value::Null) => Some(Self::None),
            Some(Value::String(name)) => Some(Self::Name(name.clone())),
            Some(value) => match value.as_i64() {
                Some(number) => Some(Self::of_number(number)?),
                None => return Err("the label in .json is no whole number and no name".into()),
            },
        })
    }

    /// A number from 0 on is a class, -1 is none.
    pub(crate) fn of_number(number: i64) -> Result<Self, String> {
        match u32::try_from(number) {
            Ok(class) if class < MOST_CLASSES => Ok(Self::Number(class)),
            _ if number == -1 => Ok(Self::None),
            _ => Err(format!("the label is {number}, expected -1 (none) or 0..{MOST_CLASSES}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_numbers_or_names_and_minus_one_is_none() {
        assert_eq!(Label::of_cls(" 17\n"), Ok(Label::Number(17)));
        assert_eq!(Label::of_cls("-1"), Ok(Label::None));
        let json = |text| Label::of_json(text).unwrap();
        assert_eq!(json(r#"{"label": 3, "x": "y"}"#), Some(Label::Number(3)));
        assert_eq!(json(r#"{"label": "cat"}"#), Some(Label::Name("cat".into())));
        assert_eq!(json(r#"{"label": null}"#), Some(Label::None));
        assert_eq!(json(r#"{"caption": "a cat"}"#), None);
    }

    #[test]
    fn what_is_no_label_is_repeated() {
        let message = |text| Label::of_cls(text).unwrap_err();
        assert_eq!(message("cat"), "the label in .cls is `cat`, expected a whole number");
        assert!(message("-2").ends_with("expected -1 (none) or 0..1048576"), "{}", message("-2"));
        assert!(message("1048576").starts_with("the label is 1048576"));
        assert!(Label::of_json("{").unwrap_err().starts_with("its .json cannot be read"));
        assert!(Label::of_json(r#"{"label": 0.5}"#).is_err());
        let long = " ".repeat(1 << 20) + "1";
        assert!(Label::text(&mut long.as_bytes()).unwrap_err().contains("more than 1 MB"));
        assert!(Label::text(&mut &[0xff_u8][..]).is_err());
    }
}
