//! `CiphertextForRecipient`: our reader against two that share no code with it, the `openssl`
//! command and the `cms` crate.
//!
//! Whatever ours opens, OpenSSL opens to the same plaintext. Whatever it reads, the `cms` crate reads
//! to the same four values, but for one encoding of the ciphertext that the crate does not know
//! ([`chunks_of_definite_length`]). The converse is not so: the others also read other versions,
//! recipients, algorithms, attributes, and more of BER.
#![allow(clippy::unwrap_used)]

#[path = "cms_differential/ber.rs"]
mod ber;
#[path = "cms_differential/openssl.rs"]
mod openssl;
#[path = "cms_differential/stock.rs"]
mod stock;

use std::{fs, path::PathBuf};

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::{KeySize, PrivateDecryptingKey},
};
use strongroom_attestation::cms::{CmsError, RecipientKey, envelope::Envelope};
use strongroom_mock::kms::cms::seal;

use ber::{Octets, Random, definite, indefinite};
use openssl::OpenSsl;

/// Of plaintexts whose ciphertext ends before, at and after the end of a block and of a chunk of 1000.
const LENGTHS: [usize; 20] = [
    1, 15, 16, 17, 31, 32, 33, 64, 991, 992, 999, 1000, 1001, 1007, 1008, 1999, 2000, 2001, 3999,
    4096,
];

/// One key, as ours and as OpenSSL have it.
struct Recipient {
    ours: RecipientKey,
    openssl: OpenSsl,
}

impl Recipient {
    fn generate() -> Self {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let pkcs8: Pkcs8V1Der<'_> = key.as_der().unwrap();
        Self::from_pkcs8(pkcs8.as_ref())
    }

    fn from_pkcs8(pkcs8: &[u8]) -> Self {
        let ours = RecipientKey::from_pkcs8(pkcs8).unwrap();
        Self { ours, openssl: OpenSsl::new(pkcs8) }
    }

    fn seal(&self, plaintext: &[u8]) -> Vec<u8> {
        seal(self.ours.public_key_der(), plaintext).unwrap()
    }

    /// Both open it, and its DER, to this plaintext.
    fn assert_opened_alike(&self, blob: &[u8], plaintext: &[u8]) {
        assert_eq!(*self.ours.open(blob).unwrap(), plaintext);
        assert_eq!(
            *self.ours.open(&stock::to_der(&stock::parse(blob).unwrap())).unwrap(),
            plaintext
        );
        assert_eq!(self.openssl.decrypt(blob).unwrap(), plaintext);
    }
}

/// Ours and the `cms` crate read the same in a blob, and ours the same in its DER.
fn assert_read_alike(blob: &[u8]) -> Envelope {
    let ours = Envelope::parse(blob).unwrap();
    let stock = stock::parse(blob).unwrap();
    assert_eq!(ours, stock::fields(&stock));
    assert_eq!(ours, Envelope::parse(&stock::to_der(&stock)).unwrap());
    ours
}

/// A file of the vectors for KMS; none, said loudly, when they are not here.
fn vector(file: &str) -> Option<Vec<u8>> {
    let root = std::env::var_os("STRONGROOM_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors")),
        PathBuf::from,
    );
    let folder = root.join("kms");
    if !folder.is_dir() {
        eprintln!("SKIPPED, NOT PASSED: no vectors in {}", folder.display());
        return None;
    }
    Some(fs::read(folder.join(file)).unwrap())
}

#[test]
fn the_genuine_blobs() {
    let (Some(small), Some(large)) = (vector("edgebit.ber"), vector("rustcrypto-kms-4.ber")) else {
        return;
    };
    assert_read_alike(&small);
    assert_eq!(assert_read_alike(&large).ciphertext.len(), 4_112);

    let recipient = Recipient::from_pkcs8(&vector("edgebit.key.pkcs8.der").unwrap());
    let plaintext = String::from_utf8(vector("edgebit.plaintext.hex").unwrap()).unwrap();
    recipient.assert_opened_alike(&small, &hex::decode(plaintext.trim()).unwrap());
}

#[test]
fn the_blobs_of_the_local_kms() {
    let recipient = Recipient::generate();
    let mut random = Random(1);
    for length in LENGTHS {
        let plaintext = random.bytes(length);
        let blob = recipient.seal(&plaintext);
        assert_read_alike(&blob);
        recipient.assert_opened_alike(&blob, &plaintext);
    }
    for _ in 0..300 {
        let length = 1 + random.below(4_096);
        assert_read_alike(&recipient.seal(&random.bytes(length)));
    }
}

#[test]
fn every_encoding_of_the_shape() {
    let recipient = Recipient::generate();
    let mut random = Random(2);
    for length in 1..=400 {
        let plaintext = random.bytes(length);
        let fields = Envelope::parse(&recipient.seal(&plaintext)).unwrap();
        for octets in [Octets::whole(&fields), Octets::chunked(&fields, &mut random)] {
            let blob = ber::blob(&octets, &mut random);
            assert_eq!(assert_read_alike(&blob), fields);
            if length % 20 == 0 {
                recipient.assert_opened_alike(&blob, &plaintext);
            }
        }
    }
}

