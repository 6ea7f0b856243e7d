//! A scratch cluster: a site, and the seven programs that serve it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::PathBuf;

use support::daemon::Daemon;
use support::programs::{self, SEVEN};
use support::site::Site;
use support::slurm::{Run, Slurm};

/// Which of the seven are ours; the others are the reference scripts.
#[derive(Clone, Debug)]
pub(crate) struct LineUp {
    ours: BTreeSet<&'static str>,
    schedmds_layout: bool,
    in_vault: bool,
}

impl LineUp {
    /// All seven are ours.
    pub(crate) fn ours() -> Self {
        Self { ours: SEVEN.into(), schedmds_layout: false, in_vault: false }
    }

    /// All seven are ours, among the files of a site that had other scripts before.
    pub(crate) fn ours_on_schedmds_layout() -> Self {
        Self { ours: SEVEN.into(), schedmds_layout: true, in_vault: false }
    }

    /// All seven are ours, and what the controller keeps is in Vault.
    pub(crate) fn ours_in_vault() -> Self {
        Self { in_vault: true, ..Self::ours() }
    }

    /// None is.
    pub(crate) fn reference() -> Self {
        Self { ours: BTreeSet::new(), schedmds_layout: true, in_vault: false }
    }

    /// One of ours among the reference scripts.
    pub(crate) fn only(program: &'static str) -> Self {
        Self { ours: [program].into(), schedmds_layout: true, in_vault: false }
    }

    /// Ours, but for one reference script.
    pub(crate) fn all_but(program: &'static str) -> Self {
        let ours = SEVEN.into_iter().filter(|name| *name != program).collect();
        Self { ours, schedmds_layout: true, in_vault: false }
    }

    fn has(&self, program: &str) -> bool {
        self.ours.contains(program)
    }

    /// The file that stands in slurm.conf for this program.
    #[track_caller]
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        if self.has(name) { programs::program(name) } else { programs::reference(name) }
    }
}

/// A site and its programs.
pub(crate) struct Cluster {
    pub(crate) site: Site,
    pub(crate) line_up: LineUp,
}

impl Cluster {
    /// A cluster of these nodes. Programs that are not all ours meet on SchedMD's layout, where a token
    /// list and one lasting key per node serve both kinds.
    pub(crate) fn new(line_up: LineUp, nodes: &[&str]) -> Self {
        if !line_up.schedmds_layout {
            let mut site = if line_up.in_vault { Site::in_vault() } else { Site::new() };
            for node in nodes {
                site.enrol(node);
            }
            return Self { site, line_up };
        }
        let mut site = Site::foreign();
        for node in nodes {
            site.enrol_by_list(node);
        }
        let cluster = Self { site, line_up };
        if cluster.line_up.has("sign_csr") && !cluster.line_up.has("generate_csr") {
            // Nobody binds these requests.
            return cluster.with("controller", "bind", "off");
        }
        cluster
    }

    /// With a config key of ours set.
    pub(crate) fn with(mut self, section: &str, key: &str, value: &str) -> Self {
        self.site.set(section, key, value);
        self.site.write_config();
        self
    }

    /// Runs one of the seven as Slurm does. Its parent is this test process.
    #[track_caller]
    pub(crate) fn run<A: AsRef<OsStr>>(&self, program: &str, argv: &[A]) -> Run {
        self.site.slurm().run(&self.line_up.program(program), argv)
    }

    /// Runs one of the seven as a child of `daemon`.
    #[track_caller]
    pub(crate) fn run_in<A: AsRef<OsStr>>(&self, daemon: &mut Daemon, program: &str, argv: &[A]) -> Run {
        daemon.run(&self.line_up.program(program), argv)
    }

    /// A slurmd or sackd of this cluster, with a process id of its own.
    pub(crate) fn daemon(&self) -> Daemon {
        Daemon::start(&self.site.slurm())
    }

    /// A user's command: no config, no home, no path.
    #[track_caller]
    pub(crate) fn run_as_command<A: AsRef<OsStr>>(&self, program: &str, argv: &[A]) -> Run {
        Slurm::bare().run(&self.line_up.program(program), argv)
    }

    /// A copy of a program that every user may run.
    pub(crate) fn copy_for_everybody(&self, program: &str) -> PathBuf {
        programs::copy_for_everybody(&self.line_up.program(program), &self.site.path(""))
    }
}
