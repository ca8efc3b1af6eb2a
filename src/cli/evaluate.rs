//! `evaluate`: what is an encoder worth?

use std::fs;
use std::path::PathBuf;

use burn::module::Module;
use burn::tensor::Device;
use clap::Parser;

use super::data::{self, Reading};
use super::exit;
use super::numbers::{positive, side, workers};
use super::small_encoder;
use super::tuning::Tuning;
use crate::data::{ChannelStatistics, DataOptions, DataSpec, ImageData};
use crate::encoder::Backbone;
use crate::error::{Error, Result};
use crate::eval::{CellSource, Labels, Pooling};
use crate::method::Methods;
use crate::run::{
    BackboneSource, BackboneVisitor, Evaluation, LoadedBackbone, Plan, Protocol, device_named,
};
use crate::train::Ranks;

/// Evaluates an encoder on labelled images.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// A run's folder | a transformers folder | a file of published weights | none, for random weights
    #[arg(long)]
    pub(crate) checkpoint: BackboneSource,
    /// shapes | moving-shapes | cifar10[:DIR] | cifar100[:DIR] | idx:DIR | folder:DIR | clips:DIR | tar:DIR | parquet:DIR
    #[arg(long, value_parser = data::spec())]
    pub(crate) data: DataSpec,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// A folder with the label maps of folder:DIR, PNG files under the images' names, for dense
    /// [default: a folder masks beside the folder images]
    #[arg(long, value_name = "DIR")]
    pub(crate) masks: Option<PathBuf>,
    /// linear | knn | few | layers | attentive | dense | quality | finetune | partial | all
    #[arg(long)]
    pub(crate) protocol: Protocol,
    /// Seeds to repeat it with: of random weights, heads, orders and labelled parts
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Measure baselines too: random encoders of the same shape, raw pixels, and HOG
    #[arg(long)]
    pub(crate) baselines: bool,
    /// How many labelled training images, of every class alike: a share up to 1, or a number of images
    #[arg(long, default_value = "1")]
    pub(crate) labels: Labels,
    #[command(flatten)]
    pub(crate) tuning: Tuning,
    /// Images per batch
    #[arg(long, default_value_t = 64, value_parser = positive)]
    pub(crate) batch_size: usize,
    /// mean (over all cells) | class (token) | both (side by side) | cells (all side by side; not to fine-tune
    /// with): how tokens become one vector
    #[arg(long, default_value = "mean")]
    pub(crate) pooling: Pooling,
    /// Parts of a clip, one after the other, whose features are averaged, for the read-outs of one vector
    #[arg(long, default_value_t = 1, value_parser = positive)]
    pub(crate) clip_views: usize,
    /// The features that attentive and dense read: last | stages | layers by number, such as 2,4,6
    #[arg(long, default_value = "last")]
    pub(crate) cells: CellSource,
    /// Side of the images that the encoder reads: published weights' position tables are resized to
    /// it [default: what they were trained on; 32 for random weights]
    #[arg(long, value_parser = side)]
    pub(crate) image_size: Option<usize>,
    /// flex | ndarray | wgpu | cuda, as compiled in
    #[arg(long, default_value = "flex")]
    pub(crate) device: String,
    /// Threads that prepare batches
    #[arg(long, default_value_t = 1, value_parser = workers)]
    pub(crate) workers: usize,
    /// Folder for scores.json, fine-tuned runs and the score card [default: runs/evaluate, and none
    /// for linear and knn]
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

impl Args {
    /// Refuses what would not act.
    pub(crate) fn check(&self) -> Result<()> {
        let Tuning { recipe, epochs } = self.tuning;
        let flags = [("--recipe", recipe.is_some()), ("--epochs", epochs.is_some())];
        match flags.iter().find(|(_, given)| *given && !self.protocol.trains_encoder()) {
            Some((flag, _)) => Err(Error::config(format!(
                "{flag} is for finetune, partial and all: the others train no encoder"
            ))),
            None => Ok(()),
        }
    }

    /// Opens the images and their label maps, on the other processes after the first, which alone
    /// reads every image beforehand.
    fn open(
        &self,
        ranks: &Ranks,
        options: &DataOptions,
        statistics: Option<ChannelStatistics>,
    ) -> Result<ImageData> {
        let options = options.clone().with_masks(self.masks.clone());
        let reading = self.reading.on(ranks);
        ranks.after_first(|| reading.open(&self.data, &options, statistics))
    }

    /// Where fine-tuned runs and the score card go.
    pub(crate) fn folder(&self) -> PathBuf {
        self.out.clone().unwrap_or_else(|| PathBuf::from("runs/evaluate"))
    }

    /// Leaves the scores in the folder that was asked for.
    pub(crate) fn leave(&self, scores: &str) -> Result<()> {
        let Some(out) = &self.out else { return Ok(()) };
        let path = out.join("scores.json");
        fs::create_dir_all(out)
            .and_then(|()| fs::write(&path, scores))
            .map_err(|error| Error::data(&path, error))
    }
}

