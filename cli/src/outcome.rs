//! How a command ended, where it was not an error.

use std::process::ExitCode;

/// How a command ended. The number is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was done.
    Done = 0,
    /// The enclave refused; what it answered is on standard output.
    Refused = 1,
    /// Approvals are missing; what the enclave answered is on standard output.
    Pending = 3,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(outcome as u8)
    }
}
