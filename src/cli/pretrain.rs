//! `pretrain`: a document, from files and flags, becomes a run.

use std::path::{Path, PathBuf};

use clap::Parser;

use super::data::{self, Reading};
use super::exit::{self, tell};
use super::numbers::{positive, rate, share, side, workers};
use crate::data::{Channels, DataSpec, ImageData, OnBadImage};
use crate::error::{Error, Result};
use crate::method::{Method, MethodVisitor, Methods, Run};
use crate::run::{Draft, RunDocument, device_named};
use crate::train::{Budget, Precision, Pretrained, Progress, RunFolder};

/// What the command does.
pub(super) const ABOUT: &str = "\
Pre-trains an encoder; leaves checkpoints, metrics and pictures in a folder.

What a run does is one document. Flags say what is changed most often, --set changes any field of it, \
and --config reads a file of TOML or JSON, such as the config.toml that every run leaves.";

/// The flags of the command.
#[derive(Debug, Parser)]
#[command(about = None, long_about = None)]
pub(super) struct Args {
    #[command(flatten)]
    document: DocumentArgs,
    /// shapes | cifar10 (downloads to the cache) | cifar10:DIR | cifar100[:DIR] | idx:DIR | folder:DIR
    /// [default: shapes]
    #[arg(long, value_parser = data::spec())]
    data: Option<DataSpec>,
    /// Passes over the training images [default: what about three minutes on two cores allow]
    #[arg(long, value_parser = positive)]
    epochs: Option<usize>,
    /// Steps of the optimizer, in place of epochs
    #[arg(long, value_parser = positive, conflicts_with = "epochs")]
    steps: Option<usize>,
    /// About so many minutes on this machine, in place of epochs
    #[arg(long, conflicts_with_all = ["epochs", "steps"])]
    minutes: Option<f64>,
    /// Training images to use, of every class alike [default: all]
    #[arg(long, value_parser = positive)]
    train_images: Option<usize>,
    /// auto | 1 | 3: channels that every image is converted to; auto: color if any of up to 1024
    /// training images looked at has color [default: auto]
    #[arg(long)]
    channels: Option<Channels>,
    /// error | skip: what becomes of a file that cannot be read as an image [default: error]
    #[arg(long)]
    on_bad_image: Option<OnBadImage>,
    /// Read every image beforehand, and name those that cannot be read
    #[arg(long)]
    verify: bool,
    /// Images per step [default: 64]
    #[arg(long, value_parser = positive)]
    batch_size: Option<usize>,
    /// Side of the images the model reads, in pixels; others are cropped and resized [default: the
    /// preset's, 32, or 16 where every pixel is a token]
    #[arg(long, value_parser = side)]
    image_size: Option<usize>,
    /// Seed of weights, order, crops and masks [default: 0]
    #[arg(long)]
    seed: Option<u64>,
    /// Folder for everything the run leaves [default: runs/METHOD]
    #[arg(long)]
    out: Option<PathBuf>,
    /// flex | ndarray | wgpu | cuda, as compiled in
    #[arg(long, default_value = "flex")]
    device: String,
    /// f32 | bf16 | f16: what a step computes in; weights are f32 in all of them [default: f32]
    #[arg(long)]
    precision: Option<Precision>,
    /// Threads that prepare batches [default: 1]
    #[arg(long, value_parser = workers)]
    workers: Option<usize>,
    /// Go on from the newest checkpoint in the folder, by the document that is in it
    #[arg(long)]
    resume: bool,
    /// Go on with other images than the run began with, such as after a damaged file was removed
    #[arg(long, requires = "resume")]
    accept_changed_data: bool,
    /// Begin with the weights of a run, of a transformers folder or of a file of published weights
    #[arg(long, value_name = "PATH")]
    init_from: Option<PathBuf>,
    /// Base learning rate: the peak is this times the batch size over the recipe's [default: the
    /// preset's]
    #[arg(long, value_parser = rate)]
    lr: Option<f64>,
    /// Measure the encoder by k-NN every so many epochs; 0 for never [default: 0]
    #[arg(long)]
    probe: Option<usize>,
    /// Share of the cells that is hidden [default: the preset's]
    #[arg(long, value_parser = share)]
    mask_ratio: Option<f64>,
    /// Side of a patch in pixels [default: the preset's]
    #[arg(long, value_parser = positive)]
    patch_size: Option<usize>,
    /// Features per token, in the first stage of Swin [default: the preset's]
    #[arg(long, value_parser = positive)]
    width: Option<usize>,
    /// Blocks, not of Swin [default: the preset's]
    #[arg(long, value_parser = positive)]
    depth: Option<usize>,
    /// A folder with a tokenizer, for methods that predict tokens [default: one is trained first]
    #[arg(long, value_name = "FOLDER")]
    tokenizer: Option<PathBuf>,
}

/// Where the document comes from.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(about = None, long_about = None)]
struct DocumentArgs {
    /// A document, in TOML or JSON
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set any field of the document; may be given more than once
    #[arg(long = "set", value_name = "PATH.TO.FIELD=VALUE")]
    sets: Vec<String>,
    /// The preset whose values absent fields have, as `burn-mim presets` lists them
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// Print the whole document and what it would take, and start nothing
    #[arg(long)]
    print_config: bool,
}

