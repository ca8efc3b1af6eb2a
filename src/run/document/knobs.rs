//! Changes of a method's numbers that mean the same for every method.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::mask::{ClipMaskConfig, MaskConfig};
use crate::method::{TeacherConfig, tokenizer_config};

/// What a command line may change of a method's numbers without naming their fields.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Knobs {
    /// The share of the cells that is hidden.
    pub mask_ratio: Option<f64>,
    /// Side of a patch in pixels.
    pub patch_size: Option<usize>,
    /// Features per token, in the first stage of a hierarchy. The heads keep their own width as far
    /// as they can.
    pub width: Option<usize>,
    /// Blocks of the encoder.
    pub depth: Option<usize>,
    /// Frames of a clip.
    pub frames: Option<usize>,
    /// How many frames of a source apart the frames of a clip are.
    pub frame_stride: Option<usize>,
    /// A folder with the tokenizer whose tokens are predicted.
    pub tokenizer: Option<PathBuf>,
    /// A folder with the frozen teacher whose features are predicted.
    pub teacher: Option<PathBuf>,
}

/// Where methods keep their encoder's numbers.
const ENCODERS: [&str; 4] = ["/encoder/sizes", "/beit/encoder", "/encoder", ""];

/// Where methods keep what they read of a tokenizer.
const TOKENIZERS: [&str; 2] = ["/beit", ""];

/// Where methods keep their mask.
const MASKS: [&str; 2] = ["/beit/mask", "/mask"];

impl Knobs {
    /// Changes `numbers`, a method's.
    ///
    /// # Errors
    ///
    /// When the method has nothing that a knob would change.
    pub(super) fn turn(&self, numbers: &mut Value) -> Result<()> {
        if let Some(patch) = self.patch_size {
            *field(numbers, "patch", "--patch-size")? = json!(patch);
            self.fit_unit(numbers, patch);
        }
        if let Some(depth) = self.depth {
            let field = field(numbers, "depth", "--depth")?;
            if !field.is_number() {
                return Err(Error::config("--depth: this encoder has a depth for each stage"));
            }
            *field = json!(depth);
        }
        if let Some(width) = self.width {
            widen(numbers, width)?;
        }
        if let Some(frames) = self.frames {
            *field(numbers, "clip/frames", "--frames")? = json!(frames);
        }
        if let Some(stride) = self.frame_stride {
            let absent = || absent("--frame-stride", "clip/frames");
            let encoder = numbers.get_mut("encoder").filter(|encoder| encoder["clip"].is_object());
            encoder.ok_or_else(absent)?["stride"] = json!(stride);
        }
        if let Some(folder) = &self.tokenizer {
            let holds =
                |place: &&str| numbers.pointer(&format!("{place}/tokenizer_folder")).is_some();
            let part = TOKENIZERS.into_iter().find(holds);
            let part = part.and_then(|place| numbers.pointer_mut(place));
            let part = part.ok_or_else(|| absent("--tokenizer", "tokenizer_folder"))?;
            part["tokenizer"] = json!(tokenizer_config(folder)?);
            part["tokenizer_folder"] = json!(folder);
        }
        if let Some(folder) = &self.teacher {
            let teacher =
                numbers.get_mut("teacher").filter(|teacher| teacher["network"].is_object());
            let teacher = teacher.ok_or_else(|| absent("--teacher", "teacher"))?;
            *teacher = json!(TeacherConfig::of(folder)?);
        }
        if let Some(ratio) = self.mask_ratio {
            let is_of_clips = numbers["encoder"]["clip"].is_object();
            let mask = MASKS.into_iter().find(|place| numbers.pointer(place).is_some());
            let mask = mask.and_then(|place| numbers.pointer_mut(place));
            let mask = mask.ok_or_else(|| absent("--mask-ratio", "mask"))?;
            *mask = with_ratio(mask, ratio, is_of_clips)?;
        }
        Ok(())
    }

    /// The images that the tokenizer reads, where there is one: the encoder's too, unless another
    /// size is asked for.
    pub(super) fn image(&self) -> Result<Option<ImageShape>> {
        self.tokenizer.as_ref().map(|folder| Ok(tokenizer_config(folder)?.image())).transpose()
    }

