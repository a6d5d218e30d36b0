//! Why there are no credentials: for the log, and for callers.

use std::path::PathBuf;

use super::{FileError, ImdsError, Unusable};

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// An environment variable is not there, is empty, or is not text.
    #[error("expected the environment variable {0}")]
    Variable(&'static str),
    /// An environment variable holds something else.
    #[error("the environment: {0}")]
    Environment(#[source] Unusable),
    /// The file.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: FileError,
    },
    /// The metadata service.
    #[error("IMDS: {0}")]
    Imds(#[from] ImdsError),
}

impl CredentialsError {
    /// What callers of the proxy are told: which kind it is, and nothing of this host's files or
    /// network. The log has the rest.
    pub const fn outward(&self) -> &'static str {
        match self {
            Self::Variable(_) | Self::Environment(_) => "the environment has no usable ones",
            Self::File { error, .. } => match error {
                FileError::Io(_) => "the file cannot be read",
                FileError::Late(_) => "the file cannot be read in time",
                FileError::Kind => "the file is no regular file",
                FileError::NotPrivate(_) => "the file is open to other users",
                FileError::Length | FileError::Text | FileError::Line { .. } => {
                    "the file is not of the format"
                }
                FileError::Profile(_) => "the file has no such profile",
                FileError::Missing(..) | FileError::Unusable(..) => {
                    "the profile has no usable ones"
                }
            },
            Self::Imds(ImdsError::Late(_) | ImdsError::Connect(_)) => "IMDS does not answer",
            Self::Imds(ImdsError::NoRole) => "IMDS knows no role of this instance",
            Self::Imds(_) => "IMDS has no usable ones",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{NotPrivate, Profile};
    use super::*;

    #[test]
    fn callers_are_told_the_kind_and_nothing_of_the_host() {
        let profile = Profile::default;
        let file = |error| CredentialsError::File { path: "/HOST/credentials".into(), error };
        let io = || std::io::Error::other("HOST");
        for (error, told) in [
            (file(FileError::Io(io())), "the file cannot be read"),
            (file(FileError::Late(Duration::ZERO)), "the file cannot be read in time"),
            (file(FileError::Kind), "the file is no regular file"),
            (
                file(FileError::NotPrivate(NotPrivate::Mode(0o644))),
                "the file is open to other users",
            ),
            (file(FileError::NotPrivate(NotPrivate::Owner(7))), "the file is open to other users"),
            (file(FileError::Line { line: 7, expected: "it" }), "the file is not of the format"),
            (file(FileError::Profile(profile())), "the file has no such profile"),
            (file(FileError::Missing(profile(), "it")), "the profile has no usable ones"),
            (CredentialsError::Imds(ImdsError::Connect(io())), "IMDS does not answer"),
            (CredentialsError::Imds(ImdsError::NoRole), "IMDS knows no role of this instance"),
            (CredentialsError::Imds(Unusable::AccessKeyId.into()), "IMDS has no usable ones"),
            (CredentialsError::Variable("IT"), "the environment has no usable ones"),
        ] {
            assert_eq!(error.outward(), told, "{error}");
        }
    }
}
