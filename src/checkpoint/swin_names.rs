//! The names of the tensors of Swin and Swin-v2 in each family of files.

use super::layout::Entry;
use super::vit_names::{linear, norm, pointwise};
use crate::encoder::{SwinConfig, SwinV2Config};
use crate::grid::Grid;
use crate::nn::{ContinuousPositionBias, TableResize};

/// The names in one family of files. Every name includes its prefix; names within a block follow
/// the block's own name.
#[derive(Debug, Clone)]
pub(super) struct SwinNames {
    embeddings: Embeddings,
    /// The names of the stages up to their number.
    stages: String,
    norm: String,
    block: BlockNames,
}

#[derive(Debug, Clone)]
struct Embeddings {
    projection: String,
    norm: String,
    mask_token: String,
    positions: String,
}

/// The names within one block in one family of files.
#[derive(Debug, Clone, Copy)]
struct BlockNames {
    /// The prefix of the attention's tensors.
    attention: &'static str,
    /// The name of one fused layer, or the names of query, key and value.
    query_key_value: &'static [&'static str],
    /// The names of Swin-v2's biases of query and value.
    query_value_bias: [&'static str; 2],
    position_network: &'static str,
    out: &'static str,
    norms: [&'static str; 2],
    mlp: [&'static str; 2],
    /// How a bias table for another window is resized.
    resize: TableResize,
    /// Whether a table is only as large as the window that the grid of its stage has room for.
    shrinks: bool,
}

/// The names in the official code.
const OFFICIAL: BlockNames = BlockNames {
    attention: "attn",
    query_key_value: &["qkv"],
    query_value_bias: ["q_bias", "v_bias"],
    position_network: "cpb_mlp",
    out: "attn.proj",
    norms: ["norm1", "norm2"],
    mlp: ["mlp.fc1", "mlp.fc2"],
    resize: TableResize::Geometric,
    shrinks: true,
};

/// The names in transformers.
const TRANSFORMERS: BlockNames = BlockNames {
    attention: "attention.self",
    query_key_value: &["query", "key", "value"],
    query_value_bias: ["query.bias", "value.bias"],
    position_network: "continuous_position_bias_mlp",
    out: "attention.output.dense",
    norms: ["layernorm_before", "layernorm_after"],
    mlp: ["intermediate.dense", "output.dense"],
    resize: TableResize::Bicubic,
    shrinks: false,
};

impl SwinNames {
    /// The official code's names after `prefix`.
    pub(super) fn official(prefix: &str) -> Self {
        let name = |name: &str| format!("{prefix}{name}");
        Self {
            embeddings: Embeddings {
                projection: name("patch_embed.proj"),
                norm: name("patch_embed.norm"),
                mask_token: name("mask_token"),
                positions: name("absolute_pos_embed"),
            },
            stages: name("layers"),
            norm: name("norm"),
            block: OFFICIAL,
        }
    }

    /// transformers' names after `prefix`.
    pub(super) fn transformers(prefix: &str) -> Self {
        let name = |name: &str| format!("{prefix}{name}");
        Self {
            embeddings: Embeddings {
                projection: name("embeddings.patch_embeddings.projection"),
                norm: name("embeddings.norm"),
                mask_token: name("embeddings.mask_token"),
                positions: name("embeddings.position_embeddings"),
            },
            stages: name("encoder.layers"),
            norm: name("layernorm"),
            block: TRANSFORMERS,
        }
    }

    /// The entries of a [`Swin`](crate::encoder::Swin) at the path `ours`, which ends with a dot or
    /// is empty.
    pub(super) fn swin(&self, ours: &str, config: &SwinConfig) -> Vec<Entry> {
        self.hierarchy(ours, config, 4, |ours, theirs, stage, _| {
            self.block.swin(ours, theirs, config, stage)
        })
    }

    /// The entries of a [`SwinV2`](crate::encoder::SwinV2) at the path `ours`.
    pub(super) fn swin_v2(&self, ours: &str, config: &SwinV2Config) -> Vec<Entry> {
        self.hierarchy(ours, &config.sizes, 2, |ours, theirs, stage, block| {
            self.block.swin_v2(ours, theirs, config, stage, block)
        })
    }

    /// The entry of the mask token, which files of an encoder alone lack.
    pub(super) fn mask_token(&self, ours: &str, config: &SwinConfig) -> Entry {
        let theirs = self.embeddings.mask_token.clone();
        Entry::tensor(format!("{ours}mask_token"), theirs, &[1, 1, config.width])
    }

    /// The entries of SimMIM on Swin: the encoder at the path `encoder`, and its head.
    pub(super) fn simmim(&self, config: &SwinConfig) -> Vec<Entry> {
        let mut entries = self.swin("encoder.", config);
        entries.extend(self.mask_token_and_head(config));
        entries
    }

    /// The entries of SimMIM on Swin-v2.
    pub(super) fn simmim_v2(&self, config: &SwinV2Config) -> Vec<Entry> {
        let mut entries = self.swin_v2("encoder.", config);
        entries.extend(self.mask_token_and_head(&config.sizes));
        entries
    }

    /// The head is a 1 × 1 convolution before a pixel shuffle.
    fn mask_token_and_head(&self, config: &SwinConfig) -> Vec<Entry> {
        let values = config.image.channels * config.stride() * config.stride();
        let mut entries = pointwise("head.projection", "decoder.0", config.output_width(), values);
        entries.push(self.mask_token("encoder.", config));
        entries
    }

    /// Everything except the mask token. The norm of a patch merging has `merged` times the width
    /// of its stage.
    fn hierarchy(
        &self,
        ours: &str,
        config: &SwinConfig,
        merged: usize,
        block: impl Fn(&str, &str, usize, usize) -> Vec<Entry>,
    ) -> Vec<Entry> {
        let mut entries = self.embeddings.entries(ours, config);
        for (stage, &depth) in config.depths.iter().enumerate() {
            let (ours, theirs) =
                (format!("{ours}stages.{stage}"), format!("{}.{stage}", self.stages));
            for index in 0..depth {
                let name = |prefix: &str| format!("{prefix}.blocks.{index}");
                entries.extend(block(&name(&ours), &name(&theirs), stage, index));
            }
            if stage + 1 < config.depths.len() {
                let width = config.stage_width(stage);
                let weight = format!("{theirs}.downsample.reduction.weight");
                let reduction = format!("{ours}.merging.reduction.weight");
                entries.push(Entry::matrices(reduction, vec![weight], 2 * width, 4 * width));
                let theirs = format!("{theirs}.downsample.norm");
                entries.extend(norm(&format!("{ours}.merging.norm"), &theirs, merged * width));
            }
        }
        entries.extend(norm(&format!("{ours}norm"), &self.norm, config.output_width()));
        entries
    }
}

impl Embeddings {
    fn entries(&self, ours: &str, config: &SwinConfig) -> Vec<Entry> {
        let SwinConfig { image, patch, width, .. } = *config;
        let path = |name: &str| format!("{ours}patch_embed.{name}");
        let weight = format!("{}.weight", self.projection);
        let bias = vec![format!("{}.bias", self.projection)];
        let shape = [width, image.channels, patch, patch];
        let mut entries = vec![
            Entry::patch_embedding(path("projection.weight"), weight, shape),
            Entry::vectors(path("projection.bias"), bias, width),
        ];
        entries.extend(norm(&path("norm"), &self.norm, width));
        if config.absolute_positions {
            let (table, theirs) = (path("positions.table"), self.positions.clone());
            entries.push(Entry::positions(table, theirs, 0, config.grid(), width));
        }
        entries
    }
}

impl BlockNames {
    fn swin(&self, ours: &str, theirs: &str, config: &SwinConfig, stage: usize) -> Vec<Entry> {
        let attention = format!("{ours}.attention");
        let width = config.stage_width(stage);
        let mut entries = self.shared(ours, &attention, theirs, config, stage);
        if config.qkv_bias {
            let bias = format!("{attention}.qkv.bias");
            let fused = 3 / self.query_key_value.len() * width;
            entries.push(Entry::vectors(bias, self.query_key_value(theirs, "bias"), fused));
        }
        let table = format!("{theirs}.{}.relative_position_bias_table", self.attention);
        let Grid { rows, cols } = config.grid();
        let room = if self.shrinks { rows.min(cols) >> stage } else { config.window };
        let windows = [config.window, room.min(config.window)];
        let ours = format!("{ours}.relative_positions.table");
        entries.push(Entry::offsets(ours, table, config.heads[stage], windows, self.resize));
        entries
    }

    fn swin_v2(
        &self,
        ours: &str,
        theirs: &str,
        config: &SwinV2Config,
        stage: usize,
        block: usize,
    ) -> Vec<Entry> {
        let (sizes, heads) = (&config.sizes, config.sizes.heads[stage]);
        let (width, projections) =
            (sizes.stage_width(stage), format!("{ours}.attention.projections"));
        let mut entries = self.shared(ours, &projections, theirs, sizes, stage);
        let within = |name: &str| format!("{theirs}.{}.{name}", self.attention);
        if sizes.qkv_bias {
            for (bias, name) in ["query_bias", "value_bias"].iter().zip(self.query_value_bias) {
                let bias = format!("{projections}.{bias}");
                entries.push(Entry::vectors(bias, vec![within(name)], width));
            }
        }
        let scale = format!("{ours}.attention.logit_scale");
        entries.push(Entry::tensor(scale, within("logit_scale"), &[heads, 1, 1]));
        let network = within(self.position_network);
        let (fc1, fc2) = (format!("{ours}.position_bias.fc1"), format!("{ours}.position_bias.fc2"));
        entries.extend(linear(&fc1, &format!("{network}.0"), 2, ContinuousPositionBias::HIDDEN));
        let weight = vec![format!("{network}.2.weight")];
        let hidden = ContinuousPositionBias::HIDDEN;
        entries.push(Entry::matrices(format!("{fc2}.weight"), weight, heads, hidden));
        if config.has_extra_norm(block) {
            entries.extend(norm(&format!("{ours}.extra_norm"), &format!("{theirs}.norm3"), width));
        }
        entries
    }

    /// The entries that the blocks of both encoders share: projections, norms and the MLP.
    fn shared(
        &self,
        ours: &str,
        attention: &str,
        theirs: &str,
        config: &SwinConfig,
        stage: usize,
    ) -> Vec<Entry> {
        let (width, mlp) = (config.stage_width(stage), config.mlp_width(stage));
        let (path, key) =
            (|name: &str| format!("{ours}.{name}"), |name: &str| format!("{theirs}.{name}"));
        let fused = 3 / self.query_key_value.len() * width;
        let weights = self.query_key_value(theirs, "weight");
        let mut entries =
            vec![Entry::matrices(format!("{attention}.qkv.weight"), weights, fused, width)];
        entries.extend(linear(&format!("{attention}.out"), &key(self.out), width, width));
        entries.extend(norm(&path("norm1"), &key(self.norms[0]), width));
        entries.extend(norm(&path("norm2"), &key(self.norms[1]), width));
        entries.extend(linear(&path("mlp.fc1"), &key(self.mlp[0]), width, mlp));
        entries.extend(linear(&path("mlp.fc2"), &key(self.mlp[1]), mlp, width));
        entries
    }

    fn query_key_value(&self, theirs: &str, what: &str) -> Vec<String> {
        let names = self.query_key_value.iter();
        names.map(|name| format!("{theirs}.{}.{name}.{what}", self.attention)).collect()
    }
}
