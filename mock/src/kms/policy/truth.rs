//! Three-valued truth: what is not understood is neither true nor false.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kms) enum Truth {
    Yes,
    No,
    Unknown,
}

impl Truth {
    /// No if any is no, else unknown if any is unknown.
    pub(super) fn all(truths: impl Iterator<Item = Self>) -> Self {
        truths.fold(Self::Yes, |all, truth| match (all, truth) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Yes, Self::Yes) => Self::Yes,
        })
    }

    /// Yes if any is yes, else unknown if any is unknown.
    pub(super) fn any(truths: impl Iterator<Item = Self>) -> Self {
        truths.fold(Self::No, |any, truth| match (any, truth) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::No, Self::No) => Self::No,
        })
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::Yes } else { Self::No }
    }
}
