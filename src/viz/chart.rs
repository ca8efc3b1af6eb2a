//! The axes and lines of a loss curve, drawn with plotters.

use std::ops::Range;

use plotters::chart::{ChartBuilder, DualCoordChartContext};
use plotters::coord::types::{RangedCoordf64, RangedCoordi64};
use plotters::prelude::{BitMapBackend, Cartesian2d, Color, RGBColor, TextStyle};

use crate::error::Result;
use crate::viz::canvas::{self, Area, DrawResult, fine};
use crate::viz::line::{EpochValue, LEARNING_RATE, TRAIN, TRIVIAL, VALIDATION};
use crate::viz::picture::Picture;
use crate::viz::text::font;

const INK: RGBColor = RGBColor(73, 80, 87);
const AXIS: RGBColor = RGBColor(173, 181, 189);
const MESH: RGBColor = RGBColor(233, 236, 239);
const LABEL_SIZE: usize = 14;

/// plotters centers a label by its base line's height; this moves the digits to their tick.
const LABEL_DROP: usize = 2;

type Axes = Cartesian2d<RangedCoordi64, RangedCoordf64>;
type Chart<'a, 'b> = DualCoordChartContext<'a, BitMapBackend<'b>, Axes, Axes>;

/// The values that a chart shows, one series for each line.
#[derive(Debug, Clone, Default)]
pub(super) struct Series {
    pub train: Vec<EpochValue>,
    pub validation: Vec<EpochValue>,
    pub learning_rate: Vec<EpochValue>,
    pub trivial: Option<f64>,
}

/// The chart of `series` in a picture of `width` × `height` pixels.
pub(super) fn draw(series: &Series, width: usize, height: usize) -> Result<Picture> {
    canvas::draw(width, height, |area| {
        let mut chart = axes(series, area)?;
        chart.draw_secondary_series(LEARNING_RATE.elements(&series.learning_rate))?;
        if let Some(loss) = series.trivial.filter(|loss| loss.is_finite()) {
            let Range { start, end } = epochs(series);
            chart.draw_series([TRIVIAL.dashes([(start, loss), (end, loss)])])?;
        }
        chart.draw_series(TRAIN.elements(&series.train))?;
        chart.draw_series(VALIDATION.elements(&series.validation))?;
        Ok(())
    })
}

/// The empty chart: axes, mesh and labels.
fn axes<'a, 'b>(series: &Series, area: &'a Area<'b>) -> DrawResult<Chart<'a, 'b>> {
    let has_rates = !series.learning_rate.is_empty();
    let (epochs, losses) = (epochs(series), losses(series));
    let rates = 0.0..highest(&series.learning_rate);
    let mut builder = ChartBuilder::on(area);
    builder.margin_top(fine(8)).x_label_area_size(fine(46)).y_label_area_size(fine(66));
    builder.right_y_label_area_size(fine(if has_rates { 70 } else { 8 }));
    let mut chart = builder
        .build_cartesian_2d(epochs.clone(), losses.clone())?
        .set_secondary_coord(epochs.clone(), rates);
    chart
        .configure_mesh()
        .disable_x_mesh()
        .y_max_light_lines(0)
        .bold_line_style(MESH.stroke_width(fine(1)))
        .axis_style(AXIS.stroke_width(fine(1)))
        .set_all_tick_mark_size(fine(4))
        .y_label_offset(fine(LABEL_DROP))
        .label_style(label())
        .axis_desc_style(label())
        .x_desc("epoch")
        .y_desc("loss")
        .x_labels(12)
        .x_label_formatter(&|epoch| epoch_tick(*epoch, &epochs))
        .y_labels(8)
        .y_label_formatter(&|loss| tick(*loss, losses.end - losses.start))
        .draw()?;
    if has_rates {
        draw_rate_axis(&mut chart)?;
    }
    Ok(chart)
}

fn draw_rate_axis(chart: &mut Chart<'_, '_>) -> DrawResult {
    chart
        .configure_secondary_axes()
        .axis_style(AXIS.stroke_width(fine(1)))
        .set_all_tick_mark_size(fine(4))
        .y_label_offset(fine(LABEL_DROP))
        .label_style(label())
        .axis_desc_style(label())
        .y_desc(LEARNING_RATE.name)
        .y_labels(6)
        .y_label_formatter(&|rate| rate_tick(*rate))
        .draw()?;
    Ok(())
}

fn label() -> TextStyle<'static> {
    font(fine(LABEL_SIZE)).color(&INK)
}

/// The range of all epochs, with one more at either side as a margin.
fn epochs(series: &Series) -> Range<i64> {
    let lines = [&series.train, &series.validation, &series.learning_rate];
    let epochs = || lines.into_iter().flatten().map(|&(epoch, _)| epoch as i64);
    epochs().min().unwrap_or(1) - 1..epochs().max().unwrap_or(1) + 1
}

