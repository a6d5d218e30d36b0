//! What the enclave reads of a KEK before it asks for the DEK. Unattested: it is no secret.

use aws_sdk_kms::types::KeyMetadata;

use super::error::{KmsError, Operation, explain};
use super::{Kms, check_key};
use crate::config::KeyArn;

/// The most pages of grants that are read; the first grant ends it anyway.
const MAX_PAGES: usize = 100;
/// The only name that a key policy can have (KMS API Reference, GetKeyPolicy).
const POLICY_NAME: &str = "default";

impl Kms {
    /// `DescribeKey`, of this very key.
    pub(crate) async fn describe(&self, key: &KeyArn) -> Result<KeyMetadata, KmsError> {
        let operation = Operation::DescribeKey;
        let attempt = || async {
            let request = self.client.describe_key().key_id(key.as_str());
            request.send().await.map_err(|error| explain(operation, &error))
        };
        let output = self.attempts.run(operation, attempt).await?;
        let problem = "expected a KeyMetadata";
        let metadata = output.key_metadata.ok_or(KmsError::Reply { operation, problem })?;
        check_key(operation, key, metadata.arn())?;
        Ok(metadata)
    }

    /// `GetKeyPolicy`: the text of the key policy.
    pub(crate) async fn key_policy(&self, key: &KeyArn) -> Result<String, KmsError> {
        let operation = Operation::GetKeyPolicy;
        let attempt = || async {
            let request = self.client.get_key_policy().key_id(key.as_str());
            request
                .policy_name(POLICY_NAME)
                .send()
                .await
                .map_err(|error| explain(operation, &error))
        };
        let output = self.attempts.run(operation, attempt).await?;
        output.policy.ok_or(KmsError::Reply { operation, problem: "expected a Policy" })
    }

    /// `ListGrants`, page by page: whether there is any.
    pub(crate) async fn has_grants(&self, key: &KeyArn) -> Result<bool, KmsError> {
        let operation = Operation::ListGrants;
        let mut marker = None;
        for _ in 0..MAX_PAGES {
            let attempt = || async {
                let request = self.client.list_grants().key_id(key.as_str());
                request
                    .set_marker(marker.clone())
                    .send()
                    .await
                    .map_err(|error| explain(operation, &error))
            };
            let output = self.attempts.run(operation, attempt).await?;
            if !output.grants().is_empty() {
                return Ok(true);
            }
            match (output.truncated, output.next_marker) {
                (false, None) => return Ok(false),
                (true, Some(next)) => marker = Some(next),
                (false, Some(_)) | (true, None) => {
                    let problem = "expected a NextMarker exactly where it is Truncated";
                    return Err(KmsError::Reply { operation, problem });
                }
            }
        }
        Err(KmsError::Reply { operation, problem: "expected an end of the list of grants" })
    }
}
