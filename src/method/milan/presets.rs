//! MILAN's presets.

use super::MilanConfig;
use crate::data::augment::Augmentation;
use crate::encoder::VitConfig;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::Recipe;

/// 400 epochs, all else as MAE (official `PRETRAIN.sh`).
pub(super) fn recipe() -> Recipe {
    Recipe::mae().with_epochs(400)
}

pub(super) fn all() -> Vec<Preset<MilanConfig>> {
    vec![
        Preset {
            name: "milan_small_images",
            about: "MILAN on a ViT of 128 × 6, patch 4, decoder 64 × 2, with a teacher of 128 × 6 that is trained first: ours, for minutes on two cores",
            image: ImageShape::square(3, 32),
            numbers: MilanConfig::small_images,
            recipe: Recipe::mae().with_epochs(4).with_base_lr(4e-3).with_warmup_epochs(0.5),
            augmentation: Augmentation::mae(),
            batch_size: 64,
        },
        papers(
            "milan_vit_base_patch16_224",
            "MILAN on ViT-B/16 with CLIP's ViT-B/16, which --teacher names (arXiv 2208.06049 §4.1; zejiangh/MILAN PRETRAIN.sh)",
            |image| on(MilanConfig::base_patch16(), image),
            256,
        ),
        papers(
            "milan_vit_large_patch16_224",
            "MILAN on ViT-L/16 with CLIP's ViT-B/16, which --teacher names (arXiv 2208.06049 §4.1; zejiangh/MILAN PRETRAIN.sh)",
            |image| on(MilanConfig::large_patch16(), image),
            128,
        ),
    ]
}

/// A batch of 4096.
fn papers(
    name: &'static str,
    about: &'static str,
    numbers: fn(ImageShape) -> MilanConfig,
    batch_size: usize,
) -> Preset<MilanConfig> {
    let recipe = recipe().with_accumulation(4096 / batch_size);
    let (image, augmentation) = (ImageShape::square(3, 224), Augmentation::mae());
    Preset { name, about, image, numbers, recipe, augmentation, batch_size }
}

fn on(milan: MilanConfig, image: ImageShape) -> MilanConfig {
    MilanConfig {
        encoder: VitConfig { image, ..milan.encoder },
        teacher: milan.teacher.for_images(image),
        ..milan
    }
}
