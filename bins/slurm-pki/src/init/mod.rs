//! `slurm-pki init`: everything a controller needs, made once and completed as often as it takes.

mod config_file;
mod rehearsal;
mod shared_storage;

use clap::{Args, ValueEnum};
use pki::key::KeyKind;
use pki::time::UnixTime;
use site::clock;
use site::config::{Daemon, DaemonConfig, Place, VaultConfig};
use site::file::Owner;
use site::signer::Signer;

use crate::admin::{Admin, STATE_DIR_MODE, caller};
use crate::advice::{Advice, Advise as _};
use crate::ca::{self, new::CaOptions};
use crate::cert::target::elsewhere;
use crate::cert::{DaemonPair, host_names, issue_and_install};
use crate::daemon_files::{DaemonFiles, Foreign, Standing};
use crate::global::Global;
use crate::making::Making;
use crate::members::Members;
use crate::report;

pub(crate) use shared_storage::check as on_shared_storage;

/// Make the CA, daemon certificates, token store and config: what is missing of them
#[derive(Args, Debug)]
#[command(after_help = "Run it on the controller, as root or as SlurmUser. A second run completes what is \
    missing and replaces nothing. Paths come from the config where there is one; else a config \
    is written too. With several controllers, state_dir must be on StateSaveLocation's file system. \
    With the CA in Vault (signer) it makes the rest: slurm-pki vault setup first.\n\n\
    Examples:\n  \
    slurm-pki init --cluster c1\n  \
    slurm-pki init --daemons ctld,dbd,restd          slurmdbd and slurmrestd on this host, too\n  \
    slurm-pki init --intermediate --lifetime 15y     a root whose key can be taken offline\n  \
    slurm-pki init --state-dir /shared/slurm/pki     with several controllers\n  \
    slurm-pki init --dry-run                         list every file and change nothing")]
pub(crate) struct Init {
    #[command(flatten)]
    new: config_file::NewConfig,
    /// Whose pairs to make, besides slurmctld's and those with a [daemons.*] section in the config
    #[arg(long, value_name = "DAEMONS", value_delimiter = ',')]
    daemons: Vec<Which>,
    #[command(flatten)]
    ca: CaOptions,
}

/// The daemons that have one pair per host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    Ctld,
    Dbd,
    Restd,
}

impl Init {
    /// Runs the command.
    ///
    /// # Errors
    /// Whatever went wrong, with what to do. What was made until then is whole, and the next run goes on.
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let making = Making::new(global);
        let now = clock::now();
        let (admin, text) = self.new.config(global)?;
        let owner = admin.slurm_user_to_write_for()?;
        let store = admin.store()?;
        shared_storage::check(&admin)?;
        write_config(&making, &admin, text.as_deref())?;
        let signer = self.signer(global, &admin, owner, now)?;
        folders(&making, &admin, owner)?;
        for daemon in self.daemons(&admin)? {
            complete_pair(global, &admin, &signer, daemon, now)?;
            say_where_it_runs(&admin, daemon);
        }
        if admin.controller.store == Place::Vault && VaultConfig::read(&admin.config).advise()?.kv_plain {
            report::warning(
                "tokens lie in Vault in clear (kv_plain): there slurm-pki rehearse has no node to play",
            );
        } else {
            rehearsal::complete(&making, &admin, &store, owner, now)?;
        }
        if !global.dry_run {
            say_what_is_next(global);
        }
        Ok(())
    }

    /// The CA in files, completed; or the one that `vault setup` made, of which nothing lies here but its certificates.
    fn signer(&self, global: &Global, admin: &Admin, owner: Owner, now: UnixTime) -> anyhow::Result<Signer> {
        let making = Making::new(global);
        if admin.controller.signer == Place::Vault {
            self.refuse_without_ca_of_vaults(admin)?;
            making.folder(&admin.top().state_dir, STATE_DIR_MODE, owner)?;
            return Signer::open(&admin.controller).advise();
        }
        let ca = ca::new::complete(admin, making, &self.ca, now)?;
        ca::say_what_is_next(global, admin, &ca);
        Ok(Signer::Local(Box::new(ca)))
    }

    fn refuse_without_ca_of_vaults(&self, admin: &Admin) -> anyhow::Result<()> {
        if self.ca.describes_a_ca() {
            return Err(Advice::new(
                "the CA is in Vault (signer), and these options describe one in files",
                "leave them out: slurm-pki vault setup --help names those for a CA in Vault",
            )
            .into());
        }
        let ca_cert = &admin.controller.ca_cert;
        if ca_cert.exists() {
            return Ok(());
        }
        Err(Advice::new(
            format!(
                "the CA is in Vault (signer), and its certificate is not here yet: no {}",
                ca_cert.display()
            ),
            "slurm-pki vault setup first, which makes the CA and writes that file; then this again",
        )
        .into())
    }

    fn daemons(&self, admin: &Admin) -> anyhow::Result<Vec<Daemon>> {
        let mut daemons = vec![Daemon::Ctld];
        for (daemon, which) in [(Daemon::Dbd, Which::Dbd), (Daemon::Restd, Which::Restd)] {
            let config = DaemonConfig::read(&admin.config, &admin.controller, daemon).advise()?;
            if config.configured || self.daemons.contains(&which) {
                daemons.push(daemon);
            }
        }
        Ok(daemons)
    }
}

