//! The losses of a training run as a picture: title, legend, chart, notes.

use std::path::Path;

use crate::error::Result;
use crate::viz::canvas::PAPER;
use crate::viz::chart::{self, Series};
use crate::viz::line::{EpochValue, LEARNING_RATE, TRAIN, TRIVIAL, VALIDATION};
use crate::viz::picture::Picture;
use crate::viz::text::{self, NOTE, TITLE, paragraph};

const WIDTH: usize = 800;
const CHART_HEIGHT: usize = 420;
const MARGIN: usize = 20;
const GAP: usize = 10;

/// The training and validation losses over the epochs, beside the loss of a trivial predictor.
///
/// Values that are not finite interrupt their line, and a note says how many there were. Series may
/// skip epochs (a validation every fifth one); one epoch alone is a dot.
#[derive(Debug, Clone)]
pub struct LossCurve {
    title: String,
    series: Series,
}

impl LossCurve {
    /// A chart without lines.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), series: Series::default() }
    }

    /// Draws the training loss, in order of the epochs.
    pub fn with_train(mut self, losses: impl IntoIterator<Item = EpochValue>) -> Self {
        self.series.train = losses.into_iter().collect();
        self
    }

    /// Draws the validation loss, in order of the epochs.
    pub fn with_validation(mut self, losses: impl IntoIterator<Item = EpochValue>) -> Self {
        self.series.validation = losses.into_iter().collect();
        self
    }

    /// Draws the learning rate, in order of the epochs, on an axis of its own at the right.
    pub fn with_learning_rate(mut self, rates: impl IntoIterator<Item = EpochValue>) -> Self {
        self.series.learning_rate = rates.into_iter().collect();
        self
    }

    /// Draws a dashed line at the loss of a predictor that learned nothing from the images, such as
    /// the mean of the training data: a model above it has not learned anything either.
    pub fn with_trivial(mut self, loss: f64) -> Self {
        self.series.trivial = Some(loss);
        self
    }

    /// The chart as a picture of 800 pixels width.
    ///
    /// # Errors
    ///
    /// When a text cannot be drawn.
    pub fn render(&self) -> Result<Picture> {
        let text_width = WIDTH - 2 * MARGIN;
        let parts = [
            paragraph(&self.title, TITLE, text_width)?,
            self.legend()?,
            chart::draw(&self.series, text_width, CHART_HEIGHT)?,
            paragraph(&self.note(), NOTE, text_width)?,
        ];
        let width = parts.iter().map(Picture::width).fold(text_width, usize::max);
        let height: usize = parts.iter().map(|part| part.height() + GAP).sum();
        let mut page = Picture::filled(width + 2 * MARGIN, height + 2 * MARGIN - GAP, PAPER);
        let mut y = MARGIN;
        for part in &parts {
            page.paste(part, MARGIN, y);
            y += part.height() + GAP;
        }
        Ok(page)
    }

    /// Writes the chart to the PNG file `path`: complete under its name, or not at all.
    ///
    /// # Errors
    ///
    /// When [`Self::render`] or [`Picture::save`] fails.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.render()?.save(path)
    }

    /// A sample and a name of every line, side by side.
    fn legend(&self) -> Result<Picture> {
        let series = &self.series;
        let drawn = [
            (&TRAIN, !series.train.is_empty()),
            (&VALIDATION, !series.validation.is_empty()),
            (&TRIVIAL, series.trivial.is_some()),
            (&LEARNING_RATE, !series.learning_rate.is_empty()),
        ];
        let mut legend = Picture::filled(WIDTH - 2 * MARGIN, NOTE.size * 5 / 4, PAPER);
        let mut x = 0;
        for (line, _) in drawn.into_iter().filter(|(_, is_drawn)| *is_drawn) {
            let sample = line.sample(30, legend.height())?;
            let name = text::line(line.name, NOTE)?;
            legend.paste(&sample, x, 0);
            legend.paste(&name, x + sample.width() + GAP / 2, 0);
            x += sample.width() + name.width() + 3 * GAP;
        }
        Ok(legend)
    }

    /// A note about values that the chart does not show.
    fn note(&self) -> String {
        let Series { train, validation, learning_rate, trivial } = &self.series;
        let lines = [train, validation, learning_rate];
        let values = lines.into_iter().flatten().map(|&(_, value)| value).chain(*trivial);
        match values.filter(|value| !value.is_finite()).count() {
            0 => String::new(),
            1 => "1 value is not finite and is not drawn.".into(),
            n => format!("{n} values are not finite and are not drawn."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_not_finite_are_counted_in_a_note() {
        let train = [(1, f64::NAN), (2, f64::INFINITY), (3, 0.25)];
        let curve = LossCurve::new("").with_train(train);
        assert_eq!(curve.note(), "2 values are not finite and are not drawn.");
        assert_eq!(LossCurve::new("").with_trivial(0.5).note(), "");
    }

    #[test]
    fn the_legend_has_one_entry_for_each_given_line() {
        let inked = |curve: &LossCurve| {
            let legend = curve.legend().unwrap();
            [&TRAIN, &VALIDATION, &TRIVIAL, &LEARNING_RATE]
                .map(|line| legend.as_bytes().chunks(3).any(|pixel| pixel == line.color))
        };
        let curve = LossCurve::new("").with_train([(1, 1.0)]);
        assert_eq!(inked(&curve), [true, false, false, false]);
        assert_eq!(inked(&curve.with_learning_rate([(1, 1e-3)])), [true, false, false, true]);
    }

    #[test]
    fn a_saved_curve_has_the_documented_width() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("loss.png");
        LossCurve::new("A run").with_train([(1, 2.0), (2, 1.0)]).save(&path).unwrap();
        let (width, height) = image::image_dimensions(path).unwrap();
        assert_eq!(width, 800);
        assert!(height as usize > CHART_HEIGHT);
    }
}