/// Octet strings in chunks where KMS and DER have them whole: BER that OpenSSL reads, and that nobody
/// has a reason to send.
#[test]
fn chunks_in_other_places_are_refused() {
    let recipient = Recipient::generate();
    let fields = Envelope::parse(&recipient.seal(b"secret")).unwrap();
    let whole = Octets::whole(&fields);
    for chunked in [indefinite, definite] {
        let chunks = |tag, value: &[u8]| chunked(tag, &definite(0x04, value));
        let recipient_id = chunks(0xa0, &fields.recipient_id);
        let encrypted_key = chunks(0x24, &fields.encrypted_key);
        let iv = chunks(0x24, &fields.iv);
        for (octets, at) in [
            (Octets { recipient_id, ..whole.clone() }, "rid.subjectKeyIdentifier"),
            (Octets { encrypted_key, ..whole.clone() }, "encryptedKey"),
            (Octets { iv, ..whole.clone() }, "contentEncryptionAlgorithm.iv"),
        ] {
            let blob = ber::blob(&octets, &mut Random(3));
            assert_eq!(recipient.openssl.decrypt(&blob).unwrap(), b"secret", "{at}");
            assert_eq!(Envelope::parse(&blob), Err(CmsError::Malformed { at }));
        }
    }
}

/// The `cms` crate takes a string in chunks for indefinite only. X.690, section 8.7, does not, nor do
/// ours and OpenSSL, and they agree on what it says.
#[test]
fn chunks_of_definite_length() {
    let recipient = Recipient::generate();
    let fields = Envelope::parse(&recipient.seal(b"secret")).unwrap();
    let (first, second) = fields.ciphertext.split_at(7);
    let chunks = [definite(0x04, first), definite(0x04, second)].concat();
    let octets = Octets { ciphertext: definite(0xa0, &chunks), ..Octets::whole(&fields) };
    let blob = ber::blob(&octets, &mut Random(4));
    assert_eq!(Envelope::parse(&blob).unwrap(), fields);
    assert_eq!(*recipient.ours.open(&blob).unwrap(), b"secret");
    assert_eq!(recipient.openssl.decrypt(&blob).unwrap(), b"secret");
    assert!(stock::parse(&blob).is_err());
}

#[test]
fn of_damaged_blobs_ours_reads_and_opens_no_more_than_the_others() {
    let recipient = Recipient::generate();
    let mut random = Random(4);
    let (mut read, mut opened, mut stock_alone) = (0, 0, 0);
    for _ in 0..40 {
        let blob = recipient.seal(&random.bytes(60));
        let octets = Octets::chunked(&Envelope::parse(&blob).unwrap(), &mut random);
        for blob in [blob, ber::blob(&octets, &mut random)] {
            for _ in 0..500 {
                let damaged = ber::damaged(&blob, &mut random);
                let Ok(ours) = Envelope::parse(&damaged) else {
                    stock_alone += usize::from(stock::parse(&damaged).is_ok());
                    continue;
                };
                read += 1;
                let stock = stock::parse(&damaged);
                let stock = stock.unwrap_or_else(|e| panic!("{e}: {}", hex::encode(&damaged)));
                assert_eq!(ours, stock::fields(&stock), "{}", hex::encode(&damaged));
                let Ok(plaintext) = recipient.ours.open(&damaged) else { continue };
                opened += 1;
                // Of some, because each is a process.
                if opened % 16 == 0 {
                    let openssl = recipient.openssl.decrypt(&damaged);
                    assert_eq!(openssl.unwrap(), *plaintext, "{}", hex::encode(&damaged));
                }
            }
        }
    }
    eprintln!("40,000 blobs: ours reads {read}, opens {opened}; the cms crate alone {stock_alone}");
    assert!(read > 1_000 && opened > 100 && stock_alone > 100);
}

const AS_KMS_DOES: &str = "-keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256 \
    -keyopt rsa_mgf1_md:sha256";

/// Blobs of the one shape by OpenSSL: DER, and with `-stream` BER of indefinite lengths.
#[test]
fn the_blobs_of_openssl() {
    let recipient = Recipient::generate();
    let probe = Envelope::parse(&recipient.seal(b"")).unwrap();
    recipient.openssl.certify("recipient", &probe.recipient_id);
    let mut random = Random(5);
    for stream in ["", "-stream"] {
        for length in [1, 32, 1_000, 4_096] {
            let options =
                format!("{stream} -aes-256-cbc -keyid -recip recipient.pem {AS_KMS_DOES}");
            let plaintext = random.bytes(length);
            let blob = recipient.openssl.encrypt(&options, &plaintext);
            assert_eq!(assert_read_alike(&blob).recipient_id, probe.recipient_id);
            recipient.assert_opened_alike(&blob, &plaintext);
        }
    }
}

/// What else OpenSSL makes and opens, and KMS does not make.
#[test]
fn other_shapes_by_openssl_are_refused() {
    let recipient = Recipient::generate();
    let id = Envelope::parse(&recipient.seal(b"")).unwrap().recipient_id;
    recipient.openssl.certify("recipient", &id);
    recipient.openssl.certify("named-by-sha-1", id.get(..20).unwrap());
    let one = format!("-keyid -recip recipient.pem {AS_KMS_DOES}");
    for (options, at) in [
        (format!("-aes-128-cbc {one}"), "contentEncryptionAlgorithm"),
        (format!("-aes-256-gcm {one}"), "contentType"),
        (format!("-aes-256-cbc -recip recipient.pem {AS_KMS_DOES}"), "envelopedData.version"),
        (
            format!("-aes-256-cbc -keyid -recip named-by-sha-1.pem {AS_KMS_DOES}"),
            "rid.subjectKeyIdentifier",
        ),
        ("-aes-256-cbc -keyid -recip recipient.pem".to_owned(), "keyEncryptionAlgorithm"),
        (
            "-aes-256-cbc -keyid -recip recipient.pem -keyopt rsa_padding_mode:oaep".to_owned(),
            "oaep.hashAlgorithm",
        ),
        (format!("-aes-256-cbc {one} -recip recipient.pem {AS_KMS_DOES}"), "recipientInfos"),
    ] {
        let blob = recipient.openssl.encrypt(&options, b"secret");
        assert_eq!(Envelope::parse(&blob), Err(CmsError::Malformed { at }), "{options}");
    }
}
