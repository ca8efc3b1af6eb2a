//! How the lines of a loss curve look.

use std::array::IntoIter;

use plotters::element::DashedPathElement;
use plotters::prelude::{
    Circle, Color, DrawingBackend, DynElement, IntoDynElement, PathElement, RGBColor, ShapeStyle,
};

use crate::error::Result;
use crate::viz::canvas::{self, fine};
use crate::viz::picture::Picture;

/// An epoch, counted as its caller counts, and a value measured in it.
pub type EpochValue = (usize, f64);

/// An epoch and a value, as plotters takes them.
pub(super) type Point = (i64, f64);

/// How one kind of line looks, in the chart and in its legend.
#[derive(Debug)]
pub(super) struct Line {
    pub name: &'static str,
    pub color: [u8; 3],
    mark: Mark,
}

/// What makes up a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// A stroke with a dot at every epoch.
    Dotted,
    /// A stroke alone.
    Plain,
    /// Short strokes.
    Dashed,
}

pub(super) const TRAIN: Line = Line { name: "training", color: [47, 111, 171], mark: Mark::Dotted };
pub(super) const VALIDATION: Line =
    Line { name: "validation", color: [217, 119, 43], mark: Mark::Dotted };
pub(super) const TRIVIAL: Line =
    Line { name: "trivial predictor", color: [120; 3], mark: Mark::Dashed };
pub(super) const LEARNING_RATE: Line =
    Line { name: "learning rate", color: [148, 190, 160], mark: Mark::Plain };

const STROKE: usize = 2;
const DOT_RADIUS: usize = 3;
const DASH: usize = 6;
const DASH_GAP: usize = 4;

/// Lines of more epochs than this have no dots, which would run together.
const MAX_DOTS: usize = 60;

impl Line {
    /// A short piece of the line in a picture of `width` × `height` pixels.
    pub(super) fn sample(&self, width: usize, height: usize) -> Result<Picture> {
        let middle = (fine(height) / 2) as i32;
        let ends = [(0, middle), (fine(width) as i32, middle)];
        canvas::draw(width, height, |area| {
            if self.mark == Mark::Dashed {
                area.draw(&self.dashes(ends))?;
            } else {
                area.draw(&PathElement::new(ends, self.stroke()))?;
            }
            if self.mark == Mark::Dotted {
                area.draw(&self.dot((ends[1].0 / 2, middle)))?;
            }
            Ok(())
        })
    }

    /// The strokes and dots of `values`; one alone is a dot in any case.
    pub(super) fn elements<DB: DrawingBackend>(
        &self,
        values: &[EpochValue],
    ) -> Vec<DynElement<'static, DB, Point>> {
        let has_dots = self.mark == Mark::Dotted && values.len() <= MAX_DOTS;
        let mut elements = Vec::new();
        for run in runs(values) {
            if has_dots || run.len() == 1 {
                elements.extend(run.iter().map(|&point| self.dot(point).into_dyn()));
            }
            elements.push(PathElement::new(run, self.stroke()).into_dyn());
        }
        elements
    }

    /// Short strokes from one point to the other.
    pub(super) fn dashes<P: Clone>(&self, ends: [P; 2]) -> DashedPathElement<IntoIter<P, 2>, u32> {
        DashedPathElement::new(ends, fine(DASH), fine(DASH_GAP), self.stroke())
    }

    fn dot<P>(&self, at: P) -> Circle<P, u32> {
        Circle::new(at, fine(DOT_RADIUS), self.rgb().filled())
    }

    fn rgb(&self) -> RGBColor {
        let [red, green, blue] = self.color;
        RGBColor(red, green, blue)
    }

    fn stroke(&self) -> ShapeStyle {
        self.rgb().stroke_width(fine(STROKE))
    }
}

/// The stretches of finite values, ready to be drawn.
fn runs(values: &[EpochValue]) -> Vec<Vec<Point>> {
    let point = |&(epoch, value): &EpochValue| (epoch as i64, value);
    let stretches = values.split(|(_, value)| !value.is_finite());
    stretches.filter(|run| !run.is_empty()).map(|run| run.iter().map(point).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_not_finite_interrupts_the_line() {
        let values = [(1, f64::NAN), (2, 0.5), (3, 0.4), (4, f64::INFINITY), (5, 0.3)];
        assert_eq!(runs(&values), [vec![(2, 0.5), (3, 0.4)], vec![(5, 0.3)]]);
        assert!(runs(&[]).is_empty());
    }
}
