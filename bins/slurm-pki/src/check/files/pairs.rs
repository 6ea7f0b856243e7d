//! The certificates and keys that Slurm's daemons load from files, by Slurm's rules (docs/slurm-contract.md 3.1), s2n's and
//! the peers'.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use pki::explain::Explain as _;
use pki::key::MAX_KEY_PEM;
use pki::loads_in_s2n::{self, MAX_BUNDLE_PEM, MAX_CHAIN_PEM, Unloadable};
use pki::x509::X509;
use site::config::Daemon;
use site::file::{self, Owner};

use super::super::access::{Blocked, READ, Who, may_be_there, way_through};
use super::super::expiry;
use super::super::finding::{Findings, Severity};
use super::super::scene::Scene;
use super::super::tls_files;
use crate::admin::owner_name;
use crate::cert::due_at;
use crate::cert::target::{self, Target, is_static};
use crate::daemon_files::{DaemonFiles, Standing};
use crate::moment;

/// A renewal may be late by this part of the certificate's life, and by so long at most.
const PATIENCE: u32 = 20;
const MOST_PATIENCE: Duration = Duration::from_secs(3 * 24 * 3600);

const ROOT: Owner = Owner { uid: 0, gid: 0 };

/// Looks at every pair that this host has, or has to have.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    for daemon in Daemon::ALL {
        let (cert, key) = files(scene, daemon);
        // One in a folder that this user may not look into is there as far as anybody can tell; reading it says so.
        if may_be_there(&cert) || may_be_there(&key) {
            pair(scene, daemon, &cert, &key, found);
        } else if is_needed(scene, daemon) {
            let fix = match scene.controller {
                true => format!("slurm-pki cert issue {}", daemon.short()),
                false => anew(scene, daemon),
            };
            let what = format!("there is no {}: {daemon} does not start with TLS", cert.display());
            found.critical("pair-missing", what, fix);
        }
    }
    shadowed(scene, found);
}

/// What Slurm loads; where TLS is off, what it would.
fn files(scene: &Scene, daemon: Daemon) -> (std::path::PathBuf, std::path::PathBuf) {
    match scene.daemon(daemon) {
        Ok(ours) if !scene.tls_is_on() => (ours.cert, ours.key),
        Ok(ours) if daemon == Daemon::Dbd && scene.dbd().is_none() => (ours.cert, ours.key),
        _ => tls_files::pair(scene, daemon),
    }
}

fn is_needed(scene: &Scene, daemon: Daemon) -> bool {
    match daemon {
        Daemon::Ctld => scene.tls_is_on() && scene.controller,
        Daemon::Dbd => scene.dbd_tls_is_on(),
        Daemon::Restd | Daemon::Sackd | Daemon::Slurmd => false,
    }
}

fn pair(scene: &Scene, daemon: Daemon, cert: &Path, key: &Path, found: &mut Findings) {
    owner_and_mode(scene, daemon, cert, false, found);
    owner_and_mode(scene, daemon, key, true, found);
    let read = |path: &Path, limit| file::read_with_metadata(path, limit).map(|(bytes, _)| bytes);
    let (cert_pem, key_pem) = match (read(cert, MAX_CHAIN_PEM), read(key, MAX_KEY_PEM)) {
        (Ok(cert), Ok(key)) => (cert, key),
        (Err(e), _) | (_, Err(e)) if e.is_not_found() => {
            let what = format!("{daemon} has half a pair: {e}");
            return found.critical("pair", what, anew(scene, daemon));
        }
        (Err(e), _) | (_, Err(e)) => return found.unknown("pair", e.to_string(), "run this as root"),
    };
    let fix = format!("{}; then restart {daemon}", anew(scene, daemon));
    match loads_in_s2n::own_pair(cert_pem.expose(), key_pem.expose()) {
        Ok(chain) => {
            found.ok("pair", format!("{} and its key belong together", cert.display()));
            accepted(scene, daemon, cert, &chain, &fix, found);
        }
        Err(e) => found.critical("pair", format!("{daemon} cannot load {}: {e}", cert.display()), fix),
    }
}

/// Pairs are made where the CA's key is; `cert renew` brings those of daemons to their hosts.
fn anew(scene: &Scene, daemon: Daemon) -> String {
    let short = daemon.short();
    if is_static(daemon) {
        let name = scene.own_name();
        format!("on a controller: slurm-pki cert issue {short} {name} --out /root/pairs, and bring it here")
    } else if scene.controller {
        target::anew(daemon)
    } else {
        format!("on a controller: slurm-pki cert renew {short} --force")
    }
}

/// Whether peers take it, and until when.
fn accepted(scene: &Scene, daemon: Daemon, cert: &Path, chain: &[X509], fix: &str, found: &mut Findings) {
    if let Some(leaf) = chain.first() {
        let what = format!("{daemon}'s certificate {}", cert.display());
        let renew = match scene.controller && !is_static(daemon) {
            true => "slurm-pki cert renew".to_owned(),
            false => anew(scene, daemon),
        };
        let renew = format!("{renew}; then restart {daemon}");
        expiry::look(found, "pair-expiry", &what, leaf, &scene.thresholds, scene.now, &renew);
        overdue(scene, daemon, cert, &what, leaf, found);
    }
    let bundle = file::read_with_metadata(&tls_files::ca_cert(scene), MAX_BUNDLE_PEM)
        .or_else(|_| file::read_with_metadata(&scene.admin.controller.ca_cert, MAX_BUNDLE_PEM));
    let Ok((bundle, _)) = bundle else { return };
    let Ok(anchors) = loads_in_s2n::trust_bundle(bundle.expose()) else { return };
    match loads_in_s2n::accepted_by_peers(chain, &anchors, scene.now) {
        Ok(()) => found.ok("pair-accepted", format!("peers accept {}", cert.display())),
        // Said already, with the date.
        Err(Unloadable::OutsideLife(subject))
            if chain.first().is_some_and(|leaf| leaf.facts().subject == subject) => {}
        Err(e) => {
            let fix = if matches!(e, Unloadable::Untrusted) { e.hint() } else { fix.to_owned() };
            found.critical("pair-accepted", format!("peers refuse {daemon}'s {}: {e}", cert.display()), fix);
        }
    }
}