    /// A mask unit that is no whole number of patches becomes two patches wide, or one where two do
    /// not divide the image.
    fn fit_unit(&self, numbers: &mut Value, patch: usize) {
        let image = |side: &str| {
            let of = |place: &str| numbers.pointer(&format!("{place}/image/{side}"));
            ENCODERS.into_iter().find_map(of).and_then(Value::as_u64)
        };
        let divides = |unit: u64| {
            ["height", "width"].into_iter().filter_map(image).all(|side| side % unit == 0)
        };
        let double = 2 * patch as u64;
        let fitting = if divides(double) { double } else { patch as u64 };
        for place in MASKS {
            let unit = numbers.pointer_mut(place).and_then(|mask| mask.get_mut("unit"));
            let unit =
                unit.filter(|unit| unit.as_u64().is_some_and(|unit| unit % patch as u64 != 0));
            if let Some(unit) = unit {
                *unit = json!(fitting);
            }
        }
    }
}

/// The mask, which hides a share of `ratio`.
fn with_ratio(mask: &Value, ratio: f64, is_of_clips: bool) -> Result<Value> {
    let unreadable = |error: serde_json::Error| Error::config(error.to_string());
    if is_of_clips {
        let config: ClipMaskConfig = serde_json::from_value(mask.clone()).map_err(unreadable)?;
        return serde_json::to_value(config.with_ratio(ratio)?).map_err(unreadable);
    }
    let config = match mask.is_null() {
        // A method that hides nothing unless it is told to.
        true => MaskConfig::Mae { ratio },
        false => serde_json::from_value(mask.clone()).map_err(unreadable)?,
    };
    serde_json::to_value(config.with_ratio(ratio)?).map_err(unreadable)
}

/// The field `name` of the encoder, or of the method itself.
fn field<'a>(numbers: &'a mut Value, name: &str, flag: &str) -> Result<&'a mut Value> {
    let place = ENCODERS.into_iter().map(|place| format!("{place}/{name}"));
    let place = place.into_iter().find(|place| numbers.pointer(place).is_some());
    place.and_then(|place| numbers.pointer_mut(&place)).ok_or_else(|| absent(flag, name))
}

fn absent(flag: &str, name: &str) -> Error {
    Error::config(format!("{flag}: the numbers of this method have no `{name}`"))
}

/// Another width, with as many heads as before divide it into about the same parts.
fn widen(numbers: &mut Value, width: usize) -> Result<()> {
    let number = |value: &Value| value.as_u64().unwrap_or(1) as usize;
    let before = number(field(numbers, "width", "--width")?);
    *field(numbers, "width", "--width")? = json!(width);
    let Ok(heads) = field(numbers, "heads", "--width") else { return Ok(()) };
    *heads = match &*heads {
        // Each stage of a hierarchy is twice as wide as the one before.
        Value::Array(stages) => {
            let first = whole_heads(width, before / stages.first().map_or(1, number).max(1));
            (0..stages.len()).map(|stage| json!(first << stage)).collect()
        }
        one => json!(whole_heads(width, before / number(one).max(1))),
    };
    Ok(())
}

