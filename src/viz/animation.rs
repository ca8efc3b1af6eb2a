//! Pictures that move: animated PNG and GIF files, and their frames side by side.

use std::fmt::Display;
use std::path::Path;

use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, Frame, ImageResult, RgbImage};

use crate::error::{Error, Result, ensure};
use crate::file::write_whole;
use crate::viz::canvas::PAPER;
use crate::viz::picture::Picture;

/// How long a frame is shown unless something else is said, in milliseconds.
const MILLISECONDS: u16 = 100;

/// White space between the frames of a strip, in pixels.
const GAP: usize = 2;

/// How hard the encoder of GIF looks for the best colors, from 1 (hardest) to 30.
const GIF_SPEED: i32 = 10;

/// Pictures of one size that are shown one after the other, over and over.
///
/// ```
/// use burn_mim::viz::{Animation, Picture};
///
/// // A white column that wanders through 8 × 8 pixels.
/// let frame = |at| Picture::from_fn(8, 8, move |x, _| [if x == at { 255 } else { 0 }; 3]);
/// let animation = Animation::new((0..8).map(frame).collect())?.with_milliseconds(40);
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path();
/// # /*
/// let out = std::path::Path::new("pictures");
/// # */
/// animation.save(out.join("column.gif"))?; // or .png
/// animation.strip().save(out.join("column_strip.png"))?;
/// # Ok::<(), burn_mim::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Animation {
    frames: Vec<Picture>,
    milliseconds: u16,
}

impl Animation {
    /// An animation of `frames`, each shown for a tenth of a second.
    ///
    /// # Errors
    ///
    /// When there is no frame, a frame has no pixel, or one differs in size from the first.
    pub fn new(frames: Vec<Picture>) -> Result<Self> {
        let size = |frame: &Picture| (frame.width(), frame.height());
        let Some(first) = frames.first() else {
            return Err(Error::config("an animation needs a frame"));
        };
        ensure!(!first.as_bytes().is_empty(), "an animation of {first:?} shows nothing");
        if let Some(at) = frames.iter().position(|frame| size(frame) != size(first)) {
            return Err(Error::config(format!(
                "all frames of an animation have one size, got {:?} as frame {at} after {first:?}",
                frames[at]
            )));
        }
        Ok(Self { frames, milliseconds: MILLISECONDS })
    }

    /// The same animation with frames that are shown for `milliseconds` each; GIF has hundredths of
    /// a second, of which programs take at least two.
    pub fn with_milliseconds(mut self, milliseconds: u16) -> Self {
        self.milliseconds = milliseconds;
        self
    }

    /// The frames in the order of time.
    pub fn frames(&self) -> &[Picture] {
        &self.frames
    }

    /// All frames side by side, from left to right.
    pub fn strip(&self) -> Picture {
        let (width, height) = (self.frames[0].width(), self.frames[0].height());
        let mut strip = Picture::filled(self.frames.len() * (width + GAP) - GAP, height, PAPER);
        for (index, frame) in self.frames.iter().enumerate() {
            strip.paste(frame, index * (width + GAP), 0);
        }
        strip
    }

