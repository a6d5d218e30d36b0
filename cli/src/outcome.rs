//! How a command ended, where it was not an error.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was done.
    Done,
    /// The enclave refused; what it answered is on standard output.
    Refused,
    /// What was to be verified is not valid; why is on standard output.
    NotValid,
    /// Approvals are missing; what the enclave answered is on standard output.
    Pending,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::Refused | Outcome::NotValid => Self::from(1),
            Outcome::Pending => Self::from(3),
        }
    }
}
