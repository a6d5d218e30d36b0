//! A profile of a file in the format that AWS's tools share (`~/.aws/credentials`).
//!
//! Of a profile `aws_access_key_id`, `aws_secret_access_key` and `aws_session_token` are read; other
//! settings are for other tools. Ways to other credentials (`role_arn`, `credential_process`) are not
//! followed.

use std::fmt;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use nix::libc::{O_CLOEXEC, O_NONBLOCK};
use strongroom_shared::wire::Credentials;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{CredentialsError, Unusable, nothing, usable};
use crate::blocking::Blocking;
use crate::private::{NotPrivate, check};

/// The longest file, in bytes.
const MAX_FILE: usize = 64 << 10;

/// How long reading it may take: a file system may be another machine's.
const LIMIT: Duration = Duration::from_secs(5);

/// The name of a profile, as it stands between brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile(String);

impl Profile {
    /// Reads a name of 1 to 64 visible characters of ASCII without brackets.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'[' && byte != b']';
        ((1..=64).contains(&text.len()) && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

strongroom_shared::serde_as_text!(Profile, "a profile's name: 1 to 64 characters, no brackets");

/// Why a file gives no credentials.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A folder, a device, a pipe.
    #[error("expected a regular file")]
    Kind,
    /// It is not this user's alone.
    #[error("{0}")]
    NotPrivate(#[from] NotPrivate),
    /// Too slow.
    #[error("expected to be read within {} ms", .0.as_millis())]
    Late(Duration),
    /// It is too long.
    #[error("expected at most {MAX_FILE} bytes")]
    Length,
    /// It is not text.
    #[error("expected UTF-8")]
    Text,
    /// A line is not of the format.
    #[error("line {line}: expected {expected}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// The profile is not there.
    #[error("expected a profile [{0}]")]
    Profile(Profile),
    /// The profile lacks a setting.
    #[error("profile [{0}]: expected {1}")]
    Missing(Profile, &'static str),
    /// The profile has a setting that cannot be one.
    #[error("profile [{0}]: {1}")]
    Unusable(Profile, Unusable),
}

/// Reads the profile as the file has it now.
pub(super) async fn read(
    path: &Path,
    profile: &Profile,
    reads: &Blocking,
) -> Result<Credentials, CredentialsError> {
    let (at, named) = (path.to_owned(), profile.clone());
    let read = match timeout(LIMIT, reads.run(move || parse(&text(&at)?, &named))).await {
        Ok(Ok(read)) => read,
        Ok(Err(ended)) => Err(ended.into()),
        Err(_) => Err(FileError::Late(LIMIT)),
    };
    read.map_err(|error| CredentialsError::File { path: path.to_owned(), error })
}

fn text(path: &Path) -> Result<Zeroizing<String>, FileError> {
    // Opening a pipe would wait for a writer. What is checked is what was opened, not what has its
    // name by then.
    let file =
        std::fs::OpenOptions::new().read(true).custom_flags(O_NONBLOCK | O_CLOEXEC).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(FileError::Kind);
    }
    check(&metadata)?;
    // All of it at once: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(vec![0; MAX_FILE.saturating_add(1)]);
    let mut read = 0;
    while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match (&file).read(rest)? {
            0 => break,
            more => read = read.saturating_add(more),
        }
    }
    if read > MAX_FILE {
        return Err(FileError::Length);
    }
    let text = std::str::from_utf8(bytes.get(..read).unwrap_or_default());
    Ok(Zeroizing::new(text.map_err(|_| FileError::Text)?.to_owned()))
}

fn parse(text: &str, profile: &Profile) -> Result<Credentials, FileError> {
    let (mut found, mut within) = (false, false);
    let mut credentials = nothing();
    for (index, line) in text.lines().enumerate() {
        let wrong = |expected| FileError::Line { line: index.saturating_add(1), expected };
        let content = line.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            let (name, rest) = header.split_once(']').ok_or_else(|| wrong("[PROFILE]"))?;
            if !(rest.trim().is_empty() || rest.trim().starts_with(['#', ';'])) {
                return Err(wrong("nothing behind [PROFILE]"));
            }
            within = name.trim() == profile.0;
            found |= within;
            continue;
        }
        // What other tools have in their profiles is theirs.
        if !within {
            continue;
        }
        // Settings within a setting are indented, and other tools' too.
        let indented = line.starts_with(char::is_whitespace);
        let Some((key, value)) = content.split_once('=') else {
            if indented {
                continue;
            }
            return Err(wrong("NAME = VALUE"));
        };
        let member = match key.trim().to_ascii_lowercase().as_str() {
            "aws_access_key_id" => &mut credentials.access_key_id,
            "aws_secret_access_key" => &mut credentials.secret_access_key,
            "aws_session_token" => credentials.session_token.get_or_insert_default(),
            _ => continue,
        };
        if indented {
            return Err(wrong("no indentation"));
        }
        if !member.is_empty() {
            return Err(wrong("each setting once"));
        }
        member.push_str(without_comment(value));
    }
    if !found {
        return Err(FileError::Profile(profile.clone()));
    }
    for (name, value) in [
        ("aws_access_key_id", &credentials.access_key_id),
        ("aws_secret_access_key", &credentials.secret_access_key),
    ] {
        if value.is_empty() {
            return Err(FileError::Missing(profile.clone(), name));
        }
    }
    // A setting that was emptied, as an empty environment variable: no token.
    if credentials.session_token.as_deref() == Some("") {
        credentials.session_token = None;
    }
    usable(credentials).map_err(|unusable| FileError::Unusable(profile.clone(), unusable))
}

/// The value up to ` #` or ` ;`. A secret may hold either character, but no space.
fn without_comment(value: &str) -> &str {
    let comment = value.char_indices().zip(value.chars().skip(1)).find_map(|((at, before), it)| {
        (before.is_whitespace() && matches!(it, '#' | ';')).then_some(at)
    });
    comment.and_then(|at| value.get(..at)).unwrap_or(value).trim()
}

#[cfg(test)]
mod tests;
