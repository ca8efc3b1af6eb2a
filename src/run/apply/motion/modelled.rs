//! A film, looked at clip by clip.

use std::collections::VecDeque;

use super::model::MotionModel;
use super::{Differing, Moving};
use crate::data::Image;
use crate::error::{Result, ensure};

impl MotionModel {
    /// What moves in each of `frames`, in their order.
    pub fn of<I: Iterator<Item = Result<Image>>>(&self, frames: I) -> Modelled<'_, I> {
        Modelled::new(self, self.differences.of(frames))
    }
}

/// See [`MotionModel::of`].
#[derive(Debug)]
pub struct Modelled<'a, I> {
    model: &'a MotionModel,
    differing: Differing<I>,
    /// Frames of which not all is said.
    open: VecDeque<Open>,
    /// The frames before them, of which the last clip of a film may need some.
    past: VecDeque<Moving>,
    /// Frames of which all is said.
    ready: VecDeque<Moving>,
    has_ended: bool,
    /// Every how many frames a clip has one.
    stride: usize,
}

/// A frame, the sum of what clips said of it, and how many did.
#[derive(Debug)]
struct Open {
    moving: Moving,
    sum: Vec<f32>,
    times: usize,
}

impl<I: Iterator<Item = Result<Image>>> Iterator for Modelled<'_, I> {
    type Item = Result<Moving>;

    fn next(&mut self) -> Option<Result<Moving>> {
        while self.ready.is_empty() && !self.has_ended {
            if let Err(error) = self.look() {
                self.has_ended = true;
                return Some(Err(error));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

impl<'a, I: Iterator<Item = Result<Image>>> Modelled<'a, I> {
    pub(super) fn new(model: &'a MotionModel, differing: Differing<I>) -> Self {
        Self {
            model,
            differing,
            open: VecDeque::new(),
            past: VecDeque::new(),
            ready: VecDeque::new(),
            has_ended: false,
            stride: model.frames_and_stride().1,
        }
    }

    /// Frames that are looked at together.
    fn length(&self) -> usize {
        self.model.frames_and_stride().0 * self.stride
    }

    /// Looks at the next frames of as many clips as frames of a clip are apart, half as many after those
    /// before them; the last ones end with the film.
    fn look(&mut self) -> Result<()> {
        let known = self.open.len();
        while self.open.len() < self.length()
            && let Some(moving) = self.differing.next().transpose()?
        {
            self.open.push_back(Open { moving, sum: Vec::new(), times: 0 });
        }
        self.has_ended = self.open.len() < self.length();
        if self.has_ended && self.past.is_empty() {
            // In a short film, frames of a clip are nearer to each other.
            self.stride = self.open.len() / self.model.frames_and_stride().0;
            ensure!(
                self.stride > 0 || self.open.is_empty(),
                "a film of {} frames is shorter than the {} frames of a clip that the encoder reads",
                self.open.len(),
                self.model.frames_and_stride().0
            );
        }
        if self.open.len() > known {
            let length = self.length();
            let filled = length.saturating_sub(self.open.len());
            let past = self.past.iter().skip(self.past.len() - filled);
            let frames: Vec<_> = past.chain(self.open.iter().map(|open| &open.moving)).collect();
            // Those that a whole number of clips leaves over are in the last clips.
            let starts = [0, frames.len() - length];
            let starts = &starts[..1 + usize::from(starts[1] > 0)];
            let mut said = vec![Vec::new(); frames.len()];
            for first in starts.iter().flat_map(|&start| start..start + self.stride) {
                let places = (first..).step_by(self.stride).take(self.model.frames_and_stride().0);
                let clip: Vec<_> = places.clone().map(|place| frames[place]).collect();
                let shares = self.model.look(&clip)?;
                let planes = shares.chunks_exact(shares.len() / clip.len());
                places.zip(planes).for_each(|(place, plane)| said[place].push(plane.to_vec()));
            }
            for (open, planes) in self.open.iter_mut().zip(said.into_iter().skip(filled)) {
                for plane in planes {
                    open.sum.resize(plane.len(), 0.0);
                    open.sum.iter_mut().zip(plane).for_each(|(sum, share)| *sum += share);
                    open.times += 1;
                }
            }
        }
        let done = if self.has_ended { self.open.len() } else { self.length() / 2 };
        for Open { moving, sum, times } in self.open.drain(..done) {
            let shares = sum.into_iter().map(|sum| sum / times as f32).collect::<Vec<_>>();
            let motion = Image::new(moving.motion.shape(), shares)?;
            self.ready.push_back(Moving { motion, ..moving.clone() });
            self.past.push_back(moving);
        }
        let length = self.length();
        self.past.drain(..self.past.len().saturating_sub(length));
        Ok(())
    }
}
