//! How every example ends.

use std::process::ExitCode;

use burn_mim::Result;

/// Ends an example: a fault is one line on standard error.
pub(crate) fn exit(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
