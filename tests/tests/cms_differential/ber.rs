//! A writer of the one shape in the many encodings that BER has for it, and of damage to it.

use der::{Encode as _, asn1::ObjectIdentifier};
use strongroom_attestation::cms::envelope::Envelope;

pub(crate) const ENVELOPED_DATA: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.3");
pub(crate) const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
pub(crate) const RSAES_OAEP: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.7");
pub(crate) const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");
pub(crate) const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
pub(crate) const AES256_CBC: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");

const VERSION_2: &[u8] = &[0x02, 1, 2];
const NULL: &[u8] = &[0x05, 0];

/// SplitMix64: the same inputs in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// The four octet strings of a blob, encoded.
#[derive(Clone)]
pub(crate) struct Octets {
    pub(crate) recipient_id: Vec<u8>,
    pub(crate) encrypted_key: Vec<u8>,
    pub(crate) iv: Vec<u8>,
    pub(crate) ciphertext: Vec<u8>,
}

impl Octets {
    /// Each in one piece.
    pub(crate) fn whole(fields: &Envelope) -> Self {
        Self {
            recipient_id: definite(0x80, &fields.recipient_id),
            encrypted_key: definite(0x04, &fields.encrypted_key),
            iv: definite(0x04, &fields.iv),
            ciphertext: definite(0x80, &fields.ciphertext),
        }
    }

    /// The ciphertext in chunks of any length, as KMS has it in chunks of 1000.
    pub(crate) fn chunked(fields: &Envelope, random: &mut Random) -> Self {
        let mut chunks = Vec::new();
        let mut rest = &fields.ciphertext[..];
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(1 + random.below(rest.len()));
            chunks.extend(definite(0x04, chunk));
            rest = after;
        }
        Self { ciphertext: indefinite(0xa0, &chunks), ..Self::whole(fields) }
    }
}

/// A blob of these octet strings. Which lengths are indefinite, and whether SHA-256 has parameters of
/// NULL or none, is random.
pub(crate) fn blob(octets: &Octets, random: &mut Random) -> Vec<u8> {
    let parameters = [(); 2].map(|()| if random.coin() { NULL } else { &[] });
    let mut constructed = |tag, content: &[&[u8]]| {
        let content = content.concat();
        if random.coin() { indefinite(tag, &content) } else { definite(tag, &content) }
    };
    let [hash, mask] = parameters.map(|null| constructed(0x30, &[&oid(SHA256), null]));
    let hash = constructed(0xa0, &[&hash]);
    let mask = constructed(0x30, &[&oid(MGF1), &mask]);
    let mask = constructed(0xa1, &[&mask]);
    let oaep = constructed(0x30, &[&hash, &mask]);
    let oaep = constructed(0x30, &[&oid(RSAES_OAEP), &oaep]);
    let recipient =
        constructed(0x30, &[VERSION_2, &octets.recipient_id, &oaep, &octets.encrypted_key]);
    let recipients = constructed(0x31, &[&recipient]);
    let cipher = constructed(0x30, &[&oid(AES256_CBC), &octets.iv]);
    let content = constructed(0x30, &[&oid(DATA), &cipher, &octets.ciphertext]);
    let data = constructed(0x30, &[VERSION_2, &recipients, &content]);
    let data = constructed(0xa0, &[&data]);
    constructed(0x30, &[&oid(ENVELOPED_DATA), &data])
}

fn oid(oid: ObjectIdentifier) -> Vec<u8> {
    oid.to_der().unwrap()
}

pub(crate) fn indefinite(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, 0x80], content, &[0, 0]].concat()
}

pub(crate) fn definite(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = der::Length::try_from(content.len()).unwrap().to_der().unwrap();
    [&[tag], &length[..], content].concat()
}

/// A blob with up to three changes, which seldom hit the four values: there any bytes will do.
pub(crate) fn damaged(blob: &[u8], random: &mut Random) -> Vec<u8> {
    const TELLING: [u8; 15] =
        [0, 1, 2, 4, 5, 6, 0x24, 0x30, 0x31, 0x80, 0x81, 0x82, 0xa0, 0xa1, 0xff];
    let fields = Envelope::parse(blob).unwrap();
    let values = [&fields.recipient_id[..], &fields.encrypted_key, &fields.iv, &fields.ciphertext];
    // The ciphertext may stand in chunks: its last bytes then are not found, and are hit more often.
    let values = values.map(|value| {
        let start = blob.windows(value.len()).position(|window| window == value).unwrap_or(0);
        start..start + if start == 0 { 0 } else { value.len() }
    });
    let mut damaged = blob.to_vec();
    for _ in 0..=random.below(3) {
        let mut at = random.below(damaged.len());
        while values.iter().any(|value| value.contains(&at)) && random.below(16) > 0 {
            at = random.below(damaged.len());
        }
        let end = damaged.len().min(at + 1 + random.below(4));
        let telling = *TELLING.get(random.below(TELLING.len())).unwrap();
        match random.below(8) {
            0..=2 => *damaged.get_mut(at).unwrap() ^= 1 << random.below(8),
            3 | 4 => *damaged.get_mut(at).unwrap() = telling,
            5 => damaged.insert(at, telling),
            6 => drop(damaged.drain(at..end)),
            _ => {
                let again = damaged.get(at..end).unwrap().to_vec();
                drop(damaged.splice(at..at, again));
            }
        }
    }
    damaged
}
