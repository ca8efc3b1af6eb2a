//! What every collate does with an image first: augment, render at one size, normalize.

use std::mem;
use std::time::Instant;

use rand::Rng;
use rand::rngs::ChaCha8Rng;

use crate::data::augment::{Augmentation, Interpolation, Normalization, Scratch, Transform, View};
use crate::data::fork;
use crate::data::loader::{Item, fault};
use crate::data::packed::{PackedImages, PackedPixels};
use crate::data::pixels::Pixels;
use crate::data::sample::Image;
use crate::error::Result;
use crate::grid::ImageShape;
use crate::image::ChannelStatistics;
use crate::rng::Purpose;

/// The steps from a data set's image to a network's input.
#[derive(Debug, Clone)]
pub(crate) struct Preprocess {
    view: View,
    augmentation: Augmentation,
    pub(crate) normalization: Normalization,
}

impl Preprocess {
    /// Images of `shape`, normalized by `statistics` and augmented by `augmentation`.
    ///
    /// # Errors
    ///
    /// When the shape holds no pixels, the statistics are not of its channels, or a range of the
    /// augmentation is broken.
    pub(crate) fn new(
        shape: ImageShape,
        statistics: &ChannelStatistics,
        augmentation: Augmentation,
    ) -> Result<Self> {
        statistics.check(shape)?;
        augmentation.validate()?;
        let view = View::new(shape)?.with_interpolation(augmentation.interpolation);
        Ok(Self { view, augmentation, normalization: Normalization::new(statistics)? })
    }

    /// Images that are not augmented, but for other sizes resized by `interpolation`.
    pub(crate) fn plain(
        shape: ImageShape,
        statistics: &ChannelStatistics,
        interpolation: Interpolation,
    ) -> Result<Self> {
        Self::new(shape, statistics, Augmentation { interpolation, ..Augmentation::none() })
    }

    /// The same images with another augmentation.
    pub(crate) fn with_augmentation(self, augmentation: Augmentation) -> Result<Self> {
        augmentation.validate()?;
        let view = self.view.with_interpolation(augmentation.interpolation);
        Ok(Self { view, augmentation, ..self })
    }

    /// The same images, with another color of what RandAugment moves in from outside.
    pub(crate) fn with_fill(self, color: &[f32]) -> Self {
        Self { view: self.view.with_fill(color), ..self }
    }

    /// The shape of the images.
    pub(crate) fn shape(&self) -> ImageShape {
        self.view.shape()
    }

    /// What is drawn for `item`, and its stream of random numbers after that.
    pub(crate) fn draw(&self, item: &Item) -> (Transform, ChaCha8Rng) {
        self.draw_for(item, Purpose::Augmentation)
    }

    /// What is drawn for a second view of `item`, independent of [`draw`](Self::draw), and the
    /// stream of random numbers after that.
    pub(crate) fn draw_second(&self, item: &Item) -> (Transform, ChaCha8Rng) {
        self.draw_for(item, Purpose::SecondView)
    }

    /// What is drawn for the view of `item` that `purpose` names, and the stream of random numbers after
    /// that.
    pub(crate) fn draw_for(&self, item: &Item, purpose: Purpose) -> (Transform, ChaCha8Rng) {
        let mut rng = item.stream(purpose);
        (self.augmentation.sample(item.sample.image.shape(), &mut rng), rng)
    }

    /// The augmented image of `item`, not normalized yet, drawn from `rng`.
    pub(crate) fn image(
        &self,
        item: &Item,
        rng: &mut dyn Rng,
        scratch: &mut Scratch,
    ) -> Result<Image> {
        let transform = self.augmentation.sample(item.sample.image.shape(), rng);
        let image = self.view.image(&item.sample.image, &transform, scratch);
        image.map_err(|error| item.fault(error))
    }

    /// Room for `batch` images.
    pub(crate) fn batch(&self, batch: usize) -> Rendering<'_> {
        let bytes = Vec::with_capacity(batch * self.shape().values());
        let (scratch, waiting, values) = Default::default();
        Rendering { preprocess: self, scratch, bytes, values, waiting, threads: 1, is_slow: false }
    }
}

/// The images of a batch, while it fills.
///
/// Where the loader has threads for it and an image takes long, a few images wait until they are
/// rendered at once; which thread renders an image changes nothing.
#[derive(Debug)]
pub(crate) struct Rendering<'a> {
    preprocess: &'a Preprocess,
    scratch: Scratch,
    /// The images so far, while all are of 8 bits and nobody asks for their values.
    bytes: Vec<u8>,
    /// The normalized values of all images, from the first on that needs them.
    values: Vec<f32>,
    /// The images whose places, the last ones, are not filled yet.
    waiting: Vec<Waiting>,
    threads: usize,
    is_slow: bool,
}

/// An image that is yet to be rendered, and its place in the data set.
#[derive(Debug)]
struct Waiting {
    index: usize,
    image: Image,
    transform: Transform,
}

