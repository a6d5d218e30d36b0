//! Query parameters, as strict as bodies: each at most once, and none that is not known.

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use strongroom_shared::encoding::parse_hex;
use strongroom_shared::path::{HARDENED, HdPath};
use strongroom_shared::problem::{Code, Problem};
use strongroom_shared::wire::{AddressSelection, MAX_ADDRESSES};

use super::problem::Refusal;

/// The shortest and the longest nonce of an attestation, in bytes (the NSM takes up to 512).
const NONCE_BYTES: std::ops::RangeInclusive<usize> = 16..=512;

/// What the query says, not yet read.
pub(crate) struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let query: Result<Query<_>, QueryRejection> = Query::from_request_parts(parts, state).await;
        match query {
            Ok(Query(pairs)) => Ok(Self(pairs)),
            Err(_) => Err(malformed("query: expected NAME=VALUE pairs in UTF-8").into()),
        }
    }
}

impl Parameters {
    /// `path=…`, or `first=…&count=…`.
    pub(crate) fn selection(self) -> Result<AddressSelection, Problem> {
        let forms = "query: expected either path=m/44'/60'/0'/0/0 or first=0&count=100";
        match self.take(["path", "first", "count"], forms)? {
            [Some(path), None, None] => HdPath::parse(&path)
                .map(AddressSelection::Path)
                .ok_or_else(|| malformed("path: expected five canonical levels")),
            [None, Some(first), Some(count)] => range(&first, &count),
            _ => Err(malformed(forms)),
        }
    }

    /// `nonce=…`, in hex.
    pub(crate) fn nonce(self) -> Result<Vec<u8>, Problem> {
        let expected = "nonce: expected 16 to 512 bytes in hex";
        let [nonce] = self.take(["nonce"], expected)?;
        nonce
            .and_then(|hex| parse_hex(&hex))
            .filter(|nonce| NONCE_BYTES.contains(&nonce.len()))
            .ok_or_else(|| malformed(expected))
    }

    fn take<const N: usize>(
        self,
        names: [&str; N],
        expected: &'static str,
    ) -> Result<[Option<String>; N], Problem> {
        let mut values = [const { None }; N];
        for (name, value) in self.0 {
            let known = names.iter().zip(&mut values).find(|(known, _)| **known == name);
            match known {
                Some((_, place @ None)) => *place = Some(value),
                Some((_, Some(_))) | None => return Err(malformed(expected)),
            }
        }
        Ok(values)
    }
}

fn range(first: &str, count: &str) -> Result<AddressSelection, Problem> {
    let first: u32 = decimal(first)
        .filter(|first| *first < HARDENED)
        .ok_or_else(|| malformed("first: expected 0 to 2147483647"))?;
    let count: u32 = decimal(count)
        .filter(|count| (1..=MAX_ADDRESSES).contains(count))
        .filter(|count| first.saturating_add(*count) <= HARDENED)
        .ok_or_else(|| malformed("count: expected 1 to 1000, within the 2^31 indices there are"))?;
    Ok(AddressSelection::Range { first, count })
}

fn decimal(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn malformed(detail: &str) -> Problem {
    Problem::new(Code::MalformedRequest, detail)
}
