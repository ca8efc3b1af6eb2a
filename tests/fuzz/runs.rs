//! What runs leave: checkpoints, configurations and tokenizers.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use burn_mim::data::augment::Augmentation;
use burn_mim::data::source::MemoryDataset;
use burn_mim::data::{ChannelStatistics, Loader, LoaderConfig, MimCollate};
use burn_mim::method::load_tokenizer;
use burn_mim::nn::InitialWeights;
use burn_mim::train::{Interrupt, Pretraining, Progress, Recipe};
use burn_mim::{DecoderConfig, ImageShape, MaeConfig, Result, VitConfig};

use crate::campaign::{folder, fuzz};

const IMAGE: ImageShape = ImageShape::square(1, 8);

fn mae() -> MaeConfig {
    let decoder = DecoderConfig::new().with_width(4).with_depth(1).with_heads(1);
    MaeConfig::new(VitConfig::new(IMAGE, 4, 8, 1, 2)).with_decoder(decoder)
}

fn batches(training: bool) -> Loader<MimCollate> {
    let statistics = ChannelStatistics { mean: vec![0.5], std: vec![0.25] };
    let mask = mae().mask().unwrap();
    let collate = MimCollate::new(IMAGE, &statistics, Augmentation::none(), mask).unwrap();
    let config = LoaderConfig { batch_size: 2, seed: 1, workers: 0, training };
    let pixels = (0..6 * IMAGE.values()).map(|i| (i * i % 251) as u8).collect();
    let dataset = Arc::new(MemoryDataset::new(IMAGE, pixels, None).unwrap());
    Loader::new(dataset, collate, config, &Device::flex()).unwrap()
}

/// Trains for two epochs of three steps, or to the first step when told to stop; yields the last
/// losses.
fn train(folder: &Path, resume: bool, interrupt: Interrupt) -> Result<Vec<[f64; 2]>> {
    let task = mae().init(&mut InitialWeights::new(0, &Device::flex().autodiff()));
    let run = Pretraining::new(folder, Recipe::mae().with_epochs(2).with_ema(Some(0.9)));
    let run = run.progress(Progress::Silent).resume(resume).interrupt(interrupt).config(&mae())?;
    let trained = run.run(task, &batches(true), &batches(false))?;
    Ok(trained.history.epochs.iter().map(|e| [e.train_loss, e.valid_loss]).collect())
}

#[test]
fn damaged_checkpoints_are_refused_or_resumed_to_the_same_losses() {
    let scratch = tempfile::tempdir().unwrap();
    let whole = train(&scratch.path().join("whole"), false, Interrupt::default()).unwrap();
    // Stopped after the second step, so that there is an older checkpoint to fall back to.
    let stopped = scratch.path().join("stopped");
    for resume in [false, true] {
        let interrupt = Interrupt::default();
        interrupt.request();
        train(&stopped, resume, interrupt).unwrap();
    }
    let resumed = |folder: &Path| {
        let losses = train(folder, true, Interrupt::default())?;
        assert_eq!(losses, whole, "a damaged run is resumed to other losses, in silence");
        Ok(())
    };
    fuzz("checkpoints", 60, &[folder(&stopped)], |_| true, resumed);
}

#[test]
fn damaged_tokenizers_are_refused_or_read() {
    let scratch = tempfile::tempdir().unwrap();
    let seeds = tokenizers(scratch.path());
    let read = |folder: &Path| load_tokenizer(folder, &Device::flex()).map(drop);
    let kept = |path: &Path| path.to_string_lossy().starts_with("tokenizer.");
    fuzz("tokenizers", 60, &seeds, kept, read);
}

/// A palette, a vector quantizer and a discrete autoencoder, as a run leaves them.
fn tokenizers(scratch: &Path) -> Vec<crate::campaign::Seed> {
    use burn::module::Module;
    use burn_mim::target::tokenizer::{DvaeConfig, PaletteConfig, TokenizerConfig, VqConfig};

    let encoder = VitConfig::new(IMAGE, 4, 8, 1, 2).with_class_token(false);
    let palette = PaletteConfig::new(IMAGE).with_patch(4).with_vocabulary(6);
    let vq = VqConfig::new(encoder).with_vocabulary(6).with_code_width(4);
    let dvae =
        DvaeConfig::new(IMAGE).with_patch(4).with_vocabulary(6).with_hidden(4).with_blocks(1);
    let seed = |config: TokenizerConfig| {
        let path = scratch.join(config.name());
        fs::create_dir_all(&path).unwrap();
        let json = serde_json::to_vec_pretty(&config).unwrap();
        fs::write(path.join("tokenizer.json"), json).unwrap();
        let tokenizer = config.init(&mut InitialWeights::new(0, &Device::flex()));
        tokenizer.into_record().save(path.join("tokenizer.bpk")).unwrap();
        folder(&path)
    };
    let configs =
        [TokenizerConfig::Palette(palette), TokenizerConfig::Vq(vq), TokenizerConfig::Dvae(dvae)];
    configs.map(seed).to_vec()
}
