//! What benchmarks read: the vectors from outside, in `STRONGROOM_VECTORS` or `../shared/vectors`.

use std::{fs, io, path::PathBuf, time::Duration};

use strongroom_attestation::{UnixTime, document::UnverifiedDocument, verify::TrustAnchor};

/// A document, and a time at which all its certificates are valid.
pub struct Document {
    /// The name of its file.
    pub name: String,
    /// COSE_Sign1.
    pub bytes: Vec<u8>,
    /// When it was made.
    pub at: UnixTime,
}

impl Document {
    /// The document in these bytes, at the time that it states itself; `None` when it does not verify
    /// under `anchor` at that time.
    pub fn valid(name: String, bytes: Vec<u8>, anchor: &TrustAnchor) -> Option<Self> {
        let document = UnverifiedDocument::parse(&bytes).ok()?;
        let at = UnixTime::since_unix_epoch(Duration::from_millis(document.claimed_timestamp_ms()));
        document.verify(anchor, at).ok()?;
        Some(Self { name, bytes, at })
    }
}

fn vectors() -> PathBuf {
    std::env::var_os("STRONGROOM_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors")),
        PathBuf::from,
    )
}

/// One of the vectors, by its path in their folder; `None`, said loudly, when it is not here.
pub fn vector(path: &str) -> Option<Vec<u8>> {
    let file = vectors().join(path);
    fs::read(&file)
        .inspect_err(|e| eprintln!("SKIPPED, NOT MEASURED: {}: {e}", file.display()))
        .ok()
}

/// The genuine documents that verify, oldest first; none, said loudly, when the vectors are not here.
///
/// # Errors
/// When a document cannot be read.
pub fn genuine_documents() -> io::Result<Vec<Document>> {
    let folder = vectors().join("attestation");
    if !folder.is_dir() {
        eprintln!("SKIPPED, NOT MEASURED: no vectors in {}", folder.display());
        return Ok(Vec::new());
    }
    let mut files = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "cose"));
    files.sort();
    let mut documents = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        documents.extend(Document::valid(name, fs::read(&file)?, &TrustAnchor::aws()));
    }
    Ok(documents)
}