/// Runs the command.
pub(super) fn run<L: Methods>(args: &Args) -> Result<()> {
    // First of all, so that one of several processes tells a fault of the flags.
    let ranks = &exit::ranks()?;
    args.check()?;
    let device = &device_named(&args.device)?;
    let side = args.image_size;
    let (data, vit) = match args.checkpoint {
        BackboneSource::Folder(_) => (None, small_encoder(3, side)),
        BackboneSource::None => {
            let data = args.open(ranks, &args.reading.options(), None)?;
            let vit = small_encoder(data.shape.channels, side);
            (Some(data), vit)
        }
    };
    let protocols = Protocols { args, data, device, ranks };
    args.checkpoint.visit::<L, _>(side, &vit, args.seed, device, protocols)
}

/// The protocols to run with an encoder, on images that are opened with as many channels as it
/// reads, unless they are open already.
struct Protocols<'a> {
    args: &'a Args,
    data: Option<ImageData>,
    device: &'a Device,
    ranks: &'a Ranks,
}

impl BackboneVisitor for Protocols<'_> {
    type Output = ();

    fn visit<B: Backbone + Clone>(self, encoder: LoadedBackbone<B>) -> Result<()> {
        let Self { args, data, device, ranks } = self;
        let open = || {
            let options = args.reading.options_for(encoder.image, &args.data);
            args.open(ranks, &options, encoder.statistics.clone())
        };
        let data = data.map_or_else(open, Ok)?;
        measure(args, &encoder, &data, device, ranks)
    }
}

fn measure<B: Backbone + Clone>(
    args: &Args,
    encoder: &LoadedBackbone<B>,
    data: &ImageData,
    device: &Device,
    ranks: &Ranks,
) -> Result<()> {
    exit::say(&encoder.title);
    encoder.notes.iter().for_each(exit::say);
    let mut evaluation = Evaluation::new(encoder, data, device);
    evaluation.pooling = args.pooling;
    evaluation.cells = args.cells.clone();
    evaluation.labels = args.labels;
    evaluation.clip_views = args.clip_views;
    evaluation.batch_size = args.batch_size;
    evaluation.workers = args.workers;
    (evaluation.seed, evaluation.seeds) = (args.seed, args.seeds);
    evaluation.interrupt = exit::interrupt()?;
    evaluation.progress = exit::progress();
    let images = args.labels.number(data.train.len());
    let plan = Plan {
        protocol: args.protocol,
        baselines: args.baselines,
        tuning: args.tuning.of(Module::num_params(&encoder.backbone), images),
        out: args.folder(),
    };
    let Some(scores) = evaluation.run_by(ranks, &plan, &mut |score| exit::say(score))? else {
        return Ok(());
    };
    if args.protocol == Protocol::All {
        evaluation.score_card(&scores, &args.data.to_string())?.save(&plan.out)?;
        let card = plan.out.join("score_card.html");
        exit::say(format_args!("the score card is {}", card.display()));
    }
    let scores = scores.to_json();
    args.leave(&scores.to_string())?;
    exit::answer(scores)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(flags: &str) -> Result<Args, String> {
        let flags = std::iter::once("evaluate").chain(flags.split_whitespace());
        Args::try_parse_from(flags).map_err(|error| error.to_string())
    }

    #[test]
    fn a_number_of_seeds_out_of_range_is_refused() {
        let flags = "--checkpoint none --data shapes --protocol knn --seeds 18446744073709551615";
        assert!(parse(flags).unwrap_err().contains("--seeds"));
    }

    #[test]
    fn an_evaluation_refuses_what_its_protocol_would_ignore() {
        let check = |flags: &str| {
            let args: Args = parse(&format!("--data shapes {flags}")).unwrap();
            args.check().err().map_or(String::new(), |error| error.to_string())
        };
        for protocol in ["knn", "linear"] {
            let message = check(&format!("--checkpoint none --protocol {protocol} --epochs 2"));
            assert!(message.contains("--epochs is for finetune, partial and all"), "{message}");
        }
        let message = check("--checkpoint none --protocol knn --recipe mae-base");
        assert!(message.contains("--recipe is for finetune"), "{message}");
        assert_eq!(check("--checkpoint none --protocol finetune --epochs 2 --image-size 16"), "");
        assert_eq!(check("--checkpoint runs/mae --protocol knn"), "");
    }

    #[test]
    fn scores_are_left_where_they_are_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("a/b");
        let flags = "--checkpoint none --data shapes --protocol knn";
        let args: Args = parse(&format!("{flags} --out {}", out.display())).unwrap();
        args.leave("{\"knn\": 1}").unwrap();
        assert_eq!(std::fs::read_to_string(out.join("scores.json")).unwrap(), "{\"knn\": 1}");
        assert_eq!(args.folder(), out);
        let args: Args = parse(flags).unwrap();
        assert_eq!(args.folder().display().to_string(), "runs/evaluate");
    }
}
