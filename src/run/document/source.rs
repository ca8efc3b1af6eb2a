//! The sizes of a method in a document that begins with given weights: those of the weights.

use serde_json::Value;

use super::{Draft, NO_PRESET};
use crate::error::Result;
use crate::grid::{ClipShape, ImageShape};
use crate::method::{InitFrom, Method};

/// The weights that a document begins with, and the images that they are for.
pub(super) struct Given {
    from: InitFrom,
    pub(super) image: ImageShape,
}

impl Draft {
    /// The weights that the document begins with, if there are any and they decide its sizes. A
    /// document without a preset that has an encoder says all sizes itself, as those of runs do; and
    /// weights that are gone are missed only when they are to be read, since a run that goes on does
    /// not need them.
    pub(super) fn given(&self) -> Result<Option<Given>> {
        let written = self.get("init_from").cloned().map(serde_json::from_value);
        // A fault in it is told where the whole document is read.
        let Some(Ok(from)) = written else { return Ok(None) };
        let from: InitFrom = from;
        let is_whole = self.text("preset")? == Some(NO_PRESET);
        let says_all = is_whole && self.get("numbers.encoder").is_some_and(Value::is_object);
        if says_all || !from.source.exists() {
            return Ok(None);
        }
        let image = from.image()?;
        Ok(Some(Given { from, image }))
    }
}

impl Given {
    /// Replaces those of `numbers` that the weights decide, for images of `channels` channels and
    /// `size`, their own size if it is absent.
    pub(super) fn lay<M: Method>(
        &self,
        numbers: &mut Value,
        channels: usize,
        size: Option<[usize; 2]>,
    ) -> Result<()> {
        let ImageShape { height, width, .. } = self.image.frame();
        let [height, width] = size.unwrap_or([height, width]);
        let image = ClipShape::new(ImageShape::new(channels, height, width), self.image.frames);
        let image = ImageShape { stride: self.image.stride, ..image.stacked() };
        let known = self.from.known_numbers::<M>(Some(image))?;
        let (ours, theirs) = (&mut numbers["encoder"], &known["encoder"]);
        if let (true, Some(encoder)) = (ours["clip"].is_object(), theirs.as_object())
            && !encoder.contains_key("clip")
        {
            // An encoder of images, of which one of clips has the sizes of the blocks.
            for (field, value) in encoder {
                if let Some(own) = ours.get_mut(field) {
                    *own = value.clone();
                }
            }
            return Ok(());
        }
        let known = known.as_object().into_iter().flatten();
        known.for_each(|(field, value)| numbers[field] = value.clone());
        Ok(())
    }
}
