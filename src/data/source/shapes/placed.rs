//! A form where it lies in a picture.

use super::form::Form;

/// A form, placed, turned and stretched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) form: Form,
    pub(crate) center: (f32, f32),
    /// Half-extent along the form's own axes, in pixels.
    pub(crate) radius: (f32, f32),
    /// Where the form's x axis points.
    pub(crate) turn: (f32, f32),
}

impl Placed {
    /// How far from the center it reaches at most.
    pub(crate) fn reach(&self) -> f32 {
        1.1 * self.radius.0.abs().max(self.radius.1)
    }

    /// The point (`x`, `y`) along the form's own axes, in pixels from its center.
    pub(crate) fn own(&self, x: f32, y: f32) -> (f32, f32) {
        let (x, y) = (x - self.center.0, y - self.center.1);
        let (cos, sin) = self.turn;
        (x * cos + y * sin, y * cos - x * sin)
    }

    /// Distance to the edge in pixels, negative inside.
    pub(crate) fn distance(&self, x: f32, y: f32) -> f32 {
        self.own_distance(self.own(x, y))
    }

    /// As [`distance`](Self::distance), of a point along the form's own axes.
    pub(crate) fn own_distance(&self, (x, y): (f32, f32)) -> f32 {
        let scale = self.radius.0.abs().min(self.radius.1);
        self.form.distance(x / self.radius.0, y / self.radius.1) * scale
    }
}

/// How much of a pixel lies inside an edge `distance` away from its middle.
pub(crate) fn coverage(distance: f32) -> f32 {
    (0.5 - distance).clamp(0.0, 1.0)
}
