//! A signature cannot be read before its receipt is written.
use strongroom_enclave::sign::UnreleasedSignature;

fn read(unreleased: UnreleasedSignature<'_>) -> String {
    format!("{:?}", unreleased.signature)
}

fn main() {}
