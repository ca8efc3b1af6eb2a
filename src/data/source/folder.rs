//! A folder of images of any sizes, which are read when they are needed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::data::dataset::{Dataset, DatasetError};

use crate::data::LabelMap;
use crate::data::sample::{ImageDataset, Sample, SampleFile};
use crate::data::source::class_folders::ClassFolders;
use crate::data::source::decode::read_noting_depth;
use crate::data::source::depth::Depth;
use crate::data::source::layout::{Layout, Part};
use crate::data::source::noun::IMAGES;
use crate::data::source::walk::{ImageFile, Listing, extensions, is_image};
use crate::data::source::{mask, regular};
use crate::data::{DataOptions, ImageData, OnBadImage, OpenProgress, OpenStep, Splits};
use crate::error::{Error, Result};

/// Opens the images in `folder`.
///
/// **Splits** are folders called `train`, `training`, … and `test`, `val`, `valid`, `validation`,
/// `dev`, `eval`, … in any letter case and with words like `set` or `images` or a number beside it
/// (`Training_set`, `val2017`); also pairs with another word in common (`seg_train`, `seg_test`).
/// Of several test splits, one with class folders is preferred to one without, and `test` to `val`
/// to the others. They are looked for inside folders that hold nothing else (`data/set/train`).
/// Where there is only a training split, or none, about a tenth of the images is held out as the
/// test split: the images whose path in the split hashes to the lowest tenth, so that adding a file
/// moves no other file.
///
/// **Classes** are the first folders in the training split, and in the images held out of it.
/// Images in no folder and, in a given test split, in folders that training lacks
/// ([`ImageData::unknown_classes`]) have no label.
///
/// **Label maps** are PNG files as [`read_label_map`](super::read_label_map) reads them, in a folder
/// `masks` beside a folder `images`, under the same names (`images/train/a.jpg`,
/// `masks/train/a.png`), or in a tree of their own that [`DataOptions::masks`] names. They are read
/// when they are needed; that one is missing is an error then.
///
/// Transparency is dropped, values are brought to 8 bits, EXIF orientation is applied. Damaged
/// images are errors when they are read, not here, unless they are among those looked at.
///
/// # Errors
///
/// When there are fewer than two images, when two folders would be the same split, when a folder
/// could be a split or a class, or when a link that should be an image leads nowhere.
pub fn open(folder: &Path) -> Result<ImageData> {
    let options = DataOptions::default();
    splits(folder, &options, &mut |_| {})?.open(&options, &mut |_| {})
}

/// Finds the splits in `folder` before any image is read.
pub(crate) fn splits(
    folder: &Path,
    options: &DataOptions,
    progress: &mut dyn FnMut(OpenProgress),
) -> Result<Splits> {
    let (mut images, mut notes) = listed(folder, &IMAGE_FILES, options.on_bad_image, progress)?;
    let has_maps = mask::take(&mut images);
    let map_of = &|image: &Path| match &options.masks {
        Some(masks) => mask::mirrored(folder, masks, image),
        None => has_maps.then(|| mask::beside(folder, image)).flatten(),
    };
    let layout = Layout::of(folder, IMAGES, images)?;
    let classes = ClassFolders::of(&layout);
    let label = |file: &Path| classes.label(file);
    let train = Arc::new(FolderDataset::new(&layout.train, label, map_of));
    let test = Arc::new(FolderDataset::new(&layout.test, label, map_of));
    notes.extend(layout.notes.iter().cloned());
    notes.extend(classes.notes(&layout));
    let names = classes.names();
    Ok(Splits { notes, unknown_classes: classes.unknown, ..Splits::new(train, test, names) })
}

/// Which files are listed, and what to call them.
pub(crate) struct Wanted {
    pub(crate) many: &'static str,
    pub(crate) is: fn(&OsStr) -> bool,
    pub(crate) endings: fn() -> String,
}

/// Files of images.
pub(crate) const IMAGE_FILES: Wanted = Wanted { many: "images", is: is_image, endings: extensions };