impl Args {
    /// What was written in the document and on the command line; `own` adds the flags of a command
    /// that has more.
    fn draft(
        &self,
        method: Option<&str>,
        own: impl FnOnce(&mut Draft) -> Result<()>,
    ) -> Result<Draft> {
        let DocumentArgs { config, sets, preset, .. } = &self.document;
        let left = self.out.clone().or(method.map(folder)).map(|out| out.join("config.toml"));
        let mut draft = match (config, left) {
            (Some(file), _) => Draft::read(file)?,
            (None, Some(left)) if self.resume && left.is_file() => Draft::read(left)?,
            _ => Draft::new(),
        };
        draft.put("method", method, "the command")?;
        draft.put("preset", preset.as_ref(), "--preset")?;
        self.flags(&mut draft)?;
        own(&mut draft)?;
        sets.iter().try_for_each(|set| draft.set(set))?;
        Ok(draft)
    }

    fn flags(&self, draft: &mut Draft) -> Result<()> {
        macro_rules! put {
            ($($field:ident: $path:literal,)*) => {
                $(
                    let flag = format!("--{}", stringify!($field).replace('_', "-"));
                    draft.put($path, self.$field.as_ref(), &flag)?;
                )*
            };
        }
        put! {
            data: "data", train_images: "data_options.train_images",
            channels: "data_options.channels", on_bad_image: "data_options.on_bad_image",
            batch_size: "batch_size", image_size: "image_size", seed: "seed",
            precision: "precision", workers: "workers", probe: "probe",
            init_from: "init_from.source", epochs: "recipe.epochs", lr: "recipe.base_lr",
        }
        // Of the lengths that a document and flags give, the flag's counts.
        if self.epochs.is_some() {
            draft.put("budget", Some(()), "--epochs")?;
        }
        draft.put("budget", self.steps.map(Budget::Steps), "--steps")?;
        draft.put("budget", self.minutes.map(Budget::Minutes), "--minutes")?;
        let Self { mask_ratio, patch_size, width, depth, .. } = *self;
        let knobs = &mut draft.knobs;
        (knobs.mask_ratio, knobs.patch_size) = (mask_ratio, patch_size);
        (knobs.width, knobs.depth) = (width, depth);
        knobs.tokenizer = self.tokenizer.clone();
        Ok(())
    }

    /// Opens the images, saying how far that is. A run that goes on keeps its statistics.
    fn open(&self, draft: &Draft, out: &Path) -> Result<ImageData> {
        let (spec, options, mut statistics) = draft.images()?;
        if self.resume {
            let saved: Option<serde_json::Value> = RunFolder::new(out).config().ok();
            let saved = saved.map(|mut saved| saved["statistics"].take());
            let saved = saved.and_then(|saved| serde_json::from_value(saved).ok());
            statistics = saved.or(statistics);
        }
        Reading::new(&options, self.verify).open(&spec, &options, statistics)
    }
}

/// Runs the command: on the method `method`, or the one that the document names.
pub(super) fn run<L: Methods>(
    args: &Args,
    method: Option<&str>,
    own: impl FnOnce(&mut Draft) -> Result<()>,
) -> Result<()> {
    let draft = args.draft(method, own)?;
    let (name, variant) = draft.method::<L>()?;
    L::visit(&name, &variant, Check { draft: &draft })?;
    // Not before it is known that there is a device to train on.
    device_named(&args.device)?;
    let written = draft.text("out")?.map(PathBuf::from);
    let out = args.out.clone().or(written).unwrap_or_else(|| folder(&name));
    let data = args.open(&draft, &out)?;
    L::visit(&name, &variant, Pretrain { args, draft: &draft, data, out })
}

/// Where a run of `method` leaves its files unless it is told where.
fn folder(method: &str) -> PathBuf {
    PathBuf::from("runs").join(method)
}

/// Refuses a wrong document before the images are opened, which may take minutes.
struct Check<'a> {
    draft: &'a Draft,
}

impl MethodVisitor for Check<'_> {
    type Output = ();

    fn visit<M: Method>(self) -> Result<()> {
        self.draft.check::<M>()
    }
}

struct Pretrain<'a> {
    args: &'a Args,
    draft: &'a Draft,
    data: ImageData,
    out: PathBuf,
}

impl MethodVisitor for Pretrain<'_> {
    type Output = ();

    fn visit<M: Method>(self) -> Result<()> {
        let Self { args, draft, data, out } = self;
        let document: RunDocument<M> = draft.resolve(data.shape.channels, data.train.len())?;
        if args.document.print_config {
            return exit::answer(document.to_toml()?.trim_end());
        }
        let mut run = document.run(data, out, &device_named(&args.device)?)?;
        run.resume = args.resume;
        run.accept_changed_data = args.accept_changed_data;
        run.progress = Progress::Auto;
        run.interrupt = exit::interrupt()?;
        report(&run, &run.pretrain(&document.numbers)?)
    }
}

