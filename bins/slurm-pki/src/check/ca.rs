//! What every host trusts, what signs, and until when.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use pki::ca::LocalCa;
use pki::loads_in_s2n::{self, MAX_BUNDLE_PEM};
use pki::time::UnixTime;
use pki::x509::X509;
use site::config::Place;
use site::file;
use site::signer;

use super::access::{Blocked, READ, Who, way_through};
use super::expiry;
use super::finding::{Findings, Group, Severity};
use super::scene::Scene;
use super::tls_files;
use crate::admin::owner_name;
use crate::ca::rollover::UnderWay;
use crate::moment;

/// Where distributions keep what every program of a host trusts.
const SYSTEM: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/var/lib/ca-certificates/ca-bundle.pem",
];

/// More than any of them.
const MAX_SYSTEM: usize = 8 * 1024 * 1024;

/// A rollover takes a renewal of every node, and a little patience for those that are away.
const LONG_ROLLOVER: Duration = Duration::from_secs(30 * 24 * 3600);

const RENEW_CA: &str = "slurm-pki ca rollover begin makes a new CA beside this one, without an outage";
const LEFT_OVER: &str =
    "others beside it live: slurm-pki ca rollover status, and if none is under way, take it out of the file";
/// A rollover needs an old CA that still signs.
const NEW_CA: &str =
    "it signs nothing any more: make or import a new CA, as docs/operations.md has it under \"CA expired\"";

/// What is to be done about the end of one of these.
fn renewal(all: &[X509], one: &X509, now: UnixTime) -> &'static str {
    let lives = |ca: &X509| now < ca.facts().not_after;
    match (lives(one), all.iter().any(lives)) {
        (true, _) => RENEW_CA,
        (false, true) => LEFT_OVER,
        (false, false) => NEW_CA,
    }
}

/// Looks at the bundle, and on a controller at the CA.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    found.begin(Group::Ca);
    let path = tls_files::ca_cert(scene);
    // What Slurm will load is another question while TLS is off.
    let path = if scene.tls_is_on() || path.exists() { path } else { scene.admin.controller.ca_cert.clone() };
    let anchors = bundle(scene, &path, found);
    if let Some(anchors) = &anchors {
        for anchor in anchors {
            let what = format!("the CA {}", anchor.facts().subject);
            expiry::look(
                found,
                "ca-expiry",
                &what,
                anchor,
                &scene.thresholds,
                scene.now,
                renewal(anchors, anchor, scene.now),
            );
        }
        in_system_store(scene, anchors, found);
        no_cas(&path, anchors, found);
    }
    if scene.controller {
        signing(scene, found);
    }
}

/// The file by s2n's rules and Slurm's.
fn bundle(scene: &Scene, path: &Path, found: &mut Findings) -> Option<Vec<X509>> {
    let shown = path.display();
    let pem = match file::read_with_metadata(path, MAX_BUNDLE_PEM) {
        Ok((pem, _)) => pem,
        Err(e) if e.is_not_found() => {
            let what = format!("there is no {shown}: no daemon and no command of this host can speak TLS");
            let fix = format!("copy it from the controller, mode 0644: {shown}");
            let severity = if scene.tls_is_on() { Severity::Critical } else { Severity::Warning };
            found.add_as(severity, "ca-cert", what, fix);
            return None;
        }
        Err(e) => {
            found.unknown("ca-cert", e.to_string(), "run this as root");
            return None;
        }
    };
    for_everybody(scene, path, found);
    match loads_in_s2n::trust_bundle(pem.expose()) {
        Ok(anchors) => {
            found.ok("ca-cert", format!("{shown} loads, {} in it", anchors.len()));
            Some(anchors)
        }
        Err(e) => {
            let fix = pki::explain::Explain::hint(&e);
            found.critical("ca-cert", format!("{shown} crashes the daemon that loads it: {e}"), fix);
            None
        }
    }
}

