//! Which frames of a clip are shown.

use crate::error::{Result, ensure};
use crate::grid::ImageShape;

/// Checks that `clip` has as many frames as `view` needs.
pub(super) fn check(view: ImageShape, clip: ImageShape) -> Result<()> {
    let (needed, got) = (view.span(), clip.frames);
    ensure!(
        got >= needed || got > 1,
        "the model reads clips of {} frames, this is an image",
        view.frames
    );
    ensure!(
        got >= needed,
        "the clip is too short: {} frames, {} apart, need {needed}, it has {got}",
        view.frames,
        view.stride
    );
    Ok(())
}

/// The planes of `clip` that `view` shows, by channel and frame. The shares of `time` from 0 to 1 are
/// those of all frames that it may begin with.
pub(super) fn shown<S>(
    pixels: &[S],
    clip: ImageShape,
    view: ImageShape,
    time: f64,
) -> impl Iterator<Item = &[S]> {
    let area = clip.frame().height * clip.width;
    let last = clip.frames - view.span();
    let first = ((time * (last + 1) as f64) as usize).min(last);
    pixels.chunks_exact(clip.frames * area).flat_map(move |channel| {
        channel.chunks_exact(area).skip(first).step_by(view.stride).take(view.frames)
    })
}

/// Changes each frame of `pixels` by itself, as an image of its own.
pub(super) fn each(pixels: &mut [u8], shape: ImageShape, mut change: impl FnMut(&mut [u8])) {
    if shape.frames == 1 {
        return change(pixels);
    }
    let area = shape.frame().height * shape.width;
    let mut own = Vec::with_capacity(shape.channels * area);
    for frame in 0..shape.frames {
        let place = |channel: usize| (channel * shape.frames + frame) * area;
        own.clear();
        for channel in 0..shape.channels {
            own.extend_from_slice(&pixels[place(channel)..][..area]);
        }
        change(&mut own);
        for (channel, plane) in own.chunks_exact(area).enumerate() {
            pixels[place(channel)..][..area].copy_from_slice(plane);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Frame, Operation, Scratch, Transform, View};
    use super::*;
    use crate::data::sample::Image;
    use crate::grid::ClipShape;

    const IMAGE: ImageShape = ImageShape::new(3, 12, 20);

    fn frame(number: usize) -> Image {
        let values = (0..IMAGE.values()).map(|i| (i * i / 7 + 29 * number) as u8).collect();
        Image::new(IMAGE, values).unwrap()
    }

    fn clip(frames: usize) -> Image {
        Image::clip(&(0..frames).map(frame).collect::<Vec<_>>()).unwrap()
    }

    fn view(frames: usize, stride: usize, side: usize) -> View {
        let shape = ClipShape::new(ImageShape::square(3, side), frames).stacked();
        View::new(ImageShape { stride, ..shape }).unwrap()
    }

    /// What is shown of frames `first`, `first + stride`, ... one by one.
    fn one_by_one(numbers: &[usize], side: usize, transform: &Transform) -> Image {
        let view = View::new(ImageShape::square(3, side)).unwrap();
        let show = |number: &usize| {
            view.image(&frame(*number), transform, &mut Scratch::default()).unwrap()
        };
        Image::clip(&numbers.iter().map(show).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn all_frames_of_a_clip_are_shown_as_each_would_be_alone() {
        let crop = super::super::CropBox { top: 2, left: 3, height: 9, width: 11 };
        let operations =
            [Some(Operation::AutoContrast), Some(Operation::Sharpness(0.3)), None, None];
        let of = Transform::of(Frame::Crop(crop));
        let transform = Transform { flipped: true, operations, time: 0.0, ..of };
        for (depth, image) in [("8 bits", clip(9)), ("floats", floats(clip(9)))] {
            let transform = match depth {
                "8 bits" => transform,
                _ => Transform { operations: [None; 4], ..transform },
            };
            let shown = view(3, 2, 8).image(&image, &transform, &mut Scratch::default()).unwrap();
            assert_eq!(shown.frames(), 3);
            let expected = one_by_one(&[0, 2, 4], 8, &transform);
            let difference = shown.values().into_iter().zip(expected.values());
            let difference = difference.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // Of floats, those of 8 bits but for their rounding.
            let step = if depth == "8 bits" { 0.0 } else { 1.5 / 255.0 };
            assert!(difference <= step, "{depth}: {difference}");
        }
    }

    fn floats(image: Image) -> Image {
        let frames = (0..image.frames()).map(|index| {
            let frame = image.frame(index);
            Image::new(frame.shape(), frame.values()).unwrap()
        });
        Image::clip(&frames.collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn time_goes_from_the_first_frame_to_the_last_and_half_is_the_middle() {
        let shown = |frames: usize, stride: usize, time: f64| {
            let transform = Transform { time, ..Transform::of(Frame::Center) };
            let view = View::new(ImageShape { stride, ..ClipShape::new(IMAGE, frames).stacked() });
            view.unwrap().image(&clip(9), &transform, &mut Scratch::default()).unwrap()
        };
        let frames = |numbers: [usize; 2]| Image::clip(&numbers.map(frame)).unwrap();
        assert_eq!(shown(2, 3, 0.0), frames([0, 3]));
        assert_eq!(shown(2, 3, 0.5), frames([3, 6]));
        assert_eq!(shown(2, 3, 1.0), frames([5, 8]));
        // A model of images sees one frame.
        assert_eq!([0.0, 0.5, 0.99].map(|time| shown(1, 1, time)), [0, 4, 8].map(frame));
    }

    #[test]
    fn a_clip_that_is_too_short_or_none_is_refused_with_both_numbers() {
        let message = |image: Image| {
            let (view, transform) = (view(4, 2, 8), Transform::of(Frame::Center));
            view.image(&image, &transform, &mut Scratch::default()).unwrap_err().to_string()
        };
        let short = message(clip(6));
        assert!(short.contains("4 frames, 2 apart, need 7, it has 6"), "{short}");
        assert!(message(frame(0)).contains("clips of 4 frames, this is an image"));
    }
}
