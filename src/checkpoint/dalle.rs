//! DALL·E's image encoder: a plain state dict of its published weights.

use std::path::Path;

use burn::tensor::Device;

use super::layout::{self, Entry, Source};
use super::report::{LoadOptions, Loaded};
use super::weights_file::WeightsFile;
use crate::error::{Error, Result};
use crate::nn::InitialWeights;
use crate::target::tokenizer::{Dvae, DvaeConfig};

/// Loads the encoder of DALL·E's dVAE from its state dict (`blocks.input.w`,
/// `blocks.group_1.block_1.res_path.conv_1.w`, ...), in safetensors or a PyTorch file: the tokenizer
/// of BEiT, with [`DvaeConfig::dalle_encoder`].
///
/// The file that OpenAI publishes is a pickled module; this function reads its `state_dict()`.
///
/// # Errors
///
/// When the configuration has a decoder or is broken, the file cannot be read, a tensor has another
/// shape, or the load is strict and a key differs.
pub fn load_dalle_encoder(
    path: impl AsRef<Path>,
    config: &DvaeConfig,
    options: LoadOptions,
    device: &Device,
) -> Result<Loaded<Dvae, DvaeConfig>> {
    config.validate()?;
    if config.decoder {
        return Err(Error::config("DALL·E's encoder comes without a decoder: with_decoder(false)"));
    }
    let file = WeightsFile::open(path)?;
    let make = || config.init(&mut InitialWeights::new(0, device));
    let source = Source { file: &file, form: "DALL·E", grid: None, device: device.clone() };
    let (model, report) = layout::load(make, &entries(config), &source, &[], options)?;
    Ok(Loaded { model, config: config.clone(), report })
}

fn entries(config: &DvaeConfig) -> Vec<Entry> {
    let widths = config.group_widths();
    let mut entries = conv("input", "blocks.input", [config.hidden, config.image.channels, 7]);
    let mut inputs = config.hidden;
    for (group, &outputs) in widths.iter().enumerate() {
        for block in 0..config.blocks {
            let ours = format!("encoder.groups.{group}.{block}");
            let theirs = format!("blocks.group_{}.block_{}", group + 1, block + 1);
            if inputs != outputs {
                let (ours, theirs) = (format!("{ours}.identity"), format!("{theirs}.id_path"));
                entries.extend(conv(&ours, &theirs, [outputs, inputs, 1]));
            }
            let narrow = outputs / 4;
            let shapes = [
                [narrow, inputs, 3],
                [narrow, narrow, 3],
                [narrow, narrow, 3],
                [outputs, narrow, 1],
            ];
            for (index, shape) in shapes.into_iter().enumerate() {
                let ours = format!("{ours}.convs.{index}");
                let theirs = format!("{theirs}.res_path.conv_{}", index + 1);
                entries.extend(conv(&ours, &theirs, shape));
            }
            inputs = outputs;
        }
    }
    let shape = [config.vocabulary, inputs, 1, 1];
    let output = "blocks.output.conv";
    entries.push(Entry::convolution("to_logits.weight".into(), format!("{output}.w"), shape));
    let bias = vec![format!("{output}.b")];
    entries.push(Entry::vectors("to_logits.bias".into(), bias, config.vocabulary));
    entries
}

fn conv(ours: &str, theirs: &str, [outputs, inputs, kernel]: [usize; 3]) -> Vec<Entry> {
    let shape = [outputs, inputs, kernel, kernel];
    vec![
        Entry::tensor(format!("{ours}.weight"), format!("{theirs}.w"), &shape),
        Entry::vectors(format!("{ours}.bias"), vec![format!("{theirs}.b")], outputs),
    ]
}
