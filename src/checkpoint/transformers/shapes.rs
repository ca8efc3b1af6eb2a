//! Derives a configuration from the shapes of the weights, for a file without a `config.json`.
//!
//! Shapes determine everything about a vision transformer except its number of heads and its
//! epsilon. These are assumed to be as in every published model, and the assumption is reported.

use serde_json::{Value, json};

use super::{convnext_shapes, resnet};
use crate::checkpoint::weights_file::WeightsFile;

/// A configuration, and the assumptions that do not follow from the shapes.
pub(super) struct Guess {
    pub(super) json: Value,
    pub(super) assumed: String,
}

/// The names of one spelling that shapes are read from.
struct Spelling {
    embedding: &'static str,
    class_token: &'static str,
    positions: &'static str,
    block: &'static str,
    fc1: &'static str,
    qkv_bias: &'static str,
    query_bias: &'static str,
    scale: &'static str,
    table: &'static str,
    shared_table: &'static str,
    decoder_block: &'static str,
    /// How the keys within a block begin.
    parts: &'static [&'static str],
    epsilon: f64,
}

const OFFICIAL: Spelling = Spelling {
    embedding: "patch_embed.proj.weight",
    class_token: "cls_token",
    positions: "pos_embed",
    block: "blocks.",
    fc1: "mlp.fc1.weight",
    qkv_bias: "attn.qkv.bias",
    query_bias: "attn.q_bias",
    scale: "gamma_1",
    table: "attn.relative_position_bias_table",
    shared_table: "rel_pos_bias.relative_position_bias_table",
    decoder_block: "decoder_blocks.",
    parts: &[
        "norm1.",
        "norm2.",
        "attn.qkv.",
        "attn.proj.",
        "attn.q_bias",
        "attn.v_bias",
        "mlp.fc1.",
        "mlp.fc2.",
        "gamma_1",
        "gamma_2",
        "attn.relative_position_",
    ],
    epsilon: 1e-6,
};

const TRANSFORMERS: Spelling = Spelling {
    embedding: "embeddings.patch_embeddings.projection.weight",
    class_token: "embeddings.cls_token",
    positions: "embeddings.position_embeddings",
    block: "encoder.layer.",
    fc1: "intermediate.dense.weight",
    qkv_bias: "attention.attention.key.bias",
    query_bias: "attention.attention.query.bias",
    scale: "lambda_1",
    table: "attention.attention.relative_position_bias.relative_position_bias_table",
    shared_table: "encoder.relative_position_bias.relative_position_bias_table",
    decoder_block: "decoder.decoder_encoder.layer.",
    parts: &[
        "layernorm_before.",
        "layernorm_after.",
        "attention.attention.query.",
        "attention.attention.key.",
        "attention.attention.value.",
        "attention.output.dense.",
        "attention.attention.relative_position_bias.",
        "intermediate.dense.",
        "output.dense.",
        "lambda_1",
        "lambda_2",
    ],
    epsilon: 1e-12,
};

/// The configuration of the vision transformer in `file`, whose keys have the spelling of
/// `save_pretrained` if they come from transformers.
pub(super) fn guess(file: &WeightsFile) -> Result<Guess, String> {
    if let Some((json, assumed)) = convnext_shapes::guess(file) {
        return Ok(Guess { json, assumed });
    }
    if let Some((json, assumed)) = resnet::guess(file) {
        return Ok(Guess { json, assumed });
    }
    let spelling = [OFFICIAL, TRANSFORMERS].into_iter().find_map(|spelling| {
        let key = file.find(spelling.embedding)?;
        let prefix = key.strip_suffix(spelling.embedding)?.to_string();
        Some((spelling, prefix))
    });
    let (spelling, prefix) = spelling.ok_or(
        "there is no config.json beside it, and its keys are not those of a vision transformer",
    )?;
    Shapes { file, spelling, prefix }.guess()
}

/// Keys of parts around the blocks that a plain vision transformer does not have.
const STRANGERS: [&str; 8] = [
    "reg_token",
    "register_tokens",
    "storage_tokens",
    "dist_token",
    "norm_pre",
    "patch_embed.norm",
    "patch_embed.backbone",
    "rope",
];

