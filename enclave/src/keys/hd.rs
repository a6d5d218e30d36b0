//! BIP-32 over secp256k1, in memory.
//!
//! Private derivation only where a signature was approved; addresses come from public derivation.
//! A child of a cached parent costs one HMAC-SHA-512 and one addition.

use alloy_primitives::{Address, keccak256};
use hmac::{Hmac, KeyInit as _, Mac as _};
use k256::elliptic_curve::PrimeField as _;
use k256::elliptic_curve::sec1::ToSec1Point as _;
use k256::{NonZeroScalar, ProjectivePoint, Scalar};
use sha2::Sha512;
use strongroom_shared::evm::EvmAddress;
use strongroom_shared::path::HARDENED;
use zeroize::{Zeroize as _, Zeroizing};

/// A private key. Wiped on drop; no `Clone`, no `Debug`, no bytes.
pub struct SecretScalar(NonZeroScalar);

impl SecretScalar {
    #[cfg(test)]
    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Option::from(NonZeroScalar::from_repr(bytes.into())).expect("a key below the order"))
    }

    pub(crate) fn scalar(&self) -> &NonZeroScalar {
        &self.0
    }
}

impl Drop for SecretScalar {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// An extended private key (BIP-32): key, chain code, and the public key, which is as dear to
/// compute as a signature and is computed once.
pub struct Node {
    secret: SecretScalar,
    chain_code: Zeroizing<[u8; 32]>,
    point: ProjectivePoint,
    public: [u8; 33],
}

/// The left half of BIP-32's `I`, as a number, and its right half. Both are as secret as the parent.
struct Tweak {
    left: Zeroizing<Scalar>,
    chain_code: Zeroizing<[u8; 32]>,
}

impl Node {
    /// The master node of a seed (BIP-32, "Master key generation"). `None` for the seeds, one in
    /// 2¹²⁷, that BIP-32 calls invalid.
    pub fn master(seed: &[u8]) -> Option<Self> {
        let Tweak { left, chain_code } = tweak(b"Bitcoin seed", &[seed])?;
        Self::new(&left, chain_code)
    }

    /// The node below, by `levels`, hardened ones with [`HARDENED`] set.
    pub fn descend(self, levels: &[u32]) -> Option<Self> {
        levels.iter().try_fold(self, |node, level| {
            let Tweak { left, chain_code } = node.tweak(*level)?;
            let secret = Zeroizing::new(node.secret.0.as_ref().add(&left));
            Self::new(&secret, chain_code)
        })
    }

    /// The private key of a child (BIP-32, CKDpriv).
    pub fn child_secret(&self, level: u32) -> Option<SecretScalar> {
        let Tweak { left, chain_code: _ } = self.tweak(level)?;
        let secret = Zeroizing::new(self.secret.0.as_ref().add(&left));
        Option::from(NonZeroScalar::new(*secret)).map(SecretScalar)
    }

    /// The address of a child that is not hardened (BIP-32, CKDpub), without its private key.
    pub fn child_address(&self, level: u32) -> Option<EvmAddress> {
        if level & HARDENED != 0 {
            return None;
        }
        let Tweak { left, chain_code: _ } = self.tweak(level)?;
        let point = std::ops::Add::add(ProjectivePoint::mul_by_generator(&left), self.point);
        address_of(&point)
    }

    /// The compressed public key (SEC 1, section 2.3.3).
    pub fn public_key(&self) -> &[u8; 33] {
        &self.public
    }

    fn new(secret: &Scalar, chain_code: Zeroizing<[u8; 32]>) -> Option<Self> {
        let secret: NonZeroScalar = Option::from(NonZeroScalar::new(*secret))?;
        let secret = SecretScalar(secret);
        let point = ProjectivePoint::mul_by_generator(&secret.0);
        let public = point.to_affine().to_sec1_point(true).as_bytes().try_into().ok()?;
        Some(Self { secret, chain_code, point, public })
    }

    fn tweak(&self, level: u32) -> Option<Tweak> {
        let index = level.to_be_bytes();
        if level & HARDENED == 0 {
            return tweak(self.chain_code.as_slice(), &[&self.public, &index]);
        }
        let mut secret = self.secret.0.to_bytes();
        let tweak = tweak(self.chain_code.as_slice(), &[&[0], &secret, &index]);
        secret.as_mut_slice().zeroize();
        tweak
    }
}

/// HMAC-SHA-512; `None` where the left half is not below the order of the curve.
fn tweak(key: &[u8], parts: &[&[u8]]) -> Option<Tweak> {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).ok()?;
    for part in parts {
        mac.update(part);
    }
    let mut output = mac.finalize().into_bytes();
    let (left, right) = output.split_at(32);
    let mut left: [u8; 32] = left.try_into().ok()?;
    let mut chain_code = Zeroizing::new([0; 32]);
    chain_code.copy_from_slice(right);
    let scalar: Option<Scalar> = Option::from(Scalar::from_repr(left.into()));
    left.zeroize();
    output.as_mut_slice().zeroize();
    Some(Tweak { left: Zeroizing::new(scalar?), chain_code })
}

/// The last 20 bytes of the Keccak-256 of the uncompressed point without its prefix (Yellow Paper,
/// appendix F).
fn address_of(point: &ProjectivePoint) -> Option<EvmAddress> {
    let encoded = point.to_affine().to_sec1_point(false);
    let (_, coordinates) = encoded.as_bytes().split_first()?;
    Some(EvmAddress(Address::from_word(keccak256(coordinates))))
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use strongroom_shared::path::HdPath;

    /// BIP-39's seed of "test test … junk" with an empty passphrase, which Hardhat and Anvil use;
    /// its addresses under BIP-44's path are published by both.
    const JUNK_SEED: [u8; 64] = alloy_primitives::hex!(
        "9dfc3c64c2f8bede1533b6a79f8570e5943e0b8fd1cf77107adf7b72cef42185"
        "d564a3aee24cab43f80e3c4538087d70fc824eabbad596a23c97b6ee8322ccc0"
    );

    fn parent(seed: &[u8]) -> Node {
        let path = HdPath::parse("m/44'/60'/0'/0/0").unwrap();
        Node::master(seed).unwrap().descend(&path.parent()).unwrap()
    }

    pub(crate) fn junk_parent() -> Node {
        parent(&JUNK_SEED)
    }

    #[test]
    fn a_public_bip_44_vector() {
        let parent = junk_parent();
        for (index, address) in [
            (0, "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
            (1, "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
            (2, "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
            (9, "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"),
        ] {
            assert_eq!(parent.child_address(index).unwrap().to_string(), address);
        }
    }

    /// BIP-32, test vector 1: the public key at m/0'/1/2'/2/1000000000.
    #[test]
    fn bip_32_test_vector_1() {
        let seed: Vec<u8> = (0..16).collect();
        let node = Node::master(&seed)
            .unwrap()
            .descend(&[HARDENED, 1, 2 | HARDENED, 2, 1_000_000_000])
            .unwrap();
        let digits: String = node.public_key().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(digits, "022a471424da5e657499d1ff51cb43c47481a03b1e77f951fe64cec9f5a48f7011");
    }

    #[test]
    fn private_and_public_derivation_agree() {
        let parent = parent(&[7; 32]);
        for index in [0, 1, 1000, HARDENED - 1] {
            let secret = parent.child_secret(index).unwrap();
            let point = ProjectivePoint::mul_by_generator(secret.scalar());
            assert_eq!(address_of(&point), parent.child_address(index));
        }
        assert!(parent.child_address(HARDENED).is_none());
    }
}
