//! The program `burn-mim`: the commands of [`burn_mim::cli`] for the methods of the crate.

use burn_mim::cli::built_in;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> std::process::ExitCode {
    built_in::main()
}
