//! Finds the name that a misspelt one was meant to be.

/// Adds the nearest known name to a message that reports an unknown name and lists the known ones,
/// as serde's own readers do.
#[cfg(feature = "train")]
pub(crate) fn explained(message: String) -> String {
    let Some((_, from_name)) =
        message.split_once("unknown field `").or_else(|| message.split_once("unknown variant `"))
    else {
        return message;
    };
    let mut quoted = from_name.split('`').step_by(2);
    let name = quoted.next().unwrap_or_default();
    let known: Vec<&str> = quoted.collect();
    if message.contains("did you mean") {
        return message;
    }
    match nearest(name, &known) {
        Some(right) => format!("{message}; did you mean `{right}`?"),
        None => message,
    }
}

/// The name among `names` that `name` is most likely meant to be, if any is similar.
pub(crate) fn nearest<'a>(name: &str, names: &[&'a str]) -> Option<&'a str> {
    let most = 1 + name.chars().count().min(60) / 3;
    let near = names.iter().map(|known| (distance(name, known), *known));
    near.filter(|&(distance, _)| distance <= most).min().map(|(_, known)| known)
}

/// How many letters must be added, left out, exchanged or swapped with the next one.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(100).collect();
    let b: Vec<char> = b.chars().collect();
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "train")]
    #[test]
    fn serdes_own_messages_get_the_nearest_name() {
        let message = explained("unknown field `rato`, expected `ratio` or `unit`".to_string());
        assert!(message.ends_with("; did you mean `ratio`?"), "{message}");
        let far = "unknown variant `q`, expected one of `mae`, `simmim`, `beit`".to_string();
        assert_eq!(explained(far.clone()), far);
    }

    #[test]
    fn two_swapped_letters_are_one_slip() {
        assert_eq!(distance("widht", "width"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(nearest("depth", &["width", "depths"]), Some("depths"));
    }
}
