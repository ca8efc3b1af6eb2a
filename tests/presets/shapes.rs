//! Presets on images that no paper trained on: numbers that validate, or an error that says what the
//! shape cannot do.

use burn_mim::method::{BuiltIn, Method, MethodVisitor, Methods, Preset};
use burn_mim::{ImageShape, MaskConfig, Result, SimMimConfig, SwinConfig, VitConfig};

/// Rectangles, a large image, and channels that are not three.
const SHAPES: [ImageShape; 3] =
    [ImageShape::new(3, 160, 224), ImageShape::new(1, 512, 512), ImageShape::new(5, 96, 64)];

/// What is said of a preset that cannot read a shape: with patches of 14, 3, or a quarter of 160
/// pixels no whole number fits a side; three patches of 96, two gaps of 48 and jitter of 7 on both
/// sides are 398 pixels; 512 × 512 tokens are more than the limit of 65 536.
const REFUSED: [(&str, usize, &str); 25] = [
    ("mae_vit_huge_patch14_224", 0, "160×224 pixels cannot be cut into squares of 14 pixels"),
    ("mae_vit_huge_patch14_224", 1, "512×512 pixels cannot be cut into squares of 14 pixels"),
    ("mae_vit_huge_patch14_224", 2, "96×64 pixels cannot be cut into squares of 14 pixels"),
    ("data2vec_vit_huge_patch14_224", 0, "160×224 pixels cannot be cut into squares of 14 pixels"),
    ("data2vec_vit_huge_patch14_224", 1, "512×512 pixels cannot be cut into squares of 14 pixels"),
    ("data2vec_vit_huge_patch14_224", 2, "96×64 pixels cannot be cut into squares of 14 pixels"),
    ("ijepa_vit_huge_patch14_224", 0, "160×224 pixels cannot be cut into squares of 14 pixels"),
    ("ijepa_vit_huge_patch14_224", 1, "512×512 pixels cannot be cut into squares of 14 pixels"),
    ("ijepa_vit_huge_patch14_224", 2, "96×64 pixels cannot be cut into squares of 14 pixels"),
    ("eva_giant_patch14_224", 0, "160×224 pixels cannot be cut into squares of 14 pixels"),
    ("eva_giant_patch14_224", 1, "512×512 pixels cannot be cut into squares of 14 pixels"),
    ("eva_giant_patch14_224", 2, "96×64 pixels cannot be cut into squares of 14 pixels"),
    ("lejepa_vit_large_patch14_224", 0, "160×224 pixels cannot be cut into squares of 14 pixels"),
    ("lejepa_vit_large_patch14_224", 1, "512×512 pixels cannot be cut into squares of 14 pixels"),
    ("lejepa_vit_large_patch14_224", 2, "96×64 pixels cannot be cut into squares of 14 pixels"),
    ("lejepa_vit_huge_patch14_224", 0, "160×224 pixels cannot be cut into squares of 14 pixels"),
    ("lejepa_vit_huge_patch14_224", 1, "512×512 pixels cannot be cut into squares of 14 pixels"),
    ("lejepa_vit_huge_patch14_224", 2, "96×64 pixels cannot be cut into squares of 14 pixels"),
    ("context_patch96_512", 0, "gaps of 48 and jitter of 7 does not fit images of 160×224"),
    ("context_patch96_512", 2, "gaps of 48 and jitter of 7 does not fit images of 96×64"),
    ("selfie_small_images", 0, "160×224 pixels cannot be cut into squares of 40 pixels"),
    ("restoration_ipt_48", 0, "160×224 pixels cannot be cut into squares of 3 pixels"),
    ("restoration_ipt_48", 1, "512×512 pixels cannot be cut into squares of 3 pixels"),
    ("restoration_ipt_48", 2, "96×64 pixels cannot be cut into squares of 3 pixels"),
    ("image_gpt", 1, "the number of pixels must be at most 65536, got 262144"),
];

/// Validates the numbers of one preset for one shape.
struct Validate<'a> {
    name: &'a str,
    image: ImageShape,
}

impl MethodVisitor for Validate<'_> {
    type Output = ImageShape;

    fn visit<M: Method>(self) -> Result<ImageShape> {
        let preset = Preset::<M>::named(self.name).expect(self.name);
        assert!(preset.method().validate().is_ok(), "{} on its own images", self.name);
        let method = (preset.numbers)(self.image);
        method.validate()?;
        Ok(method.image())
    }
}

#[test]
fn every_preset_reads_a_rectangle_a_large_image_and_other_channels_or_says_what_it_cannot() {
    let mut faults = Vec::new();
    for preset in BuiltIn::presets() {
        for (index, image) in SHAPES.into_iter().enumerate() {
            let said = BuiltIn::visit(
                preset.method,
                preset.variant,
                Validate { name: preset.name, image },
            );
            let refused = REFUSED
                .iter()
                .find(|(name, shape, _)| preset.name.starts_with(name) && *shape == index);
            match (said, refused) {
                (Ok(reads), None) if reads.frame() == image => {}
                (Err(error), Some((_, _, reason))) if error.to_string().ends_with(reason) => {}
                (said, _) => faults.push(format!("{} on {image}: {said:?}", preset.name)),
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn simmim_hides_squares_of_8_pixels_or_whole_cells_of_small_images() {
    let unit = |mask| match mask {
        MaskConfig::Simmim { unit, ratio: 0.6 } => unit,
        other => panic!("{other:?}"),
    };
    let vit = |side, patch| {
        let vit = VitConfig::new(ImageShape::square(3, side), patch, 64, 1, 1);
        unit(SimMimConfig::in_small_squares(vit).mask)
    };
    assert_eq!((vit(32, 4), vit(32, 8), vit(32, 2)), (8, 8, 8));
    // 8 pixels are no whole number of patches of 7 or 16; 28 pixels are no whole number of 8.
    assert_eq!((vit(28, 7), vit(64, 16), vit(28, 4)), (14, 32, 4));
    assert_eq!((vit(21, 7), vit(48, 16)), (7, 16));
    let swin = SwinConfig::small_images(ImageShape::square(3, 32));
    assert_eq!(unit(SimMimConfig::in_small_squares(swin).mask), 8);
}