struct Shapes<'a> {
    file: &'a WeightsFile,
    spelling: Spelling,
    prefix: String,
}

impl Shapes<'_> {
    fn guess(&self) -> Result<Guess, String> {
        let names = &self.spelling;
        let embedding = self.shape(names.embedding).unwrap_or_default();
        let &[width, channels, patch, across] = embedding.as_slice() else {
            return Err(format!("{} has the shape {embedding:?}", names.embedding));
        };
        let depth = self.count(names.block);
        let first = |name: &str| self.shape(&format!("{}0.{name}", names.block));
        let mlp = first(names.fc1).and_then(|shape| shape.first().copied());
        let (true, Some(mlp), true) = (patch == across, mlp, depth > 0) else {
            return Err("its keys are not those of a vision transformer, and there is no \
                        config.json beside it"
                .into());
        };
        if let Some(stranger) = self.file.keys().find(|key| self.is_strange(key)) {
            return Err(format!(
                "{stranger} is of another architecture than a plain vision transformer, and there is \
                 no config.json beside it"
            ));
        }
        let (own, shared) = (first(names.table), self.shape(names.shared_table));
        let side = self.side(own.as_ref().or(shared.as_ref()))?;
        let mut json = json!({
            "image_size": side * patch, "patch_size": patch, "num_channels": channels,
            "hidden_size": width, "num_hidden_layers": depth, "intermediate_size": mlp,
            "layer_norm_eps": names.epsilon,
        });
        let has_class_token = self.shape(names.class_token).is_some();
        let is_beit = own.is_some()
            || shared.is_some()
            || first(names.scale).is_some()
            || (first(names.query_bias).is_some() && first(names.qkv_bias).is_none());
        let heads = match own.as_ref().or(shared.as_ref()) {
            Some(table) => table.get(1).copied().unwrap_or(0),
            None => heads(width)?,
        };
        json["num_attention_heads"] = json!(heads);
        if is_beit && !has_class_token {
            return Err(format!("{} is missing: a BEiT has one", names.class_token));
        }
        if is_beit {
            json["model_type"] = json!("beit");
            json["architectures"] = json!(["BeitModel"]);
            json["use_mask_token"] = json!(self.shape("mask_token").is_some());
            json["use_absolute_position_embeddings"] = json!(self.shape(names.positions).is_some());
            json["use_relative_position_bias"] = json!(own.is_some());
            json["use_shared_relative_position_bias"] = json!(shared.is_some());
            let scale = if first(names.scale).is_some() { 0.1 } else { 0.0 };
            json["layer_scale_init_value"] = json!(scale);
        } else {
            let (kind, class) =
                if has_class_token { ("vit", "ViTModel") } else { ("ijepa", "IJepaModel") };
            json["model_type"] = json!(kind);
            json["architectures"] = json!([class]);
            json["qkv_bias"] = json!(first(names.qkv_bias).is_some());
            if has_class_token {
                self.add_decoder(&mut json);
            }
        }
        let epsilon = names.epsilon;
        let decoder = match json.get("decoder_hidden_size") {
            Some(_) => ", 16 heads of a decoder that predicts pixels as they are",
            None => "",
        };
        let assumed = format!(
            "no config.json: {depth} blocks of {width}, patches of {patch} and images of {size}×{size} \
             are read from the shapes; {heads} heads{decoder} and an epsilon of {epsilon:e} are assumed, as \
             published models have them",
            size = side * patch,
        );
        Ok(Guess { json, assumed })
    }

    /// The sizes of a masked autoencoder's decoder from its shapes, if there is a decoder.
    fn add_decoder(&self, json: &mut Value) {
        let Some(embed) = self.file.find("decoder_embed.weight") else { return };
        let width = self.file.shape(embed).and_then(|shape| shape.first().copied()).unwrap_or(0);
        let names = &self.spelling;
        let fc1 = self.file.find(&format!("{}0.{}", names.decoder_block, names.fc1));
        let mlp = fc1.and_then(|key| self.file.shape(key)?.first().copied()).unwrap_or(0);
        let depth = blocks(self.file, names.decoder_block, None);
        json["model_type"] = json!("vit_mae");
        json["architectures"] = json!(["ViTMAEForPreTraining"]);
        json["decoder_hidden_size"] = json!(width);
        json["decoder_num_hidden_layers"] = json!(depth);
        // This is the value in the decoders of all published masked autoencoders.
        json["decoder_num_attention_heads"] = json!(16);
        json["decoder_intermediate_size"] = json!(mlp);
    }

    /// The number of cells along a side of the square grid, from the position table or the table of
    /// offsets.
    fn side(&self, table: Option<&Vec<usize>>) -> Result<usize, String> {
        let cells = match (self.shape(self.spelling.positions), table) {
            (Some(positions), _) => {
                let first = usize::from(self.shape(self.spelling.class_token).is_some());
                positions.get(1).map(|rows| rows.saturating_sub(first))
            }
            // There are 2 n − 1 offsets in each direction, and 3 for the class token.
            (None, Some(table)) => table.first().map(|rows| {
                let offsets = rows.saturating_sub(3);
                let side = offsets.isqrt().div_ceil(2);
                let is_whole = side > 0 && (2 * side - 1).pow(2) == offsets;
                if is_whole { side * side } else { 0 }
            }),
            (None, None) => None,
        };
        let cells = cells.ok_or("it has no positions: its images' size needs a config.json")?;
        let side = cells.isqrt();
        if side > 0 && side * side == cells {
            return Ok(side);
        }
        Err(format!("its {cells} positions are no square: the images' size needs a config.json"))
    }

    /// Whether a key belongs to a part that these models do not have. Without that part all
    /// features would differ.
    fn is_strange(&self, key: &str) -> bool {
        let Some(rest) = key.strip_prefix(self.prefix.as_str()) else { return false };
        match rest.strip_prefix(self.spelling.block) {
            Some(block) => {
                let part = block.split_once('.').map_or("", |(_, part)| part);
                !self.spelling.parts.iter().any(|known| part.starts_with(known))
            }
            None => STRANGERS.iter().any(|strange| {
                rest.starts_with(strange) || rest.starts_with(&format!("embeddings.{strange}"))
            }),
        }
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.file.shape(&format!("{}{name}", self.prefix))
    }

    fn count(&self, block: &str) -> usize {
        blocks(self.file, block, Some(&self.prefix))
    }
}

