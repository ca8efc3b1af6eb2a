//! What a vision transformer may have besides, by timm's models: registers, query-key norm,
//! root-mean-square norm, SwiGLU, DeiT's second class token, and DINOv3's rotary positions.

use std::fs;

use burn_mim::checkpoint::{LoadOptions, load_timm};
use burn_mim::nn::{NormKind, Positions, QkvBias};
use burn_mim::{Backbone, ImageShape, VitConfig};
use serde_json::Value;

use crate::io::{Io, close, device, folder};

fn config(name: &str) -> VitConfig {
    let json: Value =
        serde_json::from_slice(&fs::read(folder(name).join("config.json")).unwrap()).unwrap();
    let size = |value: &Value| value.as_u64().unwrap() as usize;
    let sides = &json["image_size"];
    let image = ImageShape::new(size(&json["channels"]), size(&sides[0]), size(&sides[1]));
    let [patch, width, depth, heads] =
        ["patch_size", "width", "depth", "heads"].map(|key| size(&json[key]));
    let flag = |key: &str| json[key].as_bool();
    let rotary = json["rotary"].as_f64();
    let norm = match flag("rms_norm") {
        Some(true) => NormKind::RootMeanSquare,
        _ => NormKind::Layer,
    };
    VitConfig::new(image, patch, width, depth, heads)
        .with_mlp_ratio(json["mlp_ratio"].as_f64().unwrap())
        .with_norm_epsilon(json["eps"].as_f64().unwrap())
        .with_positions(if rotary.is_some() { Positions::None } else { Positions::Learned })
        .with_class_token(flag("class_token").unwrap_or(true))
        .with_layer_scale(flag("layer_scale").is_some().then_some(0.1))
        .with_qkv_bias(if flag("qkv_bias") == Some(false) { QkvBias::None } else { QkvBias::All })
        .with_more_class_tokens(json["more_class_tokens"].as_u64().unwrap_or(0) as usize)
        .with_registers(json["registers"].as_u64().unwrap_or(0) as usize)
        .with_rotary(rotary)
        .with_query_key_norm(flag("query_key_norm").unwrap_or(false))
        .with_norm(norm)
        .with_swiglu(flag("swiglu").unwrap_or(false))
}

#[test]
fn optional_parts_give_timms_numbers() {
    for name in [
        "timm_parts_registers",
        "timm_parts_swiglu",
        "timm_parts_dinov2",
        "timm_dinov3",
        "timm_deit",
    ] {
        let config = config(name);
        let file = folder(name).join("model.safetensors");
        let loaded = load_timm(file, &config, LoadOptions::default(), &device()).unwrap();
        let report = &loaded.report;
        assert!(report.missing.is_empty() && report.unused.is_empty(), "{report}");
        let io = Io::open(name);
        for ending in ["", "_resized"] {
            let Some(expected) = io.0.get(&format!("features{ending}")) else { continue };
            let images = io.tensor(&format!("pixel_values{ending}"));
            let features = loaded.model.represent(images);
            // timm's features are of all tokens: the first ones are not the cells'.
            let (cells, width) = (features.grid.cells(), config.width);
            let (samples, tokens) = (expected.0[0], config.first_cell() + cells);
            assert_eq!(expected.0, [samples, tokens, width]);
            let rows = |from: usize, count: usize| -> Vec<f32> {
                let samples = expected.1.chunks(tokens * width);
                samples.flat_map(|all| &all[from * width..][..count * width]).copied().collect()
            };
            let of_cells = (vec![samples, cells, width], rows(config.first_cell(), cells));
            close(&format!("{name}{ending}"), features.tokens, &of_cells, 1e-4);
            if let Some(class_token) = features.class_token {
                let all = rows(0, config.class_tokens());
                let count = config.class_tokens() as f32;
                let mean = all.chunks(config.class_tokens() * width).flat_map(|tokens| {
                    (0..width)
                        .map(move |at| tokens.iter().skip(at).step_by(width).sum::<f32>() / count)
                });
                close(name, class_token, &(vec![samples, width], mean.collect()), 1e-4);
            }
        }
    }
}
