//! What there is to measure.

use crate::programs::Programs;
use crate::scale::Scale;
use crate::table::Table;
use crate::{client, ledger, nodes, sign, slurm, storm, tokens, vault};

/// Its name is what `--only` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Programs,
    Client,
    Tokens,
    Sign,
    Storm,
    Nodes,
    Ledger,
    Vault,
    Slurm,
}

/// What came of one.
pub(crate) struct Measured {
    pub(crate) tables: Vec<Table>,
    /// For the plot, and for what is said of the machine.
    pub(crate) programs: Option<Programs>,
}

impl Section {
    pub(crate) const ALL: &[Self] = &[
        Self::Programs,
        Self::Client,
        Self::Tokens,
        Self::Sign,
        Self::Storm,
        Self::Nodes,
        Self::Ledger,
        Self::Vault,
        Self::Slurm,
    ];

    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|section| section.name() == name);
        let known = || Self::ALL.iter().map(|section| section.name()).collect::<Vec<_>>().join(", ");
        found.copied().ok_or_else(|| format!("--only takes one of {}", known()))
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Programs => "programs",
            Self::Client => "client",
            Self::Tokens => "tokens",
            Self::Sign => "sign",
            Self::Storm => "storm",
            Self::Nodes => "nodes",
            Self::Ledger => "ledger",
            Self::Vault => "vault",
            Self::Slurm => "slurm",
        }
    }

    pub(crate) fn measure(self, scale: Scale) -> Measured {
        let tables = match self {
            Self::Programs => {
                let programs = Programs::measured(scale.rounds);
                return Measured { tables: programs.tables(), programs: Some(programs) };
            }
            Self::Client => vec![client::measured(scale)],
            Self::Tokens => vec![tokens::measured(scale)],
            Self::Sign => sign::measured(scale),
            Self::Storm => storm::measured(scale),
            Self::Nodes => vec![nodes::measured(scale)],
            Self::Ledger => vec![ledger::measured(scale)],
            Self::Vault => vec![vault::measured(scale)],
            Self::Slurm => slurm::measured(scale),
        };
        Measured { tables, programs: None }
    }
}
