//! What a clip shows: a ground that a camera drifts over, and forms that move before it.

use rand::{Rng, RngExt};

use super::motion::{Motion, Pace, Pose};
use crate::data::source::shapes::canvas::{Canvas, SIDE, coordinate};
use crate::data::source::shapes::form::Form;
use crate::data::source::shapes::paint::Paint;
use crate::data::source::shapes::placed::{Placed, coverage};
use crate::data::source::shapes::scene::{Stroke, contrasting_lumas};

/// Forms whose turns are seen.
const TURNED: [Form; 8] = [
    Form::Square,
    Form::Triangle,
    Form::Star,
    Form::Cross,
    Form::Crescent,
    Form::Heart,
    Form::Arrow,
    Form::Spiral,
];

/// A scene at its first frame, and how it goes on.
#[derive(Debug)]
pub(super) struct Scene {
    /// What stands still: the ground, strokes and forms on it.
    world: Canvas,
    /// Pixels that the camera moves by in a frame.
    camera: (f32, f32),
    /// The forms that move, from back to front.
    movers: Vec<Mover>,
    /// Levels of noise, either way.
    pub(super) noise: f32,
}

impl Scene {
    /// Draws a scene whose largest form moves by `motion`, of `frames` frames in which the camera moves
    /// by up to `drift` pixels each along either axis, and with up to `noise` levels of noise.
    ///
    /// The same numbers are drawn whatever the motion, the drift and the noise.
    pub(super) fn draw(
        motion: Motion,
        (frames, drift, noise): (usize, f32, f32),
        rng: &mut dyn Rng,
    ) -> Self {
        let (ground, luma) = contrasting_lumas(rng);
        let ground = Paint::draw(ground, rng);
        let margin = (drift * frames as f32 / 2.0) as usize + 2;
        let mut world = Canvas::new(SIDE + 2 * margin, |x, y| ground.at(mirrored(x), mirrored(y)));
        for _ in 0..rng.random_range(2..5) {
            let place = [0.0; 2].map(|_: f32| rng.random_range(-20.0..20.0));
            Stroke::draw(place.into(), 1.0..2.2, rng).paint(&mut world);
        }
        for _ in 0..rng.random_range(0..2) {
            Mover::draw(motion, 3.0..4.2, luma, rng).paint(&mut world, [0.0]);
        }
        let mut movers = vec![Mover::draw(motion, 7.0..9.0, luma, rng)];
        for _ in 0..rng.random_range(0..3) {
            let other = Motion::ALL[rng.random_range(0..Motion::ALL.len())];
            let other = Mover::draw(other, 3.0..4.2, luma, rng);
            let place = rng.random_range(0..=movers.len());
            movers.insert(place, other);
        }
        let [right, down, grain] = [0.0; 3].map(|_: f32| rng.random::<f32>());
        let camera = (drift * (2.0 * right - 1.0), drift * (2.0 * down - 1.0));
        let middle = (frames - 1) as f32 / 2.0;
        movers.iter_mut().for_each(|mover| mover.seen_from(camera, -middle));
        Self { world, camera, movers, noise: noise * grain }
    }

    /// The frames before noise, `frames` of them as [`Scene::draw`] was told; `look` gets each, and the
    /// forms that move in it.
    pub(super) fn play(mut self, frames: usize, mut look: impl FnMut(&Self, f32)) {
        let middle = (frames - 1) as f32 / 2.0;
        for frame in 0..frames {
            look(&self, frame as f32 - middle);
            let camera = self.camera;
            for mover in &mut self.movers {
                mover.pose = mover.pace.next(mover.motion, mover.pose);
                mover.seen_from(camera, 1.0);
            }
        }
    }

    /// The picture at `time`, in frames from the middle of the clip.
    pub(super) fn paint(&self, time: f32) -> Canvas {
        let mut canvas = self.world.window(SIDE, (self.camera.0 * time, self.camera.1 * time));
        // What leaves the picture comes in on the other side.
        let copies = [-1.0, 0.0, 1.0].map(|side| side * SIDE as f32);
        self.movers.iter().for_each(|mover| mover.paint(&mut canvas, copies));
        canvas
    }