    /// The bytes of an animated PNG file (APNG), the same for the same frames: all colors as they
    /// are. A program that knows nothing of animations shows the first frame.
    ///
    /// # Errors
    ///
    /// When the frames are too large for the format.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let [width, height, count] = self.sizes("PNG")?;
        let mut png = Vec::new();
        let mut encode = || -> std::result::Result<(), png::EncodingError> {
            let mut encoder = png::Encoder::new(&mut png, width, height);
            encoder.set_color(png::ColorType::Rgb);
            encoder.set_animated(count, 0)?;
            encoder.set_frame_delay(self.milliseconds, 1000)?;
            let mut writer = encoder.write_header()?;
            self.frames.iter().try_for_each(|frame| writer.write_image_data(frame.as_bytes()))?;
            writer.finish()
        };
        encode().map_err(|error| self.fault("PNG", &error))?;
        Ok(png)
    }

    /// The bytes of an animated GIF file, the same for the same frames: the nearest of at most 256
    /// colors of each frame.
    ///
    /// # Errors
    ///
    /// When the frames are too large for the format.
    pub fn to_gif(&self) -> Result<Vec<u8>> {
        let [width, height, _] = self.sizes("GIF")?;
        let mut gif = Vec::new();
        let mut encode = || -> ImageResult<()> {
            let mut encoder = GifEncoder::new_with_speed(&mut gif, GIF_SPEED);
            encoder.set_repeat(Repeat::Infinite)?;
            let delay = Delay::from_numer_denom_ms(self.milliseconds.into(), 1);
            encoder.try_encode_frames(self.frames.iter().map(|frame| {
                let rgb = RgbImage::from_raw(width, height, frame.as_bytes().to_vec());
                let rgb = rgb.expect("a picture has three bytes a pixel");
                Ok(Frame::from_parts(image::DynamicImage::from(rgb).into_rgba8(), 0, 0, delay))
            }))
        };
        encode().map_err(|error| self.fault("GIF", &error))?;
        Ok(gif)
    }

    /// Writes the animation to the file `path`, by its ending an animated PNG (`.png`, `.apng`) or a
    /// GIF (`.gif`): complete under its name, or not at all.
    ///
    /// A file of that name is replaced. The folder must exist.
    ///
    /// # Errors
    ///
    /// When `path` has another ending or cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        let bytes = match ending.as_deref() {
            Some("png" | "apng") => self.to_png()?,
            Some("gif") => self.to_gif()?,
            _ => {
                let reason = "animations are written as PNG or GIF: name it .png or .gif";
                return Err(Error::data(path, reason));
            }
        };
        write_whole(path, &bytes).map_err(|error| Error::data(path, error))
    }

    /// Width, height and number of frames as a file says them.
    fn sizes(&self, format: &str) -> Result<[u32; 3]> {
        let first = &self.frames[0];
        let mut sizes = [0; 3];
        for (size, has) in sizes.iter_mut().zip([first.width(), first.height(), self.frames.len()])
        {
            *size = u32::try_from(has).map_err(|error| self.fault(format, &error))?;
        }
        Ok(sizes)
    }

    fn fault(&self, format: &str, why: &dyn Display) -> Error {
        let (count, first) = (self.frames.len(), &self.frames[0]);
        Error::config(format!("{count} frames of {first:?} cannot be encoded as {format}: {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::AnimationDecoder;
    use image::codecs::gif::GifDecoder;
    use image::codecs::png::PngDecoder;
    use std::io::Cursor;

    /// Three frames of 3 × 2 pixels, of few colors.
    fn animation() -> Animation {
        let frame =
            |n: usize| Picture::from_fn(3, 2, |x, y| [(80 * n) as u8, x as u8 * 90, y as u8]);
        Animation::new((0..3).map(frame).collect()).unwrap().with_milliseconds(250)
    }

    fn assert_holds(decoded: Vec<Frame>, animation: &Animation) {
        assert_eq!(decoded.len(), animation.frames.len());
        for (frame, picture) in decoded.into_iter().zip(&animation.frames) {
            assert_eq!(frame.delay().numer_denom_ms(), (250, 1));
            let rgb = image::DynamicImage::from(frame.into_buffer()).into_rgb8();
            assert_eq!(rgb.as_raw(), picture.as_bytes());
        }
    }

    #[test]
    fn an_animated_png_holds_every_frame_its_time_and_repeats() {
        let png = animation().to_png().unwrap();
        let decoder = PngDecoder::new(Cursor::new(&png)).unwrap();
        assert!(decoder.is_apng().unwrap());
        assert_holds(decoder.apng().unwrap().into_frames().collect_frames().unwrap(), &animation());
        let reader = png::Decoder::new(Cursor::new(&png)).read_info().unwrap();
        assert_eq!(reader.info().animation_control().unwrap().num_plays, 0);
        // What knows no animations sees the first frame.
        let first = image::load_from_memory(&png).unwrap().into_rgb8();
        assert_eq!(first.as_raw(), animation().frames[0].as_bytes());
    }

    #[test]
    fn a_gif_of_few_colors_holds_every_frame_and_its_time() {
        let gif = animation().to_gif().unwrap();
        let decoder = GifDecoder::new(Cursor::new(gif)).unwrap();
        assert_holds(decoder.into_frames().collect_frames().unwrap(), &animation());
    }

    #[test]
    fn the_ending_of_the_name_is_the_format() {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in [
            ("a.png", animation().to_png().unwrap()),
            ("a.APNG", animation().to_png().unwrap()),
            ("a.gif", animation().to_gif().unwrap()),
        ] {
            let path = folder.path().join(name);
            animation().save(&path).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), bytes, "{name}");
        }
        let message = animation().save(folder.path().join("a.mp4")).unwrap_err().to_string();
        assert!(
            message.ends_with("a.mp4: animations are written as PNG or GIF: name it .png or .gif")
        );
    }

    #[test]
    fn a_strip_has_the_frames_side_by_side_with_white_between() {
        let strip = animation().strip();
        assert_eq!((strip.width(), strip.height()), (3 * 3 + 2 * 2, 2));
        assert_eq!(strip.pixel(2, 1), animation().frames[0].pixel(2, 1));
        assert_eq!([strip.pixel(3, 0), strip.pixel(4, 1)], [PAPER; 2]);
        assert_eq!(strip.pixel(11, 1), animation().frames[2].pixel(1, 1));
    }

    #[test]
    fn no_frame_an_empty_one_and_one_of_another_size_are_refused() {
        let of = |frames| Animation::new(frames).unwrap_err().to_string();
        let picture = |width| Picture::filled(width, 2, PAPER);
        assert!(of(vec![]).contains("needs a frame"));
        assert!(of(vec![picture(0)]).contains("0×2 pixels) shows nothing"));
        let message = of(vec![picture(2), picture(2), picture(3)]);
        assert!(message.contains("got Picture(3×2 pixels) as frame 2 after"), "{message}");
    }
}
