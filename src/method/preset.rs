//! Presets: all the numbers of a run of a method, by a name.

use super::Method;
use crate::data::augment::Augmentation;
use crate::grid::ImageShape;
use crate::train::Recipe;

/// A method's numbers with the recipe, the augmentation and the batch that go with them, by a name.
///
/// ```
/// use burn_mim::method::Method;
/// use burn_mim::{ImageShape, MaeConfig};
///
/// let presets = MaeConfig::presets();
/// let small = &presets[0];
/// assert_eq!(small.name, "mae_small_images");
/// let mae = (small.numbers)(ImageShape::new(4, 24, 48));
/// mae.validate()?;
/// # Ok::<(), burn_mim::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Preset<M> {
    /// The name, unlike that of any other preset: `mae_small_images`; of a paper's model its usual
    /// one, such as `mae_vit_base_patch16_224`.
    pub name: &'static str,
    /// What it is and where its numbers are from, in one line.
    pub about: &'static str,
    /// The images it is made for: RGB of the paper's size. Other sizes and channels go as well.
    pub image: ImageShape,
    /// The numbers for images of any shape. What a shape cannot do is an error of
    /// [`Method::validate`](super::Method::validate), not of this.
    pub numbers: fn(ImageShape) -> M,
    /// How the weights move. Presets for small images have as many epochs as two cores do on the
    /// built-in data in about three minutes; other data has as many, whatever time they take.
    pub recipe: Recipe,
    /// What is done to the training images.
    pub augmentation: Augmentation,
    /// Images per batch: those of one device of the paper's, where the recipe accumulates as many
    /// batches as there were devices.
    pub batch_size: usize,
}

impl<M> Preset<M> {
    /// The numbers for the images it is made for.
    pub fn method(&self) -> M {
        (self.numbers)(self.image)
    }
}

impl<M: Method> Preset<M> {
    /// The method's preset of this name.
    pub fn named(name: &str) -> Option<Self> {
        M::presets().into_iter().find(|preset| preset.name == name)
    }
}

/// A preset among those of all methods of a [list](super::Methods): where to find it, and what of it
/// does not depend on the method's type.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PresetEntry {
    /// [`Preset::name`].
    pub name: &'static str,
    /// [`Preset::about`].
    pub about: &'static str,
    /// [`Method::NAME`] of its method.
    pub method: &'static str,
    /// [`Method::VARIANT`] of its method.
    pub variant: &'static str,
    /// [`Preset::image`].
    pub image: ImageShape,
    /// [`Preset::recipe`].
    pub recipe: Recipe,
    /// [`Preset::augmentation`].
    pub augmentation: Augmentation,
    /// [`Preset::batch_size`].
    pub batch_size: usize,
}

impl PresetEntry {
    /// The entries of the method `M`.
    pub fn all<M: Method>() -> Vec<Self> {
        let entry = |preset: Preset<M>| Self {
            name: preset.name,
            about: preset.about,
            method: M::NAME,
            variant: M::VARIANT,
            image: preset.image,
            recipe: preset.recipe,
            augmentation: preset.augmentation,
            batch_size: preset.batch_size,
        };
        M::presets().into_iter().map(entry).collect()
    }
}