    /// How what shows at each pixel moves, row by row; `None` where it stands still.
    pub(super) fn motions(&self) -> impl Iterator<Item = Option<Motion>> {
        let pixel = |index| (coordinate(index % SIDE, SIDE), coordinate(index / SIDE, SIDE));
        let placed: Vec<_> =
            self.movers.iter().map(|mover| (mover.placed(), mover.motion)).collect();
        (0..SIDE * SIDE).map(pixel).map(move |(x, y)| {
            let shows = |(placed, _): &&(Placed, Motion)| {
                let near = |at: f32, center: f32| center + wrapped(at - center);
                placed.distance(near(x, placed.center.0), near(y, placed.center.1)) <= 0.0
            };
            placed.iter().rev().find(shows).map(|(_, motion)| *motion)
        })
    }
}

/// A form that moves.
#[derive(Debug)]
struct Mover {
    form: Form,
    /// Half-extent along the form's own axes in pixels, at its mean size.
    radius: (f32, f32),
    /// Colors that move with the form.
    paint: Paint,
    motion: Motion,
    pose: Pose,
    pace: Pace,
}

impl Mover {
    fn draw(motion: Motion, size: std::ops::Range<f32>, luma: f32, rng: &mut dyn Rng) -> Self {
        let form = TURNED[rng.random_range(0..TURNED.len())];
        let (size, stretch) = (rng.random_range(size), rng.random_range(0.88..1.14));
        let mirror = if rng.random() { 1.0 } else { -1.0 };
        let radius = (mirror * size * stretch, size / stretch);
        let paint = Paint::draw(luma, rng);
        let pose = Pose::draw(SIDE as f32, rng);
        Self { form, radius, paint, motion, pose, pace: Pace::draw(rng) }
    }

    /// Moves it as a camera sees it that has moved by `camera` so many `times`.
    fn seen_from(&mut self, camera: (f32, f32), times: f32) {
        let Pose { center, .. } = self.pose;
        let center = (center.0 - times * camera.0, center.1 - times * camera.1);
        self.pose.center = (wrapped(center.0), wrapped(center.1));
    }

    fn placed(&self) -> Placed {
        let (size, Pose { center, turn, .. }) = (self.pose.size(), self.pose);
        let radius = (size * self.radius.0, size * self.radius.1);
        Placed { form: self.form, center, radius, turn }
    }

    /// Paints it at its place, and at places so far away along each axis.
    fn paint<const N: usize>(&self, canvas: &mut Canvas, away: [f32; N]) {
        let placed = self.placed();
        for (right, down) in away.iter().flat_map(|&right| away.map(|down| (right, down))) {
            let center = (placed.center.0 + right, placed.center.1 + down);
            let placed = Placed { center, ..placed };
            canvas.cover(center, placed.reach() + 1.0, |x, y| {
                let own = placed.own(x, y);
                (coverage(placed.own_distance(own)), self.paint.at(own.0, own.1))
            });
        }
    }
}

/// A coordinate where the edges of the picture meet, from the middle of it.
fn wrapped(coordinate: f32) -> f32 {
    let side = SIDE as f32;
    (coordinate + side / 2.0).rem_euclid(side) - side / 2.0
}

/// A coordinate of a ground that is mirrored at the edges of what patterns are made for.
fn mirrored(coordinate: f32) -> f32 {
    let half = SIDE as f32 / 2.0;
    let along = (coordinate + half).rem_euclid(4.0 * half);
    (if along > 2.0 * half { 4.0 * half - along } else { along }) - half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_wrap_and_mirror_at_the_edges() {
        assert_eq!([-16.0, 15.5, 16.0, 40.0, -17.0].map(wrapped), [-16.0, 15.5, -16.0, 8.0, 15.0]);
        assert_eq!(
            [-3.5, 15.5, 16.5, 48.5, -17.0, -48.0].map(mirrored),
            [-3.5, 15.5, 15.5, -15.5, -15.0, 16.0]
        );
    }
}
