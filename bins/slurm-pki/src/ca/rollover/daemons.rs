//! The pairs of this host's own daemons: issued anew under the CA that signs now, and loaded at their next start.

use pki::key::{KeyKind, PublicKey};
use pki::loads_in_s2n::MAX_CHAIN_PEM;
use pki::time::UnixTime;
use pki::x509::X509;
use site::config::{Daemon, DaemonConfig};
use site::file;
use site::signer::Signer;

use super::site_files::SiteFiles;
use crate::advice::Advise as _;
use crate::cert::{DaemonPair, host_names, issue_and_install};
use crate::daemon_files::{DaemonFiles, Foreign, Standing};
use crate::report;

/// Issues every pair anew that is not the new CA's.
///
/// # Errors
/// When one cannot be issued or installed.
pub(super) fn move_to(files: &SiteFiles<'_>, new: &X509, now: UnixTime) -> anyhow::Result<()> {
    each(files, now, |leaf| !leaf.is_issued_by(new))
}

/// Issues every pair anew that is the new CA's.
///
/// # Errors
/// As [`move_to`].
pub(super) fn move_from(files: &SiteFiles<'_>, new: &X509, now: UnixTime) -> anyhow::Result<()> {
    each(files, now, |leaf| leaf.is_issued_by(new))
}

fn each(files: &SiteFiles<'_>, now: UnixTime, is_wrong: impl Fn(&X509) -> bool) -> anyhow::Result<()> {
    for daemon in [Daemon::Ctld, Daemon::Dbd, Daemon::Restd] {
        let config = DaemonConfig::read(&files.admin.config, &files.admin.controller, daemon).advise()?;
        let own = DaemonFiles::of(daemon, &config)?;
        let Some(leaf) = leaf_of(&own) else { continue };
        match own.standing() {
            Standing::Missing => {}
            _ if !is_wrong(&leaf) => {}
            Standing::Foreign(_) => report::warning(&format!(
                "{} is not slurm-pki's and stays; give {daemon} a pair of this CA: slurm-pki cert issue {} --force",
                own.cert().display(),
                daemon.short()
            )),
            Standing::Ours | Standing::Unlinked => reissue(files, daemon, &config, &leaf, now)?,
        }
    }
    Ok(())
}

fn leaf_of(own: &DaemonFiles) -> Option<X509> {
    let (pem, _) = file::read_with_metadata(own.cert(), MAX_CHAIN_PEM).ok()?;
    X509::all_from_pem(pem.expose(), MAX_CHAIN_PEM).ok()?.into_iter().next()
}

/// With the names and the kind of key that it has.
fn reissue(
    files: &SiteFiles<'_>,
    daemon: Daemon,
    config: &DaemonConfig,
    leaf: &X509,
    now: UnixTime,
) -> anyhow::Result<()> {
    let dns = match leaf.facts().dns.as_deref() {
        Some(names) if !names.is_empty() => names.to_vec(),
        _ => host_names(files.admin, daemon, &[])?,
    };
    let key = match PublicKey::from_spki(&leaf.facts().spki).map(|key| key.kind()) {
        Ok(KeyKind::P384) => KeyKind::P384,
        _ => KeyKind::P256,
    };
    let pair = DaemonPair { common_name: daemon.program().to_owned(), dns, key, validity: config.validity };
    // A dry run has not changed the key.
    let signer = Signer::open(&files.admin.controller).advise()?;
    issue_and_install(files.global, files.admin, &signer, daemon, &pair, Foreign::Refuse, now)
}
