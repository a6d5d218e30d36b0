//! Whose signatures an envelope really has.

use std::collections::BTreeSet;

use strongroom_shared::dsse::Envelope;
use strongroom_shared::id::PrincipalId;
use strongroom_shared::key::PublicKey;
use strongroom_shared::reply::{IgnoredBecause, IgnoredSignature};

/// The signatures of an envelope, told apart.
pub struct Verified {
    /// Principals whose own key verifies; each once.
    pub signers: BTreeSet<PrincipalId>,
    /// The rest, each with the reason. They do no harm, and count for nothing.
    pub ignored: Vec<IgnoredSignature>,
}

impl Verified {
    /// Verifies every signature over the envelope's PAE. `keyid` is only a hint: it selects the one
    /// key that must verify. `key_of` knows the principals that may sign documents of this kind.
    pub fn of<'k>(
        envelope: &Envelope,
        key_of: impl Fn(&PrincipalId) -> Option<&'k PublicKey>,
    ) -> Self {
        let pae = envelope.pae();
        let mut verified = Self { signers: BTreeSet::new(), ignored: Vec::new() };
        for signature in &envelope.signatures {
            let outcome = match PrincipalId::parse(signature.keyid.as_str()) {
                None => Err(IgnoredBecause::UnknownPrincipal),
                Some(id) if verified.signers.contains(&id) => Err(IgnoredBecause::Repeated),
                Some(id) => match key_of(&id) {
                    None => Err(IgnoredBecause::UnknownPrincipal),
                    Some(key) if key.verifies(&pae, &signature.sig.0) => Ok(id),
                    Some(_) => Err(IgnoredBecause::DoesNotVerify),
                },
            };
            match outcome {
                Ok(id) => {
                    verified.signers.insert(id);
                }
                Err(reason) => verified
                    .ignored
                    .push(IgnoredSignature { keyid: signature.keyid.clone(), reason }),
            }
        }
        verified
    }

    /// Whether a signature that named a known principal was not that principal's.
    pub fn has_forgery(&self) -> bool {
        self.ignored.iter().any(|ignored| ignored.reason == IgnoredBecause::DoesNotVerify)
    }
}
