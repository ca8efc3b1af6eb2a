//! The ten ways in which a form moves.
//!
//! What moves has the same distribution at every time, whatever the motion: a place on a picture whose
//! edges meet, an angle on the circle, a phase of a swing. So a single frame says nothing of the motion.
//! Angles are points of the unit circle, and are added by multiplying complex numbers: sines may differ
//! between machines, products do not.

use rand::{Rng, RngExt};

/// A point of the unit circle, or any other pair of coordinates; `y` points down.
pub(super) type Point = (f32, f32);

/// The motions, which are the classes of the data set, in the order of their labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Motion {
    Left,
    Right,
    Up,
    Down,
    /// Turns about its center; clockwise as it is seen.
    SpinClockwise,
    SpinCounterClockwise,
    /// Goes round in a circle without turning.
    CircleClockwise,
    CircleCounterClockwise,
    /// Grows and shrinks in turns.
    Pulse,
    /// Goes to and fro on a line.
    Swing,
}

impl Motion {
    pub(super) const ALL: [Self; 10] = [
        Self::Left,
        Self::Right,
        Self::Up,
        Self::Down,
        Self::SpinClockwise,
        Self::SpinCounterClockwise,
        Self::CircleClockwise,
        Self::CircleCounterClockwise,
        Self::Pulse,
        Self::Swing,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
            Self::Up => "up",
            Self::Down => "down",
            Self::SpinClockwise => "spin-clockwise",
            Self::SpinCounterClockwise => "spin-counter-clockwise",
            Self::CircleClockwise => "circle-clockwise",
            Self::CircleCounterClockwise => "circle-counter-clockwise",
            Self::Pulse => "pulse",
            Self::Swing => "swing",
        }
    }
}

/// Where a form is, how it is turned, and where in its swings it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pose {
    /// Pixels from the middle of the picture, which has no edges here.
    pub(super) center: Point,
    /// Where the form's x axis points.
    pub(super) turn: Point,
    /// The phase of its size.
    swell: Point,
    /// The phase of its way round or to and fro.
    phase: Point,
}

impl Pose {
    /// Any pose in a picture of `side` pixels, each as likely.
    pub(super) fn draw(side: f32, rng: &mut dyn Rng) -> Self {
        let place = [0.0; 2].map(|_: f32| side * (rng.random::<f32>() - 0.5));
        Self { center: place.into(), turn: angle(rng), swell: angle(rng), phase: angle(rng) }
    }

    /// The size as a share of the mean one, from 3/4 to 5/4.
    pub(super) fn size(&self) -> f32 {
        1.0 + 0.25 * self.swell.1
    }
}

/// How fast each motion is, and how far it goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Pixels a frame on a straight way.
    speed: f32,
    /// The angle of a frame's turn.
    spin: Point,
    /// The angle of a frame's way round, and the radius in pixels.
    round: (Point, f32),
    /// The angle of a frame's share of a swing; the direction of the way; how far it goes either way.
    beat: (Point, Point, f32),
}

impl Pace {
    /// Draws all, whichever motion it is for.
    pub(super) fn draw(rng: &mut dyn Rng) -> Self {
        Self {
            speed: rng.random_range(0.9..1.8),
            spin: angle_of(rng.random_range(0.07..0.14)),
            round: (angle_of(rng.random_range(0.1..0.15)), rng.random_range(4.0..6.0)),
            beat: (angle_of(rng.random_range(0.2..0.3)), angle(rng), rng.random_range(3.5..5.5)),
        }
    }

    /// The pose a frame after `pose`.
    pub(super) fn next(&self, motion: Motion, pose: Pose) -> Pose {
        let moved = |x: f32, y: f32| (pose.center.0 + x, pose.center.1 + y);
        let round = |step: Point| {
            let (phase, radius) = (times(pose.phase, step), self.round.1);
            let (x, y) = (phase.0 - pose.phase.0, phase.1 - pose.phase.1);
            Pose { phase, center: moved(radius * x, radius * y), ..pose }
        };
        match motion {
            Motion::Left => Pose { center: moved(-self.speed, 0.0), ..pose },
            Motion::Right => Pose { center: moved(self.speed, 0.0), ..pose },
            Motion::Up => Pose { center: moved(0.0, -self.speed), ..pose },
            Motion::Down => Pose { center: moved(0.0, self.speed), ..pose },
            Motion::SpinClockwise => Pose { turn: times(pose.turn, self.spin), ..pose },
            Motion::SpinCounterClockwise => {
                Pose { turn: times(pose.turn, back(self.spin)), ..pose }
            }
            Motion::CircleClockwise => round(self.round.0),
            Motion::CircleCounterClockwise => round(back(self.round.0)),
            Motion::Pulse => Pose { swell: times(pose.swell, self.beat.0), ..pose },
            Motion::Swing => {
                let (beat, way, reach) = self.beat;
                let phase = times(pose.phase, beat);
                let along = reach * (phase.1 - pose.phase.1);
                Pose { phase, center: moved(along * way.0, along * way.1), ..pose }
            }
        }
    }
}

