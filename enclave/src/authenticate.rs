//! Step 5: who asked, and until when the question stands.

use serde_bytes::ByteBuf;
use strongroom_policy::WalletPolicy;
use strongroom_shared::digest::Digest;
use strongroom_shared::dsse::{Envelope, PayloadType};
use strongroom_shared::id::PrincipalId;
use strongroom_shared::intent::Intent;
use strongroom_shared::json;
use strongroom_shared::problem::Code;
use strongroom_shared::receipt::{Event, TransactionRecord};
use strongroom_shared::reply::IgnoredSignature;

use crate::enclave::Enclave;
use crate::refusal::Rejected;
use crate::signatures::Verified;

/// Step 4: what came in a frame. Nothing is known about it.
pub struct UnverifiedRequest(ByteBuf);

impl UnverifiedRequest {
    /// The bytes of an envelope, as the host says.
    pub fn new(envelope: ByteBuf) -> Self {
        Self(envelope)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// An intent that the one caller of its wallet has signed, and that has not expired.
pub struct AuthenticatedIntent<'e> {
    enclave: &'e Enclave,
    intent: Intent,
    digest: Digest,
    wallet: &'e WalletPolicy,
    caller: PrincipalId,
    signers: Vec<PrincipalId>,
    ignored: Vec<IgnoredSignature>,
}

impl<'e> AuthenticatedIntent<'e> {
    /// Verifies an envelope: its form, its signatures, its one caller, its life.
    pub fn verify(enclave: &'e Enclave, request: UnverifiedRequest) -> Result<Self, Rejected> {
        let policy = &enclave.policy;
        let envelope = Envelope::parse(PayloadType::Intent, &request.0)?;
        let verified = Verified::of(&envelope, |id| policy.principal(id).map(|known| known.key()));
        let reject = |code, detail: &str| {
            let mut rejected = Rejected::new(code, detail);
            rejected.0.ignored = verified.ignored.clone();
            rejected
        };
        let no_caller = || {
            if verified.has_forgery() {
                reject(
                    Code::SignatureInvalid,
                    "signatures: a named principal's key does not verify",
                )
            } else {
                reject(Code::CallerSignatureMissing, "signatures: expected one of a caller")
            }
        };
        // Nothing is said about wallets to somebody who is nobody.
        if verified.signers.is_empty() {
            return Err(no_caller());
        }
        let intent: Intent = json::parse("intent", &envelope.payload.0)
            .map_err(|error| Rejected::new(Code::MalformedIntent, error.to_string()))?;
        let wallet = policy
            .wallet(&intent.wallet)
            .ok_or_else(|| reject(Code::UnknownWallet, "intent: wallet: not one of the policy"))?;
        let mut callers = verified.signers.iter().filter(|id| wallet.is_caller(id));
        let caller = match (callers.next(), callers.next()) {
            (Some(caller), None) => caller.clone(),
            (None, _) => return Err(no_caller()),
            (Some(_), Some(_)) => {
                return Err(reject(Code::SeveralCallers, "signatures: expected one caller's"));
            }
        };
        // Time decides both of these. They leave no receipt: an intent that would live for too long is
        // acceptable later, and a signed no must not turn into a yes.
        let now = enclave.now();
        if now > intent.expires_at {
            return Err(reject(Code::IntentExpired, "intent: expires_at: expected a later time"));
        }
        if intent.expires_at > now.plus_seconds(wallet.max_intent_seconds()) {
            let detail =
                "intent: expires_at: expected a time within the wallet's max_intent_seconds";
            return Err(reject(Code::ExpiryTooFar, detail));
        }
        let Verified { signers, ignored } = verified;
        let digest = envelope.digest();
        let signers = signers.into_iter().collect();
        Ok(Self { enclave, intent, digest, wallet, caller, signers, ignored })
    }

    /// Where it was authenticated, and where every later step happens.
    pub(crate) fn enclave(&self) -> &'e Enclave {
        self.enclave
    }

    /// What is asked.
    pub fn intent(&self) -> &Intent {
        &self.intent
    }

    /// SHA-256 of the payload bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The policy's part about the wallet.
    pub fn wallet(&self) -> &'e WalletPolicy {
        self.wallet
    }

    /// Who asked.
    pub fn caller(&self) -> &PrincipalId {
        &self.caller
    }

    /// Signatures that did not count.
    pub fn ignored(&self) -> &[IgnoredSignature] {
        &self.ignored
    }

    /// What a receipt says about this intent.
    pub fn event(&self, transactions: Vec<TransactionRecord>) -> Event {
        Event::Sign {
            intent_digest: self.digest,
            intent_id: self.intent.intent_id.clone(),
            caller: self.caller.clone(),
            signers: self.signers.clone(),
            wallet: self.intent.wallet.clone(),
            transactions,
            counters: Vec::new(),
        }
    }
}
