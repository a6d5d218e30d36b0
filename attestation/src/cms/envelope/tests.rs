#![allow(clippy::unwrap_used)]
use super::{
    blob::{Blob, der, good, implicit, oaep, octets, oid, sha256},
    *,
};

#[test]
fn plain_der_is_read() {
    let expected = Envelope {
        recipient_id: [7; 32],
        encrypted_key: [8; 256],
        iv: [9; 16],
        ciphertext: vec![10; 48],
    };
    assert_eq!(Envelope::parse(&good().encoded()).unwrap(), expected);
    let null = sha256(&[NULL, 0]);
    let with_null = Blob { key_algorithm: oaep(&null, &null, &[]), ..good() };
    assert_eq!(Envelope::parse(&with_null.encoded()).unwrap(), expected);
    let chunk = octets(&[10; 24]);
    let chunked = Blob { content: der(0xa0, &[&chunk, &chunk]), ..good() };
    assert_eq!(Envelope::parse(&chunked.encoded()).unwrap(), expected);
}

#[test]
fn another_shape_is_malformed_and_the_element_is_named() {
    let sha1 = der(SEQUENCE, &[&oid(&[0x2b, 0x0e, 0x03, 0x02, 0x1a])]);
    let sha256 = sha256(&[]);
    let key_usage = "keyEncryptionAlgorithm";
    let rsa_pkcs1 = oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01]);
    let aes_128_cbc = oid(&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x02]);
    let aes_256_gcm = oid(&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2e]);
    let iv = |bytes: usize| octets(&vec![9; bytes]);
    let issuer_and_serial = der(SEQUENCE, &[&der(SEQUENCE, &[]), &[INTEGER, 1, 1]]);
    let chunk = |bytes: usize| octets(&vec![7; bytes]);

    for (at, blob) in [
        ("contentType", Blob { content_type: oid(ID_DATA), ..good() }),
        ("envelopedData.version", Blob { version: vec![INTEGER, 1, 0], ..good() }),
        ("envelopedData.version", Blob { version: vec![INTEGER, 2, 0, 2], ..good() }),
        (
            "keyTransRecipientInfo.version",
            Blob {
                recipient_version: vec![INTEGER, 1, 0],
                recipient_id: issuer_and_serial.clone(),
                ..good()
            },
        ),
        ("rid.subjectKeyIdentifier", Blob { recipient_id: issuer_and_serial, ..good() }),
        ("rid.subjectKeyIdentifier", Blob { recipient_id: implicit(&[7; 20]), ..good() }),
        ("rid.subjectKeyIdentifier", Blob { recipient_id: der(0xa0, &[&chunk(32)]), ..good() }),
        (key_usage, Blob { key_algorithm: der(SEQUENCE, &[&rsa_pkcs1, &[NULL, 0]]), ..good() }),
        (
            "oaep parameters",
            Blob { key_algorithm: der(SEQUENCE, &[&oid(ID_RSAES_OAEP)]), ..good() },
        ),
        (
            "oaep.hashAlgorithm",
            Blob {
                key_algorithm: der(SEQUENCE, &[&oid(ID_RSAES_OAEP), &der(SEQUENCE, &[])]),
                ..good()
            },
        ),
        ("oaep hash", Blob { key_algorithm: oaep(&sha1, &sha256, &[]), ..good() }),
        ("oaep hash", Blob { key_algorithm: oaep(&sha256, &sha1, &[]), ..good() }),
        (
            "oaep parameters",
            Blob { key_algorithm: oaep(&sha256, &sha256, &der(0xa2, &[])), ..good() },
        ),
        ("encryptedKey", Blob { encrypted_key: der(0x24, &[&chunk(256)]), ..good() }),
        ("encryptedKey", Blob { encrypted_key: octets(&[8; 255]), ..good() }),
        ("encryptedKey", Blob { encrypted_key: octets(&[8; 257]), ..good() }),
        ("recipientInfos", Blob { other_recipients: good().recipient(), ..good() }),
        ("encryptedContentInfo.contentType", Blob { data_type: oid(ID_ENVELOPED_DATA), ..good() }),
        (
            "contentEncryptionAlgorithm",
            Blob { content_algorithm: der(SEQUENCE, &[&aes_128_cbc, &iv(16)]), ..good() },
        ),
        (
            "contentEncryptionAlgorithm",
            Blob { content_algorithm: der(SEQUENCE, &[&aes_256_gcm, &iv(16)]), ..good() },
        ),
        (
            "contentEncryptionAlgorithm.iv",
            Blob { content_algorithm: der(SEQUENCE, &[&oid(ID_AES256_CBC), &iv(12)]), ..good() },
        ),
        ("encryptedContent", Blob { content: vec![], ..good() }),
        ("encryptedContent", Blob { content: implicit(&[]), ..good() }),
        ("encryptedContent", Blob { content: implicit(&[10; 47]), ..good() }),
        ("encryptedContent", Blob { content: der(0xa0, &[&chunk(16), &chunk(1)]), ..good() }),
        ("encryptedContent", Blob { content: der(0xa0, &[]), ..good() }),
        ("encryptedContent", Blob { content: octets(&[1; 16]), ..good() }),
        ("encryptedContent", Blob { content: der(0xa0, &[&chunk(1).repeat(17)]), ..good() }),
        ("encryptedContent", Blob { content: der(0xa0, &[&der(0x24, &[&chunk(16)])]), ..good() }),
        ("envelopedData", Blob { attributes: der(0xa1, &[]), ..good() }),
    ] {
        assert_eq!(Envelope::parse(&blob.encoded()), Err(CmsError::Malformed { at }));
    }
    let nobody = der(
        SEQUENCE,
        &[
            &oid(ID_ENVELOPED_DATA),
            &der(EXPLICIT_0, &[&der(SEQUENCE, &[&[INTEGER, 1, 2], &der(SET, &[])])]),
        ],
    );
    let at = "keyTransRecipientInfo";
    assert_eq!(Envelope::parse(&nobody), Err(CmsError::Malformed { at }), "no recipient");
    let trailing = [good().encoded(), vec![0]].concat();
    let at = "contentInfo";
    assert_eq!(Envelope::parse(&trailing), Err(CmsError::Malformed { at }), "trailing");
}

/// Elements that open and never close, or close something that nobody opened: the depth is that of
/// the shape, whatever stands there.
#[test]
fn nesting_has_the_depth_of_the_shape() {
    for open in [&[0x30, 0x80][..], &[0xa0, 0x80], &[0x24, 0x80], &[0x31, 0x80], &[0, 0]] {
        let bomb = open.repeat(MAX_CIPHERTEXT_BYTES / open.len());
        assert!(matches!(Envelope::parse(&bomb), Err(CmsError::Malformed { .. })));
    }
}
