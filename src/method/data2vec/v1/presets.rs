//! The presets of the first data2vec.

use super::Data2VecV1Config;
use crate::data::augment::Augmentation;
use crate::encoder::VitConfig;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::Recipe;

/// 800 epochs of ViT-B in batches of 2048, all else as BEiT.
pub(super) fn recipe() -> Recipe {
    Recipe::beit().with_base_lr(2e-3)
}

pub(super) fn all() -> Vec<Preset<Data2VecV1Config>> {
    let large = recipe().with_base_lr(1e-3).with_lr_batch(4096).with_warmup_epochs(80.0);
    vec![
        Preset {
            name: "data2vec_v1_small_images",
            about: "data2vec on a ViT of 128 × 4, patch 4: ours, for minutes on two cores",
            image: ImageShape::square(3, 32),
            numbers: Data2VecV1Config::small_images,
            recipe: recipe()
                .with_epochs(4)
                .with_base_lr(1e-3)
                .with_lr_batch(64)
                .with_warmup_epochs(0.5),
            augmentation: Augmentation::mae(),
            batch_size: 64,
        },
        papers(
            "data2vec_v1_base_patch16_224",
            "data2vec on ViT-B/16 (arXiv 2202.03555; facebookresearch/data2vec_vision beit/README.md)",
            |image| on(Data2VecV1Config::base_patch16(), image),
            recipe().with_accumulation(16),
        ),
        papers(
            "data2vec_v1_large_patch16_224",
            "data2vec on ViT-L/16, its first 800 epochs (arXiv 2202.03555; facebookresearch/data2vec_vision beit/README.md)",
            |image| on(Data2VecV1Config::large_patch16(), image),
            large.with_accumulation(32),
        ),
    ]
}

fn on(config: Data2VecV1Config, image: ImageShape) -> Data2VecV1Config {
    Data2VecV1Config { encoder: VitConfig { image, ..config.encoder }, ..config }
}

fn papers(
    name: &'static str,
    about: &'static str,
    numbers: fn(ImageShape) -> Data2VecV1Config,
    recipe: Recipe,
) -> Preset<Data2VecV1Config> {
    let (image, augmentation) = (ImageShape::square(3, 224), Augmentation::beit());
    Preset { name, about, image, numbers, recipe, augmentation, batch_size: 128 }
}
