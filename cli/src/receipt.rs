//! Receipts: verifying that an attested enclave decided what one says.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use strongroom_shared::digest::Digest;
use strongroom_shared::encoding::HexBytes;
use strongroom_shared::evm::EvmAddress;
use strongroom_shared::json;
use strongroom_shared::path::HdPath;
use strongroom_shared::receipt::{Body, Decision, Event, Receipt};

use crate::attestation::{self, Nonce, TrustArgs};
use crate::error::Error;
use crate::files;
use crate::outcome::Outcome;
use crate::transaction::SignedTransaction;
use crate::verify::VerifyError;

/// Verify receipts.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Verify that an attested enclave decided what a receipt says.
    ///
    /// Verifies the attestation document, that it binds the key that signed the receipt's head, the
    /// signature, that the receipt's body is in the group of that head, and that the reply's transactions
    /// are the ones that the receipt records. The reply may be a signed
    /// transaction, a created wallet, a denial, or a bare receipt. Exit 0: proven; 1: not.
    #[command(
        after_help = "Example:\n  strongroom receipt verify --reply signed.json --attestation attestation.json --root env/mock/nsm/root.pem"
    )]
    Verify(VerifyArgs),
}

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// What `strongroom sign` or `strongroom wallet create` printed.
    #[arg(long, value_name = "FILE")]
    reply: PathBuf,
    /// What `strongroom attestation fetch` printed, in the same boot.
    #[arg(long, value_name = "FILE")]
    attestation: PathBuf,
    /// The nonce that the attestation was asked for with.
    #[arg(long, value_name = "HEX")]
    nonce: Option<Nonce>,
    #[command(flatten)]
    trust: TrustArgs,
}

impl Command {
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<Outcome, Error> {
        let Self::Verify(args) = self;
        let reply = Reply::read(&files::read(&args.reply)?)?;
        let evidence = attestation::read(&args.attestation)?;
        let attested = args.trust.verify(&evidence, args.nonce.as_ref(), out)?;
        let (body, head) = attested.receipt(&reply.receipt)?;
        reply.agrees_with(&body)?;
        let decision = match &body.decision {
            Decision::Allowed => "allowed".to_owned(),
            Decision::Denied { code, rule } => format!("denied ({}, rule {rule})", code.as_str()),
            Decision::Failed { code } => format!("failed ({})", code.as_str()),
        };
        let (sequence, time) = (body.sequence, body.time);
        writeln!(
            out,
            "proven: the enclave of that boot signed receipt {sequence}: {decision} at {time}"
        )?;
        writeln!(
            out,
            "proven: it is in the group {} to {} of the signed head",
            head.first, head.last
        )?;
        writeln!(out, "{}", String::from_utf8_lossy(&reply.receipt.body.0))?;
        Ok(Outcome::Done)
    }
}

/// A reply with a receipt, as far as the receipt speaks of it.
#[derive(Debug, PartialEq, Eq)]
struct Reply {
    receipt: Receipt,
    intent_digest: Option<Digest>,
    results: Vec<SignedResult>,
    /// The result of a single transaction, as it stands at the top level as well.
    single: Option<SignedResult>,
}

impl Reply {
    /// Reads a reply of any kind, or a bare receipt.
    fn read(bytes: &[u8]) -> Result<Self, Error> {
        let reply: Value = json::parse("reply", bytes)?;
        let Some(receipt) = reply.get("receipt") else {
            let receipt = json::parse("receipt", bytes)?;
            return Ok(Self { receipt, intent_digest: None, results: Vec::new(), single: None });
        };
        Ok(Self {
            receipt: json::parse("receipt", receipt.to_string().as_bytes())?,
            intent_digest: member(&reply, "intent_digest")?,
            results: member(&reply, "results")?.unwrap_or_default(),
            single: match reply.get("signed_transaction") {
                Some(_) => Some(json::parse("reply", bytes)?),
                None => None,
            },
        })
    }

    /// Whether the reply says what the receipt says: about which intent, and which transactions were
    /// signed by whom.
    fn agrees_with(&self, body: &Body) -> Result<(), Error> {
        let differs = |field| Err(VerifyError::Reply { field }.into());
        let (about, recorded) = match &body.event {
            Event::Sign { intent_digest, transactions, .. } => {
                (Some(*intent_digest), transactions.as_slice())
            }
            Event::Wallet { act_digest, .. } => (Some(*act_digest), &[][..]),
            Event::Boot { .. } => (None, &[][..]),
        };
        if self.intent_digest.is_some_and(|digest| about != Some(digest)) {
            return differs("intent_digest");
        }
        // What is read there must not be another than what is verified below.
        if self.single.as_ref().is_some_and(|single| self.results != [single.clone()]) {
            return differs("signed_transaction");
        }
        if self.results.is_empty() {
            return Ok(());
        }
        if body.decision != Decision::Allowed || self.results.len() != recorded.len() {
            return differs("results");
        }
        for (result, record) in self.results.iter().zip(recorded) {
            let SignedResult { path, from, signed_transaction, transaction_hash } = result;
            let signed = SignedTransaction::decode(&signed_transaction.0)?;
            let sighash = signed.transaction.sighash().to_string();
            if *path != record.path || *from != signed.from || record.from != Some(signed.from) {
                return differs("from");
            }
            if sighash != record.sighash {
                return differs("sighash");
            }
            if transaction_hash.0 != signed.hash.as_slice() {
                return differs("transaction_hash");
            }
        }
        Ok(())
    }
}