/// docs/slurm-contract.md 3.1: no write and no execute for others, owner root or SlurmUser; and every user's commands
/// read it.
fn for_everybody(scene: &Scene, path: &Path, found: &mut Findings) {
    let shown = path.display();
    let Ok(seen) = fs::metadata(path) else { return };
    let mode = seen.mode() & 0o7777;
    let owners = [Some(0), scene.slurm_user.map(|owner| owner.uid)];
    if scene.slurm_user.is_some() && !owners.contains(&Some(seen.uid())) {
        let what = format!(
            "{shown} belongs to uid {}: Slurm refuses it, and says so at debug level only",
            seen.uid()
        );
        return found.critical("ca-cert-mode", what, format!("chown root:root {shown}"));
    }
    if mode & 0o003 != 0 {
        let what = format!("{shown} has mode {mode:04o}: Slurm refuses it, and says so at debug level only");
        return found.critical("ca-cert-mode", what, format!("chmod 0644 {shown}"));
    }
    match Who::Everybody.reaches(path, READ) {
        Ok(_) => found.ok("ca-cert-mode", format!("{shown} has mode {mode:04o}")),
        Err(Blocked::Folder(folder)) => found.critical(
            "ca-cert-mode",
            format!("{shown}: users do not get through {}, and their commands fail", folder.display()),
            format!("chmod o+x {}", folder.display()),
        ),
        Err(_) => found.critical(
            "ca-cert-mode",
            format!("{shown} has mode {mode:04o}: users cannot read it, and their commands fail"),
            format!("chmod 0644 {shown}"),
        ),
    }
}

/// A CA that the whole host trusts signs for others too, and each of their certificates gets in.
fn in_system_store(scene: &Scene, anchors: &[X509], found: &mut Findings) {
    let stores = SYSTEM.into_iter().filter_map(|path| {
        let (text, _) = file::read_with_metadata(&scene.host.at(path), MAX_SYSTEM).ok()?;
        let text =
            text.expose().iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect::<Vec<_>>();
        Some((path, text))
    });
    let stores: Vec<_> = stores.collect();
    if stores.is_empty() {
        return found
            .not_looked_at("whether the CA is a public one: this host has no trust store in a usual place");
    }
    let shared: Vec<&X509> =
        anchors.iter().filter(|anchor| stores.iter().any(|(_, text)| has(text, anchor))).collect();
    if shared.is_empty() {
        return found.ok("ca-public", "the CA is none that this host trusts for anything else");
    }
    for anchor in shared {
        let subject = &anchor.facts().subject;
        found.critical(
            "ca-public",
            format!("{subject} is in this host's system trust store: every certificate of that CA gets into Slurm"),
            "use a CA of Slurm's own (slurm-pki ca rollover begin), and take this one out of the system's trust store",
        );
    }
}

/// The certificate's own base64, without the lines around it.
fn has(store: &[u8], anchor: &X509) -> bool {
    let body: String = anchor.to_pem().lines().filter(|line| !line.starts_with('-')).collect();
    let body = body.as_bytes();
    !body.is_empty() && store.windows(body.len()).any(|window| window == body)
}

fn no_cas(path: &Path, anchors: &[X509], found: &mut Findings) {
    for anchor in anchors.iter().filter(|anchor| !anchor.facts().ca) {
        found.warning(
            "ca-no-ca",
            format!("{}: {} is no CA: whoever holds its key gets in", path.display(), anchor.facts().subject),
            format!("take it out of {}", path.display()),
        );
    }
}

