//! The names of a vision transformer's tensors in each family of files.

use super::layout::Entry;
use crate::encoder::{RelativePositions, VitConfig};
use crate::head::DecoderConfig;
use crate::nn::{NormKind, Positions, QkvBias, TransformerConfig};

/// The names within one block in one family of files.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockNames {
    norm1: &'static str,
    /// The name of one fused layer, or the names of query, key and value.
    query_key_value: &'static [&'static str],
    /// The names of the biases, if only query and value have one.
    query_value_bias: [&'static str; 2],
    out: &'static str,
    norm2: &'static str,
    /// After a query and a key are projected, where they are normalized.
    query_key_norm: [&'static str; 2],
    fc1: &'static str,
    fc2: &'static str,
    /// The name of a layer scale up to the number of its branch, which counts from 1.
    layer_scale: &'static str,
    relative_positions: &'static str,
}

/// The names around the blocks in one family of files; every name includes its prefix.
#[derive(Debug, Clone)]
pub(super) struct VitNames {
    pub(super) patch_embed: String,
    pub(super) class_token: String,
    pub(super) registers: String,
    pub(super) positions: String,
    /// The names of the blocks up to their number.
    pub(super) blocks: String,
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
    fc1: "mlp.fc1",
    fc2: "mlp.fc2",
    layer_scale: "gamma_",
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
    fc1: "intermediate.dense",
    fc2: "output.dense",
    layer_scale: "lambda_",
    relative_positions: "attention.attention.relative_position_bias",
};

impl VitNames {
    /// timm's names after `prefix`.
    pub(super) fn timm(prefix: &str) -> Self {
        Self {
            patch_embed: format!("{prefix}patch_embed.proj"),
            class_token: format!("{prefix}cls_token"),
            registers: format!("{prefix}reg_token"),
            positions: format!("{prefix}pos_embed"),
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
            blocks: format!("{prefix}encoder.layer"),
            norm: format!("{prefix}layernorm"),
            block: TRANSFORMERS,
        }
    }

    /// The entries of a [`VitBody`](crate::encoder::VitBody) at the path `ours`.
    pub(super) fn body(&self, ours: &str, config: &VitConfig) -> Vec<Entry> {
        let VitConfig { image, patch, width, .. } = *config;
        let rows = config.class_tokens();
        let path = |name: &str| format!("{ours}.{name}");
        let weight = format!("{}.weight", self.patch_embed);
        let shape = [width, image.channels, patch, patch];
        let bias = vec![format!("{}.bias", self.patch_embed)];
        let mut entries = vec![
            Entry::patch_embedding(path("patch_embed.weight"), weight, shape),
            Entry::vectors(path("patch_embed.bias"), bias, width),
        ];
        if config.class_token {
            let mut theirs = vec![self.class_token.clone()];
            theirs.extend((0..config.more_class_tokens).map(|index| match index {
                0 => self.class_token.replace("cls", "dist"),
                _ => format!("{}_{index}", self.class_token),
            }));
            entries.push(Entry::tokens(path("class_token"), theirs, width));
        }
        if config.registers > 0 {
            let shape = [1, config.registers, width];
            entries.push(Entry::tensor(path("register_token"), self.registers.clone(), &shape));
        }
        if config.positions != Positions::None {
            let (table, theirs) = (path("positions.table"), self.positions.clone());
            entries.push(Entry::positions(table, theirs, rows, config.grid(), width));
        }
        entries.extend(self.blocks(&path("transformer.blocks"), &config.transformer()));
        entries.extend(norm_of(config.norm, &path("transformer.norm"), &self.norm, width));
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
        let gate = if config.gated { mlp } else { 0 };
        entries.extend(linear(&path("mlp.fc1"), &key(self.fc1), width, mlp + gate));
        entries.extend(linear(&path("mlp.fc2"), &key(self.fc2), mlp, width));
        if config.layer_scale.is_some() {
            entries.extend([1, 2].map(|branch| {
                let gamma = path(&format!("scale{branch}.gamma"));
                Entry::vectors(gamma, vec![key(&format!("{}{branch}", self.layer_scale))], width)
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
