//! Verification: from an attestation document to what the enclave says, step by step.
//!
//! Pure: the time is an argument. [`Attested`] has one constructor, so nothing that an enclave says
//! can be believed here before its attestation was verified.

mod error;

use std::time::Duration;

use strongroom_attestation::UnixTime;
use strongroom_attestation::document::UnverifiedDocument;
use strongroom_attestation::expect::Expectations;
use strongroom_attestation::verify::{TrustAnchor, VerifiedDocument};
use strongroom_shared::attestation::{AttestationReply, Binding};
use strongroom_shared::dsse::{Envelope, PayloadType};
use strongroom_shared::id::{BootId, WalletId};
use strongroom_shared::json;
use strongroom_shared::path::HdPath;
use strongroom_shared::receipt::{self, Body, Head, Receipt};
use strongroom_shared::reply::AddressesReply;
use strongroom_shared::statement::AddressStatement;
use strongroom_shared::time::UtcSeconds;

pub(crate) use error::{Step, VerifyError};

/// What an attestation document is judged by.
pub(crate) struct Trust {
    /// The root of the PKI.
    pub(crate) anchor: TrustAnchor,
    /// When certificates must be valid, and from when an age is counted.
    pub(crate) time: JudgedAt,
    /// Which image, configuration and policy, and what else the document must say.
    pub(crate) expectations: Expectations,
}

/// As of when a document is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JudgedAt {
    /// The time of this machine's clock.
    Now(UtcSeconds),
    /// A time that was given.
    Given(UtcSeconds),
    /// The time that the document itself claims.
    Document,
}

/// A genuine document that says what was expected of it.
pub(crate) struct Checked {
    document: VerifiedDocument,
}

impl Trust {
    /// Whether genuine documents of any image pass: the root is AWS's, under which everybody has them,
    /// and no image is expected.
    pub(crate) fn is_any_image(&self) -> bool {
        self.anchor == TrustAnchor::aws() && !self.expectations.pcrs.contains_key(&0)
    }

    /// Verifies a document, and checks it against the expectations.
    pub(crate) fn check(&self, document: &[u8]) -> Result<Checked, VerifyError> {
        let document = UnverifiedDocument::parse(document)?;
        let since_epoch = match self.time {
            JudgedAt::Now(time) | JudgedAt::Given(time) => Duration::from_secs(time.seconds()),
            JudgedAt::Document => Duration::from_millis(document.claimed_timestamp_ms()),
        };
        let at = UnixTime::since_unix_epoch(since_epoch);
        let document = document.verify(&self.anchor, at)?;
        document.check(&self.expectations, at)?;
        Ok(Checked { document })
    }
}

impl Checked {
    /// What the document says.
    pub(crate) fn document(&self) -> &VerifiedDocument {
        &self.document
    }

    /// When it was made.
    pub(crate) fn made(&self) -> UtcSeconds {
        UtcSeconds::new(self.document.timestamp_ms() / 1_000)
    }

    /// Verifies that these are the bytes that the document binds, and reads them.
    pub(crate) fn binding(&self, bytes: &[u8]) -> Result<Binding, VerifyError> {
        if self.document.user_data() != Some(Binding::user_data(bytes).as_bytes()) {
            return Err(VerifyError::OtherBinding);
        }
        json::parse("binding", bytes).map_err(VerifyError::Binding)
    }
}

/// What an attested enclave has bound: the key that it signs with, and more.
pub(crate) struct Attested {
    binding: Binding,
}

impl Attested {
    /// Verifies a document and the binding in it; gives the document as well.
    pub(crate) fn verify(
        reply: &AttestationReply,
        trust: &Trust,
    ) -> Result<(Self, Checked), VerifyError> {
        if trust.is_any_image() {
            return Err(VerifyError::AnyImage);
        }
        let checked = trust.check(&reply.document.0)?;
        Ok((Self { binding: checked.binding(&reply.binding.0)? }, checked))
    }

    /// What the enclave has bound.
    pub(crate) fn binding(&self) -> &Binding {
        &self.binding
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
