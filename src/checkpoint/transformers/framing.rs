//! `preprocessor_config.json`: how the images of a model are resized and cropped.

use std::path::Path;

use serde_json::{Value, json};

use super::Transformers;
use super::json::Size;
use super::preprocessor::{PREPROCESSOR, Preprocessor};
use crate::data::augment::{EvalView, Framing, Interpolation};
use crate::error::{Error, Result};
use crate::file::write_whole;
use crate::grid::ImageShape;
use crate::image::ChannelStatistics;

impl Transformers {
    /// How `preprocessor_config.json` resizes and crops whole images for a model that reads `image`;
    /// `None` if there is no such file, or it does not resize.
    ///
    /// A size of height and width, or one number, is a resize of the whole image; `shortest_edge`,
    /// and whatever is followed by a crop of the center, a resize of the shorter side and its middle.
    /// Where the model is built for images of another size, the latter grows with it. Filters are
    /// numbered as in Pillow: Lanczos, bilinear and bicubic; others become bicubic.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn framing(&self, image: ImageShape) -> Result<Option<EvalView>> {
        Ok(self.preprocessor()?.and_then(|file| of(&file, image)))
    }
}

fn of(file: &Preprocessor, image: ImageShape) -> Option<EvalView> {
    let side = |size: Option<&Value>| match size {
        Some(Value::Object(sides)) if sides.contains_key("shortest_edge") => {
            Some((sides["shortest_edge"].as_u64()? as usize, true))
        }
        Some(size) => Size::try_from(size.clone()).ok().map(|size| (size.height_width()[0], false)),
        None => None,
    };
    if !file.do_resize {
        return None;
    }
    let (edge, is_shorter) = side(file.size.as_ref())?;
    let is_cropped = file.do_center_crop.unwrap_or(false);
    let crop = side(file.crop_size.as_ref()).filter(|_| is_cropped);
    let reads = image.height.max(image.width);
    let framing = if is_shorter || crop.is_some() {
        let shown = crop.map_or(edge, |(crop, _)| crop).max(1);
        let edge = (edge as f64 * reads as f64 / shown as f64).round() as usize;
        if edge >= reads { Framing::Edge(edge) } else { Framing::Whole }
    } else {
        Framing::Whole
    };
    // The default of ViT's processor is bilinear, that of the others is not.
    let is_vit = file.image_processor_type.is_empty() || file.image_processor_type.contains("ViT");
    let interpolation = match file.resample.unwrap_or(if is_vit { 2 } else { 3 }) {
        1 => Interpolation::Lanczos,
        2 => Interpolation::Bilinear,
        _ => Interpolation::Bicubic,
    };
    Some(EvalView { framing, interpolation })
}

/// Writes a `preprocessor_config.json` into `folder` by which transformers frames and resizes images
/// as `view` does, to `image`, and normalizes them with `statistics`.
///
/// Square images are framed by a resize of the shorter side and a crop of the center; of others the
/// whole is resized.
///
/// # Errors
///
/// When the file cannot be written.
pub fn save_framed_preprocessor(
    folder: impl AsRef<Path>,
    image: ImageShape,
    statistics: &ChannelStatistics,
    view: &EvalView,
) -> Result<()> {
    let ImageShape { height, width, .. } = image;
    let edge = match view.framing {
        _ if height != width => None,
        Framing::Center => Some((height * 256 + 112) / 224),
        Framing::Edge(edge) => Some(edge),
        Framing::Whole => None,
    };
    let resample = match view.interpolation {
        Interpolation::Lanczos => 1,
        Interpolation::Bilinear => 2,
        Interpolation::Bicubic => 3,
    };
    let size = json!({ "height": height, "width": width });
    let mut json = json!({
        "do_resize": true,
        "resample": resample,
        "do_rescale": true,
        "rescale_factor": 1.0 / 255.0,
        "do_normalize": true,
        "image_mean": statistics.mean,
        "image_std": statistics.std,
        "do_convert_rgb": image.channels == 3,
    });
    match edge {
        Some(edge) => {
            json["image_processor_type"] = json!("BitImageProcessor");
            json["size"] = json!({ "shortest_edge": edge });
            json["do_center_crop"] = json!(true);
            json["crop_size"] = size;
        }
        None => {
            json["image_processor_type"] = json!("ViTImageProcessor");
            json["size"] = size;
        }
    }
    let path = folder.as_ref().join(PREPROCESSOR);
    write_whole(&path, format!("{json:#}\n").as_bytes())
        .map_err(|error| Error::checkpoint(&path, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::transformers::config_file;
    use serde_json::json;

    fn read(json: Value, side: usize) -> Option<EvalView> {
        of(&config_file::parsed(&json).unwrap(), ImageShape::square(3, side))
    }

    #[test]
    fn sizes_are_read_as_transformers_reads_them() {
        let framing = |json| read(json, 224).map(|view| view.framing);
        assert_eq!(framing(json!({ "size": 224 })), Some(Framing::Whole));
        let sides = json!({ "size": { "height": 224, "width": 224 }, "do_center_crop": false });
        assert_eq!(framing(sides), Some(Framing::Whole));
        // CLIP's and ConvNeXt's.
        let edge = json!({
            "size": { "shortest_edge": 256 }, "do_center_crop": true,
            "crop_size": { "height": 224, "width": 224 },
        });
        assert_eq!(framing(edge.clone()), Some(Framing::Edge(256)));
        // The same share of an image of another size.
        assert_eq!(read(edge, 448).unwrap().framing, Framing::Edge(512));
        assert_eq!(framing(json!({ "size": { "shortest_edge": 224 } })), Some(Framing::Edge(224)));
        assert_eq!(framing(json!({ "do_resize": false, "size": 224 })), None);
        assert_eq!(framing(json!({ "image_mean": 0.5 })), None);
    }

    #[test]
    fn what_is_written_frames_as_it_was_asked_to() {
        let folder = tempfile::tempdir().unwrap();
        let image = ImageShape::square(3, 224);
        for framing in [Framing::Whole, Framing::Edge(300)] {
            for interpolation in
                [Interpolation::Lanczos, Interpolation::Bilinear, Interpolation::Bicubic]
            {
                let view = EvalView { framing, interpolation };
                let none = ChannelStatistics::none(3);
                save_framed_preprocessor(folder.path(), image, &none, &view).unwrap();
                let json = config_file::read(&folder.path().join(PREPROCESSOR)).unwrap();
                assert_eq!(read(json, 224), Some(view));
            }
        }
        let view = EvalView::default();
        save_framed_preprocessor(folder.path(), image, &ChannelStatistics::none(3), &view).unwrap();
        let json = config_file::read(&folder.path().join(PREPROCESSOR)).unwrap();
        assert_eq!(read(json, 224).unwrap().framing, Framing::Edge(256));
    }

    #[test]
    fn filters_have_pillows_numbers_and_each_processor_its_default() {
        let filter = |json| read(json, 224).unwrap().interpolation;
        assert_eq!(filter(json!({ "size": 224 })), Interpolation::Bilinear);
        assert_eq!(filter(json!({ "size": 224, "resample": 3 })), Interpolation::Bicubic);
        assert_eq!(filter(json!({ "size": 224, "resample": 1 })), Interpolation::Lanczos);
        let clip = json!({ "size": 224, "image_processor_type": "CLIPImageProcessor" });
        assert_eq!(filter(clip), Interpolation::Bicubic);
        let vit = json!({ "size": 224, "image_processor_type": "ViTImageProcessorFast" });
        assert_eq!(filter(vit), Interpolation::Bilinear);
    }
}
