//! Numbers in the JSON of Slurm's own commands.

use serde::Deserialize;

/// One that may be unset: with its flags, or bare in older forms.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(untagged)]
pub(crate) enum SlurmNumber {
    Flagged {
        set: bool,
        number: i64,
    },
    Bare(i64),
    #[default]
    Nothing,
}

impl SlurmNumber {
    /// The number, where it is set.
    pub(crate) fn set(self) -> Option<i64> {
        match self {
            Self::Flagged { set: true, number } | Self::Bare(number) => Some(number),
            Self::Flagged { .. } | Self::Nothing => None,
        }
    }

    /// A time, say: 0 is how Slurm writes one that has not come.
    pub(crate) fn positive(self) -> Option<i64> {
        self.set().filter(|number| *number > 0)
    }
}
