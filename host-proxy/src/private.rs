//! What in the file system is this user's alone.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

use nix::unistd::{Uid, geteuid};

/// Why something is not this user's alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPrivate {
    /// Another user's, who may open it to anyone.
    #[error("expected this user or root as its owner, found user {0}")]
    Owner(u32),
    /// Others have some access.
    #[error("expected no access for others, found mode {0:04o}: chmod go-rwx it")]
    Mode(u32),
}

/// Refuses what is not this user's, or root's, alone.
pub(crate) fn check(metadata: &Metadata) -> Result<(), NotPrivate> {
    private_to(geteuid(), metadata.uid(), metadata.mode() & 0o7777)
}

fn private_to(user: Uid, owner: u32, mode: u32) -> Result<(), NotPrivate> {
    let owner = Uid::from_raw(owner);
    if owner != user && !owner.is_root() {
        return Err(NotPrivate::Owner(owner.as_raw()));
    }
    if mode & 0o077 != 0 {
        return Err(NotPrivate::Mode(mode));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_and_the_mode_decide() {
        let us = Uid::from_raw(1000);
        for mode in [0o700, 0o600, 0o400, 0o4700] {
            assert_eq!(private_to(us, 1000, mode), Ok(()));
            assert_eq!(private_to(us, 0, mode), Ok(()));
            assert_eq!(private_to(us, 1001, mode), Err(NotPrivate::Owner(1001)));
            assert_eq!(private_to(Uid::from_raw(0), 1000, mode), Err(NotPrivate::Owner(1000)));
        }
        for mode in [0o755, 0o640, 0o620, 0o601, 0o604] {
            assert_eq!(private_to(us, 1000, mode), Err(NotPrivate::Mode(mode)));
        }
    }
}