/// A pair that was asked for on a host that is not the daemon's does no harm, and no good either.
fn say_where_it_runs(admin: &Admin, daemon: Daemon) {
    // What a slip in slurm.conf means is another command's to say.
    let members = Members::of(admin).unwrap_or_default();
    if let Some(hosts) = elsewhere(&members, daemon) {
        report::warning(&format!(
            "{daemon} runs on {hosts} and not on this host: slurm-pki cert renew makes its pair and brings it there"
        ));
    }
}

fn write_config(making: &Making<'_>, admin: &Admin, text: Option<&str>) -> anyhow::Result<()> {
    let path = admin.config.path();
    let Some(text) = text else {
        making.was_there(path);
        return Ok(());
    };
    if let Some(folder) = path.parent()
        && !folder.exists()
    {
        making.folder(folder, 0o755, caller())?;
    }
    if !making.file(path, 0o644, None, text.as_bytes())? {
        return Err(Advice::new(
            format!("{} has just been written by somebody else", path.display()),
            "read it, then run this again",
        )
        .into());
    }
    if caller().uid != 0 {
        let path = path.display();
        report::warning(&format!("slurmd runs as root and reads only root's config: chown root {path}"));
    }
    Ok(())
}

/// state_dir is there already, and ca/ where the CA's files lie in it.
fn folders(making: &Making<'_>, admin: &Admin, owner: Owner) -> anyhow::Result<()> {
    let files = &admin.controller;
    let state_dir = &files.top.state_dir;
    making.folder(&files.tokens, 0o700, owner)?;
    making.folder(&files.ledger, 0o700, owner)?;
    making.folder(&state_dir.join("outgoing"), 0o700, owner)?;
    making.folder(&state_dir.join("rehearsal"), 0o700, owner)
}

fn complete_pair(
    global: &Global,
    admin: &Admin,
    signer: &Signer,
    daemon: Daemon,
    now: UnixTime,
) -> anyhow::Result<()> {
    let config = DaemonConfig::read(&admin.config, &admin.controller, daemon).advise()?;
    let files = DaemonFiles::of(daemon, &config)?;
    let making = Making::new(global);
    let there = match files.standing() {
        Standing::Ours => true,
        Standing::Foreign(_) => files.load_together(),
        Standing::Unlinked if making.only_says() => return files.say_links(&making),
        Standing::Unlinked => {
            files.link()?;
            return files.say_links(&making);
        }
        Standing::Missing => false,
    };
    if there {
        making.was_there(files.key());
        making.was_there(files.cert());
        return Ok(());
    }
    let pair = DaemonPair {
        common_name: daemon.program().to_owned(),
        dns: host_names(admin, daemon, &[])?,
        key: KeyKind::P256,
        validity: config.validity,
    };
    issue_and_install(global, admin, signer, daemon, &pair, Foreign::Refuse, now)
}

fn say_what_is_next(global: &Global) {
    report::done(
        global,
        "\nNext:\n  \
         slurm-pki node add n[001-128]                           enrol the nodes\n  \
         slurm-pki node bundle n[001-128] --out /root/bundles    what each node needs, to be copied there\n  \
         slurm-pki conf show                                     the lines for slurm.conf and slurmdbd.conf\n\
         Back up state_dir with the care that a CA key deserves.",
    );
}
