//! TLSType and TLSParameters: whether TLS is on, and whether Slurm's files are the ones that are kept here.

use std::path::Path;

use site::config::Daemon;

use super::super::access::may_be_there;
use super::super::finding::{Findings, Severity};
use super::super::scene::Scene;
use super::super::tls_files;
use super::SHOW;
use crate::parameters::Parameters;
use crate::rehearse::same_file;

/// Looks at both.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    match scene.get("TLSType") {
        Some(kind) if kind.eq_ignore_ascii_case("tls/s2n") => found.ok("tls-type", "TLSType=tls/s2n"),
        None | Some("tls/none") => off(scene, found),
        Some(kind) => {
            let what = format!("TLSType={kind} is no plugin of Slurm's");
            found.critical("tls-type", what, "write TLSType=tls/s2n in slurm.conf and slurmdbd.conf");
        }
    }
    if scene.tls_is_on() {
        no_node_certificates(scene, found);
        paths(scene, found);
        ours(scene, found);
    }
}

fn off(scene: &Scene, found: &mut Findings) {
    let certmgr = scene.get("CertmgrType").is_some();
    let more = if certmgr { ", and CertmgrType has no meaning without it" } else { "" };
    found.warning(
        "tls-off",
        format!("slurm.conf has no TLSType=tls/s2n: nothing that Slurm sends is encrypted{more}"),
        "slurm-pki conf enable turns TLS on, or conf show for the lines; not while jobs run",
    );
}

fn no_node_certificates(scene: &Scene, found: &mut Findings) {
    match scene.get("CertmgrType") {
        Some("certmgr/script") => found.ok("certmgr-type", "nodes ask slurmctld for their certificates"),
        Some(kind) => {
            found.critical("certmgr-type", format!("CertmgrType={kind} is no plugin of Slurm's"), SHOW);
        }
        None if scene.node.is_some() && !may_be_there(&tls_files::pair(scene, Daemon::Slurmd).0) => found
            .critical(
                "certmgr-type",
                "there is neither CertmgrType nor a certificate for slurmd here: slurmd does not start",
                format!(
                "{SHOW}; or a pair for this node, on a controller: slurm-pki cert issue slurmd {} --out /root/pairs",
                scene.own_name()
            ),
            ),
        None => found.ok("certmgr-type", "no certmgr: every node has a certificate of its own in a file"),
    }
}

/// A configless slurmd looks for relative names, and for the default ones, in its cache, where nobody puts them.
fn paths(scene: &Scene, found: &mut Findings) {
    let tls = Parameters::of(scene.get("TLSParameters"));
    let files = tls.words().filter_map(|word| word.split_once('=')).filter(|(key, _)| key.ends_with("_file"));
    let relative: Vec<&str> = files.filter(|(_, path)| !path.starts_with('/')).map(|(key, _)| key).collect();
    let configless = scene
        .get("SlurmctldParameters")
        .is_some_and(|value| value.to_ascii_lowercase().contains("enable_configless"));
    let in_cache =
        if configless { "configless hosts look in their cache" } else { "they lie beside slurm.conf" };
    if !relative.is_empty() {
        let what = format!("TLSParameters: {} not absolute: {in_cache}", relative.join(", "));
        let fix = format!("use absolute paths; {SHOW}");
        let severity = if configless { Severity::Critical } else { Severity::Warning };
        return found.add_as(severity, "tls-path", what, fix);
    }
    if configless && tls.get("ca_cert_file").is_none() {
        let what = format!("TLSParameters has no ca_cert_file=: {in_cache} for ca_cert.pem");
        return found.critical("tls-path", what, SHOW);
    }
    found.ok("tls-path", "the files of TLSParameters have absolute paths");
}

/// What is renewed here is what Slurm loads. Elsewhere nothing is kept: the files of TLSParameters alone count.
fn ours(scene: &Scene, found: &mut Findings) {
    let config = &scene.admin.controller;
    if !scene.controller {
        return;
    }
    compare("ca_cert_file", &tls_files::ca_cert(scene), &config.ca_cert, found);
    for daemon in [Daemon::Ctld, Daemon::Dbd, Daemon::Restd] {
        let Ok(pair) = scene.daemon(daemon) else { continue };
        if daemon != Daemon::Ctld && !pair.cert.exists() {
            continue;
        }
        // Without slurmdbd.conf nobody here knows what slurmdbd loads.
        if daemon == Daemon::Dbd && scene.dbd().is_none() {
            continue;
        }
        let (cert, key) = tls_files::pair(scene, daemon);
        compare(&format!("{}_cert_file", daemon.short()), &cert, &pair.cert, found);
        compare(&format!("{}_cert_key_file", daemon.short()), &key, &pair.key, found);
    }
}

fn compare(key: &str, slurms: &Path, ours: &Path, found: &mut Findings) {
    if slurms == ours || same_file(slurms, ours) {
        return found.ok("tls-file", format!("{key} is {}", ours.display()));
    }
    found.warning(
        "tls-file",
        format!("Slurm's {key} is {}, and slurm-pki keeps {}", slurms.display(), ours.display()),
        format!("name one file in both: TLSParameters, and the config of slurm-pki; {SHOW}"),
    );
}
