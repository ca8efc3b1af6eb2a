//! The commands of the program `burn-mim`, for any list of methods.
//!
//! A program with methods of its own has the same commands for them:
//!
//! ```no_run
//! use burn_mim::{MaeConfig, SimMimConfig};
//!
//! // In your program, your own methods stand in this list too.
//! burn_mim::methods!(Mine: MaeConfig, SimMimConfig);
//!
//! fn main() -> std::process::ExitCode {
//!     burn_mim::cli::main::<Mine>()
//! }
//! ```

pub mod built_in;
pub mod data;
mod embed;
mod evaluate;
pub mod exit;
mod export;
mod finetune;
mod images;
mod inspect;
mod motion;
pub mod numbers;
mod pack;
mod predict;
mod pretrain;
mod reference;
mod tokenizer;
mod tuning;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::encoder::VitConfig;
use crate::error::Result;
use crate::grid::ImageShape;
use crate::method::Methods;
use crate::run::Draft;

/// Masked image modelling: pre-train encoders, measure them, and use them.
#[derive(Debug, Parser)]
#[command(name = "burn-mim", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Pre-trains an encoder by the document that flags and files make; leaves checkpoints, metrics
    /// and pictures in a folder
    Pretrain(Box<AnyMethod>),
    Tokenizer(Box<tokenizer::Args>),
    Evaluate(Box<evaluate::Args>),
    Finetune(Box<finetune::Args>),
    Embed(Box<embed::Args>),
    Predict(Box<predict::Args>),
    Export(export::Args),
    Inspect(inspect::Args),
    Motion(motion::Args),
    Pack(pack::Args),
    Presets(reference::Presets),
    Completions(reference::Completions),
    Man(reference::Man),
}

/// A method by its name, or the one that the document or the preset names.
#[derive(Debug, clap::Args)]
#[command(about = None, long_about = None)]
struct AnyMethod {
    /// The method, such as mae [default: the one of the document or the preset]
    method: Option<String>,
    #[command(flatten)]
    args: pretrain::Args,
}

impl Command {
    fn run<L: Methods>(&self) -> Result<()> {
        match self {
            Self::Pretrain(any) => {
                let AnyMethod { method, args } = any.as_ref();
                pretrain::run::<L>(args, method.as_deref(), Box::new(|_| Ok(())))
            }
            Self::Tokenizer(args) => tokenizer::run::<L>(args),
            Self::Evaluate(args) => evaluate::run::<L>(args),
            Self::Embed(args) => embed::run::<L>(args),
            // The work of the others is not shared out.
            _ if !exit::ranks()?.is_first() => Ok(()),
            Self::Finetune(args) => finetune::run::<L>(args),
            Self::Predict(args) => predict::run::<L>(args),
            Self::Export(args) => export::run::<L>(args),
            Self::Inspect(args) => inspect::run(args),
            Self::Motion(args) => motion::run::<L>(args),
            Self::Pack(args) => pack::run(args),
            Self::Presets(presets) => presets.run::<L>(),
            Self::Completions(completions) => completions.run(CommandLine::command()),
            Self::Man(man) => man.run(CommandLine::command()),
        }
    }
}

/// The encoder that stands for random weights: that of the methods' defaults for small images.
fn small_encoder(channels: usize, side: Option<usize>) -> VitConfig {
    VitConfig::new(ImageShape::square(channels, side.unwrap_or(32)), 4, 128, 6, 4)
}

/// The program: reads the command line, runs one of its commands with the methods of the list `L`,
/// and reports a fault in one line.
pub fn main<L: Methods>() -> ExitCode {
    exit::exit(CommandLine::parse().command.run::<L>())
}

/// The command `evaluate` as a program of its own.
pub fn evaluate<L: Methods>() -> ExitCode {
    exit::exit(evaluate::run::<L>(&evaluate::Args::parse()))
}

/// The command `motion` as a program of its own.
pub fn motion<L: Methods>() -> ExitCode {
    exit::exit(motion::run::<L>(&motion::Args::parse()))
}

/// The command `tokenizer` as a program of its own.
pub fn tokenizer<L: Methods>() -> ExitCode {
    exit::exit(tokenizer::run::<L>(&tokenizer::Args::parse()))
}

/// The command `pretrain` with the method `method` as a program of its own, with `A`, flags that
/// only this program has: `own` writes them to the document, where it may name another method too.
pub fn pretrain<L: Methods, A: clap::Args>(
    method: &str,
    own: impl FnOnce(&A, &mut Draft) -> Result<()>,
) -> ExitCode {
    let (args, flags) = parse_pretrain::<A>();
    exit::exit(pretrain::run::<L>(&args, Some(method), Box::new(|draft| own(&flags, draft))))
}

/// The flags of `pretrain` and those of `A`, as they stand on the command line.
fn parse_pretrain<A: clap::Args>() -> (pretrain::Args, A) {
    #[derive(Debug, Parser)]
    struct CommandLine<A: clap::Args> {
        #[command(flatten)]
        args: pretrain::Args,
        #[command(flatten)]
        own: A,
    }
    // Not about the flags of `A`, of which it would be otherwise.
    let program = CommandLine::<A>::command().about(pretrain::ABOUT);
    let parsed = CommandLine::<A>::from_arg_matches(&program.get_matches());
    let CommandLine { args, own } = parsed.unwrap_or_else(|error| error.exit());
    (args, own)
}

/// No flags beyond those of [`pretrain`].
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(about = None, long_about = None)]
pub struct NoFlags {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_every_command_says_what_it_does() {
        let program = CommandLine::command();
        program.clone().debug_assert();
        for command in program.get_subcommands() {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(about.len() > 20, "{}: {about:?}", command.get_name());
            let silent = command.get_arguments().find(|flag| flag.get_help().is_none());
            let silent = silent.filter(|flag| flag.get_id() != "shell");
            assert!(silent.is_none(), "{}: {silent:?}", command.get_name());
        }
    }

    #[test]
    fn manual_pages_and_completions_know_every_command() {
        let folder = tempfile::tempdir().unwrap();
        clap_mangen::generate_to(CommandLine::command(), folder.path()).unwrap();
        for command in CommandLine::command().get_subcommands() {
            let page = folder.path().join(format!("burn-mim-{}.1", command.get_name()));
            assert!(page.is_file(), "{}", page.display());
        }
        let mut script = Vec::new();
        let shell = clap_complete::Shell::Bash;
        clap_complete::generate(shell, &mut CommandLine::command(), "burn-mim", &mut script);
        assert!(String::from_utf8(script).unwrap().contains("pretrain"));
    }
}