/// One signed transaction of a reply; what else stands there is not the receipt's business.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct SignedResult {
    path: HdPath,
    from: EvmAddress,
    signed_transaction: HexBytes,
    transaction_hash: HexBytes,
}

fn member<T: DeserializeOwned>(reply: &Value, name: &'static str) -> Result<Option<T>, Error> {
    let parse = |value: &Value| json::parse(name, value.to_string().as_bytes());
    Ok(reply.get(name).map(parse).transpose()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;
    use strongroom_shared::dsse::{Envelope, PayloadType};
    use strongroom_shared::encoding::Base64;

    use super::*;

    fn receipt() -> Receipt {
        Receipt {
            body: Base64(b"{}".to_vec()),
            sequence: 1,
            proof: Vec::new(),
            head: Envelope::unsigned(PayloadType::ReceiptHead, b"{}".to_vec()),
        }
    }

    #[test]
    fn a_reply_or_a_bare_receipt() {
        let bare = serde_json::to_vec(&receipt()).unwrap();
        let read = |bytes: &[u8]| Reply::read(bytes);
        assert_eq!(read(&bare).unwrap().receipt, receipt());
        let digest = Digest::of(b"");
        let reply = json!({"receipt": receipt(), "intent_digest": digest, "wallet": "a"});
        let found = read(reply.to_string().as_bytes()).unwrap();
        assert_eq!((found.receipt, found.intent_digest), (receipt(), Some(digest)));
        for wrong in ["{}", r#"{"receipt":{}}"#, "no"] {
            assert!(matches!(read(wrong.as_bytes()), Err(Error::Json(_))), "{wrong}");
        }
    }

    /// The example of EIP-155, its sighash and its sender.
    const SIGNED: &str = "0xf86c098504a817c800825208943535353535353535353535353535353535353535\
        880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276\
        a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83";
    const SIGHASH: &str = "0xdaf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53";
    const FROM: &str = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F";
    const HASH: &str = "0x33469b22e9f636356c4160a87eb19df52b7412e8eac32a4a55ffe88ea8350788";

    fn body(change: &[(&str, Value)]) -> Body {
        let digest = Digest::of(b"");
        let mut body = json!({
            "version": 1, "sequence": 1, "previous": null,
            "boot_id": "00112233445566778899aabbccddeeff", "time": "2026-11-21T10:00:00Z",
            "policy": digest, "decision": {"outcome": "allowed"},
            "event": {
                "type": "sign", "intent_digest": digest, "intent_id": "wd-1", "caller": "a",
                "signers": [], "wallet": "hot-eth", "counters": [],
                "transactions": [{"path": "m/44'/60'/0'/0/0", "from": FROM, "chain": 1, "nonce": 9,
                                  "sighash": SIGHASH, "effects": []}],
            },
        });
        for (pointer, value) in change {
            *body.pointer_mut(pointer).unwrap() = value.clone();
        }
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn what_was_signed_is_what_the_receipt_says() {
        let result = |from: &str, hash: &str| {
            json!({"path": "m/44'/60'/0'/0/0", "from": from, "signed_transaction": SIGNED,
                   "transaction_hash": hash})
        };
        let read = |result: Value, top_level: Value| {
            let mut reply = json!({"receipt": receipt(), "intent_digest": Digest::of(b"")});
            reply["results"] = json!([result]);
            for (name, value) in top_level.as_object().unwrap() {
                reply[name] = value.clone();
            }
            Reply::read(reply.to_string().as_bytes()).unwrap()
        };
        let reply = |from: &str| read(result(from, HASH), result(from, HASH));
        assert!(reply(FROM).agrees_with(&body(&[])).is_ok());
        assert!(read(result(FROM, HASH), json!({})).agrees_with(&body(&[])).is_ok());

        let other = "0x3535353535353535353535353535353535353535";
        let denied = json!({"outcome": "denied", "code": "path_denied", "rule": "r"});
        let field = |reply: &Reply, change: &[(&str, Value)]| match reply.agrees_with(&body(change))
        {
            Err(Error::Verify(VerifyError::Reply { field })) => field,
            _ => "none",
        };
        assert_eq!(field(&reply(other), &[]), "from");
        let hash = SIGHASH;
        assert_eq!(field(&read(result(FROM, hash), json!({})), &[]), "transaction_hash");
        for top_level in [result(other, HASH), result(FROM, hash)] {
            assert_eq!(field(&read(result(FROM, HASH), top_level), &[]), "signed_transaction");
        }
        for (pointer, value, refused) in [
            ("/event/intent_digest", json!(Digest::of(b"x")), "intent_digest"),
            ("/event/transactions/0/from", json!(other), "from"),
            ("/event/transactions/0/path", json!("m/44'/60'/0'/0/1"), "from"),
            ("/event/transactions/0/sighash", json!("0x00"), "sighash"),
            ("/event/transactions", json!([]), "results"),
            ("/decision", denied, "results"),
        ] {
            assert_eq!(field(&reply(FROM), &[(pointer, value)]), refused, "{pointer}");
        }
    }
}