/// A renewal that does not come is seen long before the end. What others make, others renew.
fn overdue(scene: &Scene, daemon: Daemon, cert: &Path, what: &str, leaf: &X509, found: &mut Findings) {
    let mut kept = Target::here(&scene.admin, daemon).unwrap_or_default().into_iter().map(|kept| kept.config);
    // A host may have several static pairs.
    let Some(config) = kept.find(|config| !is_static(daemon) || config.cert == cert) else { return };
    let ours = DaemonFiles::of(daemon, &config).is_ok_and(|files| files.standing() == Standing::Ours);
    let told = expiry::severity(leaf, &scene.thresholds, scene.now) != Severity::Ok;
    if !ours || told {
        return;
    }
    let due = due_at(leaf, config.renew_at);
    if scene.now <= due.plus((expiry::life(leaf) / PATIENCE).min(MOST_PATIENCE)) {
        return found.ok("pair-due", format!("{what} is to be renewed {}", moment::shown(due, scene.now)));
    }
    found.warning(
        "pair-due",
        format!("{what} was to be renewed {}: nothing renews it", moment::shown(due, scene.now)),
        "slurm-pki cert renew says why; then see the timer that should: systemctl list-timers 'slurm-pki*'",
    );
}

/// Slurm's own checks say why they fail at debug level only.
fn owner_and_mode(scene: &Scene, daemon: Daemon, path: &Path, is_key: bool, found: &mut Findings) {
    let Ok(seen) = fs::metadata(path) else { return };
    let (shown, mode) = (path.display(), seen.mode() & 0o7777);
    let user = user_of(scene, daemon, &seen);
    let owners = [Some(0), scene.slurm_user.map(|owner| owner.uid)];
    // Slurm asks for the owner only where it knows SlurmUser.
    if daemon != Daemon::Restd && scene.slurm_user.is_some() && !owners.contains(&Some(seen.uid())) {
        let what = format!(
            "{shown} belongs to uid {}: {daemon} refuses it, and says so at debug level only",
            seen.uid()
        );
        return found.critical("pair-mode", what, format!("chown {} {shown}", owner_name(user)));
    }
    let (forbidden, right) = if is_key { (0o007, "0600") } else { (0o003, "0644") };
    if mode & forbidden != 0 {
        let what =
            format!("{shown} has mode {mode:04o}: {daemon} refuses it, and says so at debug level only");
        return found.critical("pair-mode", what, format!("chmod {right} {shown}"));
    }
    if let Err(blocked @ (Blocked::Mode(_) | Blocked::Folder(_))) = Who::user(user).reaches(path, READ) {
        let (name, state_dir) = (owner_name(user), &scene.admin.top().state_dir);
        let what = format!("{shown}: {daemon} runs as {name} and cannot read it");
        let fix = match &blocked {
            Blocked::Folder(folder) => way_through(folder, state_dir, &name),
            _ => format!("chown {name} {shown}"),
        };
        return found.critical("pair-mode", what, fix);
    }
    let for_the_group = seen.uid() == 0 && scene.slurm_user.is_some_and(|slurm| slurm.gid == seen.gid());
    let group = if for_the_group { 0o030 } else { 0o070 };
    if is_key && mode & group != 0 {
        let what = format!("{shown} has mode {mode:04o}: its group can read or change a private key");
        return found.warning("pair-mode", what, format!("chmod 0600 {shown}"));
    }
    found.ok("pair-mode", format!("{shown} has mode {mode:04o}"));
}

/// slurmrestd runs as a user of its own, to whom its pair belongs.
fn user_of(scene: &Scene, daemon: Daemon, seen: &Metadata) -> Owner {
    match daemon {
        Daemon::Slurmd => ROOT,
        Daemon::Restd => Owner { uid: seen.uid(), gid: seen.gid() },
        Daemon::Ctld | Daemon::Dbd | Daemon::Sackd => scene.slurm_user.unwrap_or(ROOT),
    }
}

/// A daemon that finds a pair on its disk never asks certmgr.
fn shadowed(scene: &Scene, found: &mut Findings) {
    if !scene.certmgr_is_on() {
        return;
    }
    for daemon in [Daemon::Slurmd, Daemon::Sackd] {
        let (cert, _) = tls_files::pair(scene, daemon);
        if cert.exists() {
            found.warning(
                "static-pair",
                format!("{} is there: {daemon} uses it, and never renews through certmgr", cert.display()),
                format!(
                    "mv {0} {0}.old, then restart {daemon}; or take CertmgrType out of slurm.conf",
                    cert.display()
                ),
            );
        }
    }
}