impl Rendering<'_> {
    /// Adds the image of `item`, seen through `transform`.
    ///
    /// # Errors
    ///
    /// When an image cannot be used, here or at a later call; names the item.
    pub(crate) fn push(&mut self, item: &Item, transform: &Transform) -> Result<()> {
        self.add((item.index, item.threads), &item.sample.image, transform)
    }

    /// As [`push`](Self::push), of the image of the item `index`, which `threads` may work on.
    pub(crate) fn add(
        &mut self,
        (index, threads): (usize, usize),
        image: &Image,
        transform: &Transform,
    ) -> Result<()> {
        self.threads = threads;
        let is_bytes = matches!(image.pixels(), Pixels::U8(_)) && self.values.is_empty();
        if threads < 2 || !self.is_slow {
            let start = Instant::now();
            let shown = if is_bytes {
                self.show_bytes(image, transform)
            } else {
                self.show(image, transform).map(drop)
            };
            shown.map_err(|error| fault(index, error))?;
            self.is_slow = start.elapsed() >= fork::WORTH;
            return Ok(());
        }
        if !is_bytes {
            self.widen()?;
        }
        let size = self.preprocess.shape().values();
        match is_bytes {
            true => self.bytes.resize(self.bytes.len() + size, 0),
            false => self.values.resize(self.values.len() + size, 0.0),
        }
        self.waiting.push(Waiting { index, image: image.clone(), transform: *transform });
        if self.waiting.len() >= fork::TASKS * threads { self.render() } else { Ok(()) }
    }

    fn show_bytes(&mut self, image: &Image, transform: &Transform) -> Result<()> {
        self.render()?;
        let (view, start) = (&self.preprocess.view, self.bytes.len());
        self.bytes.resize(start + view.shape().values(), 0);
        view.render(image, transform, &mut self.scratch, &mut self.bytes[start..])
    }

    /// As [`push`](Self::push), and yields the image's values.
    pub(crate) fn push_now(&mut self, item: &Item, transform: &Transform) -> Result<&mut [f32]> {
        self.show(&item.sample.image, transform).map_err(|error| item.fault(error))
    }

    /// As [`push_now`](Self::push_now), of an image that belongs to no item.
    pub(crate) fn show(&mut self, image: &Image, transform: &Transform) -> Result<&mut [f32]> {
        self.widen()?;
        let Preprocess { view, normalization, .. } = self.preprocess;
        let start = self.values.len();
        self.values.resize(start + view.shape().values(), 0.0);
        let out = &mut self.values[start..];
        view.write(image, transform, normalization, &mut self.scratch, out)?;
        Ok(out)
    }

    /// Renders the images that wait.
    fn render(&mut self) -> Result<()> {
        let waiting = mem::take(&mut self.waiting);
        if waiting.is_empty() {
            return Ok(());
        }
        let Preprocess { view, normalization, .. } = self.preprocess;
        if self.values.is_empty() {
            return self.spread(
                waiting,
                |rendering| &mut rendering.bytes,
                |image, transform, scratch, out| view.render(image, transform, scratch, out),
            );
        }
        self.spread(
            waiting,
            |rendering| &mut rendering.values,
            |image, transform, scratch, out| {
                view.write(image, transform, normalization, scratch, out)
            },
        )
    }

    /// Writes images into the last places of `places`, on several threads.
    fn spread<T: Send>(
        &mut self,
        waiting: Vec<Waiting>,
        places: impl Fn(&mut Self) -> &mut Vec<T>,
        write: impl Fn(&Image, &Transform, &mut Scratch, &mut [T]) -> Result<()> + Sync,
    ) -> Result<()> {
        let (size, threads) = (self.preprocess.shape().values(), self.threads);
        let places = places(self);
        let start = places.len() - waiting.len() * size;
        let tasks = waiting.into_iter().zip(places[start..].chunks_exact_mut(size)).collect();
        let write = |(waiting, out): (Waiting, &mut [T]), scratch: &mut Scratch| {
            let Waiting { index, image, transform } = waiting;
            write(&image, &transform, scratch, out).map_err(|error| fault(index, error))
        };
        fork::on_threads(threads, tasks, write).into_iter().collect()
    }

    /// Goes on with normalized values in place of bytes.
    fn widen(&mut self) -> Result<()> {
        self.render()?;
        let (bytes, size) = (mem::take(&mut self.bytes), self.preprocess.shape().values());
        if self.values.is_empty() {
            self.values.reserve(bytes.capacity());
        }
        for image in bytes.chunks_exact(size) {
            let start = self.values.len();
            self.values.resize(start + size, 0.0);
            self.preprocess.normalization.write(image, &mut self.values[start..]);
        }
        Ok(())
    }

    /// All values so far.
    pub(crate) fn values(&mut self) -> Result<&mut [f32]> {
        self.widen()?;
        Ok(&mut self.values)
    }

    /// The images, which stay in 8 bits if all of them are.
    pub(crate) fn pack(mut self) -> Result<PackedImages> {
        self.render()?;
        let pixels = match self.values.is_empty() {
            true => PackedPixels::Bytes(self.bytes, self.preprocess.normalization.clone()),
            false => PackedPixels::Values(self.values),
        };
        Ok(PackedImages { pixels, shape: self.preprocess.shape() })
    }
}
