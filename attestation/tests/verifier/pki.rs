//! A PKI in miniature, DER by hand, so that each certificate can be wrong in any way.

use aws_lc_rs::{
    encoding::AsDer as _,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
        ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _,
    },
};
use serde_cbor::Value;
use strongroom_attestation::verify::TrustAnchor;

/// A time at which all is valid that does not say otherwise: 2025-06-01T00:00:00Z.
pub(crate) const NOW_MS: u64 = 1_748_736_000_000;

/// What a certificate says.
#[derive(Clone, Copy)]
pub(crate) struct Template {
    pub(crate) name: &'static str,
    /// UTCTime (RFC 5280, section 4.1.2.5.1), both.
    pub(crate) validity: [&'static str; 2],
    pub(crate) constraints: Constraints,
    /// The first octet of the bits, if the extension is there: 0x80 digitalSignature, 0x04 keyCertSign.
    pub(crate) usage: Option<u8>,
    /// An extension that nobody knows, critical.
    pub(crate) unknown: bool,
}

/// The basic constraints.
#[derive(Clone, Copy)]
pub(crate) enum Constraints {
    Absent,
    /// Bytes that are none.
    Malformed,
    Of {
        critical: bool,
        ca: bool,
        path_len: Option<u8>,
    },
}

/// Critical, of a CA.
pub(crate) const fn ca(path_len: Option<u8>) -> Constraints {
    Constraints::Of { critical: true, ca: true, path_len }
}

pub(crate) const ROOT: Template = Template {
    name: "root",
    validity: ["200101000000Z", "491231235959Z"],
    constraints: ca(None),
    usage: Some(0x06),
    unknown: false,
};
pub(crate) const MIDDLE: Template = Template { name: "middle", ..ROOT };
pub(crate) const LEAF: Template = Template {
    name: "leaf",
    constraints: Constraints::Of { critical: true, ca: false, path_len: None },
    usage: Some(0x80),
    ..ROOT
};

/// `id-ecPublicKey` and `secp384r1` (RFC 5480, section 2.1.1).
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const SECP384R1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const ECDSA_WITH_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const UNKNOWN: &[u8] = &[0x55, 0x1d, 0x7f];

/// Tag, length and joined parts (X.690, section 8.1).
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    let header = match content.len() {
        0..0x80 => vec![tag, low],
        0x80..0x100 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [header, content].concat()
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    der(0x30, parts)
}

fn name(text: &str) -> Vec<u8> {
    let attribute = sequence(&[&der(0x06, &[COMMON_NAME]), &der(0x0c, &[text.as_bytes()])]);
    sequence(&[&der(0x31, &[&attribute])])
}

fn extension(id: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { der(0x01, &[&[0xff]]) } else { Vec::new() };
    sequence(&[&der(0x06, &[id]), &critical, &der(0x04, &[value])])
}

fn extensions(template: &Template) -> Vec<u8> {
    let mut all = Vec::new();
    match template.constraints {
        Constraints::Absent => {}
        Constraints::Malformed => all.extend(extension(BASIC_CONSTRAINTS, true, &[0x05, 0x00])),
        Constraints::Of { critical, ca, path_len } => {
            let ca = if ca { der(0x01, &[&[0xff]]) } else { Vec::new() };
            let path_len = path_len.map_or(Vec::new(), |length| der(0x02, &[&[length]]));
            all.extend(extension(BASIC_CONSTRAINTS, critical, &sequence(&[&ca, &path_len])));
        }
    }
    if let Some(bits) = template.usage {
        let unused = u8::try_from(bits.trailing_zeros()).unwrap();
        all.extend(extension(KEY_USAGE, true, &der(0x03, &[&[unused, bits]])));
    }
    if template.unknown {
        all.extend(extension(UNKNOWN, true, &[0x05, 0x00]));
    }
    der(0xa3, &[&sequence(&[&all])])
}

/// Who issues certificates.
pub(crate) struct Authority {
    pub(crate) der: Vec<u8>,
    name: &'static str,
    key: EcdsaKeyPair,
    /// The algorithm identifier in what it signs.
    algorithm: Vec<u8>,
}

impl Authority {
    pub(crate) fn root(template: &Template) -> Self {
        let mut root = Self {
            der: Vec::new(),
            name: template.name,
            key: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).unwrap(),
            algorithm: sequence(&[&der(0x06, &[ECDSA_WITH_SHA384])]),
        };
        root.der = root.sign(template, root.key.public_key().as_der().unwrap().as_ref());
        root
    }

    pub(crate) fn issue(&self, template: &Template) -> Self {
        self.issue_with(template, &ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_WITH_SHA384)
    }

