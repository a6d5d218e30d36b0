//! Well-formed things. No signature among them is valid: the proxy verifies none.

use serde_bytes::ByteBuf;
use strongroom_host_proxy::credentials::{Lender, Source};
use strongroom_host_proxy::metrics::Metrics;
use strongroom_shared::attestation::{AttestationReply, Binding};
use strongroom_shared::digest::Digest;
use strongroom_shared::dsse::{Envelope, PayloadType};
use strongroom_shared::encoding::{Base64, HexBytes};
use strongroom_shared::evm::EvmAddress;
use strongroom_shared::id::{BootId, DekId, KeyId, WalletId};
use strongroom_shared::intent::V1;
use strongroom_shared::key::PublicKey;
use strongroom_shared::path::HdPath;
use strongroom_shared::problem::{Code, Problem};
use strongroom_shared::receipt::{Head, Receipt, leaf_hash};
use strongroom_shared::reply::{
    PendingReply, SignReply, SignedTransaction, WalletInfo, WalletReply,
};
use strongroom_shared::wire::{Booted, KeyKind, SealedKey};

pub(crate) const BOOT_A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub(crate) const BOOT_B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

pub(crate) fn receipt(boot: &str, sequence: u64) -> Receipt {
    let body = format!("body {sequence} of {boot}").into_bytes();
    let head = Head {
        version: V1,
        boot_id: BootId::parse(boot).unwrap(),
        first: sequence,
        last: sequence,
        root: leaf_hash(&body),
        previous: None,
    };
    let head = serde_json::to_vec(&head).unwrap();
    Receipt {
        body: Base64(body),
        sequence,
        proof: Vec::new(),
        head: Envelope::unsigned(PayloadType::ReceiptHead, head),
    }
}

pub(crate) fn dek_id() -> DekId {
    DekId::from_bytes([7; 32])
}

pub(crate) fn wallet(name: &str) -> WalletId {
    WalletId::parse(name).unwrap()
}

pub(crate) fn sealed(name: &str) -> SealedKey {
    SealedKey {
        key_id: KeyId::parse(&format!("key-of-{name}")).unwrap(),
        kind: KeyKind::HdSeed,
        wallet: wallet(name),
        dek_id: dek_id(),
        nonce: ByteBuf::from([9; 12]),
        ciphertext: ByteBuf::from([8; 48]),
    }
}

pub(crate) fn wallet_info(name: &str) -> WalletInfo {
    WalletInfo {
        wallet: wallet(name),
        tier: "deposit".into(),
        fingerprint: Digest::of(name.as_bytes()),
    }
}

pub(crate) fn wallet_reply(name: &str, sequence: u64) -> WalletReply {
    WalletReply { wallet: wallet_info(name), receipt: receipt(BOOT_A, sequence) }
}

pub(crate) fn booted(sequence: u64, encrypted_dek: Option<&str>) -> Booted {
    Booted {
        boot_id: BootId::parse(BOOT_A).unwrap(),
        policy: Digest::of(b"policy"),
        dek_id: dek_id(),
        encrypted_dek: encrypted_dek.map(|dek| ByteBuf::from(dek.as_bytes())),
        receipt: receipt(BOOT_A, sequence),
    }
}

pub(crate) fn signed(results: usize, sequence: u64) -> SignReply {
    let result = SignedTransaction {
        path: HdPath::parse("m/44'/60'/0'/0/0").unwrap(),
        from: serde_json::from_str::<EvmAddress>("\"0x9858EfFD232B4033E47d90003D41EC34EcaEda94\"")
            .unwrap(),
        signed_transaction: HexBytes(vec![2, 0xf8]),
        transaction_hash: HexBytes(vec![1; 32]),
    };
    SignReply {
        intent_digest: Digest::of(b"intent"),
        wallet: wallet("hot-eth"),
        results: vec![result; results],
        receipt: receipt(BOOT_A, sequence),
        ignored: Vec::new(),
    }
}

pub(crate) fn pending() -> PendingReply {
    PendingReply { intent_digest: Digest::of(b"intent"), missing: Vec::new(), ignored: Vec::new() }
}

pub(crate) fn denied(sequence: u64) -> Problem {
    Problem {
        rule: strongroom_shared::id::RuleId::parse("wallets/hot-eth/withdraw"),
        policy: Some(Digest::of(b"policy")),
        receipt: Some(receipt(BOOT_A, sequence)),
        ..Problem::new(Code::DestinationDenied, "to: expected a destination of the policy")
    }
}

pub(crate) fn attestation() -> AttestationReply {
    let binding = Binding {
        version: V1,
        boot_id: BootId::parse(BOOT_B).unwrap(),
        receipt_key: PublicKey::ed25519([1; 32]),
        policy: Digest::of(b"policy"),
        configuration: Digest::of(b"configuration"),
        dek_id: dek_id(),
    };
    AttestationReply {
        document: Base64(b"document".to_vec()),
        binding: Base64(serde_json::to_vec(&binding).unwrap()),
    }
}

/// Credentials that are lent without end.
pub(crate) fn lender(metrics: &Metrics) -> Lender {
    let variable = |name: &str| match name {
        "AWS_ACCESS_KEY_ID" => Some("AKIA".to_owned()),
        "AWS_SECRET_ACCESS_KEY" => Some("SECRET".to_owned()),
        _ => None,
    };
    Lender::new(Source::environment(variable).unwrap(), metrics)
}

/// An envelope as a caller sends it.
pub(crate) fn envelope(kind: PayloadType, payload: &str) -> String {
    serde_json::to_string(&Envelope::unsigned(kind, payload.into())).unwrap()
}

pub(crate) fn intent() -> String {
    let intent = r#"{"version":1,"intent_id":"wd-1","wallet":"hot-eth","path":"m/44'/60'/0'/0/0",
        "policy":"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "expires_at":"2026-11-21T10:00:00Z","payload":{"type":"evm_transaction","unsigned":"0x02f8"}}"#;
    envelope(PayloadType::Intent, intent)
}

pub(crate) fn act(name: &str) -> String {
    let act = format!(
        r#"{{"version":1,"act":"create_hd_wallet","wallet":"{name}",
        "policy":"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "expires_at":"2026-11-21T10:00:00Z"}}"#
    );
    envelope(PayloadType::WalletAct, &act)
}

/// A folder for this user only, as a relay's socket needs.
pub(crate) fn private_dir() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().permissions(mode).tempdir().unwrap()
}
