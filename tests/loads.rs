//! Weights as they are in circulation: with prefixes, without configurations, in parts.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use burn_mim::checkpoint::{LoadOptions, Transformers, WeightsFile, save_preprocessor};
use burn_mim::data::ChannelStatistics;
use burn_mim::encoder::VitBody;
use burn_mim::method::BuiltIn;
use burn_mim::run::apply::Inpainter;
use burn_mim::run::{BackboneSource, LoadedBackbone};
use burn_mim::{ImageShape, MaeConfig};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use tempfile::TempDir;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(name)
}

/// A copy of a fixture's weights whose keys are renamed, or left out.
fn renamed(fixture_name: &str, to: &Path, rename: impl Fn(&str) -> Option<String>) {
    let bytes = fs::read(fixture(fixture_name).join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let kept = file.tensors().into_iter().filter_map(|(key, view)| Some((rename(&key)?, view)));
    safetensors::serialize_to_file(kept.collect::<HashMap<_, _>>(), None, to).unwrap();
}

/// A copy of a fixture's folder whose keys are renamed, or left out.
fn folder(fixture_name: &str, rename: impl Fn(&str) -> Option<String>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = fixture(fixture_name).join("config.json");
    fs::copy(config, folder.path().join("config.json")).unwrap();
    renamed(fixture_name, &folder.path().join("model.safetensors"), rename);
    folder
}

fn load(path: &Path) -> burn_mim::Result<LoadedBackbone<VitBody>> {
    load_for(path, None)
}

fn load_for(path: &Path, side: Option<usize>) -> burn_mim::Result<LoadedBackbone<VitBody>> {
    let random = MaeConfig::small_images(ImageShape::square(3, 16)).encoder;
    let source = BackboneSource::Folder(path.into());
    source.load::<BuiltIn, _>(side, &random, 0, &Device::flex())
}

fn refusal(path: &Path) -> String {
    load(path).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn an_encoder_without_some_of_its_weights_is_refused_with_their_names() {
    let without = folder("mae_raw", |key| (!key.contains("layer.0.")).then(|| key.to_string()));
    let message = refusal(without.path());
    assert!(message.contains("of the encoder's weights: vit.encoder.layer.0."), "{message}");
    assert!(message.len() < 500, "{message}");
    // A decoder that is missing is said, and no fault of an encoder.
    let without = folder("mae_raw", |key| key.starts_with("vit.").then(|| key.to_string()));
    let loaded = load(without.path()).unwrap();
    let report = loaded.report.unwrap();
    assert!(report.encoder_missing.is_empty() && !report.missing.is_empty());
    assert!(loaded.notes[1].contains("missing (decoder."), "{:?}", loaded.notes);
    assert!(report.require_all(without.path()).is_err());
}

#[test]
fn any_prefix_in_front_of_all_keys_or_of_the_encoders_is_found_and_said() {
    let whole = load(&fixture("mae_raw")).unwrap();
    for prefix in ["module.", "_orig_mod.", "module.model.", "state_dict.net."] {
        let folder = folder("mae_raw", |key| Some(format!("{prefix}{key}")));
        let loaded = load(folder.path()).unwrap();
        let report = loaded.report.unwrap();
        assert!(report.missing.is_empty() && report.unused.is_empty(), "{prefix}: {report}");
        assert!(loaded.notes[0].contains(prefix), "{:?}", loaded.notes);
    }
    // Only the encoder's keys, as mmpretrain and solo-learn have them.
    let folder = folder("mae_raw", |key| {
        Some(match key.strip_prefix("vit.") {
            Some(key) => format!("backbone.{key}"),
            None => format!("head.{key}"),
        })
    });
    let report = load(folder.path()).unwrap().report.unwrap();
    assert_eq!(report.matched.len(), whole.report.unwrap().matched.len());
}

#[test]
fn a_teacher_is_taken_beside_its_student_and_said() {
    let both = folder("vit_model", |key| Some(format!("student.{key}")));
    let file = both.path().join("model.safetensors");
    let bytes = fs::read(&file).unwrap();
    let student = SafeTensors::deserialize(&bytes).unwrap();
    let zeros = vec![0u8; bytes.len()];
    let mut all: HashMap<String, TensorView> = student.tensors().into_iter().collect();
    for (key, view) in student.tensors() {
        let data = &zeros[..view.data().len()];
        let view = TensorView::new(Dtype::F32, view.shape().to_vec(), data).unwrap();
        all.insert(key.replace("student.", "teacher."), view);
    }
    safetensors::serialize_to_file(all, None, &both.path().join("both.safetensors")).unwrap();
    fs::remove_file(&file).unwrap();
    let loaded = load(both.path()).unwrap();
    assert!(loaded.notes[0].contains("below \"teacher.\", not those below [\"student.\"]"));
}

#[test]
fn the_format_is_found_by_the_first_bytes_whatever_the_name() {
    let target = tempfile::tempdir().unwrap();
    for name in ["weights", "weights.ckpt", "weights.pth.tar", "weights.safetensors"] {
        let path = target.path().join(name);
        fs::copy(fixture("vit_mim_bin").join("pytorch_model.bin"), &path).unwrap();
        assert!(WeightsFile::open(&path).unwrap().keys().count() > 10, "{name}");
        fs::copy(fixture("mae_raw").join("model.safetensors"), &path).unwrap();
        assert!(WeightsFile::open(&path).unwrap().keys().count() > 10, "{name}");
    }
    let pointer = target.path().join("model.safetensors");
    fs::write(&pointer, "version https://git-lfs.github.com/spec/v1\noid sha256:0\n").unwrap();
    assert!(WeightsFile::open(&pointer).unwrap_err().to_string().contains("git lfs pull"));
}

#[test]
fn shards_are_found_without_an_index_and_a_missing_one_is_named() {
    let target = tempfile::tempdir().unwrap();
    let is_vit = |key: &str| key.starts_with("vit.");
    let shard = |n: usize| target.path().join(format!("model-0000{n}-of-00002.safetensors"));
    renamed("mae_raw", &shard(1), |key| is_vit(key).then(|| key.to_string()));
    renamed("mae_raw", &shard(2), |key| (!is_vit(key)).then(|| key.to_string()));
    fs::copy(fixture("mae_raw").join("config.json"), target.path().join("config.json")).unwrap();
    assert!(load(target.path()).unwrap().report.unwrap().missing.is_empty());
    fs::rename(shard(2), target.path().join("model-00003-of-00003.safetensors")).unwrap();
    fs::rename(shard(1), target.path().join("model-00001-of-00003.safetensors")).unwrap();
    assert!(refusal(target.path()).contains("shard 2 of 3 is missing"));
}

#[test]
fn one_file_is_read_by_the_configuration_beside_it_or_by_its_shapes() {
    let beside = load(&fixture("mae_raw").join("model.safetensors")).unwrap();
    assert!(beside.title.starts_with("ViTMAEForPreTraining"), "{}", beside.title);
    // 16 features are no heads of 64 each.
    let alone = tempfile::tempdir().unwrap();
    let file = alone.path().join("mae_pretrain_vit_base.pth");
    fs::copy(fixture("mae_raw").join("model.safetensors"), &file).unwrap();
    assert!(refusal(&file).contains("it needs a config.json beside it"));
}

#[test]
fn a_preprocessor_config_decides_the_normalization() {
    let folder = folder("vit_model", |key| Some(key.to_string()));
    assert_eq!(load(folder.path()).unwrap().statistics, None);
    let statistics = ChannelStatistics { mean: vec![0.5, 0.4, 0.3], std: vec![0.3, 0.2, 0.1] };
    save_preprocessor(folder.path(), ImageShape::square(3, 16), &statistics).unwrap();
    let loaded = load(folder.path()).unwrap();
    assert_eq!(loaded.statistics, Some(statistics));
    assert!(loaded.notes.last().unwrap().contains("preprocessor_config.json"));
}

#[test]
fn absurd_sizes_are_refused_before_memory_is_taken() {
    for (name, field, value) in [
        ("mae_raw", "num_hidden_layers", "4294967295"),
        ("mae_raw", "decoder_num_hidden_layers", "18446744073709551615"),
        ("mae_raw", "hidden_size", "4294967296"),
        ("mae_raw", "decoder_hidden_size", "65536"),
        ("mae_raw", "decoder_intermediate_size", "100000"),
        ("mae_raw", "image_size", "65536"),
        ("mae_raw", "image_size", "4096"),
        ("mae_raw", "num_channels", "1e30"),
        ("swin_mim_padded", "window_size", "64"),
        ("swin_mim_padded", "depths", "[1, 1000000]"),
        ("swin_v2_mim_padded", "image_size", "8192"),
        ("convnext_v2_model", "depths", "[1, 1000000, 1]"),
        ("convnext_v2_model", "hidden_sizes", "[8, 12, 4294967296]"),
        ("image_gpt_model", "n_layer", "1000000"),
        ("image_gpt_model", "n_positions", "4194304"),
    ] {
        let folder = folder(name, |key| Some(key.to_string()));
        let path = folder.path().join("config.json");
        let mut json: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        json[field] = serde_json::from_str(value).unwrap();
        fs::write(&path, json.to_string()).unwrap();
        let opened = Transformers::open(folder.path());
        let loaded = opened.and_then(|opened| opened.load(LoadOptions::default(), &Device::flex()));
        let message = loaded.map(|_| ()).unwrap_err().to_string();
        assert!(message.len() < 500, "{field}: {message}");
    }
}

#[test]
fn inpainting_takes_a_pretraining_folder_and_says_what_an_encoder_lacks() {
    let mae = Inpainter::open(&fixture("mae_raw"), &Device::flex()).unwrap();
    assert!(mae.notes[0].contains("ViTMAEForPreTraining"), "{:?}", mae.notes);
    let message = Inpainter::open(&fixture("vit_model"), &Device::flex()).unwrap_err().to_string();
    assert!(message.contains("such as MAE or SimMIM with its decoder"), "{message}");
    let without = folder("mae_raw", |key| (key != "decoder.mask_token").then(|| key.to_string()));
    let message = Inpainter::open(without.path(), &Device::flex()).unwrap_err().to_string();
    assert!(message.contains("decoder.mask_token"), "{message}");
}

/// Every field of every fixture's configuration, with values that no model has.
#[test]
fn no_value_of_a_configuration_is_more_than_an_error() {
    let values = [
        "0",
        "-1",
        "0.5",
        "65536",
        "4294967296",
        "9223372036854775808",
        "1e30",
        "\"x\"",
        "{}",
        "[2, 4294967296]",
        "{\"height\": 1e18, \"width\": 1}",
    ];
    let fixtures = [
        "mae_raw",
        "vit_mim_rgb",
        "swin_mim_padded",
        "swin_v2_mim_padded",
        "convnext_v2_model",
        "image_gpt_model",
        "beit_mim_shared",
    ];
    for name in fixtures {
        let folder = folder(name, |key| Some(key.to_string()));
        let path = folder.path().join("config.json");
        let whole: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for field in whole.as_object().unwrap().keys() {
            for value in values {
                let mut json = whole.clone();
                json[field] = serde_json::from_str(value).unwrap();
                fs::write(&path, json.to_string()).unwrap();
                let opened = Transformers::open(folder.path());
                let options = LoadOptions { resize: true, strict: false };
                if let Err(error) = opened.and_then(|opened| opened.load(options, &Device::flex()))
                {
                    let message = error.to_string();
                    let reason = message.rsplit('/').next().unwrap();
                    assert!(reason.len() < 700, "{name} {field} {value}: {message}");
                }
            }
        }
    }
}

/// A file with timm's keys: one block of 64 features, patches of 4, images of 8 × 8.
fn timm_file(path: &Path, extra: &[&str]) {
    let shapes: [(&str, &[usize]); 17] = [
        ("patch_embed.proj.weight", &[64, 3, 4, 4]),
        ("patch_embed.proj.bias", &[64]),
        ("cls_token", &[1, 1, 64]),
        ("pos_embed", &[1, 5, 64]),
        ("blocks.0.norm1.weight", &[64]),
        ("blocks.0.norm1.bias", &[64]),
        ("blocks.0.attn.qkv.weight", &[192, 64]),
        ("blocks.0.attn.qkv.bias", &[192]),
        ("blocks.0.attn.proj.weight", &[64, 64]),
        ("blocks.0.attn.proj.bias", &[64]),
        ("blocks.0.norm2.weight", &[64]),
        ("blocks.0.norm2.bias", &[64]),
        ("blocks.0.mlp.fc1.weight", &[128, 64]),
        ("blocks.0.mlp.fc1.bias", &[128]),
        ("blocks.0.mlp.fc2.weight", &[64, 128]),
        ("blocks.0.mlp.fc2.bias", &[64]),
        ("norm.weight", &[64]),
    ];
    let last: [(&str, &[usize]); 1] = [("norm.bias", &[64])];
    let extra = extra.iter().map(|key| (*key, &[64usize][..]));
    let zeros = vec![0u8; 4 * 192 * 64];
    let view = |(key, shape): (&str, &[usize])| {
        let bytes = 4 * shape.iter().product::<usize>();
        let view = TensorView::new(Dtype::F32, shape.to_vec(), &zeros[..bytes]).unwrap();
        (key.to_string(), view)
    };
    let tensors: HashMap<_, _> = shapes.into_iter().chain(last).chain(extra).map(view).collect();
    safetensors::serialize_to_file(tensors, None, path).unwrap();
}

#[test]
fn a_file_without_a_configuration_is_a_plain_vision_transformer_or_refused() {
    let target = tempfile::tempdir().unwrap();
    let file = target.path().join("vit.pth");
    timm_file(&file, &["head.weight"]);
    let loaded = load(&file).unwrap();
    assert_eq!(loaded.title, "ViTModel ViT 64×1, patch 4");
    assert_eq!(loaded.image, ImageShape::square(3, 8));
    assert!(loaded.notes.iter().any(|note| note.contains("1 heads")), "{:?}", loaded.notes);
    // Its position table is read on another grid when that is asked for.
    let resized = load_for(&file, Some(16)).unwrap();
    assert_eq!(resized.report.unwrap().reshaped, ["pos_embed [1, 5, 64] -> [1, 17, 64]"]);
    for strange in ["reg_token", "blocks.0.ls1.gamma", "norm_pre.weight", "blocks.0.attn.q_norm"] {
        timm_file(&file, &[strange]);
        let message = refusal(&file);
        assert!(message.contains(strange) && message.contains("another architecture"), "{message}");
    }
}
