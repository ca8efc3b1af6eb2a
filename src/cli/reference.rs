//! What the program says of itself: presets, completions for shells, and manual pages.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;

use super::exit::{answer, tell};
use crate::error::{Error, Result};
use crate::method::Methods;

/// Lists the presets: what absent fields of a document have.
#[derive(Debug, Args)]
pub(super) struct Presets {
    /// Only those of this method
    method: Option<String>,
}

impl Presets {
    pub(super) fn run<L: Methods>(&self) -> Result<()> {
        let mut presets = L::presets();
        if let Some(method) = &self.method {
            presets.retain(|preset| preset.method == method);
            if presets.is_empty() {
                let names = L::names().join(", ");
                return Err(Error::config(format!(
                    "no preset is of a method `{method}`: methods are {names}"
                )));
            }
        }
        let width = presets.iter().map(|preset| preset.name.len()).max().unwrap_or(0);
        let lines =
            presets.iter().map(|preset| format!("{:width$}  {}", preset.name, preset.about));
        answer(lines.collect::<Vec<_>>().join("\n"))
    }
}

/// Prints the completions of a shell: `burn-mim completions bash > FILE`.
#[derive(Debug, Args)]
pub(super) struct Completions {
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self, mut program: Command) -> Result<()> {
        let name = program.get_name().to_string();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut program, name, &mut script);
        answer(String::from_utf8_lossy(&script).trim_end())
    }
}

/// Writes the manual pages, one for each command.
#[derive(Debug, Args)]
pub(super) struct Man {
    /// The folder for them, such as ~/.local/share/man/man1
    folder: PathBuf,
}

impl Man {
    pub(super) fn run(&self, program: Command) -> Result<()> {
        std::fs::create_dir_all(&self.folder)
            .and_then(|()| clap_mangen::generate_to(program, &self.folder))
            .map_err(|error| Error::data(&self.folder, error))?;
        tell(format_args!("the manual pages are in {}", self.folder.display()));
        Ok(())
    }
}
