//! The helper programs, which stand beside this one: they make the material of the mocks.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::de::DeserializeOwned;
use strongroom_shared::json;

use super::DevError;

/// The folder of the helper programs.
pub(super) struct Programs(PathBuf);

/// One of them.
#[derive(Clone, Copy)]
pub(super) enum Program {
    /// `strongroom-mock-enclave`
    MockEnclave,
    /// `strongroom-local-kms`
    LocalKms,
}

impl Program {
    const fn name(self) -> &'static str {
        match self {
            Self::MockEnclave => "strongroom-mock-enclave",
            Self::LocalKms => "strongroom-local-kms",
        }
    }
}

impl Programs {
    /// The folder of this executable.
    pub(super) fn beside_this_one() -> Result<Self, DevError> {
        let failed = |source| DevError::Folder { dir: "the folder of this program".into(), source };
        let this = std::env::current_exe().map_err(failed)?;
        Ok(Self(this.parent().unwrap_or(Path::new(".")).to_owned()))
    }

    #[cfg(test)]
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// Runs a program to its end; gives what it wrote to standard output.
    pub(super) fn run(
        &self,
        step: &'static str,
        program: Program,
        args: &[&OsStr],
    ) -> Result<Vec<u8>, DevError> {
        let path = self.0.join(program.name());
        let output = Command::new(&path).args(args).stdin(Stdio::null()).output();
        let output = output.map_err(|source| DevError::Run { step, program: path, source })?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        Err(DevError::Failed { step, program: program.name(), said: said.to_owned() })
    }

    /// Runs a program that prints one line of JSON.
    pub(super) fn ask<T: DeserializeOwned>(
        &self,
        step: &'static str,
        program: Program,
        args: &[&OsStr],
    ) -> Result<T, DevError> {
        let answer = self.run(step, program, args)?;
        json::parse("output", &answer).map_err(|source| DevError::Answer {
            step,
            program: program.name(),
            source,
        })
    }
}
