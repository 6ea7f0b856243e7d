//! Words in CertmgrParameters, CertgenParameters, TLSParameters and DebugFlags that Slurm ignores, or that no site
//! wants. A comma in a path makes two words of it.

use super::super::finding::Findings;
use super::super::scene::Scene;
use super::SHOW;
use crate::parameters::Parameters;
use crate::slurm_conf::SlurmConf;

const CERTMGR: [&str; 6] = [
    "get_node_token_script=",
    "generate_csr_script=",
    "get_node_cert_key_script=",
    "sign_csr_script=",
    "validate_node_script=",
    "certificate_renewal_period=",
];
const CERTGEN: [&str; 2] = ["keygen_script=", "certgen_script="];
const TLS: [&str; 12] = [
    "ca_cert_file=",
    "ctld_cert_file=",
    "ctld_cert_key_file=",
    "dbd_cert_file=",
    "dbd_cert_key_file=",
    "restd_cert_file=",
    "restd_cert_key_file=",
    "slurmd_cert_file=",
    "slurmd_cert_key_file=",
    "sackd_cert_file=",
    "sackd_cert_key_file=",
    "security_policy_version=",
];

/// Parameters that only 25.05.0's manual or code knew (docs/slurm-contract.md 1.1, 1.2), and what to write.
const OBSOLETE: [(&str, &str); 3] = [
    ("validate_node_token_script=", "validate_node_script="),
    ("gen_self_signed_cert_script=", "nothing: it never did anything"),
    ("gen_private_key_script=", "nothing: it never did anything"),
];

/// The policy that our own judgement of certificates is about (docs/slurm-contract.md 3.3).
const POLICY: &str = "20230317";

/// Looks at every word.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    let known: [(&str, &[&str], &[&str]); 3] = [
        ("CertmgrParameters", &CERTMGR, &["single_use_tokens"]),
        ("CertgenParameters", &CERTGEN, &[]),
        ("TLSParameters", &TLS, &["load_system_certificates"]),
    ];
    for (key, names, flags) in known {
        if let Some(value) = scene.get(key) {
            parameters(key, value, names, flags, found);
        }
    }
    tls_flags(scene, found);
    debug_flags(scene, found);
}

/// The same words of slurmdbd's own file.
pub(super) fn of_slurmdbd(conf: &SlurmConf, found: &mut Findings) {
    let Some(value) = conf.get("TLSParameters") else { return };
    parameters("slurmdbd.conf: TLSParameters", value, &TLS, &["load_system_certificates"], found);
    if Parameters::of(Some(value)).has("load_system_certificates") {
        everybody(found, "slurmdbd.conf: TLSParameters");
    }
}

fn everybody(found: &mut Findings, place: &str) {
    found.critical(
        "load-system-certificates",
        format!("{place}: load_system_certificates lets everybody in who has a certificate of any public CA"),
        "take it out of TLSParameters, and restart the daemons",
    );
}

fn parameters(key: &str, value: &str, names: &[&str], flags: &[&str], found: &mut Findings) {
    let mut all_well = true;
    for word in Parameters::of(Some(value)).words() {
        if names.iter().any(|name| word.starts_with(name)) || flags.contains(&word) {
            continue;
        }
        all_well = false;
        if let Some((old, new)) = OBSOLETE.iter().find(|(old, _)| word.starts_with(old)) {
            let fix = format!("write {new} in {key}; {SHOW}");
            found.critical("parameter-obsolete", format!("{key}: no Slurm since 25.05.1 reads {old}"), fix);
            continue;
        }
        let what = format!("{key}: Slurm ignores \"{word}\"; a comma or blank in a path ends it");
        let fix = format!("use paths without commas and blanks, and no other words; {SHOW}");
        found.critical("parameter-unknown", what, fix);
    }
    if all_well {
        found.ok("parameters", format!("{key}: every word is known"));
    }
}

fn tls_flags(scene: &Scene, found: &mut Findings) {
    let tls = Parameters::of(scene.get("TLSParameters"));
    if tls.has("load_system_certificates") {
        everybody(found, "TLSParameters");
    } else if scene.tls_is_on() {
        found.ok("load-system-certificates", "only the CA of ca_cert_file is trusted");
    }
    if let Some(policy) = tls.get("security_policy_version").filter(|policy| *policy != POLICY) {
        found.warning(
            "tls-policy",
            format!(
                "TLSParameters: security_policy_version={policy}; certificates are judged here by {POLICY}"
            ),
            "leave security_policy_version out, unless every certificate was tried with that policy",
        );
    }
}

/// In the file and in what runs: a flag set at run time logs as much.
fn debug_flags(scene: &Scene, found: &mut Findings) {
    let places = [
        (scene.slurm_conf().and_then(|conf| conf.get("DebugFlags")), "slurm.conf"),
        (scene.running.get("DebugFlags"), "slurmctld runs with it"),
    ];
    let logs = |flags: Option<&str>| {
        flags.is_some_and(|flags| flags.split(',').any(|flag| flag.trim().eq_ignore_ascii_case("Script")))
    };
    let places: Vec<&str> = places.into_iter().filter(|(flags, _)| logs(*flags)).map(|(_, at)| at).collect();
    if places.is_empty() {
        return found.ok("debug-script", "DebugFlags has no Script: tokens and keys stay out of the logs");
    }
    found.critical(
        "debug-script",
        format!("DebugFlags=Script writes tokens, requests and private keys into the logs ({})", places.join(", ")),
        "take it out of slurm.conf and run: scontrol setdebugflags -script; then clean the logs, and make new secrets \
         with slurm-pki node token",
    );
}
