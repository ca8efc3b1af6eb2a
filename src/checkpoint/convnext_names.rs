//! The names of the tensors of ConvNeXt V2 in each family of files.

use super::layout::Entry;
use super::vit_names::{linear, norm};
use super::weights_file::WeightsFile;
use crate::encoder::ConvNextV2Config;

/// Side of the depthwise convolutions' windows.
const KERNEL: usize = 7;

/// The names in one family of files.
#[derive(Debug, Clone, Copy)]
struct Names {
    /// The stem's convolution and its norm.
    stem: [&'static str; 2],
    /// The norm and the convolution that lead to a stage, `{}` being its number.
    downsampling: [&'static str; 2],
    /// A block, the first `{}` being its stage's number, the second its own.
    block: &'static str,
    depthwise: &'static str,
    norm: &'static str,
    fc1: &'static str,
    fc2: &'static str,
    response_norm: [&'static str; 2],
    /// Whether the response norm's parameters are vectors, and not `[1, 1, 1, width]`.
    flat: bool,
    pooled_norm: &'static str,
}

const TRANSFORMERS: Names = Names {
    stem: ["embeddings.patch_embeddings", "embeddings.layernorm"],
    downsampling: [
        "encoder.stages.{}.downsampling_layer.0",
        "encoder.stages.{}.downsampling_layer.1",
    ],
    block: "encoder.stages.{}.layers.{}",
    depthwise: "dwconv",
    norm: "layernorm",
    fc1: "pwconv1",
    fc2: "pwconv2",
    response_norm: ["grn.weight", "grn.bias"],
    flat: false,
    pooled_norm: "layernorm",
};

/// facebookresearch/ConvNeXt-V2, models/convnextv2.py.
const OFFICIAL: Names = Names {
    stem: ["downsample_layers.0.0", "downsample_layers.0.1"],
    downsampling: ["downsample_layers.{}.0", "downsample_layers.{}.1"],
    block: "stages.{}.{}",
    depthwise: "dwconv",
    norm: "norm",
    fc1: "pwconv1",
    fc2: "pwconv2",
    response_norm: ["grn.gamma", "grn.beta"],
    flat: false,
    pooled_norm: "norm",
};

const TIMM: Names = Names {
    stem: ["stem.0", "stem.1"],
    downsampling: ["stages.{}.downsample.0", "stages.{}.downsample.1"],
    block: "stages.{}.blocks.{}",
    depthwise: "conv_dw",
    norm: "norm",
    fc1: "mlp.fc1",
    fc2: "mlp.fc2",
    response_norm: ["mlp.grn.weight", "mlp.grn.bias"],
    flat: true,
    pooled_norm: "head.norm",
};

/// The names in one family of files, after a prefix.
#[derive(Debug, Clone)]
pub(super) struct ConvNextNames {
    prefix: String,
    names: Names,
}

impl ConvNextNames {
    /// transformers' names after `prefix`.
    pub(super) fn transformers(prefix: &str) -> Self {
        Self { prefix: prefix.into(), names: TRANSFORMERS }
    }

    /// The names that the keys of `file` have, whoever's they are, and what is before these; `None` if it
    /// has no block of a ConvNeXt V2. A first version has a layer scale in place of the response norm.
    pub(super) fn in_file(file: &WeightsFile) -> Option<(Self, String)> {
        [OFFICIAL, TIMM, TRANSFORMERS].into_iter().find_map(|names| {
            let names = Self { prefix: String::new(), names };
            let first = names.response_norm(0, 0);
            let prefix = file.find(&first)?.strip_suffix(&first)?;
            Some((names, prefix.to_string()))
        })
    }

    /// The name of the stem's weight.
    pub(super) fn stem(&self) -> String {
        format!("{}{}.weight", self.prefix, self.names.stem[0])
    }

    /// The name of a stage's first weight, that leads to it.
    pub(super) fn downsampling(&self, stage: usize) -> String {
        format!("{}.weight", self.of_stage(self.names.downsampling[1], &[stage]))
    }

    /// The name of the weight of a block's convolution.
    pub(super) fn depthwise(&self, stage: usize, block: usize) -> String {
        let block = self.of_stage(self.names.block, &[stage, block]);
        format!("{block}.{}.weight", self.names.depthwise)
    }

    /// The name of the first parameter of a block's response norm.
    pub(super) fn response_norm(&self, stage: usize, block: usize) -> String {
        let block = self.of_stage(self.names.block, &[stage, block]);
        format!("{block}.{}", self.names.response_norm[0])
    }

    /// The name of the pooled features' norm.
    pub(super) fn pooled_norm(&self) -> String {
        format!("{}{}", self.prefix, self.names.pooled_norm)
    }

    /// The entries of a [`ConvNextV2`](crate::encoder::ConvNextV2) at the path `ours`, which ends with
    /// a dot or is empty.
    pub(super) fn network(&self, ours: &str, config: &ConvNextV2Config) -> Vec<Entry> {
        let ConvNextV2Config { image, patch, ref widths, ref depths, .. } = *config;
        let (stem, theirs) = (format!("{ours}stem"), |name: &str| format!("{}{name}", self.prefix));
        let [projection, normed] = self.names.stem.map(theirs);
        let shape = [widths[0], image.channels, patch, patch];
        let weight = format!("{projection}.weight");
        let mut entries =
            vec![Entry::patch_embedding(format!("{stem}.projection.weight"), weight, shape)];
        entries.push(bias(&format!("{stem}.projection"), &projection, widths[0]));
        entries.extend(norm(&format!("{stem}.norm"), &normed, widths[0]));
        for (stage, (&width, &depth)) in widths.iter().zip(depths).enumerate() {
            let path = format!("{ours}stages.{stage}");
            if let Some(before) = stage.checked_sub(1) {
                let shape = [width, widths[before], 2, 2];
                entries.extend(self.downsampling_entries(&path, stage, shape));
            }
            for block in 0..depth {
                entries.extend(self.block(&path, [stage, block], width));
            }
        }
        if config.pooled_norm.is_some() {
            let width = config.output_width();
            entries.extend(norm(&format!("{ours}pooled_norm"), &self.pooled_norm(), width));
        }
        entries
    }

    fn downsampling_entries(&self, ours: &str, stage: usize, shape: [usize; 4]) -> Vec<Entry> {
        let [normed, reduction] = self.names.downsampling.map(|name| self.of_stage(name, &[stage]));
        let mut entries = norm(&format!("{ours}.downsampling.norm"), &normed, shape[1]);
        let (ours, weight) =
            (format!("{ours}.downsampling.reduction"), format!("{reduction}.weight"));
        entries.push(Entry::convolution(format!("{ours}.weight"), weight, shape));
        entries.push(bias(&ours, &reduction, shape[0]));
        entries
    }

    fn block(&self, ours: &str, [stage, block]: [usize; 2], width: usize) -> Vec<Entry> {
        let theirs = self.of_stage(self.names.block, &[stage, block]);
        let path = |name: &str| format!("{ours}.blocks.{block}.{name}");
        let key = |name: &str| format!("{theirs}.{name}");
        let (depthwise, hidden) = (key(self.names.depthwise), 4 * width);
        let (weight, shape) = (format!("{depthwise}.weight"), [width, 1, KERNEL, KERNEL]);
        let mut entries = vec![
            Entry::convolution(path("depthwise.kernel"), weight, shape),
            bias(&path("depthwise"), &depthwise, width),
        ];
        entries.extend(norm(&path("norm"), &key(self.names.norm), width));
        entries.extend(linear(&path("fc1"), &key(self.names.fc1), width, hidden));
        let [gamma, beta] = self.names.response_norm.map(key);
        for (ours, theirs) in [("gamma", gamma), ("beta", beta)] {
            let ours = path(&format!("response_norm.{ours}"));
            let entry = Entry::tensor(ours, theirs, &[1, 1, 1, hidden]);
            entries.push(if self.names.flat { entry.flat() } else { entry });
        }
        entries.extend(linear(&path("fc2"), &key(self.names.fc2), hidden, width));
        entries
    }

    /// `name` with these numbers in it.
    fn of_stage(&self, name: &str, numbers: &[usize]) -> String {
        let fill = |name: String, number: &usize| name.replacen("{}", &number.to_string(), 1);
        format!("{}{}", self.prefix, numbers.iter().fold(name.to_string(), fill))
    }
}

fn bias(ours: &str, theirs: &str, width: usize) -> Entry {
    Entry::vectors(format!("{ours}.bias"), vec![format!("{theirs}.bias")], width)
}
