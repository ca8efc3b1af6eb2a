//! The ten forms, as signed distances.

use std::f32::consts::FRAC_1_SQRT_2;

/// The forms, which are the classes of the data set, in the order of their labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Disc,
    Ring,
    Square,
    Triangle,
    Star,
    Cross,
    Crescent,
    Heart,
    Arrow,
    Spiral,
}

impl Form {
    pub(crate) const ALL: [Self; 10] = [
        Self::Disc,
        Self::Ring,
        Self::Square,
        Self::Triangle,
        Self::Star,
        Self::Cross,
        Self::Crescent,
        Self::Heart,
        Self::Arrow,
        Self::Spiral,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Disc => "disc",
            Self::Ring => "ring",
            Self::Square => "square",
            Self::Triangle => "triangle",
            Self::Star => "star",
            Self::Cross => "cross",
            Self::Crescent => "crescent",
            Self::Heart => "heart",
            Self::Arrow => "arrow",
            Self::Spiral => "spiral",
        }
    }

    /// Distance from (`x`, `y`) to the form's edge, negative inside; `y` points down.
    ///
    /// The form fills a circle of radius 1 about the origin. The distance is exact near edges,
    /// which is all that drawing needs, and only a bound beyond corners.
    pub(crate) fn distance(self, x: f32, y: f32) -> f32 {
        match self {
            Self::Disc => length(x, y) - 0.85,
            Self::Ring => (length(x, y) - 0.7).abs() - 0.22,
            Self::Square => slab(x, 0.72).max(slab(y, 0.72)),
            Self::Triangle => triangle(x, y - 0.15),
            // The bound keeps soft shadows from growing rays beyond the tips.
            Self::Star => star(x, y).max(length(x, y) - 1.02),
            Self::Cross => {
                let upright = slab(x, 0.3).max(slab(y, 0.92));
                upright.min(slab(x, 0.92).max(slab(y, 0.3)))
            }
            Self::Crescent => (length(x, y) - 0.95).max(0.75 - length(x - 0.45, y)),
            Self::Heart => heart(x, y - 0.08),
            Self::Arrow => arrow(x, y),
            Self::Spiral => spiral(x, y),
        }
    }
}

/// The square root is exact on every machine, unlike `hypot`.
fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

/// Distance to the band of half-width `half` around 0.
fn slab(coordinate: f32, half: f32) -> f32 {
    coordinate.abs() - half
}

/// Equilateral, one corner up: inside all three of its edges.
fn triangle(x: f32, y: f32) -> f32 {
    let (cos30, inradius) = (0.866_025_4, 0.5);
    (cos30 * x.abs() - 0.5 * y).max(y) - inradius
}

/// A pentagram: inside at least four of its five edges, so the second largest distance decides.
fn star(x: f32, y: f32) -> f32 {
    const NORMALS: [(f32, f32); 5] = [
        (0.0, -1.0),
        (0.951_056_5, -0.309_017),
        (-0.951_056_5, -0.309_017),
        (0.587_785_25, 0.809_017),
        (-0.587_785_25, 0.809_017),
    ];
    let (mut largest, mut second) = (f32::MIN, f32::MIN);
    for (normal_x, normal_y) in NORMALS {
        let distance = normal_x * x + normal_y * y;
        second = second.max(largest.min(distance));
        largest = largest.max(distance);
    }
    second - 0.309_017
}

/// A square on its corner, with a disc on each upper side.
fn heart(x: f32, y: f32) -> f32 {
    let (half, x) = (0.52, x.abs());
    let lobe = length(x - half * FRAC_1_SQRT_2, y + half * FRAC_1_SQRT_2) - half;
    let square = (x + y.abs()) * FRAC_1_SQRT_2 - half;
    lobe.min(square)
}

/// A triangular head pointing up, on a shaft.
fn arrow(x: f32, y: f32) -> f32 {
    let x = x.abs();
    let head = (0.768 * x - 0.64 * (y + 0.95)).max(y + 0.02);
    let shaft = slab(x, 0.25).max(slab(y - 0.4, 0.5));
    head.min(shaft)
}

/// One and a half turns of half circles: those above the axis about the origin, those below about
/// a point beside it, so that each begins where the last one ends. The two ends are round.
fn spiral(x: f32, y: f32) -> f32 {
    const STEP: f32 = 0.3;
    const WIDTH: f32 = 0.13;
    let arc = if y < 0.0 {
        let radius = length(x, y);
        (radius - 0.2).abs().min((radius - 0.2 - 2.0 * STEP).abs())
    } else {
        (length(x + STEP, y) - 0.2 - STEP).abs()
    };
    let ends = length(x + 0.2, y).min(length(x - 0.2 - 2.0 * STEP, y));
    arc.min(ends) - WIDTH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_lies_in_the_unit_circle_and_covers_a_fair_share_of_it() {
        for form in Form::ALL {
            let grid = || (-60..60).map(|step| (step as f32 + 0.5) / 50.0);
            let inside: Vec<(f32, f32)> = grid()
                .flat_map(|y| grid().map(move |x| (x, y)))
                .filter(|(x, y)| form.distance(*x, *y) < 0.0)
                .collect();
            let reach = inside.iter().map(|(x, y)| length(*x, *y)).fold(0.0, f32::max);
            assert!((0.8..1.1).contains(&reach), "{form:?} reaches {reach}");
            let area = inside.len() as f32 / 2500.0;
            assert!((0.8..2.5).contains(&area), "{form:?} covers {area}");
        }
    }

    #[test]
    fn the_stars_tips_are_sharp_and_its_notches_deep() {
        assert!(star(0.0, -0.98) < 0.0 && star(0.03, -0.98) > 0.0);
        assert!(star(0.0, 0.37) < 0.0 && star(0.0, 0.4) > 0.0);
    }

    #[test]
    fn holes_are_outside() {
        assert!(Form::Ring.distance(0.0, 0.0) > 0.4);
        assert!(Form::Crescent.distance(0.45, 0.0) > 0.7);
        assert!(Form::Spiral.distance(0.5, -0.1) > 0.1);
    }
}
