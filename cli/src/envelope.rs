//! DSSE envelopes: making them, and adding signatures to them.

use std::path::PathBuf;

use serde::Serialize;
use strongroom_shared::dsse::{Envelope, KeyHint, MAX_SIGNATURES, PayloadType, Signature};
use strongroom_shared::encoding::Base64;
use strongroom_shared::id::PrincipalId;

use crate::error::Error;
use crate::key::SigningKey;

/// `[ID=]FILE`: a private key, and the principal whose key it is; by default the name of the file
/// without its ending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyArg {
    principal: PrincipalId,
    file: PathBuf,
}

impl std::str::FromStr for KeyArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((id, file)) = text.split_once('=')
            && let Some(principal) = PrincipalId::parse(id)
        {
            return Ok(Self { principal, file: file.into() });
        }
        let file = PathBuf::from(text);
        let stem = file.file_stem().and_then(|stem| stem.to_str());
        match stem.and_then(PrincipalId::parse) {
            Some(principal) => Ok(Self { principal, file }),
            None => Err("the file is not named after a principal: say ID=FILE".into()),
        }
    }
}

/// Why a signature was not added.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignError {
    /// The principal has signed already.
    #[error("envelope: {0} has signed it already")]
    Repeated(PrincipalId),
    /// There is room for no more.
    #[error("envelope: signatures: expected at most {MAX_SIGNATURES}")]
    TooMany,
    /// The document cannot be written as JSON.
    #[error("{0}: cannot be written as json")]
    Unwritable(&'static str),
}

/// Writes `document` as JSON, once: these are the bytes that everyone signs.
pub(crate) fn unsigned<T: Serialize>(
    payload_type: PayloadType,
    document: &T,
) -> Result<Envelope, SignError> {
    let payload =
        serde_json::to_vec(document).map_err(|_| SignError::Unwritable(payload_type.as_str()))?;
    Ok(Envelope::unsigned(payload_type, payload))
}

/// Adds one signature for each key.
pub(crate) fn add_signatures(envelope: &mut Envelope, keys: &[KeyArg]) -> Result<(), Error> {
    for KeyArg { principal, file } in keys {
        add_signature(envelope, principal, &SigningKey::read(file)?)?;
    }
    Ok(())
}

/// Adds the signature of `principal`.
pub(crate) fn add_signature(
    envelope: &mut Envelope,
    principal: &PrincipalId,
    key: &SigningKey,
) -> Result<(), Error> {
    if envelope.signatures.iter().any(|signature| signature.keyid.as_str() == principal.as_str()) {
        return Err(SignError::Repeated(principal.clone()).into());
    }
    if envelope.signatures.len() >= MAX_SIGNATURES {
        return Err(SignError::TooMany.into());
    }
    let keyid = KeyHint::parse(principal.as_str()).ok_or(SignError::Unwritable("keyid"))?;
    let sig = Base64(key.sign(&envelope.pae())?);
    envelope.signatures.push(Signature { keyid, sig });
    Ok(())
}

/// The envelope as one line of JSON.
pub(crate) fn line(envelope: &Envelope) -> Result<Vec<u8>, SignError> {
    let mut bytes = serde_json::to_vec(envelope).map_err(|_| SignError::Unwritable("envelope"))?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn id(text: &str) -> PrincipalId {
        PrincipalId::parse(text).unwrap()
    }

    #[test]
    fn every_signature_is_over_the_pae() {
        let mut envelope = unsigned(PayloadType::Intent, &serde_json::json!({"a": 1})).unwrap();
        let keys = [SigningKey::of_seed(1), SigningKey::of_seed(2)];
        add_signature(&mut envelope, &id("one"), &keys[0]).unwrap();
        add_signature(&mut envelope, &id("two"), &keys[1]).unwrap();
        let read = Envelope::parse(PayloadType::Intent, &line(&envelope).unwrap()).unwrap();
        assert_eq!(read, envelope);
        for (key, signature) in keys.iter().zip(&read.signatures) {
            let public = key.public().unwrap();
            assert!(public.verifies(&read.pae(), &signature.sig.0));
            assert!(!public.verifies(&read.payload.0, &signature.sig.0));
        }
    }

    #[test]
    fn nobody_signs_twice_and_there_is_a_bound() {
        let mut envelope = Envelope::unsigned(PayloadType::Policy, b"{}".to_vec());
        let key = SigningKey::of_seed(1);
        for n in 0..MAX_SIGNATURES {
            add_signature(&mut envelope, &id(&format!("p{n}")), &key).unwrap();
        }
        let twice = add_signature(&mut envelope, &id("p0"), &key).unwrap_err();
        assert!(matches!(twice, Error::Sign(SignError::Repeated(_))));
        let many = add_signature(&mut envelope, &id("more"), &key).unwrap_err();
        assert!(matches!(many, Error::Sign(SignError::TooMany)));
    }

    #[test]
    fn a_key_has_a_principal() {
        let arg = |text: &str| text.parse::<KeyArg>();
        assert_eq!(arg("keys/risk.pem").unwrap().principal, id("risk"));
        let named = arg("rule=keys/Rule Engine.pem").unwrap();
        assert_eq!((named.principal, named.file), (id("rule"), "keys/Rule Engine.pem".into()));
        assert_eq!(arg("./a=b/risk.pem").unwrap().file, PathBuf::from("./a=b/risk.pem"));
        assert!(arg("keys/Rule Engine.pem").is_err());
    }
}