/// The key, and whether it belongs to what is trusted.
fn signing(scene: &Scene, found: &mut Findings) {
    let files = &scene.admin.controller;
    if files.signer == Place::Vault {
        return found.not_looked_at("the CA key: it is in Vault (signer = \"vault\")");
    }
    let certificates = match signer::ca_certificates(files) {
        Ok(certificates) => certificates,
        Err(e) => return found.file_error("ca-chain", &e),
    };
    for one in &certificates.chain {
        let what = format!("the CA {} in {}", one.facts().subject, files.ca_chain.display());
        expiry::look(
            found,
            "ca-expiry",
            &what,
            one,
            &scene.thresholds,
            scene.now,
            renewal(&certificates.chain, one, scene.now),
        );
    }
    let key = match signer::ca_key(&files.ca_key) {
        Ok(key) => key,
        Err(e) => return found.file_error("ca-key", &e),
    };
    match LocalCa::new(certificates.clone(), key) {
        Ok(ca) => {
            found
                .ok("ca-key", format!("{} signs as {}", files.ca_key.display(), ca.issuer().facts().subject));
            if !rollover(scene, found) {
                strangers(&certificates.anchors, &certificates.chain, ca.issuer(), found);
            }
        }
        Err(e) => return found.critical_error("ca-key", &e),
    }
    for_slurmctld(scene, &files.ca_key, found);
    root_key(scene, found);
}

/// Whether two CAs are trusted by intention; one that goes on for long was forgotten.
fn rollover(scene: &Scene, found: &mut Findings) -> bool {
    match UnderWay::of(&scene.admin) {
        Ok(None) => return false,
        Ok(Some(way)) => {
            let what = format!(
                "a rollover to {} is {} since {}",
                way.new,
                way.phase,
                moment::shown(way.since, scene.now)
            );
            if way.since < scene.now.minus(LONG_ROLLOVER) {
                found.warning("ca-rollover", what, "slurm-pki ca rollover status says what holds it up");
            } else {
                found.ok("ca-rollover", what);
            }
        }
        Err(e) => found.error(Severity::Unknown, "ca-rollover", &e),
    }
    true
}

/// Trusted, and neither what signs nor above it: another cluster's, or an old one that was not dropped.
fn strangers(anchors: &[X509], chain: &[X509], issuer: &X509, found: &mut Findings) {
    let mut way = vec![issuer];
    while let Some(above) = anchors
        .iter()
        .chain(chain)
        .find(|ca| !way.contains(ca) && way.iter().any(|below| below.is_issued_by(ca)))
    {
        way.push(above);
    }
    for anchor in anchors.iter().filter(|anchor| !way.contains(anchor)) {
        found.warning(
            "ca-stranger",
            format!("{} is trusted and does not sign here", anchor.facts().subject),
            "take it out of ca_cert on every host, where no certificate of its is in use any more",
        );
    }
}

/// sign_csr runs as SlurmUser.
fn for_slurmctld(scene: &Scene, key: &Path, found: &mut Findings) {
    let Some(user) = scene.slurm_user else { return };
    let shown = key.display();
    match Who::user(user).reaches(key, READ) {
        Ok(_) => found.ok("ca-key-mode", format!("{} can read {shown}", owner_name(user))),
        Err(Blocked::Folder(folder)) => found.critical(
            "ca-key-mode",
            format!("{shown}: {} does not get through {}", owner_name(user), folder.display()),
            way_through(&folder, &scene.admin.top().state_dir, &owner_name(user)),
        ),
        Err(Blocked::Unseen(why)) => {
            found.unknown("ca-key-mode", format!("{shown}: {why}"), "run this as root");
        }
        Err(_) => found.critical(
            "ca-key-mode",
            format!("{shown}: {} cannot read it, so sign_csr signs nothing", owner_name(user)),
            format!("chown {} {shown} && chmod 0400 {shown}", owner_name(user)),
        ),
    }
}

/// With an intermediate, the root's key belongs offline.
fn root_key(scene: &Scene, found: &mut Findings) {
    let path = scene.admin.top().state_dir.join("ca/root_key.pem");
    if path.exists() {
        found.warning(
            "ca-root-key",
            format!("the root's key is still on this host: {}", path.display()),
            "move it to a medium that is kept offline; an intermediate signs here",
        );
    }
}
