//! Pairs for nodes that do without certmgr: one folder per node, with Slurm's file names in it.

use std::path::{Path, PathBuf};

use pki::key::KeyKind;
use pki::name::NodeName;
use pki::time::UnixTime;
use site::config::{Daemon, DaemonConfig};
use site::file::{NewFile, Owner, make_folder};
use site::signer::Signer;

use super::daemon_pair::{DaemonPair, owner_of};
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::global::Global;
use crate::making::Making;
use crate::node::tree;
use crate::report;

/// What is asked for.
pub(super) struct Wanted {
    pub(super) daemon: Daemon,
    pub(super) nodes: Vec<NodeName>,
    pub(super) out: PathBuf,
    pub(super) force: bool,
    pub(super) key: KeyKind,
}

/// A node's two files.
struct Files {
    key: PathBuf,
    cert: PathBuf,
}

impl Files {
    fn of(wanted: &Wanted, node: &NodeName) -> Self {
        let folder = wanted.out.join(node.as_str());
        let daemon = wanted.daemon.short();
        Self {
            key: folder.join(format!("{daemon}_cert_key.pem")),
            cert: folder.join(format!("{daemon}_cert.pem")),
        }
    }
}

/// Issues all of them. What is there already is found out before the first.
///
/// # Errors
/// When a pair is there and `--force` is not given, or any step fails.
pub(super) fn issue(
    global: &Global,
    admin: &Admin,
    signer: &Signer,
    wanted: &Wanted,
    now: UnixTime,
) -> anyhow::Result<()> {
    let config = DaemonConfig::read(&admin.config, &admin.controller, wanted.daemon).advise()?;
    let owner = owner_of(admin, wanted.daemon, &config)?;
    refuse_existing(wanted)?;
    tree::prepare(&wanted.out, global.dry_run)?;
    let bar = report::progress(global, wanted.nodes.len(), "issuing");
    for node in &wanted.nodes {
        let pair = DaemonPair {
            common_name: node.to_string(),
            dns: vec![node.to_string()],
            key: wanted.key,
            validity: config.validity,
        };
        one(global, admin, signer, &pair, &Files::of(wanted, node), owner, now)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    if !global.dry_run {
        let (count, out) = (wanted.nodes.len(), wanted.out.display());
        report::done(global, &format!("{count} pairs in {out}: copy each node's to that node, then delete"));
        report::done(global, "The lines of slurm.conf for static pairs: slurm-pki conf show --static");
    }
    Ok(())
}

/// Key before certificate: a certificate without its key would stop slurmd.
fn one(
    global: &Global,
    admin: &Admin,
    signer: &Signer,
    pair: &DaemonPair,
    files: &Files,
    owner: Owner,
    now: UnixTime,
) -> anyhow::Result<()> {
    let making = Making::new(global);
    if making.only_says() {
        making.says(&files.key, 0o600, Some(owner), "");
        making.says(&files.cert, 0o644, Some(owner), "");
        return Ok(());
    }
    let issued = pair.issue(global, admin, signer, now)?;
    make_folder(files.key.parent().unwrap_or(Path::new("/")), 0o755, None).advise()?;
    // A key of a former run beside the new certificate would be a pair that crashes slurmd.
    if files.cert.exists() {
        site::file::remove(&files.cert).advise()?;
    }
    NewFile::new(&files.key, 0o600).owned_by(Some(owner)).replace(issued.key().expose()).advise()?;
    NewFile::new(&files.cert, 0o644).owned_by(Some(owner)).replace(issued.cert().as_bytes()).advise()
}

fn refuse_existing(wanted: &Wanted) -> anyhow::Result<()> {
    let there = wanted.nodes.iter().map(|node| Files::of(wanted, node)).find(|files| files.cert.exists());
    match there {
        Some(files) if !wanted.force => Err(Advice::new(
            format!("{} is there already", files.cert.display()),
            "name another folder with --out, or replace what is there with --force",
        )
        .into()),
        _ => Ok(()),
    }
}
