//! Why a command failed, and the exit code that says so.

use std::path::PathBuf;
use std::process::ExitCode;

use strongroom_attestation::key_policy::SpecError;
use strongroom_policy::PolicyError;
use strongroom_shared::digest::Digest;
use strongroom_shared::dsse::EnvelopeError;
use strongroom_shared::json::JsonError;

use crate::dev::DevError;
use crate::envelope::SignError;
use crate::http::HttpError;
use crate::key::KeyError;
use crate::transaction::TransactionError;
use crate::verify::VerifyError;

/// Why a command failed: one line, which never holds a key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The arguments do not fit together.
    #[error("{0}")]
    Usage(&'static str),
    /// A file could not be read.
    #[error("{}: cannot be read: {source}", .file.display())]
    Read { file: PathBuf, source: std::io::Error },
    /// A file could not be written.
    #[error("{}: cannot be written: {source}", .file.display())]
    Write { file: PathBuf, source: std::io::Error },
    /// A file is larger than any document of its kind.
    #[error("{}: expected at most {limit} bytes", .file.display())]
    TooLarge { file: PathBuf, limit: u64 },
    /// What was to be linted, or a rule of it, could not be read: it is not known to have a hole.
    #[error("not linted: {0}")]
    NotLinted(Box<Error>),
    /// Standard output is gone.
    #[error("standard output: {0}")]
    Output(#[from] std::io::Error),
    #[error(transparent)]
    Json(#[from] JsonError),
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The envelope and the document that were given do not belong together.
    #[error("--envelope: expected it to be around the document of --policy, found another")]
    OtherPolicy,
    /// The service says one digest, and has another policy.
    #[error("policy in force: expected digest {claimed}, found {found} in its envelope")]
    PolicyDigest { claimed: Digest, found: Digest },
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Verify(#[from] VerifyError),
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    #[error(transparent)]
    KeyPolicy(#[from] SpecError),
    #[error(transparent)]
    Dev(#[from] DevError),
}

impl Error {
    /// What to do about it, where that can be said.
    pub(crate) fn help(&self) -> Option<&'static str> {
        match self {
            Self::Usage(_) => Some("run the same command with --help"),
            Self::Write { source, .. } if source.kind() == std::io::ErrorKind::AlreadyExists => {
                Some("a key is never overwritten; choose another name, or move the old file away")
            }
            Self::Key(error) => error.help(),
            Self::Http(error) => error.help(),
            Self::Verify(error) => error.help(),
            Self::Dev(error) => error.help(),
            Self::NotLinted(error) => error.help(),
            _ => None,
        }
    }

    /// 2 where the arguments are wrong or nothing was linted, 1 otherwise.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) | Self::KeyPolicy(_) | Self::NotLinted(_) => ExitCode::from(2),
            Self::Http(error) if error.is_usage() => ExitCode::from(2),
            Self::Verify(error) if error.is_usage() => ExitCode::from(2),
            _ => ExitCode::from(1),
        }
    }
}
