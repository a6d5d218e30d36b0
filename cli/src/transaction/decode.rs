//! Bytes → a transaction, in its one canonical encoding; and who signed it.

use alloy_consensus::transaction::{RlpEcdsaDecodableTx as _, RlpEcdsaEncodableTx as _};
use alloy_consensus::{SignableTransaction as _, TxEip1559, TxEip2930, TxLegacy};
use alloy_primitives::{Address, B256, Signature, keccak256};
use alloy_rlp::Decodable as _;
use secp256k1::Message;
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use strongroom_shared::evm::EvmAddress;

use super::TransactionError;

/// A transaction of one of the kinds that Strongroom signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Transaction {
    /// The old kind; with a chain id it is replay-protected (EIP-155).
    Legacy(TxLegacy),
    /// EIP-2930, type 1.
    Eip2930(TxEip2930),
    /// EIP-1559, type 2.
    Eip1559(TxEip1559),
}

impl Transaction {
    /// Reads a serialized unsigned transaction.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, TransactionError> {
        let transaction = match bytes {
            [0x01, list @ ..] => {
                exact("eip-2930", list, TxEip2930::rlp_decode).map(Self::Eip2930)?
            }
            [0x02, list @ ..] => {
                exact("eip-1559", list, TxEip1559::rlp_decode).map(Self::Eip1559)?
            }
            [0xc0..=0xff, ..] => exact("legacy", bytes, TxLegacy::decode).map(Self::Legacy)?,
            _ => return Err(TransactionError::Type),
        };
        transaction.is_encoded_as(bytes, &transaction.encode())?;
        Ok(transaction)
    }

    /// The bytes whose Keccak-256 is signed: the serialized unsigned transaction.
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Legacy(tx) => tx.encoded_for_signing(),
            Self::Eip2930(tx) => tx.encoded_for_signing(),
            Self::Eip1559(tx) => tx.encoded_for_signing(),
        }
    }

    /// What is signed.
    pub(crate) fn sighash(&self) -> B256 {
        keccak256(self.encode())
    }

    /// The kind, for people.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Legacy(_) => "legacy",
            Self::Eip2930(_) => "eip-2930",
            Self::Eip1559(_) => "eip-1559",
        }
    }

    /// The members that all kinds have.
    pub(crate) fn members(&self) -> &dyn alloy_consensus::Transaction {
        match self {
            Self::Legacy(tx) => tx,
            Self::Eip2930(tx) => tx,
            Self::Eip1559(tx) => tx,
        }
    }

    fn encode_signed(&self, signature: &Signature) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::Legacy(tx) => tx.eip2718_encode(signature, &mut bytes),
            Self::Eip2930(tx) => tx.eip2718_encode(signature, &mut bytes),
            Self::Eip1559(tx) => tx.eip2718_encode(signature, &mut bytes),
        }
        bytes
    }

    /// RLP has several spellings that decoders let pass; one of them is canonical.
    fn is_encoded_as(&self, found: &[u8], canonical: &[u8]) -> Result<(), TransactionError> {
        if found == canonical {
            Ok(())
        } else {
            Err(TransactionError::Encoding { kind: self.kind() })
        }
    }
}

/// A signed transaction, with the sender that its signature gives.
pub(crate) struct SignedTransaction {
    /// What was signed.
    pub(crate) transaction: Transaction,
    /// Who signed.
    pub(crate) from: EvmAddress,
    /// Its Keccak-256.
    pub(crate) hash: B256,
}

impl SignedTransaction {
    /// Reads a serialized signed transaction, and recovers its sender.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, TransactionError> {
        let (transaction, signature) = match bytes {
            [0x01, list @ ..] => {
                let (tx, signature) =
                    exact("eip-2930", list, TxEip2930::rlp_decode_with_signature)?;
                (Transaction::Eip2930(tx), signature)
            }
            [0x02, list @ ..] => {
                let (tx, signature) =
                    exact("eip-1559", list, TxEip1559::rlp_decode_with_signature)?;
                (Transaction::Eip1559(tx), signature)
            }
            [0xc0..=0xff, ..] => {
                let (tx, signature) = exact("legacy", bytes, TxLegacy::rlp_decode_with_signature)?;
                (Transaction::Legacy(tx), signature)
            }
            _ => return Err(TransactionError::Type),
        };
        transaction.is_encoded_as(bytes, &transaction.encode_signed(&signature))?;
        let from = recover(&signature, transaction.sighash())?;
        Ok(Self { transaction, from, hash: keccak256(bytes) })
    }
}

fn exact<T>(
    kind: &'static str,
    mut bytes: &[u8],
    decode: impl FnOnce(&mut &[u8]) -> alloy_rlp::Result<T>,
) -> Result<T, TransactionError> {
    match decode(&mut bytes) {
        Ok(decoded) if bytes.is_empty() => Ok(decoded),
        _ => Err(TransactionError::Encoding { kind }),
    }
}

