//! The `cms` crate.

use cms::{
    content_info::{CmsVersion, ContentInfo},
    enveloped_data::{EnvelopedData, RecipientIdentifier, RecipientInfo},
};
use der::{Any, Decode as _, Encode as _, Sequence};
use spki::AlgorithmIdentifierOwned;
use strongroom_attestation::cms::envelope::Envelope;

use crate::ber::{AES256_CBC, DATA, ENVELOPED_DATA, MGF1, RSAES_OAEP, SHA256};

/// RSAES-OAEP-params (RFC 8017, appendix A.2.1), without defaults and label.
#[derive(Sequence)]
struct OaepParameters {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    hash: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT")]
    mask: AlgorithmIdentifierOwned,
}

/// Reads a blob.
pub(crate) fn parse(blob: &[u8]) -> der::Result<EnvelopedData> {
    let info = ContentInfo::from_ber(blob)?;
    EnvelopedData::from_ber(&info.content.to_der()?)
}

/// Writes it again, in DER.
pub(crate) fn to_der(data: &EnvelopedData) -> Vec<u8> {
    let content = Any::encode_from(data).unwrap();
    ContentInfo { content_type: ENVELOPED_DATA, content }.to_der().unwrap()
}

/// The four values. The crate leaves versions, recipients and algorithms to its caller: here they must be
/// those of the one shape.
pub(crate) fn fields(data: &EnvelopedData) -> Envelope {
    assert_eq!(data.version, CmsVersion::V2);
    assert!(data.originator_info.is_none() && data.unprotected_attrs.is_none());
    let [RecipientInfo::Ktri(recipient)] = data.recip_infos.0.as_slice() else {
        panic!("expected one recipient, by key transport");
    };
    assert_eq!(recipient.version, CmsVersion::V2);
    let RecipientIdentifier::SubjectKeyIdentifier(id) = &recipient.rid else {
        panic!("expected the identifier of the recipient's key");
    };
    assert_eq!(recipient.key_enc_alg.oid, RSAES_OAEP);
    let oaep = parameters::<OaepParameters>(&recipient.key_enc_alg);
    let mask_hash = parameters::<AlgorithmIdentifierOwned>(&oaep.mask);
    assert_eq!((oaep.hash.oid, oaep.mask.oid, mask_hash.oid), (SHA256, MGF1, SHA256));
    let content = &data.encrypted_content;
    assert_eq!((content.content_type, content.content_enc_alg.oid), (DATA, AES256_CBC));
    Envelope {
        recipient_id: id.0.as_bytes().try_into().unwrap(),
        encrypted_key: recipient.enc_key.as_bytes().try_into().unwrap(),
        iv: content.content_enc_alg.parameters.as_ref().unwrap().value().try_into().unwrap(),
        ciphertext: content.encrypted_content.as_ref().unwrap().as_bytes().to_vec(),
    }
}

fn parameters<T>(algorithm: &AlgorithmIdentifierOwned) -> T
where
    T: for<'a> der::Decode<'a, Error = der::Error>,
{
    T::from_ber(&algorithm.parameters.as_ref().unwrap().to_der().unwrap()).unwrap()
}
