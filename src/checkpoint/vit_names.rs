//! The names of a vision transformer's tensors in each family of files.

use super::layout::Entry;
use crate::encoder::{RelativePositions, VitConfig};
use crate::head::DecoderConfig;
use crate::nn::{NormKind, Positions, QkvBias, TransformerConfig};

/// The names within one block in one family of files.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockNames {
    pub(super) norm1: &'static str,
    /// The name of one fused layer, or the names of query, key and value.
    pub(super) query_key_value: &'static [&'static str],
    /// The names of the biases, if only query and value have one.
    pub(super) query_value_bias: [&'static str; 2],
    pub(super) out: &'static str,
    pub(super) norm2: &'static str,
    /// After a query and a key are projected, where they are normalized.
    pub(super) query_key_norm: [&'static str; 2],
    /// The name of one layer, or of the gate and of what it scales.
    pub(super) fc1: &'static [&'static str],
    pub(super) fc2: &'static str,
    /// The names of the layer scales of both branches.
    pub(super) layer_scale: [&'static str; 2],
    pub(super) relative_positions: &'static str,
}

/// The names around the blocks in one family of files; every name includes its prefix.
#[derive(Debug, Clone)]
pub(super) struct VitNames {
    pub(super) patch_embed: String,
    pub(super) class_token: String,
    pub(super) registers: String,
    pub(super) positions: String,
    pub(super) pre_norm: String,
    /// Whether the class token is a vector, and the table of positions a matrix.
    pub(super) flat: bool,
    /// The names of the blocks up to their number.
    pub(super) blocks: String,
    /// Empty where there is none.
    pub(super) norm: String,
    pub(super) block: BlockNames,
}

/// The names in timm and in the official code of MAE, SimMIM and BEiT.
pub(super) const TIMM: BlockNames = BlockNames {
    norm1: "norm1",
    query_key_value: &["attn.qkv"],
    query_value_bias: ["attn.q_bias", "attn.v_bias"],
    out: "attn.proj",
    norm2: "norm2",
    query_key_norm: ["attn.q_norm", "attn.k_norm"],
    fc1: &["mlp.fc1"],
    fc2: "mlp.fc2",
    layer_scale: ["gamma_1", "gamma_2"],
    relative_positions: "attn",
};

/// The names in transformers.
pub(super) const TRANSFORMERS: BlockNames = BlockNames {
    norm1: "layernorm_before",
    query_key_value: &[
        "attention.attention.query",
        "attention.attention.key",
        "attention.attention.value",
    ],
    query_value_bias: ["attention.attention.query.bias", "attention.attention.value.bias"],
    out: "attention.output.dense",
    norm2: "layernorm_after",
    query_key_norm: ["attention.attention.q_norm", "attention.attention.k_norm"],
    fc1: &["intermediate.dense"],
    fc2: "output.dense",
    layer_scale: ["lambda_1", "lambda_2"],
    relative_positions: "attention.attention.relative_position_bias",
};

/// The names in transformers' DINOv2.
pub(super) const DINOV2: BlockNames = BlockNames {
    norm1: "norm1",
    norm2: "norm2",
    fc1: &["mlp.fc1"],
    fc2: "mlp.fc2",
    layer_scale: ["layer_scale1.lambda1", "layer_scale2.lambda1"],
    ..TRANSFORMERS
};

/// The names in transformers' DINOv2 with SwiGLU.
pub(super) const DINOV2_GATED: BlockNames =
    BlockNames { fc1: &["mlp.weights_in"], fc2: "mlp.weights_out", ..DINOV2 };

/// The same where gate and values are apart, as in the modules of transformers 5 in memory.
pub(super) const DINOV2_GATED_APART: BlockNames =
    BlockNames { fc1: &["mlp.gate_proj", "mlp.up_proj"], ..DINOV2_GATED };

/// The names in transformers' CLIP.
pub(super) const CLIP: BlockNames = BlockNames {
    norm1: "layer_norm1",
    query_key_value: &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    query_value_bias: ["self_attn.q_proj.bias", "self_attn.v_proj.bias"],
    out: "self_attn.out_proj",
    norm2: "layer_norm2",
    fc1: &["mlp.fc1"],
    fc2: "mlp.fc2",
    ..TRANSFORMERS
};

impl VitNames {
    /// timm's names after `prefix`.
    pub(super) fn timm(prefix: &str) -> Self {
        Self {
            patch_embed: format!("{prefix}patch_embed.proj"),
            class_token: format!("{prefix}cls_token"),
            registers: format!("{prefix}reg_token"),
            positions: format!("{prefix}pos_embed"),
            pre_norm: format!("{prefix}norm_pre"),
            flat: false,
            blocks: format!("{prefix}blocks"),
            norm: format!("{prefix}norm"),
            block: TIMM,
        }
    }

    /// transformers' names after `prefix`.
    pub(super) fn transformers(prefix: &str) -> Self {
        Self {
            patch_embed: format!("{prefix}embeddings.patch_embeddings.projection"),
            class_token: format!("{prefix}embeddings.cls_token"),
            registers: format!("{prefix}embeddings.register_tokens"),
            positions: format!("{prefix}embeddings.position_embeddings"),
            pre_norm: format!("{prefix}pre_layernorm"),
            flat: false,
            blocks: format!("{prefix}encoder.layer"),
            norm: format!("{prefix}layernorm"),
            block: TRANSFORMERS,
        }
    }

    /// transformers' names of CLIP's vision transformer, one of which is misspelt there.
    pub(super) fn clip() -> Self {
        Self {
            patch_embed: "embeddings.patch_embedding".into(),
            class_token: "embeddings.class_embedding".into(),
            positions: "embeddings.position_embedding.weight".into(),
            pre_norm: "pre_layrnorm".into(),
            flat: true,
            blocks: "encoder.layers".into(),
            norm: "post_layernorm".into(),
            block: CLIP,
            ..Self::transformers("")
        }
    }

    /// The entries of a [`VitBody`](crate::encoder::VitBody) at the path `ours`.
    pub(super) fn body(&self, ours: &str, config: &VitConfig) -> Vec<Entry> {
        let VitConfig { image, patch, width, .. } = *config;
        let rows = config.class_tokens();
        let path = |name: &str| format!("{ours}.{name}");
        let weight = format!("{}.weight", self.patch_embed);
        let shape = [width, image.channels, patch, patch];
        let flat = |entry: Entry| if self.flat { entry.flat() } else { entry };
        let mut entries = vec![Entry::patch_embedding(path("patch_embed.weight"), weight, shape)];
        if config.patch_bias {
            let bias = vec![format!("{}.bias", self.patch_embed)];
            entries.push(Entry::vectors(path("patch_embed.bias"), bias, width));
        }
        if config.class_token {
            let mut theirs = vec![self.class_token.clone()];
            theirs.extend((0..config.more_class_tokens).map(|index| match index {
                0 => self.class_token.replace("cls", "dist"),
                _ => format!("{}_{index}", self.class_token),
            }));
            entries.push(flat(Entry::tokens(path("class_token"), theirs, width)));
        }
        if config.registers > 0 {
            let shape = [1, config.registers, width];
            entries.push(Entry::tensor(path("register_token"), self.registers.clone(), &shape));
        }
        if config.positions != Positions::None {
            let (table, theirs) = (path("positions.table"), self.positions.clone());
            let entry = Entry::positions(table, theirs, rows, config.grid(), width);
            entries.push(flat(entry.read_by(config.position_resize)));
        }
        if config.pre_norm {
            entries.extend(norm_of(config.norm, &path("pre_norm"), &self.pre_norm, width));
        }
        entries.extend(self.blocks(&path("transformer.blocks"), &config.transformer()));
        if !self.norm.is_empty() {
            entries.extend(norm_of(config.norm, &path("transformer.norm"), &self.norm, width));
        }
        entries
    }

    /// The entries of blocks at the path `ours`, with the sizes in `config`.
    pub(super) fn blocks(&self, ours: &str, config: &TransformerConfig) -> Vec<Entry> {
        (0..config.depth)
            .flat_map(|index| {
                let (ours, theirs) =
                    (format!("{ours}.{index}"), format!("{}.{index}", self.blocks));
                self.block.entries(&ours, &theirs, config)
            })
            .collect()
    }

    /// The entries of a [`Decoder`](crate::head::Decoder) at the path `head`, with the official
    /// names. `blocks` is the name of its blocks up to their number.
    pub(super) fn decoder(
        prefix: &str,
        blocks: &str,
        block: BlockNames,
        encoder: &VitConfig,
        decoder: &DecoderConfig,
        target_width: usize,
    ) -> Vec<Entry> {
        let config = decoder.transformer(encoder);
        let (width, rows) = (config.width, usize::from(encoder.class_token));
        let theirs = |name: &str| format!("{prefix}{name}");
        let names = Self { blocks: blocks.to_string(), block, ..Self::timm("") };
        let mut entries = linear("head.embed", &theirs("decoder_embed"), encoder.width, width);
        entries.extend([
            Entry::tensor("head.mask_token".into(), theirs("mask_token"), &[1, 1, width]),
            Entry::positions(
                "head.positions.table".into(),
                theirs("decoder_pos_embed"),
                rows,
                encoder.grid(),
                width,
            ),
        ]);
        entries.extend(names.blocks("head.transformer.blocks", &config));
        entries.extend(norm("head.transformer.norm", &theirs("decoder_norm"), width));
        entries.extend(linear("head.projection", &theirs("decoder_pred"), width, target_width));
        entries
    }
}

impl BlockNames {
    fn entries(&self, ours: &str, theirs: &str, config: &TransformerConfig) -> Vec<Entry> {
        let (width, mlp) = (config.width, config.mlp_width);
        let (path, key) =
            (|name: &str| format!("{ours}.{name}"), |name: &str| format!("{theirs}.{name}"));
        let fused = 3 / self.query_key_value.len();
        let keys = |what: &str| -> Vec<_> {
            self.query_key_value.iter().map(|name| key(&format!("{name}.{what}"))).collect()
        };
        let norm = |ours: &str, theirs: &str, width| norm_of(config.norm, ours, theirs, width);
        let mut entries = norm(&path("norm1"), &key(self.norm1), width);
        if config.query_key_norm {
            for (name, theirs) in ["query", "key"].into_iter().zip(self.query_key_norm) {
                let ours = path(&format!("attention.{name}_norm"));
                entries.extend(norm(&ours, &key(theirs), width / config.heads));
            }
        }
        let weight = path("attention.qkv.weight");
        entries.push(Entry::matrices(weight, keys("weight"), fused * width, width));
        match config.qkv_bias {
            QkvBias::None => {}
            QkvBias::All => {
                let bias = path("attention.qkv.bias");
                entries.push(Entry::vectors(bias, keys("bias"), fused * width));
            }
            QkvBias::QueryValue => {
                let [query, value] = self.query_value_bias.map(|name| vec![key(name)]);
                entries.push(Entry::vectors(path("attention.query_bias"), query, width));
                entries.push(Entry::vectors(path("attention.value_bias"), value, width));
            }
        }
        entries.extend(linear(&path("attention.out"), &key(self.out), width, width));
        entries.extend(norm(&path("norm2"), &key(self.norm2), width));
        let parts = |what: &str| -> Vec<_> {
            self.fc1.iter().map(|name| key(&format!("{name}.{what}"))).collect()
        };
        let outputs = if config.gated { 2 * mlp / self.fc1.len() } else { mlp };
        entries.push(Entry::matrices(path("mlp.fc1.weight"), parts("weight"), outputs, width));
        entries.push(Entry::vectors(path("mlp.fc1.bias"), parts("bias"), outputs));
        entries.extend(linear(&path("mlp.fc2"), &key(self.fc2), mlp, width));
        if config.layer_scale.is_some() {
            entries.extend([1, 2].into_iter().zip(self.layer_scale).map(|(branch, theirs)| {
                Entry::vectors(path(&format!("scale{branch}.gamma")), vec![key(theirs)], width)
            }));
        }
        entries
    }
}

/// The entries of the bias tables, if any, of a [`VitBody`](crate::encoder::VitBody) at the path
/// `ours`: one table that all blocks share, with the key `shared`, or one table for each block.
pub(super) fn relative_positions(
    ours: &str,
    names: &VitNames,
    shared: &str,
    config: &VitConfig,
) -> Vec<Entry> {
    let grid = config.grid();
    let class = if config.class_token { 3 } else { 0 };
    let offsets = (2 * grid.rows - 1) * (2 * grid.cols - 1) + class;
    let entry = |index: usize, theirs: String| {
        let ours = format!("{ours}.transformer.relative_positions.{index}.table");
        Entry::tensor(ours, theirs, &[offsets, config.heads])
    };
    let of_block = |index: usize| {
        let VitNames { blocks, block, .. } = names;
        let theirs = format!("{blocks}.{index}.{}", block.relative_positions);
        entry(index, format!("{theirs}.relative_position_bias_table"))
    };
    match config.relative_positions {
        RelativePositions::None => vec![],
        RelativePositions::Shared => vec![entry(0, shared.to_string())],
        RelativePositions::PerBlock => (0..config.depth).map(of_block).collect(),
    }
}

/// The entries of a linear layer with bias.
pub(super) fn linear(ours: &str, theirs: &str, inputs: usize, outputs: usize) -> Vec<Entry> {
    let (weight, bias) = (format!("{theirs}.weight"), format!("{theirs}.bias"));
    vec![
        Entry::matrices(format!("{ours}.weight"), vec![weight], outputs, inputs),
        Entry::vectors(format!("{ours}.bias"), vec![bias], outputs),
    ]
}

/// The entries of a 1 × 1 convolution with bias, as a linear layer.
pub(super) fn pointwise(ours: &str, theirs: &str, inputs: usize, outputs: usize) -> Vec<Entry> {
    let (weight, bias) = (format!("{theirs}.weight"), format!("{theirs}.bias"));
    let shape = [outputs, inputs, 1, 1];
    vec![
        Entry::convolution(format!("{ours}.weight"), weight, shape),
        Entry::vectors(format!("{ours}.bias"), vec![bias], outputs),
    ]
}

/// The entries of a layer norm.
pub(super) fn norm(ours: &str, theirs: &str, width: usize) -> Vec<Entry> {
    norm_of(NormKind::Layer, ours, theirs, width)
}

/// A norm of this kind.
fn norm_of(kind: NormKind, ours: &str, theirs: &str, width: usize) -> Vec<Entry> {
    let parts: &[(&str, &str)] = match kind {
        NormKind::Layer => &[("gamma", "weight"), ("beta", "bias")],
        NormKind::RootMeanSquare => &[("gamma", "weight")],
    };
    parts
        .iter()
        .map(|(mine, their)| {
            Entry::vectors(format!("{ours}.{mine}"), vec![format!("{theirs}.{their}")], width)
        })
        .collect()
}