/// As many heads of about `each` features as divide `width`.
fn whole_heads(width: usize, each: usize) -> usize {
    let most = (width / each.max(1)).max(1);
    (1..=most).rev().find(|&heads| width.is_multiple_of(heads)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turned(knobs: Knobs, mut numbers: Value) -> Value {
        knobs.turn(&mut numbers).unwrap();
        numbers
    }

    #[test]
    fn knobs_change_the_network_and_nothing_else() {
        let vit = json!({ "patch": 4, "width": 128, "depth": 6, "heads": 4 });
        let mae = json!({ "encoder": vit, "mask": { "strategy": "mae", "ratio": 0.75 } });
        assert_eq!(turned(Knobs::default(), mae.clone()), mae);
        let knobs = Knobs {
            mask_ratio: Some(0.5),
            patch_size: Some(8),
            width: Some(192),
            depth: Some(3),
            ..Knobs::default()
        };
        // Heads of 32 features, as before.
        let vit = json!({ "patch": 8, "width": 192, "depth": 3, "heads": 6 });
        let half = json!({ "encoder": vit, "mask": { "strategy": "mae", "ratio": 0.5 } });
        assert_eq!(turned(knobs, mae), half);
        // 40 features are 2.5 heads of 16: two of 20.
        let narrow = Knobs { width: Some(40), ..Knobs::default() };
        let gpt = json!({ "encoder": { "width": 64, "heads": 4 } });
        assert_eq!(turned(narrow, gpt), json!({ "encoder": { "width": 40, "heads": 2 } }));
    }

    #[test]
    fn a_hierarchy_is_widened_in_all_stages_and_refuses_one_depth() {
        let swin = json!({ "sizes": { "width": 48, "heads": [3, 6, 12], "depths": [2, 2, 2] } });
        let wide = Knobs { width: Some(96), ..Knobs::default() };
        let changed = turned(wide, json!({ "encoder": swin }));
        assert_eq!(changed["encoder"]["sizes"]["heads"], json!([6, 12, 24]));
        let deep = Knobs { depth: Some(3), ..Knobs::default() };
        let message = deep.turn(&mut json!({ "encoder": swin })).unwrap_err().to_string();
        assert!(message.contains("--depth"), "{message}");
    }

    #[test]
    fn a_mask_unit_stays_a_whole_number_of_patches() {
        let image = json!({ "channels": 3, "height": 32, "width": 32 });
        let unit = |patch: usize, unit: usize| {
            let encoder = json!({ "patch": 4, "image": image });
            let numbers = json!({ "encoder": encoder, "mask": { "unit": unit } });
            let knobs = Knobs { patch_size: Some(patch), ..Knobs::default() };
            turned(knobs, numbers)["mask"]["unit"].clone()
        };
        assert_eq!((unit(2, 8), unit(8, 8)), (json!(8), json!(8)));
        assert_eq!((unit(16, 8), unit(32, 8)), (json!(32), json!(32)));
    }

    #[test]
    fn frames_their_distance_and_the_mask_are_those_of_clips() {
        let clip = json!({ "image": {}, "frames": 8 });
        let mask = json!({ "strategy": "tube", "ratio": 0.9 });
        let numbers = json!({ "encoder": { "clip": clip }, "mask": mask });
        let (frames, frame_stride, mask_ratio) = (Some(4), Some(2), Some(0.75));
        let knobs = Knobs { frames, frame_stride, mask_ratio, ..Knobs::default() };
        let turned = turned(knobs.clone(), numbers);
        assert_eq!(turned["encoder"]["clip"]["frames"], json!(4));
        assert_eq!(turned["encoder"]["stride"], json!(2));
        assert_eq!(turned["mask"], json!({ "strategy": "tube", "ratio": 0.75 }));
        let message = knobs.turn(&mut json!({ "encoder": {} })).unwrap_err().to_string();
        assert!(message.contains("--frames: the numbers of this method"), "{message}");
        let future = json!({ "strategy": "future", "steps": 1 });
        let ratio = Knobs { mask_ratio, ..Knobs::default() };
        let mut numbers = json!({ "encoder": { "clip": {} }, "mask": future });
        let message = ratio.turn(&mut numbers).unwrap_err().to_string();
        assert!(message.contains("a mask ratio of 0.75 cannot be chosen"), "{message}");
    }

    #[test]
    fn a_knob_that_would_not_act_is_refused() {
        let ratio = Knobs { mask_ratio: Some(0.5), ..Knobs::default() };
        let message = ratio.turn(&mut json!({ "encoder": {} })).unwrap_err().to_string();
        assert!(message.ends_with("have no `mask`"), "{message}");
        let beit = json!({ "mask": { "strategy": "beit" } });
        let message = ratio.turn(&mut beit.clone()).unwrap_err().to_string();
        assert!(message.contains("a mask ratio of 0.5 cannot be chosen"), "{message}");
    }
}