/// The range of all finite losses, with a twentieth of their span as a margin; 0 to 1 if there are
/// none.
fn losses(series: &Series) -> Range<f64> {
    let lines = [&series.train, &series.validation];
    let values = lines.into_iter().flatten().map(|&(_, loss)| loss).chain(series.trivial);
    let finite = values.filter(|loss| loss.is_finite());
    let (low, high) =
        finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    if low > high {
        return 0.0..1.0;
    }
    let margin = if high > low { (high - low) / 20.0 } else { low.abs().max(1e-3) / 10.0 };
    low - margin..high + margin
}

/// The end of an axis from 0 to the highest finite value.
fn highest(values: &[EpochValue]) -> f64 {
    let finite = values.iter().map(|&(_, value)| value).filter(|value| value.is_finite());
    let highest = finite.fold(0.0, f64::max);
    if highest > 0.0 { highest * 1.05 } else { 1.0 }
}

/// The label of an epoch; empty in the margins of the axis.
fn epoch_tick(epoch: i64, axis: &Range<i64>) -> String {
    if epoch > axis.start && epoch < axis.end { epoch.to_string() } else { String::new() }
}

/// A learning rate with two digits.
fn rate_tick(rate: f64) -> String {
    if rate == 0.0 { "0".into() } else { format!("{rate:.1e}") }
}

/// `value` with the digits that tell the ticks of an axis of length `span` apart.
fn tick(value: f64, span: f64) -> String {
    if !(1e-4..1e6).contains(&span) {
        return format!("{value:.2e}");
    }
    let decimals = (1.0 - span.log10().floor()).max(0.0) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of the four lines' colors a small chart shows.
    fn shown(series: &Series) -> [bool; 4] {
        let chart = draw(series, 240, 120).unwrap();
        [&TRAIN, &VALIDATION, &TRIVIAL, &LEARNING_RATE]
            .map(|line| chart.as_bytes().chunks(3).any(|pixel| pixel == line.color))
    }

    #[test]
    fn every_given_line_is_drawn_and_no_other() {
        let losses = vec![(1, 0.9), (2, 0.5), (3, 0.4)];
        assert_eq!(shown(&Series::default()), [false; 4]);
        let train = Series { train: losses.clone(), ..Series::default() };
        assert_eq!(shown(&train), [true, false, false, false]);
        let series = Series { validation: losses.clone(), trivial: Some(0.8), ..Series::default() };
        assert_eq!(shown(&series), [false, true, true, false]);
        let series = Series { learning_rate: losses, ..series };
        assert_eq!(shown(&series), [false, true, true, true]);
    }

    #[test]
    fn one_value_alone_is_a_dot() {
        let (validation, learning_rate) = (vec![(1, 0.5)], vec![(3, 0.1)]);
        let series = Series { validation, learning_rate, ..Series::default() };
        assert_eq!(shown(&series), [false, true, false, true]);
        let train = vec![(1, f64::NAN), (2, f64::INFINITY), (3, 0.25)];
        assert!(shown(&Series { train, trivial: Some(f64::NAN), ..Series::default() })[0]);
    }

    #[test]
    fn the_same_losses_give_the_same_chart() {
        let train = vec![(1, 2.0), (2, 1.0)];
        let series = Series { train, trivial: Some(1.5), ..Series::default() };
        let chart = || draw(&series, 240, 120).unwrap();
        assert!(chart() == chart());
    }

    #[test]
    fn the_axes_hold_every_finite_value() {
        let series = Series {
            train: vec![(4, 3.0), (5, f64::NAN), (6, 1.0)],
            validation: vec![(8, 2.0)],
            trivial: Some(5.0),
            ..Series::default()
        };
        assert_eq!(epochs(&series), 3..9);
        assert_eq!(losses(&series), 0.8..5.2);
    }

    #[test]
    fn axes_are_never_empty() {
        let trivial = |loss| losses(&Series { trivial: Some(loss), ..Series::default() });
        assert_eq!(losses(&Series::default()), 0.0..1.0);
        assert_eq!(trivial(2.0), 1.8..2.2);
        assert!(!trivial(0.0).is_empty());
        assert_eq!(epochs(&Series::default()), 0..2);
        assert_eq!(highest(&[(1, f64::NAN), (2, 0.0)]), 1.0);
    }

    #[test]
    fn ticks_have_the_digits_that_tell_them_apart() {
        let ticks = [(0.3, 1.2), (0.35, 0.4), (150.0, 700.0), (0.123456, 3e-5), (2e7, 4e7)];
        let texts = ticks.map(|(value, span)| tick(value, span));
        assert_eq!(texts, ["0.3", "0.35", "150", "1.23e-1", "2.00e7"]);
        assert_eq!([0.0, 1.5e-4].map(rate_tick), ["0", "1.5e-4"]);
        assert_eq!([0, 1, 2].map(|epoch| epoch_tick(epoch, &(0..2))), ["", "1", ""]);
    }
}
