//! Everything that has to hold before TLS is turned on.

use std::path::Path;

use pki::loads_in_s2n::trust_bundle;
use site::file::{self, Keep};

use super::lines::Lines;
use super::plugin::Slurmctld;
use super::reach::{Asking, Reach};
use super::subject::Subject;
use super::{plugin, still};
use crate::admin::Admin;
use crate::advice::Advise as _;
use crate::fleet::digest;
use crate::global::Global;
use crate::report;

/// As much as a CA file may have.
const MAX_BUNDLE: usize = 1024 * 1024;

/// What it depends on.
#[derive(Debug)]
pub(super) struct Ready<'a> {
    pub(super) admin: &'a Admin,
    pub(super) lines: &'a Lines,
    pub(super) programs: &'a Path,
    pub(super) skip: &'a [String],
    pub(super) with_certmgr: bool,
    /// Whether Slurm may run: nothing is changed now.
    pub(super) may_run: bool,
    pub(super) offline: bool,
}

impl Ready<'_> {
    /// Looks at this host, then asks the others. What is not looked at is said.
    ///
    /// # Errors
    /// When something does not hold.
    pub(super) fn must_hold(&self, global: &Global) -> anyhow::Result<()> {
        if !self.may_run {
            still::must_stand_still(global, Subject::Tls)?;
        }
        if self.offline {
            report::warning(
                "not checked (--offline): tls_s2n.so here and on the other hosts, and there the programs, the tokens, \
                 the CA certificate and that no daemon runs",
            );
            return Ok(());
        }
        let slurmctld = Slurmctld::that(self.may_run);
        let plugins = plugin::must_be_there(self.admin.slurm.as_ref(), slurmctld, self.with_certmgr)?;
        let ca_cert = &self.admin.controller.ca_cert;
        let bundle = file::read(ca_cert, Keep::Intact, MAX_BUNDLE).advise()?;
        trust_bundle(bundle.expose()).advise()?;
        let reach = Reach {
            programs: self.programs,
            plugins: &plugins,
            lines: self.lines,
            ca_cert,
            ca_digest: digest(bundle.expose()),
            asking: self.with_certmgr.then(|| Asking::of(self.admin)).transpose()?,
            must_stand_still: !self.may_run,
        };
        reach.must_be_ready(global, self.admin, self.skip)
    }
}
