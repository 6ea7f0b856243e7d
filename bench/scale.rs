//! How much is measured.

/// Numbers of runs, nodes, lines and seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// How often each program runs.
    pub(crate) rounds: usize,
    /// How often what takes long runs.
    pub(crate) few: usize,
    /// Nodes of a boot storm, and of one `node add`.
    pub(crate) nodes: usize,
    /// Enrolled nodes among which a token is looked for.
    pub(crate) enrolled: [usize; 3],
    /// Certificates signed at each number of hands.
    pub(crate) signed: usize,
    /// Lines of a ledger.
    pub(crate) lines: usize,
    /// How long nodes try again and again.
    pub(crate) seconds: u64,
    /// What the suite with a real Slurm is called with.
    pub(crate) slurm: &'static [&'static str],
}

impl Scale {
    /// Enough for medians that agree within a few per cent from run to run on a quiet machine.
    pub(crate) const WHOLE: Self = Self {
        rounds: 300,
        few: 60,
        nodes: 10_000,
        enrolled: [100, 10_000, 1_000_000],
        signed: 1000,
        lines: 1_000_000,
        seconds: 20,
        slurm: &["bench"],
    };

    /// Enough to see that everything can be measured.
    pub(crate) const QUICK: Self = Self {
        rounds: 5,
        few: 2,
        nodes: 100,
        enrolled: [10, 100, 1000],
        signed: 40,
        lines: 1000,
        seconds: 1,
        slurm: &["bench", "quick"],
    };
}
