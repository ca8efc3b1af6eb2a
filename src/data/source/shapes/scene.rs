//! The content of a picture: a form on a patterned ground, with strokes behind and before it.

use rand::{Rng, RngExt};

use super::canvas::{Canvas, SIDE, coordinate};
use super::form::Form;
use super::paint::{Paint, Rgb, color, direction, smooth};
use super::placed::{Placed, coverage};

/// A painted picture, and what of it is the form.
#[derive(Debug)]
pub(super) struct Picture {
    /// The planar 8-bit image.
    pub(super) pixels: Vec<u8>,
    figure: Figure,
    /// The strokes before the figure.
    strokes: Vec<Stroke>,
}

impl Picture {
    /// Paints a random picture of `form`. Nothing but the form depends on the class.
    pub(super) fn paint(form: Form, rng: &mut dyn Rng) -> Self {
        let (ground, figure) = contrasting_lumas(rng);
        let ground = Paint::draw(ground, rng);
        let mut canvas = Canvas::new(SIDE, |x, y| ground.at(x, y));
        for _ in 0..rng.random_range(1..4) {
            let place = [0.0; 2].map(|_: f32| rng.random_range(-16.0..16.0));
            Stroke::draw(place.into(), 1.0..2.6, rng).paint(&mut canvas);
        }
        let figure = Figure::draw(form, figure, rng);
        figure.cast_shadow(&mut canvas, rng);
        figure.paint(&mut canvas);
        let mut strokes = Vec::new();
        for _ in 0..rng.random_range(0..2) {
            let place =
                <[f32; 2]>::from(figure.placed.center).map(|c| c + rng.random_range(-9.0..9.0));
            let stroke = Stroke::draw(place.into(), 0.7..1.6, rng);
            stroke.paint(&mut canvas);
            strokes.push(stroke);
        }
        let (sun, strength) = (direction(1.0, rng), rng.random_range(-0.02..0.02));
        canvas.light(|x, y| 1.0 + strength * (x * sun.0 + y * sun.1));
        let noise = rng.random_range(0.0..6.0);
        Self { pixels: canvas.develop(noise, rng), figure, strokes }
    }

    /// Whether the form is what shows at each pixel, row by row: it covers at least half of the
    /// pixel, and no stroke before it does.
    pub(super) fn shows_form(&self) -> Vec<bool> {
        let half = |distance: f32| distance <= 0.0;
        let shows = |x: f32, y: f32| {
            half(self.figure.placed.distance(x, y))
                && !self.strokes.iter().any(|stroke| half(stroke.distance(x, y)))
        };
        let at = |index| coordinate(index, SIDE);
        (0..SIDE * SIDE).map(|i| shows(at(i % SIDE), at(i / SIDE))).collect()
    }
}

/// The brightness of the ground and of the figure; either may be the lighter one.
pub(crate) fn contrasting_lumas(rng: &mut dyn Rng) -> (f32, f32) {
    let dark = rng.random_range(0.15..0.45);
    let light = dark + rng.random_range(0.3..0.45);
    if rng.random() { (dark, light) } else { (light, dark) }
}

/// The form, placed and painted.
#[derive(Debug, Clone)]
struct Figure {
    placed: Placed,
    paint: Paint,
    /// The gain of brightness per pixel along x and y.
    shade: (f32, f32),
}

impl Figure {
    fn draw(form: Form, luma: f32, rng: &mut dyn Rng) -> Self {
        let size = rng.random_range(8.5f32..13.0);
        let stretch = rng.random_range(0.88..1.14);
        let margin = SIDE as f32 / 2.0 - 0.85 * size;
        let center = [0.0; 2].map(|_: f32| rng.random_range(-margin..margin));
        let (cos, sin) = direction(0.27, rng);
        let mirror = if rng.random() { 1.0 } else { -1.0 };
        let (light_x, light_y) = direction(1.0, rng);
        let shade = rng.random_range(-0.02..0.02);
        let radius = (mirror * size * stretch, size / stretch);
        Self {
            placed: Placed { form, center: center.into(), radius, turn: (cos, sin) },
            paint: Paint::draw(luma, rng),
            shade: (shade * light_x, shade * light_y),
        }
    }

    fn cast_shadow(&self, canvas: &mut Canvas, rng: &mut dyn Rng) {
        let shift = (rng.random_range(-2.5..2.5), rng.random_range(0.5..2.5));
        let depth = rng.random_range(0.0..0.6);
        let center = (self.placed.center.0 + shift.0, self.placed.center.1 + shift.1);
        canvas.cover(center, self.placed.reach() + 2.0, |x, y| {
            let distance = self.placed.distance(x - shift.0, y - shift.1);
            (depth * smooth(0.5 - distance / 3.0), [0.0; 3])
        });
    }

    fn paint(&self, canvas: &mut Canvas) {
        let center = self.placed.center;
        canvas.cover(center, self.placed.reach() + 1.0, |x, y| {
            let (dx, dy) = (x - center.0, y - center.1);
            let light = 1.0 + self.shade.0 * dx + self.shade.1 * dy;
            (coverage(self.placed.distance(x, y)), self.paint.at(x, y).map(|value| value * light))
        });
    }
}

/// A round-ended line of one color.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stroke {
    center: (f32, f32),
    /// From the middle to one end.
    half: (f32, f32),
    /// Half the width.
    radius: f32,
    color: Rgb,
}

impl Stroke {
    pub(crate) fn draw(
        center: (f32, f32),
        radius: std::ops::Range<f32>,
        rng: &mut dyn Rng,
    ) -> Self {
        let length = rng.random_range(0.0f32..6.0);
        let (x, y) = direction(1.0, rng);
        let (hue, luma) = (rng.random_range(0.0..6.0), rng.random_range(0.1..0.9));
        Self {
            center,
            half: (x * length, y * length),
            radius: rng.random_range(radius),
            color: color(hue, rng.random_range(0.2..1.0), luma),
        }
    }

    fn distance(&self, x: f32, y: f32) -> f32 {
        let (x, y) = (x - self.center.0, y - self.center.1);
        let (half_x, half_y) = self.half;
        let square = (half_x * half_x + half_y * half_y).max(1e-6);
        let along = ((x * half_x + y * half_y) / square).clamp(-1.0, 1.0);
        let (x, y) = (x - along * half_x, y - along * half_y);
        (x * x + y * y).sqrt() - self.radius
    }

    pub(crate) fn paint(&self, canvas: &mut Canvas) {
        let reach = self.half.0.abs().max(self.half.1.abs()) + self.radius + 1.0;
        canvas.cover(self.center, reach, |x, y| (coverage(self.distance(x, y)), self.color));
    }
}