/// The address whose key signed `sighash`, by libsecp256k1.
fn recover(signature: &Signature, sighash: B256) -> Result<EvmAddress, TransactionError> {
    if signature.normalize_s().is_some() {
        return Err(TransactionError::HighS);
    }
    let failed = |_| TransactionError::Signature;
    let mut compact = [0; 64];
    let (r, s) = compact.split_at_mut(32);
    r.copy_from_slice(&signature.r().to_be_bytes::<32>());
    s.copy_from_slice(&signature.s().to_be_bytes::<32>());
    let parity = if signature.v() { RecoveryId::One } else { RecoveryId::Zero };
    let recoverable = RecoverableSignature::from_compact(&compact, parity).map_err(failed)?;
    let key = recoverable.recover(Message::from_digest(sighash.0)).map_err(failed)?;
    // 0x04 ‖ x ‖ y: the address is the last 20 bytes of the Keccak-256 of x ‖ y.
    let [_, point @ ..] = key.serialize_uncompressed();
    Ok(EvmAddress(Address::from_word(keccak256(point))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The example of EIP-155: private key 0x46…46, chain 1, nonce 9, 1 ether to 0x35…35.
    const EIP155_UNSIGNED: &str = "ec098504a817c800825208943535353535353535353535353535353535353535\
        880de0b6b3a764000080018080";
    const EIP155_SIGNED: &str = "f86c098504a817c800825208943535353535353535353535353535353535353535\
        880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276\
        a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83";

    fn bytes(hex: &str) -> Vec<u8> {
        hex::decode(hex).unwrap()
    }

    fn signed(bytes: &[u8]) -> Result<SignedTransaction, TransactionError> {
        SignedTransaction::decode(bytes)
    }

    #[test]
    fn the_example_of_eip_155() {
        let found = signed(&bytes(EIP155_SIGNED)).unwrap();
        assert_eq!(found.from.to_string(), "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F");
        let unsigned = Transaction::decode(&bytes(EIP155_UNSIGNED)).unwrap();
        assert_eq!(found.transaction, unsigned);
        // "the hash" of the example
        assert_eq!(
            hex::encode(unsigned.sighash()),
            "daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53"
        );
        let members = unsigned.members();
        assert_eq!((members.chain_id(), members.nonce()), (Some(1), 9));
    }

    /// Signs with libsecp256k1, decodes and recovers: all three kinds.
    #[test]
    fn every_kind_gives_its_signer() {
        let key = secp256k1::SecretKey::from_secret_bytes([0x46; 32]).unwrap();
        for transaction in [
            Transaction::Legacy(TxLegacy { chain_id: Some(31337), ..Default::default() }),
            Transaction::Eip2930(TxEip2930 { chain_id: 1, nonce: 7, ..Default::default() }),
            Transaction::Eip1559(TxEip1559 { chain_id: 1, gas_limit: 7, ..Default::default() }),
        ] {
            let message = Message::from_digest(transaction.sighash().0);
            let signature = RecoverableSignature::sign_ecdsa_recoverable(message, &key);
            let (parity, compact) = signature.serialize_compact();
            let signature = Signature::from_bytes_and_parity(&compact, parity == RecoveryId::One);
            let raw = transaction.encode_signed(&signature);
            let found = signed(&raw).unwrap();
            assert_eq!(found.from.to_string(), "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F");
            assert_eq!(found.transaction, transaction);
            assert_eq!(Transaction::decode(&transaction.encode()).unwrap(), transaction);
        }
    }

    #[test]
    fn what_is_not_canonical_is_refused() {
        let good = bytes(EIP155_SIGNED);
        assert_eq!(signed(&[]).err(), Some(TransactionError::Type));
        assert_eq!(signed(&[0x03, 0xc0]).err(), Some(TransactionError::Type));
        let encoding = Some(TransactionError::Encoding { kind: "legacy" });
        assert_eq!(signed(&[&good[..], &[0]].concat()).err(), encoding);
        assert_eq!(signed(&good[..good.len() - 1]).err(), encoding);
        // an unsigned one is not a signed one
        assert_eq!(signed(&bytes(EIP155_UNSIGNED)).err(), encoding);
        // and not the other way round: v, r and s stand where EIP-155 has the chain id, 0, 0
        assert_eq!(Transaction::decode(&good).err(), encoding);
        // nonce 9 as 0x8109 instead of 0x09
        let long = EIP155_UNSIGNED.replacen("ec09", "ed8109", 1);
        assert_eq!(Transaction::decode(&bytes(&long)).err(), encoding);
    }

    #[test]
    fn a_changed_transaction_has_another_sender_and_a_high_s_is_refused() {
        let changed = EIP155_SIGNED.replacen("f86c09", "f86c0a", 1);
        let from = signed(&bytes(&changed)).map(|found| found.from.to_string());
        assert_ne!(from, Ok("0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F".into()));
        // n - s, with the other parity: the same signature in its malleated form
        let high = EIP155_SIGNED.replacen("8025a028ef", "8026a028ef", 1).replacen(
            "67cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83",
            "98341627668089e51348fccfb4c7ff31c55912f2d2e47ef09652acf665fad3be",
            1,
        );
        assert_eq!(signed(&bytes(&high)).err(), Some(TransactionError::HighS));
    }
}
