//! The `Authorization` header: `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`.

use super::AuthenticationError;

/// The only algorithm.
pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What the header says.
pub(super) struct Authorization<'a> {
    pub(super) access_key_id: &'a str,
    /// `YYYYMMDD`.
    pub(super) date: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) terminator: &'a str,
    /// In lower case, ascending, each once.
    pub(super) signed_headers: Vec<&'a str>,
    pub(super) signature: [u8; 32],
}

impl<'a> Authorization<'a> {
    /// Reads the header; a comma between its parameters may have spaces around it.
    pub(super) fn parse(header: &'a str) -> Result<Self, AuthenticationError> {
        let incomplete = AuthenticationError::Incomplete;
        let parameters = header.strip_prefix(ALGORITHM).and_then(|rest| rest.strip_prefix(' '));
        let parameters = parameters.ok_or(incomplete("Unsupported AWS 'algorithm'."))?;

        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for parameter in parameters.split(',') {
            let (name, value) = parameter.trim_matches(' ').split_once('=').ok_or(incomplete(
                "Not a valid key=value pair (missing equal-sign) in Authorization header.",
            ))?;
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(incomplete("Unknown parameter in Authorization header.")),
            };
            if place.replace(value).is_some() {
                return Err(incomplete("Duplicate parameter in Authorization header."));
            }
        }
        let credential = credential
            .ok_or(incomplete("Authorization header requires 'Credential' parameter."))?;
        let signed_headers = signed_headers
            .ok_or(incomplete("Authorization header requires 'SignedHeaders' parameter."))?;
        let signature =
            signature.ok_or(incomplete("Authorization header requires 'Signature' parameter."))?;

        let elements: Vec<&str> = credential.split('/').collect();
        let &[access_key_id, date, region, service, terminator] = elements.as_slice() else {
            return Err(incomplete(
                "Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/term.",
            ));
        };
        let signed_headers: Vec<&str> = signed_headers.split(';').collect();
        let lower = |name: &&str| !name.is_empty() && !name.contains(|c: char| c.is_uppercase());
        if !signed_headers.iter().all(lower) || !signed_headers.is_sorted_by(|a, b| a < b) {
            return Err(incomplete("SignedHeaders must be in lower case, sorted, and each once."));
        }
        let mut bytes = [0; 32];
        // AWS compares the texts.
        let lower = !signature.bytes().any(|byte| byte.is_ascii_uppercase());
        hex::decode_to_slice(signature, &mut bytes)
            .ok()
            .filter(|()| lower)
            .ok_or(incomplete("Signature must have 64 hexadecimal digits in lower case."))?;
        let signature = bytes;
        Ok(Self { access_key_id, date, region, service, terminator, signed_headers, signature })
    }
}
