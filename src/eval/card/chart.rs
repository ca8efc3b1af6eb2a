//! The score card's drawings, as SVG that follows the page's colors.

use std::fmt::Write;

use super::ScoreCard;
use super::part::escape;
use crate::eval::ConfusionMatrix;
use crate::train::History;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 250.0;
/// The room for the numbers at the left and below, in units of the drawing.
const LEFT: f64 = 62.0;
const BELOW: f64 = 30.0;
/// Up to this number of classes, cells are large enough for their counts and names.
const NAMED: usize = 20;

/// Training and validation loss over the epochs, and the trivial predictor's.
pub(super) fn losses(history: &History) -> String {
    let epochs = &history.epochs;
    let values = epochs.iter().flat_map(|epoch| [epoch.train_loss, epoch.valid_loss]);
    let values: Vec<f64> = values.chain(history.trivial_loss).filter(|v| v.is_finite()).collect();
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let margin = ((high - low) * 0.06).max(1e-6);
    let (low, high) = (low - margin, high + margin);
    let last = epochs.len().saturating_sub(1).max(1) as f64;
    let x = |index: usize| LEFT + 10.0 + (WIDTH - LEFT - 20.0) * index as f64 / last;
    let y = |loss: f64| (HEIGHT - BELOW) * (high - loss) / (high - low);
    let mut svg = format!(
        r#"<svg class="losses" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="loss">"#
    );
    for step in 0..=4 {
        let loss = low + margin + (high - low - 2.0 * margin) * f64::from(step) / 4.0;
        let y = y(loss);
        let _ = write!(
            svg,
            r#"<path class="axis" d="M{LEFT} {y:.1}H{WIDTH}"/><text x="0" y="{:.1}">{loss:.3}</text>"#,
            y + 4.0
        );
    }
    if let Some(loss) = history.trivial_loss {
        let _ = write!(svg, r#"<path class="trivial" d="M{LEFT} {:.1}H{WIDTH}"/>"#, y(loss));
    }
    for (class, of) in [("train", 0), ("valid", 1)] {
        let loss = |index: usize| [epochs[index].train_loss, epochs[index].valid_loss][of];
        let points = (0..epochs.len()).filter(|&index| loss(index).is_finite());
        let path: Vec<_> =
            points.map(|index| format!("{:.1} {:.1}", x(index), y(loss(index)))).collect();
        if let [only] = path.as_slice() {
            let _ = write!(svg, r#"<path class="dot {class}" d="M{only}h0"/>"#);
        } else if !path.is_empty() {
            let _ = write!(svg, r#"<path class="{class}" d="M{}"/>"#, path.join("L"));
        }
    }
    for index in (0..epochs.len()).step_by(epochs.len().div_ceil(12).max(1)) {
        let _ = write!(
            svg,
            r#"<text text-anchor="middle" x="{:.1}" y="{:.1}">{}</text>"#,
            x(index),
            HEIGHT - 4.0,
            epochs[index].epoch
        );
    }
    svg + "</svg>"
}

/// One square for each pair of classes: how many samples of the row's class were taken for the
/// column's class.
pub(super) fn confusion(card: &ScoreCard, matrix: &ConfusionMatrix) -> String {
    let classes = matrix.counts().len();
    let named = classes <= NAMED;
    let side = if named { 44.0 } else { 8.0 };
    let (left, top) = if named { (96.0, 64.0) } else { (0.0, 0.0) };
    let size = side * classes as f64;
    let mut svg = format!(
        r#"<svg class="confusion" viewBox="0 0 {} {}" role="img" aria-label="confusion matrix">"#,
        left + size,
        top + size
    );
    for (row, counts) in matrix.counts().iter().enumerate() {
        let samples = counts.iter().sum::<usize>().max(1) as f64;
        let y = top + side * row as f64;
        if named {
            let name = short(&card.class_name(row));
            let (text_y, x) = (y + side / 2.0 + 4.0, left + side * (row as f64 + 0.5));
            let _ = write!(
                svg,
                r#"<text x="{}" y="{text_y}" text-anchor="end">{name}</text><text transform="translate({} {}) rotate(-35)">{name}</text>"#,
                left - 8.0,
                x - 4.0,
                top - 8.0
            );
        }
        for (column, &count) in counts.iter().enumerate().filter(|&(_, &count)| count > 0) {
            let x = left + side * column as f64;
            let share = count as f64 / samples;
            let class = if row == column { "cell" } else { "cell wrong" };
            // Mistakes are rarer than hits, so they are drawn stronger than their share.
            let opacity = if row == column { 0.75 * share } else { (1.8 * share).min(0.85) };
            let inner = side - 1.0;
            let _ = write!(
                svg,
                r#"<rect class="{class}" x="{x}" y="{y}" width="{inner}" height="{inner}" rx="3" opacity="{opacity:.3}"/>"#
            );
            if named {
                let (x, y) = (x + side / 2.0, y + side / 2.0 + 4.0);
                let _ = write!(svg, r#"<text class="count" x="{x}" y="{y}">{count}</text>"#);
            }
        }
    }
    svg + "</svg>"
}

/// The first letters of a name, as many as there is room for.
fn short(name: &str) -> String {
    let fits = name.chars().count() <= 13;
    let text =
        if fits { name.into() } else { name.chars().take(12).chain(['…']).collect::<String>() };
    escape(&text)
}
