//! The names of the tensors of Hiera in each family of files.

use super::layout::Entry;
use super::vit_names::{linear, norm};
use crate::encoder::HieraConfig;
use crate::method::HieraMaeConfig;

/// The names in one family of files; those of the encoder include its prefix.
#[derive(Debug, Clone)]
pub(super) struct HieraNames {
    patch_embed: String,
    positions: String,
    /// The names of the blocks: of all stages up to their number, or of a stage up to its number.
    blocks: Blocks,
    block: BlockNames,
    decoder: DecoderNames,
}

#[derive(Debug, Clone)]
enum Blocks {
    Counted(String),
    InStages(String),
}

/// The names within one block.
#[derive(Debug, Clone, Copy)]
struct BlockNames {
    norms: [&'static str; 2],
}

/// The names of what a masked autoencoder has besides.
#[derive(Debug, Clone, Copy)]
struct DecoderNames {
    fusion: &'static str,
    embed: &'static str,
    mask_token: &'static str,
    positions: &'static str,
    blocks: &'static str,
    norm: &'static str,
    projection: &'static str,
}

impl HieraNames {
    /// The official code's names.
    pub(super) fn official() -> Self {
        Self {
            patch_embed: "patch_embed.proj".into(),
            positions: "pos_embed".into(),
            blocks: Blocks::Counted("blocks".into()),
            block: BlockNames { norms: ["norm1", "norm2"] },
            decoder: DecoderNames {
                fusion: "multi_scale_fusion_heads",
                embed: "decoder_embed",
                mask_token: "mask_token",
                positions: "decoder_pos_embed",
                blocks: "decoder_blocks",
                norm: "decoder_norm",
                projection: "decoder_pred",
            },
        }
    }

    /// transformers' names, the encoder's after `prefix`.
    pub(super) fn transformers(prefix: &str) -> Self {
        Self {
            patch_embed: format!("{prefix}embeddings.patch_embeddings.projection"),
            positions: format!("{prefix}embeddings.position_embeddings"),
            blocks: Blocks::InStages(format!("{prefix}encoder.stages")),
            block: BlockNames { norms: ["layernorm_before", "layernorm_after"] },
            decoder: DecoderNames {
                fusion: "multiscale_fusion.multi_scale_fusion_heads",
                embed: "decoder.decoder_embeddings",
                mask_token: "decoder.mask_token",
                positions: "decoder.decoder_position_embeddings",
                blocks: "decoder.decoder_block.layers",
                norm: "decoder.decoder_norm",
                projection: "decoder.decoder_pred",
            },
        }
    }

    /// The entries of a [`Hiera`](crate::encoder::Hiera) at the path `ours`, which ends with a dot or
    /// is empty.
    pub(super) fn hiera(&self, ours: &str, config: &HieraConfig) -> Vec<Entry> {
        let HieraConfig { image, width, patch_kernel: [down, right], .. } = *config;
        let path = |name: &str| format!("{ours}patch_embed.{name}");
        let key = |name: &str| format!("{}.{name}", self.patch_embed);
        let shape = [width, image.channels, down, right];
        let (table, theirs) = (path("positions.table"), self.positions.clone());
        let mut entries = vec![
            Entry::patch_embedding(path("projection.weight"), key("weight"), shape),
            Entry::vectors(path("projection.bias"), vec![key("bias")], width),
            Entry::positions(table, theirs, 0, config.grid(), width),
        ];
        for (stage, &depth) in config.depths.iter().enumerate() {
            let before: usize = config.depths[..stage].iter().sum();
            let width = config.stage_width(stage);
            for block in 0..depth {
                let ours = format!("{ours}stages.{stage}.blocks.{block}");
                let theirs = match &self.blocks {
                    Blocks::Counted(name) => format!("{name}.{}", before + block),
                    Blocks::InStages(name) => format!("{name}.{stage}.layers.{block}"),
                };
                let widens = block == 0 && stage > 0;
                let input = if widens { config.stage_width(stage - 1) } else { width };
                let sizes = [input, width, config.mlp_width(stage)];
                entries.extend(self.block.entries(&ours, &theirs, sizes));
                if widens {
                    let (ours, theirs) = (format!("{ours}.projection"), format!("{theirs}.proj"));
                    entries.extend(linear(&ours, &theirs, input, width));
                }
            }
        }
        entries
    }

    /// The entries of a masked autoencoder: the encoder at the path `encoder`, and its head.
    pub(super) fn mae(&self, config: &HieraMaeConfig) -> Vec<Entry> {
        let HieraMaeConfig { encoder, decoder, .. } = config;
        let (names, input) = (&self.decoder, encoder.output_width());
        let transformer = decoder.fusion_transformer(encoder);
        let (width, grid) = (decoder.width, encoder.stage_grid(encoder.pools));
        let mut entries = self.hiera("encoder.", encoder);
        for stage in 0..encoder.pools {
            let levels = (encoder.pools - stage) as u32;
            let [down, right] = encoder.query_stride.map(|stride| stride.pow(levels));
            let (ours, theirs) =
                (format!("head.fusion.{stage}"), format!("{}.{stage}", names.fusion));
            let shape = [input, encoder.stage_width(stage), down, right];
            let (weight, bias) = (format!("{theirs}.weight"), format!("{theirs}.bias"));
            entries.push(Entry::convolution(format!("{ours}.weight"), weight, shape));
            entries.push(Entry::vectors(format!("{ours}.bias"), vec![bias], input));
        }
        entries.extend(norm("head.fusion_norm", "encoder_norm", input));
        entries.extend(linear("head.embed", names.embed, input, width));
        let token = names.mask_token.to_string();
        entries.push(Entry::tensor("head.mask_token".into(), token, &[1, 1, width]));
        let (table, theirs) = ("head.positions.table".to_string(), names.positions.to_string());
        let pooled = [encoder.grid().rows / grid.rows, encoder.grid().cols / grid.cols];
        entries.push(Entry::positions(table, theirs, 0, grid, width).of_pooled(pooled));
        for block in 0..decoder.depth {
            let ours = format!("head.transformer.blocks.{block}");
            let theirs = format!("{}.{block}", names.blocks);
            entries.extend(self.block.entries(
                &ours,
                &theirs,
                [width, width, transformer.mlp_width],
            ));
        }
        entries.extend(norm("head.transformer.norm", names.norm, width));
        let values = config.target_width();
        entries.extend(linear("head.projection", names.projection, width, values));
        entries
    }
}

impl BlockNames {
    fn entries(&self, ours: &str, theirs: &str, [input, width, mlp]: [usize; 3]) -> Vec<Entry> {
        let (path, key) =
            (|name: &str| format!("{ours}.{name}"), |name: &str| format!("{theirs}.{name}"));
        let mut entries = norm(&path("norm1"), &key(self.norms[0]), input);
        entries.extend(linear(&path("attention.qkv"), &key("attn.qkv"), input, 3 * width));
        entries.extend(linear(&path("attention.out"), &key("attn.proj"), width, width));
        entries.extend(norm(&path("norm2"), &key(self.norms[1]), width));
        entries.extend(linear(&path("mlp.fc1"), &key("mlp.fc1"), width, mlp));
        entries.extend(linear(&path("mlp.fc2"), &key("mlp.fc2"), mlp, width));
        entries
    }
}
