//! ResNet: the files of torchvision and timm.

use burn_mim::checkpoint::{LoadOptions, Loaded, Transformers, TransformersModel, save_resnet};
use burn_mim::{Backbone, Encoder, Grid, ResNet, ResNetConfig};

use crate::io::{Io, STRICT, close, device, folder};

const TOLERANCE: f32 = 5e-6;

fn loaded(path: impl AsRef<std::path::Path>, options: LoadOptions) -> Loaded<ResNet, ResNetConfig> {
    match Transformers::open(path).unwrap().load(options, &device()).unwrap() {
        TransformersModel::ResNet(loaded) => *loaded,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_stages_of_timms_networks_are_read_without_a_configuration() {
    for (name, bottleneck, depths) in
        [("timm_resnet_bottleneck", true, [2, 1, 1, 1]), ("timm_resnet_basic", false, [1, 2, 1, 1])]
    {
        let file = folder(name).join("model.pth");
        let assumed = Transformers::open(&file).unwrap().assumed().unwrap().to_string();
        assert!(assumed.contains("images of 224×224 are assumed"), "{assumed}");
        let found = loaded(&file, LoadOptions::default());
        assert_eq!(found.report.unused, ["fc.bias", "fc.weight"], "{name}");
        assert!(found.report.missing.is_empty() && found.report.fresh.is_empty(), "{name}");
        assert_eq!((found.config.bottleneck, &found.config.depths[..]), (bottleneck, &depths[..]));
        let io = Io::open(name);
        let stages = found.model.stages(io.tensor("pixel_values"));
        assert_eq!(stages.len(), 4);
        for (index, stage) in stages.into_iter().enumerate() {
            let key = format!("stage_{index}");
            close(&format!("{name} {key}"), stage.tokens, &io.0[&key], TOLERANCE);
        }
    }
}

#[test]
fn under_masks_stages_and_memories_are_those_of_sparks_sparse_convolutions() {
    let (name, io) = ("spark_resnet", Io::open("spark_resnet"));
    let network = loaded(folder(name).join("model.pth"), LoadOptions::default()).model;
    let (mask, _) = io.masks(Grid::new(2, 3), 3);
    let (features, seen) = network.encode_seen(io.tensor("pixel_values"), &mask);
    for (index, stage) in features.stages.into_iter().enumerate() {
        let key = format!("stage_{index}");
        let tokens = stage.flatten::<3>(2, 3).swap_dims(1, 2);
        close(&format!("{name} {key}"), tokens, &io.0[&key], 2e-5);
    }
    let network = network.follow(seen);
    let last = &network.stages[3][0].convs[2].norm;
    for (key, remembered) in [
        ("first_mean", &network.stem.norm.running_mean),
        ("first_variance", &network.stem.norm.running_variance),
        ("last_mean", &last.running_mean),
        ("last_variance", &last.running_variance),
    ] {
        close(key, remembered.val(), &io.0[key], 2e-5);
    }
}

#[test]
fn what_is_saved_loads_again_to_the_same_network() {
    let out = tempfile::tempdir().unwrap();
    let name = "timm_resnet_bottleneck";
    let found = loaded(folder(name).join("model.pth"), LoadOptions::default());
    let file = out.path().join("model.safetensors");
    save_resnet(&file, &found.model).unwrap();
    let again = loaded(&file, STRICT);
    assert_eq!(again.config, found.config);
    let images = || Io::open(name).tensor("pixel_values");
    let features = again.model.represent(images()).tokens.into_data();
    features.assert_eq(&found.model.represent(images()).tokens.into_data(), true);
}