/// The `wanted` files below `folder`, and what is worth saying of the others.
///
/// # Errors
///
/// When there is none, and unless bad ones are skipped when one is empty or a link that leads
/// nowhere.
pub(crate) fn listed(
    folder: &Path,
    wanted: &Wanted,
    on_bad_image: OnBadImage,
    progress: &mut dyn FnMut(OpenProgress),
) -> Result<(Vec<ImageFile>, Vec<String>)> {
    let listing = Listing::of(folder, wanted.is, &mut |found| {
        let done = found as u64;
        progress(OpenProgress { step: OpenStep::List, done, total: None });
    })?;
    let mut notes: Vec<String> = listing.left_out().into_iter().collect();
    if let Some((link, reason)) = listing.broken.first() {
        if on_bad_image == OnBadImage::Error {
            let more = match listing.broken.len() - 1 {
                0 => String::new(),
                more => format!(", as do {more} more"),
            };
            let reason = format!(
                "is a link that leads nowhere{more} ({reason}); remove it, or skip what cannot be \
                 read (--on-bad-image skip)"
            );
            return Err(Error::data(folder.join(link), reason));
        }
        notes.push(format!("skipped links that lead nowhere: {}", listing.broken.len()));
    }
    if on_bad_image == OnBadImage::Error {
        check_empty(folder, &listing)?;
    }
    if listing.images.is_empty() {
        let found = notes.first().map_or(String::new(), |note| format!(" ({note})"));
        let Wanted { many, endings, .. } = wanted;
        let reason = format!("holds no {many}; their names end in one of: {}{found}", endings());
        return Err(Error::data(folder, reason));
    }
    Ok((listing.images, notes))
}

/// Refuses empty files. They are found without reading them, and therefore before a run.
fn check_empty(folder: &Path, listing: &Listing) -> Result<()> {
    let mut empty = listing.images.iter().filter(|file| file.size == 0);
    let Some(first) = empty.next() else { return Ok(()) };
    let more = match empty.count() {
        0 => String::new(),
        more => format!(", as are {more} more"),
    };
    let reason = format!(
        "is an empty file{more}; remove it, or skip what is no image (--on-bad-image skip)"
    );
    Err(Error::data(folder.join(&first.path), reason))
}

/// Image files and their labels, decoded at each `get`.
#[derive(Debug, Clone)]
pub struct FolderDataset {
    files: Vec<LabelledFile>,
    /// A hash of the files' names in the split and their sizes.
    identity: String,
    depth: Arc<Depth>,
}

#[derive(Debug, Clone)]
struct LabelledFile {
    path: PathBuf,
    label: Option<usize>,
    /// Where its label map is, if images have some.
    map: Option<PathBuf>,
}

impl FolderDataset {
    /// Files with their labels by their paths in the split; `map_of` says where the label map of one is.
    pub(crate) fn new(
        part: &Part,
        label_of: impl Fn(&Path) -> Option<usize>,
        map_of: impl Fn(&Path) -> Option<PathBuf>,
    ) -> Self {
        let files = part.files.iter().map(|file| {
            let path = part.folder.join(&file.path);
            LabelledFile { map: map_of(&path), path, label: label_of(&file.path) }
        });
        Self { files: files.collect(), identity: part.identity(), depth: Arc::default() }
    }

    /// The files in order.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }
}

impl Dataset<Sample> for FolderDataset {
    fn get(&self, index: usize) -> Result<Sample, DatasetError> {
        let file = &self.files[index];
        let (image, most) = read_noting_depth(&file.path).map_err(DatasetError::new)?;
        self.depth.note(index, most);
        Ok(Sample { image, label: file.label })
    }

    fn len(&self) -> usize {
        self.files.len()
    }
}

impl ImageDataset for FolderDataset {
    fn label(&self, index: usize) -> Result<Option<usize>> {
        Ok(self.files[index].label)
    }

    fn label_map(&self, index: usize) -> Result<Option<LabelMap>> {
        self.files[index].map.as_deref().map(mask::read_label_map).transpose()
    }

    fn file(&self, index: usize) -> Result<Option<SampleFile>> {
        let path = &self.files[index].path;
        let ending =
            path.extension().map_or(String::new(), |end| end.to_string_lossy().to_lowercase());
        Ok(Some(SampleFile { ending, bytes: regular::read(path)? }))
    }

    fn name(&self, index: usize) -> String {
        self.files[index].path.display().to_string()
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn notes(&self) -> Vec<String> {
        self.depth.warning(|index| &self.files[index].path).into_iter().collect()
    }
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
