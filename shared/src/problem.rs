//! Refusals: one stable code for each cause, with its HTTP status, in one table.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::RuleId;
use crate::receipt::Receipt;
use crate::reply::IgnoredSignature;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal, $title:literal;)*) => {
        /// The stable code of a cause. Callers branch on it; it never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Code {
            $($(#[$doc])* #[doc = $title] #[serde(rename = $text)] $name,)*
        }

        impl Code {
            /// Every code, for tables and tests.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code as it stands in JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The HTTP status that the proxy answers with.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// The cause in a few words, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    // 400: not understood
    MalformedRequest = "malformed_request", 400, "the request is not well-formed";
    MalformedEnvelope = "malformed_envelope", 400, "the envelope is not well-formed";
    MalformedIntent = "malformed_intent", 400, "the intent is not well-formed";
    MalformedWalletAct = "malformed_wallet_act", 400, "the wallet act is not well-formed";
    MalformedTransaction = "malformed_transaction", 400, "the transaction is not a canonical unsigned EVM transaction";
    // 401, 403: who asked
    CallerSignatureMissing = "caller_signature_missing", 401, "no valid signature of a caller of this wallet";
    SignatureInvalid = "signature_invalid", 401, "a caller's signature does not verify";
    AdminSignatureMissing = "admin_signature_missing", 401, "no valid signature of a policy admin";
    SeveralCallers = "several_callers", 403, "more than one caller of this wallet signed";
    CertificateNotAllowed = "certificate_not_allowed", 403, "the client certificate may not do this";
    // 404, 405
    NotFound = "not_found", 404, "there is nothing at this address";
    UnknownWallet = "unknown_wallet", 404, "there is no such wallet";
    MethodNotAllowed = "method_not_allowed", 405, "this address does not take that method";
    // 409: in conflict with what was done before
    IntentIdReused = "intent_id_reused", 409, "this caller used the intent id for another body";
    NonceUsed = "nonce_used", 409, "the nonce was used for another transaction";
    WalletExists = "wallet_exists", 409, "a wallet of that name exists";
    // 412: the policy says no
    IntentExpired = "intent_expired", 412, "the intent has expired";
    ExpiryTooFar = "expiry_too_far", 412, "the intent would live longer than the policy allows";
    ActExpired = "act_expired", 412, "the act has expired";
    PolicyMismatch = "policy_mismatch", 412, "another policy is in force";
    PolicyExpired = "policy_expired", 412, "the policy in force has expired";
    WalletNotInPolicy = "wallet_not_in_policy", 412, "the policy does not list that wallet";
    WalletNotPinned = "wallet_not_pinned", 412, "the policy does not pin the wallet's fingerprint";
    ChainDenied = "chain_denied", 412, "the wallet may not sign for this chain";
    PathDenied = "path_denied", 412, "the wallet may not sign at this path";
    DestinationDenied = "destination_denied", 412, "the wallet may not pay this destination";
    AssetDenied = "asset_denied", 412, "the wallet may not pay in this asset";
    CalldataDenied = "calldata_denied", 412, "the calldata is not one that the policy understands and allows";
    ContractCreationDenied = "contract_creation_denied", 412, "contract creation is not allowed";
    TransactionTypeDenied = "transaction_type_denied", 412, "transactions of this type are not allowed";
    GasLimitExceeded = "gas_limit_exceeded", 412, "the gas limit is above the cap";
    FeePerGasExceeded = "fee_per_gas_exceeded", 412, "the fee per gas is above the cap";
    FeeExceeded = "fee_exceeded", 412, "the total fee is above the cap";
    // 413, 415
    BodyTooLarge = "body_too_large", 413, "the request is too large";
    UnsupportedMediaType = "unsupported_media_type", 415, "expected content type application/json";
    // 500, 503: faults
    InternalFault = "internal_fault", 500, "a fault that is not the caller's";
    EnclaveNotReady = "enclave_not_ready", 503, "the enclave has not booted";
    WalletNotOpen = "wallet_not_open", 503, "a wallet of the policy is not open in the enclave";
    EnclaveUnavailable = "enclave_unavailable", 503, "the enclave does not answer";
    Overloaded = "overloaded", 503, "too many requests at once";
    DeadlineExceeded = "deadline_exceeded", 503, "the request waited for too long";
    LedgerFull = "ledger_full", 503, "the ledger is full";
    StoreUnavailable = "store_unavailable", 503, "the receipt could not be made durable";
    // the host's own calls: boot, and the loading of wallets
    BootPolicyRefused = "boot_policy_refused", 503, "boot: the policy was refused";
    BootPolicyLocked = "boot_policy_locked", 503, "boot: another policy is locked into PCR17";
    BootNsmFailed = "boot_nsm_failed", 503, "boot: the NSM failed";
    BootKmsUnreachable = "boot_kms_unreachable", 503, "boot: KMS could not be reached over TLS";
    BootKmsRefused = "boot_kms_refused", 503, "boot: KMS refused";
    BootKmsReplyRefused = "boot_kms_reply_refused", 503, "boot: the reply of KMS was refused";
    BootKeyRefused = "boot_key_refused", 503, "boot: the KEK or its key policy is not safe";
    BootDekMissing = "boot_dek_missing", 503, "boot: no encrypted DEK, and the policy is not provisioning";
    BootDekNotListed = "boot_dek_not_listed", 503, "boot: the policy does not list this DEK";
    SealedKeyRefused = "sealed_key_refused", 503, "the sealed key does not open as what it is said to be";
    FingerprintMismatch = "fingerprint_mismatch", 503, "the wallet's key is not the one that the policy pins";
    // the wire
    FrameTooLarge = "frame_too_large", 400, "the frame is too large";
    FrameMalformed = "frame_malformed", 400, "the frame is not well-formed";
    ProtocolVersion = "protocol_version", 400, "the first message is not a hello of this protocol version";
    RequestIdReused = "request_id_reused", 400, "request ids of a connection must rise";
}

/// A refusal as it crosses the vsock; the proxy writes it as `application/problem+json` (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// The stable code.
    pub code: Code,
    /// This occurrence in words: the field, what was expected and found. Never input.
    pub detail: String,
    /// The rule of the policy that said no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleId>,
    /// The policy in force, where it decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Digest>,
    /// The receipt of a denial or a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
    /// Signatures of the envelope that did not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<IgnoredSignature>,
}

impl Problem {
    /// A refusal with its detail.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            rule: None,
            policy: None,
            receipt: None,
            ignored: Vec::new(),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn codes_are_distinct_and_agree_with_serde() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{} stands twice", code.as_str());
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert!((400..=599).contains(&code.status()));
        }
    }
}
