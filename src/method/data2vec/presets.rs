//! data2vec's presets.

use super::Data2VecConfig;
use crate::data::augment::Augmentation;
use crate::encoder::VitConfig;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::Recipe;

pub(super) fn all() -> Vec<Preset<Data2VecConfig>> {
    vec![
        Preset {
            name: "data2vec_small_images",
            about: "data2vec 2.0 on MAE's small ViT of 128 × 6, patch 4, 4 masks: ours, for minutes on two cores",
            image: ImageShape::square(3, 32),
            numbers: Data2VecConfig::small_images,
            recipe: Recipe::data2vec().with_epochs(3).with_base_lr(4e-3).with_warmup_epochs(0.5),
            augmentation: Augmentation::mae(),
            batch_size: 64,
        },
        papers(
            "data2vec_vit_base_patch16_224",
            "data2vec 2.0 on ViT-B/16 (arXiv 2212.07525; fairseq base_images_only_task.yaml)",
            |image| on(Data2VecConfig::base_patch16(), image),
            Recipe::data2vec(),
            256,
        ),
        papers(
            "data2vec_vit_large_patch16_224",
            "data2vec 2.0 on ViT-L/16 (arXiv 2212.07525; fairseq large_images_only_task.yaml)",
            |image| on(Data2VecConfig::large_patch16(), image),
            large().with_epochs(37).with_warmup_epochs(5.0).with_lr_batch(128),
            128,
        ),
        papers(
            "data2vec_vit_huge_patch14_224",
            "data2vec 2.0 on ViT-H/14 (arXiv 2212.07525; fairseq huge_images14_only_task.yaml)",
            |image| on(Data2VecConfig::huge_patch14(), image),
            large().with_epochs(100),
            256,
        ),
    ]
}

fn large() -> Recipe {
    Recipe::data2vec().with_base_lr(4e-4)
}

fn on(config: Data2VecConfig, image: ImageShape) -> Data2VecConfig {
    Data2VecConfig { encoder: VitConfig { image, ..config.encoder }, ..config }
}

fn papers(
    name: &'static str,
    about: &'static str,
    numbers: fn(ImageShape) -> Data2VecConfig,
    recipe: Recipe,
    batch_size: usize,
) -> Preset<Data2VecConfig> {
    let (image, augmentation) = (ImageShape::square(3, 224), Augmentation::mae());
    Preset { name, about, image, numbers, recipe, augmentation, batch_size }
}
