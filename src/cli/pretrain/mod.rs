//! `pretrain`: a document, from files and flags, becomes a run.

mod args;

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::json;

pub(super) use args::{ABOUT, Args};

use super::data::{Reading, saved_statistics};
use super::exit::{self, say, tell};
use crate::data::{DataOptions, DataSpec, ImageData};
use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::method::{Method, MethodVisitor, Methods, Run};
use crate::run::{
    Draft, REFINE, RefineStage, RunDocument, device_named, refine_document, refine_draft,
    refined_variant,
};
use crate::train::{Interrupt, Pretrained, Ranks, RunFolder};

/// Writes to the document what a program's own flags say.
pub(super) type Own<'a> = Box<dyn FnOnce(&mut Draft) -> Result<()> + 'a>;

impl Args {
    /// What was written in the document and on the command line; `own` adds the flags of a command
    /// that has more.
    fn draft(&self, method: Option<&str>, own: Own<'_>) -> Result<Draft> {
        let args::DocumentArgs { config, sets, preset, .. } = &self.document;
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

    /// Opens the images, saying how far that is. A run that goes on keeps its statistics.
    fn open(&self, draft: &Draft, out: &Path) -> Result<ImageData> {
        let (spec, options, mut statistics) = draft.images()?;
        if self.resume {
            statistics = saved_statistics(out).or(statistics);
        }
        let verify = self.verify && exit::ranks()?.is_first();
        Reading::new(&options, verify).open(&spec, &options, statistics)
    }
}

/// Runs the command: on the method `method`, or the one that the document names.
pub(super) fn run<L: Methods>(args: &Args, method: Option<&str>, own: Own<'_>) -> Result<()> {
    let start = Instant::now();
    // First of all, so that one of several processes tells a fault of the document.
    let ranks = exit::ranks()?;
    let mut draft = args.draft(method, own)?;
    let (name, variant) = draft.method::<L>()?;
    let Checked { second, data, image } = L::visit(&name, &variant, Check { draft: &draft })?;
    if let Some(second) = second {
        L::visit(REFINE, second.variant, Check { draft: &second.draft })?;
    }
    let frames = DataOptions::default().holding(&data, image).frames;
    for (field, known) in [("data", json!(data)), ("data_options.frames", json!(frames))] {
        if draft.get(field).is_none() && !known.is_null() {
            draft.put(field, Some(known), "the method")?;
        }
    }
    // Not before it is known that there is a device to train on.
    device_named(&args.device)?;
    let written = draft.text("out")?.map(PathBuf::from);
    let out = args.out.clone().or(written).unwrap_or_else(|| folder(&name));
    let data = ranks.after_first(|| args.open(&draft, &out))?;
    let interrupt = args.long.limit(exit::interrupt()?, start);
    let (second_out, second_data) = (out.join(REFINED), data.clone());
    let (stop, both) = (interrupt.clone(), ranks.clone());
    let first = Stage { args, draft: &draft, data, out, interrupt, ranks, is_second: false };
    let Some(Second { variant, draft }) = L::visit(&name, &variant, first)? else { return Ok(()) };
    tell(format_args!("refining the encoder, in {}", second_out.display()));
    let (data, out) = (second_data, second_out);
    let (interrupt, ranks) = (stop, both);
    let second = Stage { args, draft: &draft, data, out, interrupt, ranks, is_second: true };
    L::visit(REFINE, variant, second).map(drop)
}

/// The folder of a second stage in the folder of its run.
const REFINED: &str = "refined";

/// What a run goes on with.
struct Second {
    variant: &'static str,
    draft: Draft,
}

/// Where a run of `method` leaves its files unless it is told where.
fn folder(method: &str) -> PathBuf {
    PathBuf::from("runs").join(method)
}

/// Refuses a wrong document before the images are opened, which may take minutes.
struct Check<'a> {
    draft: &'a Draft,
}

/// A document that was checked: what the run goes on with, its images, and what its model reads.
struct Checked {
    second: Option<Second>,
    data: DataSpec,
    image: ImageShape,
}

