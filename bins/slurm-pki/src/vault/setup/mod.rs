//! `vault setup`: what Slurm needs of a Vault or OpenBao that is there and unsealed; made once, completed and set right as
//! often as it takes.

mod authority;
mod engines;
mod login;
mod roles;
mod work;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use signer::{Door, of_vault};
use site::config::{Place, VaultConfig};

use self::work::Work;
use super::policies::{self, Uses};
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::global::Global;
use crate::key_type::KeyType;
use crate::moment;
use crate::report;

/// For all that is asked, keys made there among it.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Args, Debug)]
#[command(after_help = "\
Run it where slurmctld runs, as root or SlurmUser, with [vault] in the config filled in and the token of somebody who may \
mount engines and write policies: in --token-file, the file that $VAULT_TOKEN_FILE names, admin_token_file of [vault], or \
~/.vault-token. Only what signer and store in [controller] have in Vault is set up; with both \"local\", both, for the change \
that follows. A second run changes what is not as the config wants it, says what that was, and leaves the rest alone.

It makes the CA (its key never leaves Vault), the engines at pki_mount and kv_mount, the roles for nodes and for daemons, \
four policies (ROLE-signer for slurmctld's programs, ROLE-enroller for who adds nodes, ROLE-daemons for who runs cert issue \
and cert renew, ROLE-rollover for who runs ca rollover, to be given for as long as that lasts), and the programs' login: with auth = \"approle\" role_id_file and secret_id_file, with \"token-file\" a \
token that vault renew keeps alive. It installs and unseals no server. Records that lie in files here stay there: slurm-pki vault \
copy brings them over.

Examples:
  slurm-pki vault setup --ca root --dry-run          the same as commands of vault, to read or to run by hand
  slurm-pki vault setup --ca root
  slurm-pki vault setup --ca intermediate            below the CA that is in files here
  slurm-pki vault setup --ca intermediate --csr /root/slurm-ca.csr
                                                     to be signed by another CA; then:
  slurm-pki vault setup --ca intermediate --signed /root/slurm-ca.pem
  slurm-pki vault setup --ca existing --issuer-name hpc
  slurm-pki vault setup --host login1.example.org    one more name for daemons' pairs")]
pub(crate) struct Setup {
    /// Where the CA comes from; not needed where the engine has one
    #[arg(long, value_name = "KIND")]
    ca: Option<Kind>,
    #[command(flatten)]
    likeness: Likeness,
    /// Longest life that the PKI engine gives anything; default: that of the CA
    #[arg(long, value_name = "TIME", value_parser = moment::parse_span)]
    mount_max_ttl: Option<Duration>,
    /// Where the intermediate's request goes, for another CA to sign
    #[arg(long, value_name = "FILE", conflicts_with = "signed")]
    csr: Option<PathBuf>,
    /// The intermediate's certificate, with those above it
    #[arg(long, value_name = "FILE")]
    signed: Option<PathBuf>,
    /// Another name for daemons' pairs: a host's, or a node's with a static pair; those that are there stay
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// Networks that the programs log in from, as in 10.1.0.0/24
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    bound_cidrs: Vec<String>,
    /// Make a new secret_id, or token, in place of the one in the file
    #[arg(long)]
    new_login: bool,
    /// A file with the token to use
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Where the CA comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A root, made in Vault
    Root,
    /// An intermediate, made in Vault, signed by the CA in files here or by another
    Intermediate,
    /// An issuer that the engine has
    Existing,
}

/// What a new CA is to be.
#[derive(Args, Clone, Debug)]
pub(crate) struct Likeness {
    /// The CA's common name; default: "CLUSTER Slurm CA", of an intermediate "CLUSTER Slurm CA in Vault"
    #[arg(long, value_name = "NAME")]
    common_name: Option<String>,
    /// What the engine calls the CA; with --ca existing: which one signs
    #[arg(long, value_name = "NAME")]
    issuer_name: Option<String>,
    /// Life of the CA, as in 10y or 3650d
    #[arg(long, value_name = "TIME", default_value = "10y", value_parser = moment::parse_span)]
    ttl: Duration,
    /// Kind of the CA's key
    #[arg(long, value_name = "TYPE", default_value = "p256")]
    key_type: KeyType,
}

/// What all steps look at.
pub(crate) struct Scene<'a> {
    options: &'a Setup,
    admin: &'a Admin,
    config: &'a VaultConfig,
    uses: Uses,
}

impl Setup {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let mut config = VaultConfig::read(&admin.config).advise()?;
        config.admin_token_file = self.token_path().or(config.admin_token_file);
        // Whoever runs it must be able to give the login's files away, and to hold the records' lock.
        admin.slurm_user_to_write_for()?;
        let uses = uses(&admin);
        let client = Door::Admin.open(&config, Instant::now() + PATIENCE).advise()?;
        let scene = Scene { options: self, admin: &admin, config: &config, uses };
        let work = Work::new(global, client);
        work.begin(&config);
        self.all(&scene, &work)?;
        work.end();
        audited(&work);
        say_what_is_next(global, &scene);
        Ok(())
    }

    fn token_path(&self) -> Option<PathBuf> {
        let from_environment = || std::env::var_os("VAULT_TOKEN_FILE").filter(|name| !name.is_empty());
        self.token_file.clone().or_else(|| from_environment().map(PathBuf::from))
    }

    fn all(&self, scene: &Scene<'_>, work: &Work<'_>) -> anyhow::Result<()> {
        let mounted = engines::complete(scene, work)?;
        let ca = if scene.uses.signer { authority::complete(scene, work, mounted.pki)? } else { true };
        // A role without a CA to sign for it is refused by some servers, and of no use with any.
        if scene.uses.signer && ca {
            roles::complete(scene, work, mounted)?;
        }
        for policy in policies::all(scene.config, scene.uses) {
            work.policy(&policy.name, &policy.text())?;
        }
        login::complete(scene, work)
    }
}

/// What the config has in Vault; nothing yet: all of it, for the change that follows.
fn uses(admin: &Admin) -> Uses {
    let (signer, store) = (admin.controller.signer == Place::Vault, admin.controller.store == Place::Vault);
    if signer || store { Uses { signer, store } } else { Uses { signer: true, store: true } }
}

/// Without an audit device nobody can say afterwards who read or signed what.
fn audited(work: &Work<'_>) {
    match vault::sys::audit_devices(work.client()).map_err(of_vault) {
        Ok(devices) if devices.is_empty() => report::warning(
            "Vault has no audit device: nothing says who signed or read what; vault audit enable file \
             file_path=/var/log/vault_audit.log",
        ),
        Ok(_) => {}
        Err(e) => report::warning(&format!("whether Vault has an audit device cannot be told: {e}")),
    }
}

fn say_what_is_next(global: &Global, scene: &Scene<'_>) {
    if global.dry_run {
        return;
    }
    let wanted = [
        ("signer", scene.uses.signer, scene.admin.controller.signer),
        ("store", scene.uses.store, scene.admin.controller.store),
    ];
    let lines: Vec<_> = wanted
        .iter()
        .filter(|(_, used, place)| *used && *place == Place::Local)
        .map(|(key, ..)| format!("{key} = \"vault\""))
        .collect();
    if !lines.is_empty() {
        let file = scene.admin.config.path().display();
        let lines = lines.join(", ");
        report::done(
            global,
            &format!(
                "next: in [controller] of {file}: {lines}; then this once more, for \
             nodes added meanwhile, and slurm-pki rehearse"
            ),
        );
    }
}

/// A mistake that only another command line mends.
fn usage(what: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Advice { usage: true, ..Advice::new(what, hint) }.into()
}
