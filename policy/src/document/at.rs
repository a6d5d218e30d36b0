//! Places in the document, for errors.

use std::collections::BTreeSet;

use super::PolicyError;

/// A place, such as `wallets[0].callers[1]`.
pub(super) struct At(String);

impl At {
    pub(super) fn top(field: &str) -> Self {
        Self(field.to_owned())
    }

    pub(super) fn field(&self, field: &str) -> Self {
        Self(format!("{}.{field}", self.0))
    }

    pub(super) fn item(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    pub(super) fn expected(&self, expected: &'static str) -> PolicyError {
        PolicyError::Invalid { at: self.0.clone(), expected }
    }

    /// Refuses unless `holds`.
    pub(super) fn require(&self, holds: bool, expected: &'static str) -> Result<(), PolicyError> {
        if holds { Ok(()) } else { Err(self.expected(expected)) }
    }

    /// Refuses an empty list.
    pub(super) fn some<T>(&self, list: &[T]) -> Result<(), PolicyError> {
        self.require(!list.is_empty(), "at least one item")
    }

    /// Reads a list that is not empty and has no item twice.
    pub(super) fn set<R, T: Ord>(
        &self,
        list: Vec<R>,
        mut read: impl FnMut(&Self, R) -> Result<T, PolicyError>,
    ) -> Result<BTreeSet<T>, PolicyError> {
        self.some(&list)?;
        let mut items = BTreeSet::new();
        for (index, raw) in list.into_iter().enumerate() {
            let at = self.item(index);
            let item = read(&at, raw)?;
            at.require(items.insert(item), "an item that does not stand in the list before")?;
        }
        Ok(items)
    }
}