/// Tells what a run came to and where it is; one that was stopped is not a success.
fn report<T>(run: &Run, trained: &Pretrained<T>) -> Result<()> {
    if let Some(last) = trained.history.last() {
        for (name, value) in &last.valid_metrics {
            tell(format_args!("{name} {value:.3}"));
        }
        let trivial = trained.history.trivial_loss.unwrap_or(f64::NAN);
        let loss = last.valid_loss;
        tell(format_args!("validation loss {loss:.4} (trivial predictor {trivial:.4})"));
    }
    let from = trained.resumed_from.as_ref();
    let from = from.map_or(String::new(), |path| format!(", resumed from {}", path.display()));
    tell(format_args!("checkpoints, metrics and pictures are in {}{from}", run.out.display()));
    if trained.interrupted { stopped() } else { Ok(()) }
}

/// Ends what a signal stopped.
pub(super) fn stopped<T>() -> Result<T> {
    tell("stopped before the last epoch: --resume goes on");
    Err(Error::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::{BuiltIn, MaeConfig, SimMimConfig};
    use crate::{MaskConfig, SwinConfig};

    fn parse(flags: &str) -> Result<Args, String> {
        let flags = std::iter::once("pretrain").chain(flags.split_whitespace());
        Args::try_parse_from(flags).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn resolved<M: Method>(method: &str, flags: &str) -> Result<RunDocument<M>> {
        parse(flags).unwrap().draft(Some(method), |_| Ok(()))?.resolve(3, 1000)
    }

    #[test]
    fn numbers_that_nothing_can_be_done_with_are_refused_with_flag_value_and_range() {
        let huge = "18446744073709551615";
        for (flags, range) in [
            ("--train-images 0", "from 1 to 4294967295"),
            ("--epochs 0", "from 1 to 4294967295"),
            ("--batch-size 0", "from 1 to 4294967295"),
            ("--image-size 0", "from 1 to 4096"),
            ("--image-size 100000", "from 1 to 4096"),
            ("--workers 100000", "from 0 to 1024"),
            ("--patch-size 0", "from 1 to 4294967295"),
            ("--mask-ratio 1", "above 0 and below 1"),
            ("--lr 0", "a finite number above 0"),
            (&format!("--workers {huge}"), "from 0 to 1024"),
        ] {
            let message = parse(flags).unwrap_err();
            let message = message.lines().next().unwrap();
            let (flag, value) = flags.split_once(' ').unwrap();
            assert!(message.contains(flag) && message.contains(value), "{message}");
            assert!(message.contains(range), "{message}");
        }
    }

    #[test]
    fn flags_and_sets_change_the_document_and_later_ones_win() {
        let flags = "--epochs 3 --lr 1e-3 --seed 18446744073709551615 --precision bf16 --depth 2 \
                     --mask-ratio 0.5 --image-size 16 --train-images 7 --set recipe.epochs=5";
        let document: RunDocument<MaeConfig> = resolved("mae", flags).unwrap();
        assert_eq!((document.recipe.epochs, document.recipe.base_lr), (5, 1e-3));
        assert_eq!((document.seed, document.precision), (u64::MAX, Precision::Bf16));
        assert_eq!(document.data_options.train_images, Some(7));
        assert_eq!(document.budget, None);
        let MaeConfig { encoder, mask, .. } = &document.numbers;
        assert_eq!((encoder.depth, encoder.image.height), (2, 16));
        assert_eq!(*mask, MaskConfig::Mae { ratio: 0.5 });
    }

    #[test]
    fn a_flag_that_does_not_act_on_the_method_is_an_error_that_names_it() {
        let fault = |method, flags| match method {
            "mae" => resolved::<MaeConfig>(method, flags).unwrap_err().to_string(),
            _ => resolved::<SimMimConfig<SwinConfig>>(method, flags).unwrap_err().to_string(),
        };
        let message = fault("mae", "--tokenizer runs/tokenizer");
        assert!(message.contains("runs/tokenizer"), "{message}");
        let message = fault("simmim", "--depth 3 --set variant=swin");
        assert!(
            message.contains("--depth: the numbers of this method have no `depth`"),
            "{message}"
        );
    }

    #[test]
    fn the_method_is_the_documents_the_presets_or_the_commands() {
        let method = |flags: &str, own| {
            let draft = parse(flags).unwrap().draft(own, |_| Ok(())).unwrap();
            draft.method::<BuiltIn>().map_err(|error| error.to_string())
        };
        let pair = |name: &str, variant: &str| Ok((name.to_string(), variant.to_string()));
        assert_eq!(method("", Some("simmim")), pair("simmim", "vit"));
        assert_eq!(method("--set variant=swin", Some("simmim")), pair("simmim", "swin"));
        assert_eq!(method("--set method=mae", None), pair("mae", ""));
        assert_eq!(method("--preset mae_small_images", None), pair("mae", ""));
        assert!(method("", None).unwrap_err().contains("no method is named"), "no method");
        let message = method("--preset mae_smal_images", None).unwrap_err();
        assert!(message.contains("did you mean `mae_small_images`?"), "{message}");
    }
}
