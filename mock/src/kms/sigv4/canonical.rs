//! What is signed, and with which key.

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, request::Parts};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::authorization::{ALGORITHM, Authorization};
use crate::kms::identity::Secret;

/// Whether the signature is that of `secret` over the request. In constant time.
pub(super) fn signed_by(
    secret: &Secret,
    authorization: &Authorization<'_>,
    date: &str,
    parts: &Parts,
    body: &[u8],
) -> bool {
    let Authorization { date: day, region, service, terminator, signed_headers, .. } =
        authorization;
    let Some(request) =
        canonical_request(parts.method.as_str(), &parts.headers, signed_headers, body)
    else {
        return false;
    };
    let hash = hex::encode(Sha256::digest(request));
    let to_sign = format!("{ALGORITHM}\n{date}\n{day}/{region}/{service}/{terminator}\n{hash}");
    let seed = Zeroizing::new(format!("AWS4{}", secret.expose()));
    let key = signing_key(&seed, &[day, region, service, terminator]);
    let mac = key.and_then(|key| mac(key.as_slice(), to_sign.as_bytes()));
    mac.is_some_and(|mac| mac.verify_slice(&authorization.signature).is_ok())
}

/// The canonical request to `/` without a query, which is the only one that is served; `None` when a
/// header that is said to be signed is not there.
pub(super) fn canonical_request(
    method: &str,
    headers: &HeaderMap,
    signed: &[&str],
    body: &[u8],
) -> Option<Vec<u8>> {
    let mut request = format!("{method}\n/\n\n").into_bytes();
    for name in signed {
        request.extend(name.as_bytes());
        let mut separator = b':';
        for value in headers.get_all(*name) {
            request.push(separator);
            request.extend(folded(value.as_bytes()));
            separator = b',';
        }
        if separator == b':' {
            return None;
        }
        request.push(b'\n');
    }
    request.push(b'\n');
    request.extend(signed.join(";").as_bytes());
    request.push(b'\n');
    request.extend(hex::encode(Sha256::digest(body)).as_bytes());
    Some(request)
}

/// Without spaces at the ends, and with one where there are several.
fn folded(value: &[u8]) -> Vec<u8> {
    let mut words = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let mut folded = words.next().unwrap_or_default().to_vec();
    for word in words {
        folded.push(b' ');
        folded.extend(word);
    }
    folded
}

/// HMAC-SHA-256 of each element in turn, under the one before; `seed` is `AWS4` and the secret.
pub(super) fn signing_key(seed: &str, elements: &[&str]) -> Option<Zeroizing<Vec<u8>>> {
    let mut key = Zeroizing::new(seed.as_bytes().to_vec());
    for element in elements {
        key = Zeroizing::new(mac(&key, element.as_bytes())?.finalize().into_bytes().to_vec());
    }
    Some(key)
}

/// `None` never: HMAC takes keys of each length.
fn mac(key: &[u8], message: &[u8]) -> Option<Hmac<Sha256>> {
    Some(Hmac::<Sha256>::new_from_slice(key).ok()?.chain_update(message))
}

#[cfg(test)]
mod tests;
