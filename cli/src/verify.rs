//! Verification: from an attestation document to what the enclave says, step by step.
//!
//! Pure: the time is an argument. [`Attested`] has one constructor, so nothing that an enclave says
//! can be believed here before its attestation was verified.

use std::collections::BTreeMap;
use std::time::Duration;

use strongroom_attestation::UnixTime;
use strongroom_attestation::document::{ParseError, UnverifiedDocument};
use strongroom_attestation::expect::{ExpectationError, Expectations};
use strongroom_attestation::measure::Pcr;
use strongroom_attestation::verify as chain;
use strongroom_attestation::verify::{TrustAnchor, TrustAnchorError};
use strongroom_shared::attestation::{AttestationReply, Binding};
use strongroom_shared::dsse::{Envelope, EnvelopeError, PayloadType};
use strongroom_shared::id::{BootId, WalletId};
use strongroom_shared::json::{self, JsonError};
use strongroom_shared::path::HdPath;
use strongroom_shared::receipt::{self, Body, Head, Receipt};
use strongroom_shared::reply::AddressesReply;
use strongroom_shared::statement::AddressStatement;
use strongroom_shared::time::UtcSeconds;

/// Why something was not proven.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    #[error(transparent)]
    Document(#[from] ParseError),
    #[error(transparent)]
    Chain(#[from] chain::VerifyError),
    #[error(transparent)]
    Expectation(#[from] ExpectationError),
    #[error(transparent)]
    Json(#[from] JsonError),
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// Not a root certificate.
    #[error(transparent)]
    Root(#[from] TrustAnchorError),
    /// Under AWS's root every enclave of everybody has a genuine document.
    #[error(
        "--pcr: expected at least --pcr 0=HEX, because aws signs documents for everybody's images"
    )]
    AnyImage,
    /// No signature of the receipt key.
    #[error(
        "{document}: expected a signature of the attested receipt key, found none that verifies"
    )]
    NotSigned { document: &'static str },
    /// Signed by the receipt key, and yet about another life of an enclave.
    #[error("{document}: boot_id: expected {expected}, found {found}")]
    Boot { document: &'static str, expected: BootId, found: BootId },
    /// A statement about another wallet.
    #[error("address statement: wallet: expected {expected}, found {found}")]
    Wallet { expected: WalletId, found: WalletId },
    /// The addresses of the reply are not those of the statement.
    #[error("addresses: expected exactly the {signed} that the enclave signed, found others")]
    Addresses { signed: usize },
    /// True, and not what was asked for.
    #[error("addresses: expected the paths that were asked for, found others")]
    Paths,
    /// The body does not say the place that the receipt says.
    #[error("receipt: sequence: expected {body} as in the body, found {receipt}")]
    Sequence { body: u64, receipt: u64 },
    /// The body is not in the group of the head.
    #[error("receipt: proof: expected it to lead from the body to the signed root")]
    Proof,
    /// The receipt is about something else than the reply that it came with.
    #[error("receipt: {field}: expected what the reply says, found another")]
    Reply { field: &'static str },
}

impl VerifyError {
    pub(crate) fn help(&self) -> Option<&'static str> {
        match self {
            Self::Boot { .. } | Self::NotSigned { .. } => Some(
                "the receipt key changes with each boot: the attestation must be of the same boot",
            ),
            Self::AnyImage => Some(
                "they are those that your build printed; a development environment has another --root: DIR/mock/nsm/root.pem",
            ),
            _ => None,
        }
    }
}

/// What an attestation is checked against.
pub(crate) struct Trust {
    /// The root of the PKI.
    pub(crate) anchor: TrustAnchor,
    /// Which image, configuration and policy.
    pub(crate) pcrs: BTreeMap<u16, Pcr>,
    /// Whether an enclave in debug mode will do.
    pub(crate) allow_debug: bool,
    /// When certificates must be valid.
    pub(crate) at: UtcSeconds,
}

/// What an attested enclave has bound: the key that it signs with, and more.
pub(crate) struct Attested {
    binding: Binding,
    module_id: String,
    made: UtcSeconds,
    debug: bool,
}

impl Attested {
    /// Verifies a document and the binding in it. With a `nonce` the document is fresh.
    pub(crate) fn verify(
        reply: &AttestationReply,
        trust: &Trust,
        nonce: Option<Vec<u8>>,
    ) -> Result<Self, VerifyError> {
        if trust.anchor == TrustAnchor::aws() && !trust.pcrs.contains_key(&0) {
            return Err(VerifyError::AnyImage);
        }
        let at = UnixTime::since_unix_epoch(Duration::from_secs(trust.at.seconds()));
        let document = UnverifiedDocument::parse(&reply.document.0)?.verify(&trust.anchor, at)?;
        let expectations = Expectations {
            nonce,
            user_data: Some(Binding::user_data(&reply.binding.0).as_bytes().to_vec()),
            public_key: None,
            pcrs: trust.pcrs.clone(),
            max_age: None,
            allow_debug: trust.allow_debug,
            module_id: None,
        };
        document.check(&expectations, at)?;
        Ok(Self {
            binding: json::parse("binding", &reply.binding.0)?,
            module_id: document.module_id().to_owned(),
            made: UtcSeconds::new(document.timestamp_ms() / 1_000),
            debug: document.is_debug(),
        })
    }

    /// What the enclave has bound.
    pub(crate) fn binding(&self) -> &Binding {
        &self.binding
    }

    /// The NSM that issued the document.
    pub(crate) fn module_id(&self) -> &str {
        &self.module_id
    }

    /// When the document was made.
    pub(crate) fn made(&self) -> UtcSeconds {
        self.made
    }

    /// Whether the enclave runs in debug mode, and keeps no secret.
    pub(crate) fn is_debug(&self) -> bool {
        self.debug
    }

    /// Verifies that the enclave signed exactly the addresses of `reply`, for `wallet` and, if it is
    /// known what was asked for, at those paths.
    pub(crate) fn addresses(
        &self,
        reply: &AddressesReply,
        wallet: &WalletId,
        asked: Option<&[HdPath]>,
    ) -> Result<AddressStatement, VerifyError> {
        const DOCUMENT: &str = "address statement";
        self.signed(DOCUMENT, PayloadType::AddressStatement, &reply.statement)?;
        let statement: AddressStatement = json::parse(DOCUMENT, &reply.statement.payload.0)?;
        self.same_boot(DOCUMENT, &statement.boot_id)?;
        if statement.wallet != *wallet {
            let (expected, found) = (wallet.clone(), statement.wallet);
            return Err(VerifyError::Wallet { expected, found });
        }
        if statement.addresses != reply.addresses {
            return Err(VerifyError::Addresses { signed: statement.addresses.len() });
        }
        let paths = statement.addresses.iter().map(|entry| entry.path);
        match asked {
            Some(asked) if !paths.eq(asked.iter().copied()) => Err(VerifyError::Paths),
            _ => Ok(statement),
        }
    }

    /// Verifies that the enclave decided what the receipt's body says.
    pub(crate) fn receipt(&self, receipt: &Receipt) -> Result<(Body, Head), VerifyError> {
        self.signed("receipt head", PayloadType::ReceiptHead, &receipt.head)?;
        let head: Head = json::parse("receipt head", &receipt.head.payload.0)?;
        self.same_boot("receipt head", &head.boot_id)?;
        let body: Body = json::parse("receipt body", &receipt.body.0)?;
        self.same_boot("receipt body", &body.boot_id)?;
        if body.sequence != receipt.sequence {
            let (body, receipt) = (body.sequence, receipt.sequence);
            return Err(VerifyError::Sequence { body, receipt });
        }
        // Where the body stands in the group; `proves` refuses an index that is not in it.
        let place = body.sequence.checked_sub(head.first);
        let size = head.last.checked_sub(head.first).and_then(|last| last.checked_add(1));
        let proven = place.zip(size).is_some_and(|(place, size)| {
            receipt::proves(&receipt.body.0, place, size, &receipt.proof, &head.root)
        });
        if proven { Ok((body, head)) } else { Err(VerifyError::Proof) }
    }

    fn signed(
        &self,
        document: &'static str,
        payload_type: PayloadType,
        envelope: &Envelope,
    ) -> Result<(), VerifyError> {
        let envelope = envelope.clone().expect(payload_type)?;
        let pae = envelope.pae();
        let key = &self.binding.receipt_key;
        if envelope.signatures.iter().any(|signature| key.verifies(&pae, &signature.sig.0)) {
            Ok(())
        } else {
            Err(VerifyError::NotSigned { document })
        }
    }

    fn same_boot(&self, document: &'static str, found: &BootId) -> Result<(), VerifyError> {
        let expected = &self.binding.boot_id;
        if found == expected {
            return Ok(());
        }
        let (expected, found) = (expected.clone(), found.clone());
        Err(VerifyError::Boot { document, expected, found })
    }
}

#[cfg(test)]
mod tests;