impl MethodVisitor for Check<'_> {
    type Output = Checked;

    fn visit<M: Method>(self) -> Result<Checked> {
        let document = self.draft.check::<M>()?;
        let second = |stage: &RefineStage| {
            let variant = refined_variant::<M>()?;
            Ok(Second { variant, draft: refine_draft(stage, variant)? })
        };
        Ok(Checked {
            second: document.refine.as_ref().map(second).transpose()?,
            data: document.data.unwrap_or(DataSpec::Shapes),
            image: document.numbers.image(),
        })
    }
}

/// A run by a document, the second of a run with two.
struct Stage<'a> {
    args: &'a Args,
    draft: &'a Draft,
    data: ImageData,
    out: PathBuf,
    interrupt: Interrupt,
    ranks: Ranks,
    is_second: bool,
}

impl MethodVisitor for Stage<'_> {
    type Output = Option<Second>;

    fn visit<M: Method>(self) -> Result<Option<Second>> {
        let Self { args, draft, data, out, interrupt, ranks, is_second } = self;
        let document: RunDocument<M> = draft.resolve(data.shape.channels)?;
        let mut run = document.run(data, out, &device_named(&args.device)?)?;
        (run.interrupt, run.ranks) = (interrupt, ranks);
        if args.document.print_config && !run.ranks.is_first() {
            return Ok(None);
        }
        if args.document.print_config {
            exit::answer(document.to_toml()?.trim_end())?;
            // Said apart from the document, which can be kept as a file.
            say("timing a few steps");
            say(run.estimate(&document.numbers, true)?.to_string().trim_end());
            return Ok(None);
        }
        // A second stage that was not begun yet begins.
        let begins = is_second && RunFolder::new(&run.out).newest_whole()?.is_none();
        run.resume = args.resume && !begins;
        run.accept_changed_data = args.accept_changed_data;
        run.saves = args.long.saves();
        run.progress = exit::progress();
        let trained = run.pretrain(&document.numbers)?;
        report(&run, &trained)?;
        let second = |stage: &RefineStage| {
            let encoder = M::encoder(&trained.task);
            let draft = refine_document(stage, &document, encoder, &run.out)?;
            Ok(Second { variant: refined_variant::<M>()?, draft })
        };
        document.refine.as_ref().map(second).transpose()
    }
}

/// Tells what a run came to and where it is; one that was stopped is not a success.
fn report<T>(run: &Run, trained: &Pretrained<T>) -> Result<()> {
    if let Some(last) = trained.history.last() {
        for (name, value) in &last.valid_metrics {
            tell(format_args!("{name} {value:.3}"));
        }
        let trivial = trained.history.trivial_loss;
        let trivial =
            trivial.map_or(String::new(), |loss| format!(" (trivial predictor {loss:.4})"));
        tell(format_args!("validation loss {:.4}{trivial}", last.valid_loss));
        if let Some(told) = last.collapse() {
            tell(format_args!("warning: {told}"));
        }
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
    use clap::Parser;

    use super::*;
    use crate::method::{BuiltIn, MaeConfig, SimMimConfig};
    use crate::train::{Budget, Precision};
    use crate::{MaskConfig, SwinConfig};

    fn parse(flags: &str) -> Result<Args, String> {
        let flags = std::iter::once("pretrain").chain(flags.split_whitespace());
        Args::try_parse_from(flags).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn resolved<M: Method>(method: &str, flags: &str) -> Result<RunDocument<M>> {
        parse(flags).unwrap().draft(Some(method), Box::new(|_| Ok(())))?.resolve(3)
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
    fn a_run_has_the_presets_epochs_unless_its_length_is_given() {
        let length = |flags| {
            let document: RunDocument<MaeConfig> = resolved("mae", flags).unwrap();
            (document.recipe.epochs, document.budget)
        };
        let preset = MaeConfig::presets()[0].recipe.epochs;
        assert_eq!(length(""), (preset, None));
        assert_eq!(length("--epochs 3"), (3, None));
        assert_eq!(length("--minutes 1.5"), (preset, Some(Budget::Minutes(1.5))));
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
            let draft = parse(flags).unwrap().draft(own, Box::new(|_| Ok(()))).unwrap();
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
