//! Genuine documents, and the tool as a process.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

/// A genuine document, and what another CBOR reader found in it.
pub(crate) struct Vector {
    pub(crate) file: &'static str,
    pub(crate) module_id: &'static str,
    pub(crate) pcr0: &'static str,
    pub(crate) made: &'static str,
}

/// Every genuine document whose signature is good. The second runs in debug mode.
pub(crate) const VALID: [Vector; 9] = [
    Vector {
        file: "att-20220706T141822Z-e20c1c02.cose",
        module_id: "i-07e25f3bada361dec-enc0181d3dff86da785",
        pcr0: "f8bb0133c427bc49aa39f6811a01077ce9ab7e635fa1f5439c9c8bf99754f8230e41b09426b0e595eebdc4d6ed4bc3b6",
        made: "2022-07-06T14:18:22Z",
    },
    Vector {
        file: DEBUG,
        module_id: "i-03ad7cdb817437eeb-enc0183cc7569b3f6e1",
        pcr0: "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
        made: "2022-10-12T13:50:06Z",
    },
    Vector {
        file: NONCE,
        module_id: "i-020b6af9246d90e92-enc0183d09086c24190",
        pcr0: "f4d48b81a460c9916d1e685119074bf24660afd3e34fae9fca0a0d28d9d5599936332687e6f66fc890ac8cf150142d8b",
        made: "2022-10-13T08:58:02Z",
    },
    Vector {
        file: "att-20240226T070201Z-3a4a0301.cose",
        module_id: "i-0df237f0418feb41e-enc018d1c7ef94eb110",
        pcr0: "17bf8f048519797be90497001a7559a3d555395937117d76f8baaedf56ca6d97952de79479bc0c76e5d176d20f663790",
        made: "2024-02-26T07:02:01Z",
    },
    Vector {
        file: "att-20240409T131450Z-2cc69c53.cose",
        module_id: "i-058bac400e426cc24-enc018e0924a1c4673e",
        pcr0: "ea6ff0cc81650a6a2e5e6b009b058d684600ea08006beafb60a693e2eeb362e3a06039ff8341f0715543672c5c9ffa61",
        made: "2024-04-09T13:14:50Z",
    },
    Vector {
        file: RSA,
        module_id: "i-0bee92034f3d60691-enc01943c5eaab3ad6a",
        pcr0: "8bb159f202bb95d6d4d98e0e103918246cea734f1d57cd263e4fd56075ed53f6fa8c68854817a32749a241e11874c26b",
        made: "2025-01-06T16:07:05Z",
    },
    Vector {
        file: "att-20250429T103239Z-7b0ca130.cose",
        module_id: "i-07859a25773d39fcc-enc01968119042c6454",
        pcr0: "2984ab215649c40ffe8f8b80cfadee47f1b06760f7d9257981f64b2758c347fafa6c733591b25e75ae7e9d1cb86ad5df",
        made: "2025-04-29T10:32:39Z",
    },
    Vector {
        file: USER_DATA,
        module_id: "i-02447a481344e9ec0-enc0199546b533fd5d0",
        pcr0: "f67076a8f9796b90d7f0eb148ec6926f66fe04c80861151916961f7dec715b3c8a36e5908e9551c20048719da134b207",
        made: "2025-09-16T21:25:49Z",
    },
    Vector {
        file: "att-20251225T160419Z-54ae0f97.cose",
        module_id: "i-0827e799ec9232d44-enc019b5640fdf630d6",
        pcr0: "eb7d0dab08ff41546d7e5659aee883af7b32bb2e58e46815b719f9f7bfae7b880188a10d86317e6509923740526cf74a",
        made: "2025-12-25T16:04:19Z",
    },
];

/// Of an enclave in debug mode.
pub(crate) const DEBUG: &str = "att-20221012T135006Z-46591b92.cose";
/// With a nonce of 256 bytes.
pub(crate) const NONCE: &str = "att-20221013T085802Z-a7255268.cose";
/// With an RSA key.
pub(crate) const RSA: &str = "att-20250106T160705Z-19b71700.cose";
/// With user data of 32 bytes.
pub(crate) const USER_DATA: &str = "att-20250916T212549Z-b1086cbb.cose";
/// The user data of [`USER_DATA`].
pub(crate) const USER_DATA_HEX: &str =
    "24a9e2c0b0ce26bcbc3e65172f8b06b100d5e712591f604832cbea9ff5ce02be";
/// Whose certificates are good, and whose signature is not.
pub(crate) const TAMPERED: &str = "att-20240723T212940Z-5f42eb91.cose";

/// The folder of the genuine documents; `None`, said loudly, when they are not here.
pub(crate) fn vectors() -> Option<PathBuf> {
    let root = std::env::var_os("STRONGROOM_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors")),
        PathBuf::from,
    );
    let folder = root.join("attestation");
    if !folder.is_dir() {
        eprintln!("SKIPPED, NOT PASSED: no vectors in {}", folder.display());
        return None;
    }
    Some(folder)
}

/// How the tool ended.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    /// What `--json` printed.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{}{}", self.out, self.err))
    }
}

/// Runs `strongroom attestation verify`.
pub(crate) fn verify(arguments: &[&str]) -> Run {
    verify_input(arguments, b"")
}

/// The same, with something on standard input.
pub(crate) fn verify_input(arguments: &[&str], input: &[u8]) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_strongroom"))
        .args(["attestation", "verify"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who refuses its arguments reads nothing: a broken pipe is no fault.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
