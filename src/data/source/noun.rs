//! What messages call the things of a folder.

/// A word for images or clips.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Noun {
    pub(crate) one: &'static str,
    pub(crate) many: &'static str,
    /// The word for a folder of them on a command line.
    pub(crate) source: &'static str,
}

pub(crate) const IMAGES: Noun = Noun { one: "image", many: "images", source: "folder" };
pub(crate) const CLIPS: Noun = Noun { one: "clip", many: "clips", source: "clips" };
