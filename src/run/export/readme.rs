//! What a reader of an exported folder needs to know.

use std::fmt::Write;

use super::Facts;
use crate::data::augment::Framing;

/// The text of `README.md`.
pub(super) fn readme(class: Option<&str>, facts: &Facts) -> String {
    let mut text = format!("# {}\n\n", facts.title);
    for line in &facts.history {
        let _ = writeln!(text, "- {line}");
    }
    let image = facts.image.frame();
    let _ = writeln!(
        text,
        "- images: {} channels, {}×{} pixels (height × width)",
        image.channels, image.height, image.width
    );
    if facts.image.frames > 1 {
        let (frames, stride) = (facts.image.frames, facts.image.stride);
        let _ = writeln!(text, "- clips: {frames} frames, {stride} apart in their source");
    }
    match &facts.statistics {
        Some(statistics) => {
            let _ = writeln!(
                text,
                "- normalization: (pixel / 255 - mean) / std, mean {:?}, std {:?}",
                statistics.mean, statistics.std
            );
        }
        None => text.push_str("- normalization: not known\n"),
    }
    let framing = match facts.framing.framing {
        Framing::Center => "the shorter side resized to 256/224 of the size, then the middle",
        Framing::Whole => "the whole image resized to the size",
        Framing::Edge(_) => "the shorter side resized, then the middle",
    };
    let filter = format!("{:?}", facts.framing.interpolation).to_lowercase();
    let _ = writeln!(text, "- resizing: {framing}, {filter}");
    if !facts.class_names.is_empty() {
        let _ = writeln!(text, "- classes, by number: {}", facts.class_names.join(", "));
    }
    match class {
        Some(class) => in_transformers(&mut text, class, facts),
        None => text.push_str(
            "\n`model.safetensors` has every parameter under its path in burn-mim; matrices of linear \
             layers are `[inputs, outputs]`.\n",
        ),
    }
    text
}

fn in_transformers(text: &mut String, class: &str, facts: &Facts) {
    let pooler = match class {
        "ViTModel" | "BeitModel" | "SwinModel" | "Swinv2Model" | "HieraModel" => {
            ", add_pooling_layer=False"
        }
        _ => "",
    };
    let _ = write!(
        text,
        "\n## In transformers\n\n```python\nfrom transformers import AutoImageProcessor, {class}\n\n\
         processor = AutoImageProcessor.from_pretrained(folder)\n\
         model = {class}.from_pretrained(folder{pooler})\n\
         inputs = processor(images=image, return_tensors=\"pt\")\n"
    );
    match class {
        "ViTModel" | "BeitModel" => text.push_str(
            "states = model(**inputs).last_hidden_state\n\
             class_token, cells = states[:, 0], states[:, 1:]  # features, after the final norm\n\
             embedding = cells.mean(1)  # what burn-mim's embed writes\n",
        ),
        "IJepaModel" => text.push_str(
            "states = model(**inputs).last_hidden_state  # features of the cells\n\
             embedding = states.mean(1)  # what burn-mim's embed writes\n",
        ),
        "Dinov2Model" | "Dinov2WithRegistersModel" => text.push_str(
            "states = model(**inputs).last_hidden_state\n\
             first = 1 + getattr(model.config, \"num_register_tokens\", 0)\n\
             class_token, cells = states[:, 0], states[:, first:]  # features, after the final norm\n\
             embedding = cells.mean(1)  # what burn-mim's embed writes\n",
        ),
        "CLIPVisionModel" => text.push_str(
            "states = model.post_layernorm(model(**inputs).last_hidden_state)\n\
             class_token, cells = states[:, 0], states[:, 1:]  # features, after the final norm\n\
             embedding = cells.mean(1)  # what burn-mim's embed writes\n",
        ),
        "SwinModel" | "Swinv2Model" | "HieraModel" => text.push_str(
            "states = model(**inputs).last_hidden_state  # the cells of the last stage\n\
             embedding = states.mean(1)  # what burn-mim's embed writes\n",
        ),
        "ConvNextV2Model" => text.push_str(
            "states = model(**inputs).last_hidden_state  # the maps of the last stage, before any norm\n\
             states = states.flatten(2).transpose(1, 2)  # cell by cell\n\
             embedding = states.mean(1)  # what burn-mim's embed writes\n",
        ),
        "VideoMAEModel" => text.push_str(
            "states = model(**inputs).last_hidden_state  # features of the tubelets\n\
             embedding = states.mean(1)  # what burn-mim's embed writes\n",
        ),
        "ImageGPTModel" => {
            let layer = facts.layer.unwrap_or_default();
            let _ = write!(
                text,
                "states = model(**inputs, output_hidden_states=True).hidden_states[{layer}]\n\
                 embedding = states.mean(1)  # what burn-mim's embed writes\n"
            );
        }
        class if class.ends_with("ForImageClassification") => text.push_str(
            "shares = model(**inputs).logits.softmax(-1)\n\
             print(model.config.id2label[shares.argmax(-1).item()])\n",
        ),
        _ => text.push_str("loss = model(**inputs).loss  # masks are drawn, or given\n"),
    }
    if let Some(pooled) = &facts.classifier {
        let _ = write!(
            text,
            "\n# The classifier: the pooled features, normalized, and a linear layer.\n\
             import torch\n\
             from safetensors.torch import load_file\n\
             from torch.nn.functional import layer_norm\n\
             head = load_file(f\"{{folder}}/classifier.safetensors\")\n\
             pooled = {pooled}\n\
             if \"norm.gamma\" in head:\n\
             \x20   weight, bias = head[\"norm.gamma\"], head[\"norm.beta\"]\n\
             \x20   pooled = layer_norm(pooled, weight.shape, weight, bias, 1e-6)\n\
             shares = (pooled @ head[\"head.weight\"] + head[\"head.bias\"]).softmax(-1)\n"
        );
    }
    text.push_str(
        "```\n\n## In burn-mim\n\n```text\n\
         burn-mim embed --checkpoint FOLDER --images PHOTOS --out features\n\
         burn-mim finetune --checkpoint FOLDER --data folder:DIR --out runs/tuned\n\
         ```\n",
    );
}
