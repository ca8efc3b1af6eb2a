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

pub mod data;
mod embed;
mod evaluate;
pub mod exit;
mod finetune;
mod images;
pub mod numbers;
mod predict;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Result;
use crate::method::Methods;

/// Masked image modelling: pre-train encoders, measure them, and use them.
#[derive(Debug, Parser)]
#[command(name = "burn-mim", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Evaluate(Box<evaluate::Args>),
    Finetune(Box<finetune::Args>),
    Embed(Box<embed::Args>),
    Predict(Box<predict::Args>),
}

impl Command {
    fn run<L: Methods>(&self) -> Result<()> {
        match self {
            Self::Evaluate(args) => evaluate::run::<L>(args),
            Self::Finetune(args) => finetune::run::<L>(args),
            Self::Embed(args) => embed::run::<L>(args),
            Self::Predict(args) => predict::run::<L>(args),
        }
    }
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
