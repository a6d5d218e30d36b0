//! Chance: where the real KMS may answer in one way or in another, so that no client comes to rely on one.

use super::error::ApiError;

/// SplitMix64. For variety, not for secrets.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new() -> Result<Self, ApiError> {
        let mut seed = [0; 8];
        aws_lc_rs::rand::fill(&mut seed)?;
        Ok(Self::seeded(u64::from_be_bytes(seed)))
    }

    pub(super) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn coin(&mut self) -> bool {
        self.roll() & 1 == 0
    }

    pub(super) fn shuffle<T>(&mut self, values: impl IntoIterator<Item = T>) -> Vec<T> {
        let mut values: Vec<_> = values.into_iter().map(|value| (self.roll(), value)).collect();
        values.sort_by_key(|(place, _)| *place);
        values.into_iter().map(|(_, value)| value).collect()
    }
}
