//! The names of a ResNet's tensors in torchvision and timm, which are the same.

use super::layout::Entry;
use super::weights_file::WeightsFile;
use crate::encoder::ResNetConfig;

/// Side of the first convolution's kernel.
const STEM: usize = 7;

/// The largest number of stages, and of blocks in one, that are looked for.
const MOST: usize = 1024;

/// The sizes of the ResNet whose keys `file` has, if it is one of plain convolutions: without groups, a deeper
/// stem or other layers.
pub(super) fn config_in(file: &WeightsFile) -> Option<ResNetConfig> {
    let first = "layer1.0.conv1.weight";
    let prefix = file.find(first)?.strip_suffix(first)?.to_string();
    let shape = |key: &str| file.shape(&format!("{prefix}{key}"));
    let &[stem, channels, STEM, STEM] = shape("conv1.weight")?.as_slice() else { return None };
    let bottleneck = shape("layer1.0.conv3.weight").is_some();
    let (mut depths, mut widths) = (Vec::new(), Vec::new());
    for stage in 1..=MOST {
        let conv = |block: usize| shape(&format!("layer{stage}.{block}.conv1.weight"));
        let Some(&[width, ..]) = conv(0).as_deref() else { break };
        widths.push(width);
        depths.push((0..MOST).take_while(|&block| conv(block).is_some()).count());
    }
    Some(ResNetConfig::new(channels, depths, widths, bottleneck).with_stem(stem))
}

/// The entries of a [`ResNet`](crate::encoder::ResNet).
pub(super) fn entries(config: &ResNetConfig) -> Vec<Entry> {
    let mut entries = layer("stem", ["conv1", "bn1"], [config.stem, config.channels], STEM);
    let mut from = config.stem;
    for (stage, &depth) in config.depths.iter().enumerate() {
        let (within, to) = (config.widths[stage], config.stage_width(stage));
        let sides: &[usize] = if config.bottleneck { &[1, 3, 1] } else { &[3, 3] };
        for block in 0..depth {
            let ours = format!("stages.{stage}.{block}");
            let theirs = format!("layer{}.{block}", stage + 1);
            let changes = from != to || (stage > 0 && block == 0);
            let mut inputs = from;
            for (index, &side) in sides.iter().enumerate() {
                let outputs = if index + 1 == sides.len() { to } else { within };
                let (conv, norm) = (index + 1, index + 1);
                let names = [format!("{theirs}.conv{conv}"), format!("{theirs}.bn{norm}")];
                let names = [names[0].as_str(), names[1].as_str()];
                let path = format!("{ours}.convs.{index}");
                entries.extend(layer(&path, names, [outputs, inputs], side));
                inputs = outputs;
            }
            if changes {
                let names = [0, 1].map(|part| format!("{theirs}.downsample.{part}"));
                let names = [names[0].as_str(), names[1].as_str()];
                entries.extend(layer(&format!("{ours}.projection"), names, [to, from], 1));
            }
            from = to;
        }
    }
    entries
}

/// A convolution and its norm.
fn layer(ours: &str, [conv, norm]: [&str; 2], [to, from]: [usize; 2], side: usize) -> Vec<Entry> {
    let (weight, shape) = (format!("{conv}.weight"), [to, from, side, side]);
    let mut entries = vec![Entry::tensor(format!("{ours}.conv.weight"), weight, &shape)];
    let vectors = [
        ("norm.gamma", "weight"),
        ("norm.beta", "bias"),
        ("running_mean", "running_mean"),
        ("running_variance", "running_var"),
    ];
    entries.extend(vectors.map(|(own, other)| {
        Entry::vectors(format!("{ours}.norm.{own}"), vec![format!("{norm}.{other}")], to)
    }));
    entries
}
