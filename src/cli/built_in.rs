//! The programs of [`cli`](super) for the methods of this crate, [`BuiltIn`].
//!
//! They are compiled with the library: whatever calls them has nothing but them to link, where
//! `cli::main::<BuiltIn>()` would compile every method again.

use std::process::ExitCode;

use super::pretrain::{Args, Own};
use super::{NoFlags, exit};
use crate::error::Result;
use crate::method::BuiltIn;
use crate::run::Draft;

/// [`cli::main`](super::main) with the methods of this crate.
pub fn main() -> ExitCode {
    super::main::<BuiltIn>()
}

/// [`cli::evaluate`](super::evaluate) with the methods of this crate.
pub fn evaluate() -> ExitCode {
    super::evaluate::<BuiltIn>()
}

/// [`cli::motion`](super::motion) with the methods of this crate.
pub fn motion() -> ExitCode {
    super::motion::<BuiltIn>()
}

/// [`cli::tokenizer`](super::tokenizer) with the methods of this crate.
pub fn tokenizer() -> ExitCode {
    super::tokenizer::<BuiltIn>()
}

/// [`cli::pretrain`](super::pretrain) with the method `method` of this crate and no flags but its own.
pub fn pretrain(method: &str) -> ExitCode {
    pretrain_with::<NoFlags>(method, |_, _| Ok(()))
}

/// [`cli::pretrain`](super::pretrain) with the methods of this crate.
pub fn pretrain_with<A: clap::Args>(
    method: &str,
    own: impl FnOnce(&A, &mut Draft) -> Result<()>,
) -> ExitCode {
    let (args, flags) = super::parse_pretrain::<A>();
    run(&args, method, Box::new(|draft| own(&flags, draft)))
}

/// What is compiled here and not where it is called, for it has no parameters.
fn run(args: &Args, method: &str, own: Own<'_>) -> ExitCode {
    exit::exit(super::pretrain::run::<BuiltIn>(args, Some(method), own))
}
