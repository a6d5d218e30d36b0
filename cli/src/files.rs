//! Files: read with a bound, written whole, secrets for their owner only.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::error::Error;

/// The most that is read of any document, in bytes. The largest is a reply with 1,000 addresses.
pub(crate) const MAX_DOCUMENT_BYTES: u64 = 8 << 20;

/// Reads a file, or standard input where it is `-`.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::Read { file: file.to_owned(), source };
    let mut bytes = Vec::new();
    let bound = MAX_DOCUMENT_BYTES + 1;
    if file == Path::new("-") {
        std::io::stdin().lock().take(bound).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let opened = fs::File::open(file).map_err(failed)?;
        opened.take(bound).read_to_end(&mut bytes).map_err(failed)?;
    }
    if bytes.len() as u64 > MAX_DOCUMENT_BYTES {
        return Err(Error::TooLarge { file: file.to_owned(), limit: MAX_DOCUMENT_BYTES });
    }
    Ok(bytes)
}

/// Reads a small file into memory that is wiped.
pub(crate) fn read_secret(file: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    const LIMIT: usize = 16 << 10;
    let failed = |source| Error::Read { file: file.to_owned(), source };
    // Room for all of it at once: a vector that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LIMIT + 1));
    let opened = fs::File::open(file).map_err(failed)?;
    opened.take(LIMIT as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > LIMIT {
        return Err(Error::TooLarge { file: file.to_owned(), limit: LIMIT as u64 });
    }
    Ok(bytes)
}

/// Writes a new file that only its owner may read (0600); refuses one that exists.
pub(crate) fn create_secret(file: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |source| Error::Write { file: file.to_owned(), source };
    let mut options = OpenOptions::new();
    let mut created =
        options.write(true).create_new(true).mode(0o600).open(file).map_err(failed)?;
    created.write_all(bytes).and_then(|()| created.sync_all()).map_err(failed)
}

/// Writes a file whole or not at all, under another name first. Only its owner may read it.
pub(crate) fn replace(file: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = file.with_file_name(name);
    let failed = |source| Error::Write { file: file.to_owned(), source };
    match fs::remove_file(&new) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => return Err(failed(source)),
        _ => create_secret(&new, bytes)?,
    }
    fs::rename(&new, file).map_err(failed)
}

/// Writes to a file, or to `out` where there is none or it is `-`.
pub(crate) fn write_to(
    file: Option<&Path>,
    bytes: &[u8],
    out: &mut dyn Write,
) -> Result<(), Error> {
    match file {
        Some(file) if file != Path::new("-") => replace(file, bytes),
        _ => Ok(out.write_all(bytes)?),
    }
}

/// Writes a value as one line of JSON, its members in the order of the type.
pub(crate) fn write_json<T: Serialize>(value: &T, out: &mut dyn Write) -> Result<(), Error> {
    serde_json::to_writer(&mut *out, value).map_err(std::io::Error::from)?;
    Ok(writeln!(out)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_for_its_owner_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        create_secret(&file, b"one").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let error = create_secret(&file, b"two").unwrap_err();
        assert!(error.help().unwrap().contains("never overwritten"));
        assert_eq!(read_secret(&file).unwrap().as_slice(), b"one");
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("large");
        fs::write(&file, vec![0; (16 << 10) + 1]).unwrap();
        assert!(matches!(read_secret(&file).unwrap_err(), Error::TooLarge { .. }));
        fs::File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_len(MAX_DOCUMENT_BYTES + 1)
            .unwrap();
        assert!(matches!(read(&file).unwrap_err(), Error::TooLarge { .. }));
    }

    #[test]
    fn replacing_leaves_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.json");
        replace(&file, b"one").unwrap();
        replace(&file, b"two").unwrap();
        assert_eq!(read(&file).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
