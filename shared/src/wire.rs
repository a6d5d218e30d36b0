//! The messages between the host and the enclave. Everything that the host sends is untrusted.

mod credentials;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::attestation::AttestationReply;
use crate::digest::Digest;
use crate::id::{BootId, DekId, KeyId, WalletId};
use crate::path::HdPath;
use crate::problem::Problem;
use crate::receipt::{Position, Receipt};
use crate::reply::{AddressesReply, PendingReply, PolicyReply, SignReply, WalletInfo, WalletReply};

pub use credentials::{Credentials, Unusable};

/// The version of this protocol; a hello of another one is refused.
pub const PROTOCOL_VERSION: u32 = 1;

/// The most addresses in one reply.
pub const MAX_ADDRESSES: u32 = 1_000;

/// From the host to the enclave. The first message of a connection is `Hello`.
#[derive(Debug, Serialize, Deserialize)]
pub enum HostMessage {
    /// Which protocol the host speaks.
    Hello {
        /// [`PROTOCOL_VERSION`].
        version: u32,
    },
    /// A call.
    Request(Request),
}

/// One call. Replies come in any order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Rises with each request of a connection.
    pub id: u64,
    /// For how many milliseconds an answer is of use to the host.
    pub deadline_ms: u32,
    /// What is asked.
    pub call: Call,
}

/// What the host can ask for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Call {
    /// Go on with the boot: policy, credentials, DEK. An enclave that has booted with that policy says
    /// again what its boot gave: the host may have lost it on the way.
    Boot(Box<BootMaterial>),
    /// Open a wallet that was sealed before.
    LoadWallet(SealedKey),
    /// Do what the policy admins signed: the bytes of an envelope of a wallet act.
    ActOnWallet(ByteBuf),
    /// Sign: the bytes of an envelope of an intent.
    Sign(ByteBuf),
    /// Which wallets are open.
    Wallets,
    /// Addresses of a wallet.
    Addresses(AddressQuery),
    /// A fresh attestation document with the caller's nonce.
    Attest(ByteBuf),
    /// The policy in force.
    Policy,
    /// Receipts of this life above a sequence number, which were lost on the way: some at a time,
    /// and none when there are no more.
    Receipts {
        /// The last one that the host has.
        after: u64,
    },
}

/// What the host has in store for a boot.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootMaterial {
    /// The bytes of the policy's envelope.
    pub policy: ByteBuf,
    /// What signs the calls to KMS; proves nothing.
    pub credentials: Credentials,
    /// The DEK as KMS encrypted it; absent on a first boot.
    pub encrypted_dek: Option<ByteBuf>,
    /// Where the host says that the receipt chain ends; absent on a first boot.
    pub position: Option<Position>,
}

/// A sealed key as the host stores it. Every field but the nonce is bound by the ciphertext.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedKey {
    /// The key's own id.
    pub key_id: KeyId,
    /// What kind of key it is.
    pub kind: KeyKind,
    /// The wallet it belongs to.
    pub wallet: WalletId,
    /// The DEK it is sealed under.
    pub dek_id: DekId,
    /// The AES-GCM nonce, 12 bytes.
    pub nonce: ByteBuf,
    /// The ciphertext with its tag.
    pub ciphertext: ByteBuf,
}

/// The kinds of key material.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// A BIP-32 seed of 32 bytes.
    HdSeed,
}

impl KeyKind {
    /// The name in the store and in the sealed key's identity.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HdSeed => "hd_seed",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        (text == Self::HdSeed.as_str()).then_some(Self::HdSeed)
    }
}

/// Which addresses are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressQuery {
    /// The wallet.
    pub wallet: WalletId,
    /// Which of its addresses.
    pub selection: AddressSelection,
}

/// Which addresses of a wallet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AddressSelection {
    /// The one at a path.
    Path(HdPath),
    /// `count` (1 to [`MAX_ADDRESSES`]) from `m/44'/60'/0'/0/first` on.
    Range {
        /// The first index.
        first: u32,
        /// How many.
        count: u32,
    },
}

/// From the enclave to the host.
#[derive(Debug, Serialize, Deserialize)]
pub enum EnclaveMessage {
    /// The answer to a hello.
    Hello {
        /// [`PROTOCOL_VERSION`].
        version: u32,
        /// How far the boot is.
        phase: Phase,
    },
    /// The answer to a request.
    Reply {
        /// The request's id.
        id: u64,
        /// The answer.
        reply: Box<Reply>,
    },
    /// The connection itself is refused, and closed after this.
    Refused(Problem),
}

/// How far an enclave's boot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// The configuration is measured; a policy is awaited.
    AwaitingPolicy,
    /// The policy is locked into PCR17; the DEK is not there yet.
    AwaitingDek,
    /// Ready to sign.
    Ready,
}

/// The answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// To [`Call::Boot`].
    Booted(Booted),
    /// To [`Call::LoadWallet`].
    WalletLoaded(WalletInfo),
    /// To [`Call::ActOnWallet`]: the wallet, and what the host must store before it answers.
    WalletCreated {
        /// For the caller.
        reply: WalletReply,
        /// For the store.
        sealed: SealedKey,
    },
    /// To [`Call::Sign`].
    Signed(SignReply),
    /// To [`Call::Sign`] and [`Call::ActOnWallet`]: approvals are missing.
    Pending(PendingReply),
    /// To [`Call::Wallets`].
    Wallets(Vec<WalletInfo>),
    /// To [`Call::Addresses`].
    Addresses(AddressesReply),
    /// To [`Call::Attest`].
    Attestation(AttestationReply),
    /// To [`Call::Policy`].
    Policy(PolicyReply),
    /// To [`Call::Receipts`]: oldest first.
    Receipts(Vec<Receipt>),
    /// To anything: no.
    Refused(Problem),
}

/// What a boot gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Booted {
    /// This life of the enclave.
    pub boot_id: BootId,
    /// The policy in force.
    pub policy: Digest,
    /// The DEK.
    pub dek_id: DekId,
    /// The DEK as KMS encrypted it, where this boot generated it or moved it to another KEK: store it now,
    /// beside what is stored of it already.
    pub encrypted_dek: Option<ByteBuf>,
    /// The receipt of the boot.
    pub receipt: Receipt,
}
