//! The ways in which a request ends without a signature. They are types of their own, so that
//! *denied* is never taken for *failed*, nor either for a request that nobody stands behind.

use strongroom_shared::dsse::EnvelopeError;
use strongroom_shared::id::RuleId;
use strongroom_shared::problem::{Code, Problem};
use strongroom_shared::receipt::Event;
use strongroom_shared::reply::{IgnoredSignature, PendingReply};

/// Steps 4 and 5: not well-formed, or nobody known asked. Leaves no receipt: an anonymous flood
/// must not grow the chain.
#[derive(Debug)]
pub struct Rejected(pub Problem);

/// Steps 6 and 7: a known caller asked, and the policy said no. Leaves a receipt, and nothing else.
#[derive(Debug)]
pub struct Denied {
    /// What was decided about.
    pub(crate) event: Event,
    /// The cause.
    pub(crate) code: Code,
    /// The rule that said no.
    pub(crate) rule: RuleId,
    /// The cause in words, without input.
    pub(crate) detail: String,
    /// Signatures that did not count.
    pub(crate) ignored: Vec<IgnoredSignature>,
}

/// After step 7: it was allowed, and a fault kept it from being done. Leaves a receipt, and keeps
/// what was reserved, so that the same intent can be finished.
#[derive(Debug)]
pub struct Failed {
    /// What was decided about.
    pub(crate) event: Event,
    /// The cause.
    pub(crate) code: Code,
    /// The cause in words, without input.
    pub(crate) detail: &'static str,
}

/// Any of them.
#[derive(Debug)]
pub enum Refusal {
    /// Nobody known asked.
    Rejected(Rejected),
    /// Approvals are missing: not a decision.
    Pending(PendingReply),
    /// The policy said no.
    Denied(Denied),
    /// A fault.
    Failed(Failed),
    /// The enclave cannot take this on now, and has changed nothing.
    Busy(Problem),
}

impl Rejected {
    /// A rejection with its detail.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Problem::new(code, detail))
    }
}

impl From<EnvelopeError> for Rejected {
    fn from(error: EnvelopeError) -> Self {
        Self::new(Code::MalformedEnvelope, error.to_string())
    }
}

impl From<Rejected> for Refusal {
    fn from(rejected: Rejected) -> Self {
        Self::Rejected(rejected)
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<Failed> for Refusal {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}