    /// An authority with a key on P-256.
    pub(crate) fn issue_p256(&self, template: &Template) -> Self {
        self.issue_with(template, &ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_WITH_SHA256)
    }

    fn issue_with(
        &self,
        template: &Template,
        algorithm: &'static EcdsaSigningAlgorithm,
        signature: &'static [u8],
    ) -> Self {
        let key = EcdsaKeyPair::generate(algorithm).unwrap();
        let algorithm = sequence(&[&der(0x06, &[signature])]);
        let der = self.sign(template, key.public_key().as_der().unwrap().as_ref());
        Self { der, name: template.name, key, algorithm }
    }

    /// The same, which signs with an algorithm whose parameters are this long.
    pub(crate) fn with_parameters(self, bytes: usize) -> Self {
        let parameters = der(0x04, &[&vec![7; bytes]]);
        let algorithm = sequence(&[&der(0x06, &[ECDSA_WITH_SHA384]), &parameters]);
        Self { algorithm, ..self }
    }

    /// A certificate for a key on P-384 that stands there as these bytes.
    pub(crate) fn certify_point(&self, template: &Template, point: &[u8]) -> Vec<u8> {
        let algorithm = sequence(&[&der(0x06, &[EC_PUBLIC_KEY]), &der(0x06, &[SECP384R1])]);
        self.sign(template, &sequence(&[&algorithm, &der(0x03, &[&[0], point])]))
    }

    /// A document whose bundle is `above` and this authority.
    pub(crate) fn document(&self, above: &[&Self], leaf: &Template) -> Document {
        let key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        let leaf = self.sign(leaf, key.public_key().as_der().unwrap().as_ref());
        let bundle = above.iter().map(|authority| authority.der.clone());
        Document { bundle: bundle.chain([self.der.clone()]).collect(), leaf, key, pcr0: Some(1) }
    }

    fn sign(&self, template: &Template, public_key_der: &[u8]) -> Vec<u8> {
        let [from, to] = template.validity.map(|time| der(0x17, &[time.as_bytes()]));
        let certificate = sequence(&[
            &der(0xa0, &[&der(0x02, &[&[2]])]),
            &der(0x02, &[&[1]]),
            &self.algorithm,
            &name(self.name),
            &sequence(&[&from, &to]),
            &name(template.name),
            public_key_der,
            &extensions(template),
        ]);
        let signature = self.key.sign(&SystemRandom::new(), &certificate).unwrap();
        sequence(&[&certificate, &self.algorithm, &der(0x03, &[&[0], signature.as_ref()])])
    }

    pub(crate) fn anchor(&self) -> TrustAnchor {
        TrustAnchor::from_der(&self.der).unwrap()
    }
}

/// What is signed when a document is made.
pub(crate) struct Document {
    pub(crate) bundle: Vec<Vec<u8>>,
    pub(crate) leaf: Vec<u8>,
    key: EcdsaKeyPair,
    /// What PCR0 is filled with, if the document names it.
    pub(crate) pcr0: Option<u8>,
}

impl Document {
    /// COSE_Sign1, untagged.
    pub(crate) fn encoded(&self) -> Vec<u8> {
        let pcr = |index, fill| (Value::Integer(index), Value::Bytes(vec![fill; 48]));
        let pcrs = [pcr(4, 4)].into_iter().chain(self.pcr0.map(|fill| pcr(0, fill)));
        let bundle = self.bundle.iter().cloned().map(Value::Bytes).collect();
        let payload = [
            ("module_id", Value::Text("i-0-enc0".to_owned())),
            ("digest", Value::Text("SHA384".to_owned())),
            ("timestamp", Value::Integer(NOW_MS.into())),
            ("pcrs", Value::Map(pcrs.collect())),
            ("certificate", Value::Bytes(self.leaf.clone())),
            ("cabundle", Value::Array(bundle)),
        ];
        let payload = payload.map(|(key, value)| (Value::Text(key.to_owned()), value));
        let payload = Value::Bytes(serde_cbor::to_vec(&Value::Map(payload.into())).unwrap());
        let protected = Value::Bytes(vec![0xa1, 0x01, 0x38, 0x22]);
        // RFC 9052, section 4.4.
        let signed = Value::Array(vec![
            Value::Text("Signature1".to_owned()),
            protected.clone(),
            Value::Bytes(Vec::new()),
            payload.clone(),
        ]);
        let signed = serde_cbor::to_vec(&signed).unwrap();
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        let signature = Value::Bytes(signature.as_ref().to_vec());
        let document = vec![protected, Value::Map([].into()), payload, signature];
        serde_cbor::to_vec(&Value::Array(document)).unwrap()
    }
}