/// The number of blocks whose keys begin with `block`, after `prefix` or after any prefix.
fn blocks(file: &WeightsFile, block: &str, prefix: Option<&str>) -> usize {
    let number = |key: &str| -> Option<usize> {
        let rest = match prefix {
            Some(prefix) => key.strip_prefix(prefix)?.strip_prefix(block)?,
            None => &key[key.find(block)? + block.len()..],
        };
        rest.split('.').next()?.parse().ok()
    };
    file.keys().filter_map(number).max().map_or(0, |last| last.saturating_add(1))
}

/// Heads have 64 features, as in published vision transformers but for ViT-H, ViT-g and ViT-G, which
/// have 16 heads (arXiv 2010.11929, Table 1; arXiv 2106.04560, Table 2).
fn heads(width: usize) -> Result<usize, String> {
    if [1280, 1408, 1664].contains(&width) {
        return Ok(16);
    }
    if width > 0 && width.is_multiple_of(64) {
        return Ok(width / 64);
    }
    Err(format!(
        "its heads are not in its shapes, and 64 features each, as in published models, do not \
         divide a width of {width}: it needs a config.json beside it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_those_of_the_published_models_of_a_width() {
        for (width, expected) in [
            (192, 3),
            (384, 6),
            (768, 12),
            (1024, 16),
            (1280, 16),
            (1408, 16),
            (1664, 16),
            (1536, 24),
        ] {
            assert_eq!(heads(width), Ok(expected), "{width}");
        }
        assert!(heads(100).unwrap_err().contains("do not divide a width of 100"));
    }
}
