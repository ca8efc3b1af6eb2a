//! The program `burn-mim`: the commands of [`burn_mim::cli`] for the methods of the crate.

use burn_mim::method::BuiltIn;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> std::process::ExitCode {
    burn_mim::cli::main::<BuiltIn>()
}
