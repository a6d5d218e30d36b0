//! Lists that are answered page by page.

use serde::Deserialize;
use serde_json::Value;

use super::{super::error::ApiError, validation};

/// Which page of a list.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Page {
    limit: Option<usize>,
    marker: Option<String>,
}

impl Page {
    /// Takes a page out of `entries`, each of which has a name; gives an answer with it as `member`.
    ///
    /// The marker is the name of the last entry of the page before. When that entry is gone meanwhile the
    /// marker is refused: to guess where to go on could leave entries out.
    pub(super) fn of(
        &self,
        member: &str,
        entries: Vec<(String, Value)>,
        [default, max]: [usize; 2],
    ) -> Result<Value, ApiError> {
        let limit = self.limit.unwrap_or(default);
        if !(1..=max).contains(&limit) {
            return validation("limit: expected a number of entries that this list allows");
        }
        let start = match &self.marker {
            None => 0,
            Some(marker) => {
                let place = entries.iter().position(|(name, _)| name == marker);
                place.ok_or(ApiError::InvalidMarker)?.saturating_add(1)
            }
        };
        let rest = entries.len().saturating_sub(start);
        let page: Vec<_> = entries.into_iter().skip(start).take(limit).collect();
        let mut answer = serde_json::Map::new();
        let truncated = rest > limit;
        answer.insert("Truncated".to_owned(), truncated.into());
        if let (true, Some((name, _))) = (truncated, page.last()) {
            answer.insert("NextMarker".to_owned(), name.as_str().into());
        }
        let page: Vec<_> = page.into_iter().map(|(_, entry)| entry).collect();
        answer.insert(member.to_owned(), page.into());
        Ok(answer.into())
    }
}
