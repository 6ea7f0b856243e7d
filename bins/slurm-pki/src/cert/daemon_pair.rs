//! One pair for one daemon: a fresh key, a certificate, a line in the ledger, the files.

use std::time::Duration;

use pki::csr;
use pki::key::{KeyKind, PrivateKey};
use pki::policy::Plan;
use pki::time::UnixTime;
use site::config::{Daemon, DaemonConfig};
use site::file::Owner;
use site::ledger::{Entry, Ledger};
use site::signer::Signer;

use crate::admin::{Admin, caller, owner_name, owner_named};
use crate::advice::{Advice, Advise as _};
use crate::daemon_files::{DaemonFiles, Foreign, Pair};
use crate::global::Global;
use crate::making::Making;
use crate::report;

/// The name that the ledger's messages have in syslog.
const PROGRAM: &str = "slurm-pki";

/// What a pair is to be.
#[derive(Clone, Debug)]
pub(crate) struct DaemonPair {
    /// slurmctld, slurmdbd or slurmrestd; of a static pair the node's name.
    pub(crate) common_name: String,
    /// Host names.
    pub(crate) dns: Vec<String>,
    /// Kind of key.
    pub(crate) key: KeyKind,
    /// Life, from now on.
    pub(crate) validity: Duration,
}

impl DaemonPair {
    /// Makes key and certificate. The ledger has its line before anyone can see them; with `--dry-run`
    /// it gets none.
    ///
    /// # Errors
    /// When the CA cannot sign, or the certificate cannot be recorded.
    pub(crate) fn issue(
        &self,
        global: &Global,
        admin: &Admin,
        signer: &Signer,
        now: UnixTime,
    ) -> anyhow::Result<Pair> {
        let key = PrivateKey::generate(self.key).advise()?;
        let files = &admin.controller;
        let plan = Plan::for_daemon(
            &self.common_name,
            self.dns.clone(),
            key.public().advise()?,
            &files.subject,
            self.validity,
            files.backdate,
            now,
        );
        let request = csr::write_plain(&key, &self.common_name, &self.dns).advise()?;
        let certificate = signer.sign(&plan, &request, now).advise()?;
        let pair = Pair::new(certificate.to_pem().to_owned(), key.to_pem())?;
        if !global.dry_run {
            Ledger::of(files).record(PROGRAM, &Entry::of(&certificate, &plan, now)).advise()?;
        }
        Ok(pair)
    }
}

/// Issues a pair and installs it where the config has this daemon's files.
///
/// # Errors
/// When files that are not ours are in the way, or any step fails.
pub(crate) fn issue_and_install(
    global: &Global,
    admin: &Admin,
    signer: &Signer,
    daemon: Daemon,
    pair: &DaemonPair,
    foreign: Foreign,
    now: UnixTime,
) -> anyhow::Result<()> {
    let config = DaemonConfig::read(&admin.config, &admin.controller, daemon).advise()?;
    let files = DaemonFiles::of(daemon, &config)?;
    let owner = owner_of(admin, daemon, &config)?;
    let making = Making::new(global);
    // Before anything is issued: what cannot be installed must not be in the ledger either.
    if making.only_says() {
        files.say_install(&making, owner, foreign)?;
        // What Vault signs is issued, whoever drops it.
        if matches!(signer, Signer::Vault(_)) {
            return Ok(());
        }
        return pair.issue(global, admin, signer, now).map(drop);
    }
    files.refuse_foreign(foreign)?;
    let issued = pair.issue(global, admin, signer, now)?;
    let number = files.install(global, &issued, owner, foreign, now)?;
    let (cert, key) = (files.cert().display(), files.key().display());
    report::done(global, &format!("made     {cert} and {key} ({daemon}, pair {number})"));
    Ok(())
}

/// Who a daemon's files belong to: as the config says, else SlurmUser, and root for slurmd.
///
/// # Errors
/// When that user is unknown, or the caller cannot give files to it.
pub(crate) fn owner_of(admin: &Admin, daemon: Daemon, config: &DaemonConfig) -> anyhow::Result<Owner> {
    let owner = match (&config.owner, daemon) {
        (Some(name), _) => owner_named(name)?,
        (None, Daemon::Slurmd) => Owner { uid: 0, gid: 0 },
        (None, _) => admin.slurm_user()?,
    };
    if caller().uid == 0 || caller().uid == owner.uid {
        return Ok(owner);
    }
    let name = owner_name(owner);
    Err(Advice::new(
        format!("the files of {daemon} must belong to {name}, and you cannot give files away"),
        format!("run it as root, or set owner in [daemons.{}]", daemon.short()),
    )
    .into())
}
