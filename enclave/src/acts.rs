//! Acts of policy admins on wallets. A quorum signs each; a name exists once.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use strongroom_shared::act::{Act, WalletAct};
use strongroom_shared::digest::Digest;
use strongroom_shared::dsse::{Envelope, PayloadType};
use strongroom_shared::id::{PrincipalId, RuleId};
use strongroom_shared::json;
use strongroom_shared::problem::Code;
use strongroom_shared::receipt::{Decision, Event};
use strongroom_shared::reply::{IgnoredSignature, MissingQuorum, PendingReply, WalletReply};
use strongroom_shared::wire::{Reply, SealedKey};

use crate::authenticate::UnverifiedRequest;
use crate::enclave::Enclave;
use crate::keys::seal::Seed;
use crate::keys::wallet::Wallet;
use crate::refusal::{Denied, Failed, Refusal, Rejected};
use crate::reply;
use crate::signatures::Verified;

/// How long an act may be valid: admins need time to sign, and a host that restarts the enclave may
/// replay an act for as long.
const MAX_LIFE_SECONDS: u64 = 24 * 3600;

/// The quorum's name in a 202.
pub const QUORUM: &str = "policy-admins";

/// What was done in this life, so that the same act gives the same answer: the host may have lost
/// it before it was stored. It has at most one entry for each wallet of the policy.
#[derive(Default)]
pub struct DoneActs(Mutex<BTreeMap<Digest, (WalletReply, SealedKey)>>);

/// An act that a quorum of policy admins has signed.
struct AuthenticatedAct {
    act: WalletAct,
    digest: Digest,
    signers: Vec<PrincipalId>,
    ignored: Vec<IgnoredSignature>,
}

/// Does what the admins signed, or says why not.
pub fn perform(enclave: &Enclave, request: UnverifiedRequest) -> Reply {
    match AuthenticatedAct::verify(enclave, request).and_then(|act| create(enclave, &act)) {
        Ok((reply, sealed)) => Reply::WalletCreated { reply, sealed },
        Err(refusal) => reply::refused(enclave, refusal),
    }
}

impl AuthenticatedAct {
    fn verify(enclave: &Enclave, request: UnverifiedRequest) -> Result<Self, Refusal> {
        let envelope =
            Envelope::parse(PayloadType::WalletAct, request.bytes()).map_err(Rejected::from)?;
        let admins = enclave.config.admins();
        let Verified { signers, ignored } = Verified::of(&envelope, |id| admins.keys.get(id));
        if signers.is_empty() {
            let detail = "signatures: expected those of policy admins";
            let mut rejected = Rejected::new(Code::AdminSignatureMissing, detail);
            rejected.0.ignored = ignored;
            return Err(rejected.into());
        }
        let act: WalletAct = json::parse("act", &envelope.payload.0)
            .map_err(|error| Rejected::new(Code::MalformedWalletAct, error.to_string()))?;
        let digest = envelope.digest();
        if signers.len() < admins.threshold {
            let could_sign =
                admins.keys.keys().filter(|id| !signers.contains(*id)).cloned().collect();
            let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            let missing = vec![MissingQuorum {
                quorum: QUORUM.to_owned(),
                need: count(admins.threshold),
                have: count(signers.len()),
                could_sign,
            }];
            let pending = PendingReply { intent_digest: digest, missing, ignored };
            return Err(Refusal::Pending(pending));
        }
        Ok(Self { act, digest, signers: signers.into_iter().collect(), ignored })
    }

    fn event(&self, fingerprint: Option<Digest>) -> Event {
        Event::Wallet {
            act_digest: self.digest,
            signers: self.signers.clone(),
            wallet: self.act.wallet.clone(),
            fingerprint,
        }
    }

    fn deny(&self, code: Code, rule: &'static str, detail: &str) -> Refusal {
        let rule = RuleId::fixed(rule);
        let (event, ignored) = (self.event(None), self.ignored.clone());
        Denied { event, code, rule, detail: detail.to_owned(), ignored }.into()
    }

    fn fail(&self, detail: &'static str) -> Refusal {
        Failed { event: self.event(None), code: Code::InternalFault, detail }.into()
    }
}

fn create(
    enclave: &Enclave,
    authenticated: &AuthenticatedAct,
) -> Result<(WalletReply, SealedKey), Refusal> {
    let WalletAct { version: _, act: Act::CreateHdWallet, wallet, policy, expires_at } =
        &authenticated.act;
    // The same act again gives the same answer, also when it has expired meanwhile: nothing else has the
    // sealed seed, should the first answer be lost. Two acts at once wait for each other.
    let mut done = enclave.acts.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(done) = done.get(&authenticated.digest) {
        return Ok(done.clone());
    }
    let now = enclave.now();
    if now > *expires_at {
        let detail = "act: expires_at: expected a later time";
        return Err(Rejected::new(Code::ActExpired, detail).into());
    }
    if *expires_at > now.plus_seconds(MAX_LIFE_SECONDS) {
        let detail = format!("act: expires_at: expected at most {MAX_LIFE_SECONDS} s ahead");
        return Err(Rejected::new(Code::ExpiryTooFar, detail).into());
    }
    if policy != enclave.policy.digest() {
        let detail = "act: policy: expected the digest of the policy in force";
        return Err(authenticated.deny(Code::PolicyMismatch, "policy/digest", detail));
    }
    if now > enclave.policy.not_after() {
        let detail = "the policy in force has ended";
        return Err(authenticated.deny(Code::PolicyExpired, "policy/not-after", detail));
    }
    let Some(rules) = enclave.policy.wallet(wallet) else {
        let detail = "act: wallet: expected one that the policy lists";
        return Err(authenticated.deny(Code::WalletNotInPolicy, "wallets/listed", detail));
    };
    if rules.fingerprint().is_some() {
        let detail = "act: wallet: expected a name that the policy does not pin to a key";
        return Err(authenticated.deny(Code::WalletExists, "wallets/once", detail));
    }
    let Ok(admission) = enclave.keyring.admit(wallet) else {
        let detail = "act: wallet: expected a name that is not taken";
        return Err(authenticated.deny(Code::WalletExists, "wallets/once", detail));
    };
    let nsm = &*enclave.nsm;
    let seed = Seed::generate(nsm).map_err(|_| authenticated.fail("there is no randomness"))?;
    let sealed = seed
        .seal(&enclave.sealing_key, enclave.dek_id, wallet, nsm)
        .map_err(|_| authenticated.fail("the seed could not be sealed"))?;
    let opened = Wallet::open(&seed, sealed.key_id.clone(), rules)
        .ok_or_else(|| authenticated.fail("the seed gave no key; ask again"))?;
    let info = opened.info();
    let receipt = enclave
        .receipt(authenticated.event(Some(info.fingerprint)), Decision::Allowed)
        .map_err(|_| authenticated.fail("the receipt could not be written"))?;
    admission.open(opened);
    let reply = WalletReply { wallet: info, receipt };
    done.insert(authenticated.digest, (reply.clone(), sealed.clone()));
    Ok((reply, sealed))
}