/// Any angle, each as likely: the direction of a point of the unit disc.
fn angle(rng: &mut dyn Rng) -> Point {
    loop {
        let [x, y] = [0.0; 2].map(|_: f32| 2.0 * rng.random::<f32>() - 1.0);
        let square = x * x + y * y;
        if (0.01..1.0).contains(&square) {
            let length = square.sqrt();
            return (x / length, y / length);
        }
    }
}

/// The angle whose half has the tangent `tangent`: clockwise as it is seen, as `y` points down.
fn angle_of(tangent: f32) -> Point {
    let square = tangent * tangent;
    ((1.0 - square) / (1.0 + square), 2.0 * tangent / (1.0 + square))
}

/// The same angle the other way.
fn back((x, y): Point) -> Point {
    (x, -y)
}

/// The sum of two angles.
fn times(a: Point, b: Point) -> Point {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    /// The poses of 16 frames.
    fn poses(motion: Motion, index: u64) -> Vec<Pose> {
        let mut rng = stream(1, Purpose::Data, 0, index);
        let (first, pace) = (Pose::draw(32.0, &mut rng), Pace::draw(&mut rng));
        std::iter::successors(Some(first), |pose| Some(pace.next(motion, *pose))).take(16).collect()
    }

    /// How far the area of the way of `points` about their mean is turned: above 0 clockwise as it is seen.
    fn area(points: &[Point]) -> f32 {
        points.windows(2).map(|pair| pair[0].0 * pair[1].1 - pair[0].1 * pair[1].0).sum()
    }

    #[test]
    fn every_motion_does_what_its_name_says() {
        for index in 0..50 {
            let way = |motion| {
                let poses = poses(motion, index);
                let (first, last) = (poses[0].center, poses[15].center);
                (last.0 - first.0, last.1 - first.1)
            };
            assert!(way(Motion::Left).0 < -13.0 && way(Motion::Left).1 == 0.0);
            assert!(way(Motion::Right).0 > 13.0 && way(Motion::Right).1 == 0.0);
            assert!(way(Motion::Up).1 < -13.0 && way(Motion::Up).0 == 0.0);
            assert!(way(Motion::Down).1 > 13.0 && way(Motion::Down).0 == 0.0);
            for (motion, sign) in
                [(Motion::SpinClockwise, 1.0), (Motion::SpinCounterClockwise, -1.0)]
            {
                let turns: Vec<_> = poses(motion, index).iter().map(|pose| pose.turn).collect();
                assert!(area(&turns) * sign > 1.5 && way(motion) == (0.0, 0.0));
            }
            for (motion, sign) in
                [(Motion::CircleClockwise, 1.0), (Motion::CircleCounterClockwise, -1.0)]
            {
                let centers: Vec<_> = poses(motion, index).iter().map(|pose| pose.center).collect();
                let origin = centers[0];
                let centers: Vec<_> =
                    centers.iter().map(|at| (at.0 - origin.0, at.1 - origin.1)).collect();
                assert!(area(&centers) * sign > 15.0, "{}", area(&centers));
            }
            let sizes: Vec<_> =
                poses(Motion::Pulse, index).iter().map(|pose| pose.size()).collect();
            let [least, most] = [f32::min, f32::max].map(|of| sizes.iter().copied().fold(1.0, of));
            assert!(least < 0.8 && most > 1.2, "{least} {most}");
        }
    }

    #[test]
    fn angles_and_sizes_stay_in_their_ranges_however_long_a_form_moves() {
        for motion in Motion::ALL {
            let mut rng = stream(1, Purpose::Data, 0, 7);
            let (mut pose, pace) = (Pose::draw(32.0, &mut rng), Pace::draw(&mut rng));
            for _ in 0..1000 {
                pose = pace.next(motion, pose);
            }
            for (x, y) in [pose.turn, pose.swell, pose.phase] {
                assert!((x * x + y * y - 1.0).abs() < 1e-3, "{motion:?}");
            }
        }
    }
}
