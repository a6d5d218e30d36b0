//! Bytes on the wire, and the `Recipient` of a request.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{
    super::{
        attested::{RSAES_OAEP_SHA_256, Recipient},
        cms,
        dice::Dice,
        error::ApiError,
        object::Object,
    },
    Call, validation,
};

/// Bytes, in base64 on the wire.
pub(super) struct Bytes(pub(super) Zeroizing<Vec<u8>>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = STANDARD.decode(text.as_bytes());
        bytes.map(Zeroizing::new).map(Self).map_err(|_| serde::de::Error::custom("not base64"))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RecipientInfo {
    key_encryption_algorithm: Option<String>,
    attestation_document: Option<Bytes>,
}

impl Call<'_> {
    pub(super) fn recipient(
        &self,
        info: Option<&Object<RecipientInfo>>,
    ) -> Result<Option<Recipient>, ApiError> {
        let Some(Object(info)) = info else { return Ok(None) };
        let RecipientInfo { key_encryption_algorithm, attestation_document } = info;
        if key_encryption_algorithm.as_deref() != Some(RSAES_OAEP_SHA_256) {
            return validation("recipient: expected key encryption algorithm RSAES_OAEP_SHA_256");
        }
        let Some(document) = attestation_document else {
            return validation("recipient: expected an attestation document");
        };
        Recipient::verify(&document.0, &self.kms.anchor, self.now).map(Some)
    }
}

/// Adds `plaintext` to a reply: to an attested caller only as `CiphertextForRecipient`. Beside that, as of
/// the real KMS, `Plaintext` can be absent, null or empty.
pub(super) fn reveal(
    reply: &mut Value,
    plaintext: &[u8],
    recipient: Option<&Recipient>,
) -> Result<(), ApiError> {
    let (member, bytes) = match recipient {
        Some(recipient) => {
            let sealed = cms::seal(recipient.public_key_der(), plaintext);
            ("CiphertextForRecipient", sealed.map_err(|e| ApiError::Validation(e.to_string()))?)
        }
        None => ("Plaintext", plaintext.to_vec()),
    };
    if let Value::Object(members) = reply {
        if recipient.is_some() {
            let nothing = [None, Some(Value::Null), Some("".into())];
            let nothing = Dice::new()?.shuffle(nothing).into_iter().next().flatten();
            members.extend(nothing.map(|nothing| ("Plaintext".to_owned(), nothing)));
        }
        members.insert(member.to_owned(), STANDARD.encode(Zeroizing::new(bytes)).into());
    }
    Ok(())
}
