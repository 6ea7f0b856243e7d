//! Keys that are none: names of 25.05.0's manual, flags and parameters that stand alone. Slurm's daemons do not start
//! with an unknown key.

use super::super::finding::Findings;
use super::super::scene::Scene;
use super::SHOW;

/// Names that 25.05.0's manual had and its code did not (docs/slurm-contract.md 1.2), and what to write.
const OBSOLETE: [(&str, &str); 2] =
    [("CertificateManagerType", "CertmgrType"), ("CertificateManagerParameters", "CertmgrParameters")];

/// Flags of DebugFlags that people write as keys.
const FLAGS: [&str; 4] = ["AuditTLS", "AuditRPCs", "TLS", "Script"];

/// Parameters, and the key whose value they belong into.
const PARAMETERS: [(&str, &str); 14] = [
    ("get_node_token_script", "CertmgrParameters"),
    ("generate_csr_script", "CertmgrParameters"),
    ("get_node_cert_key_script", "CertmgrParameters"),
    ("validate_node_script", "CertmgrParameters"),
    ("validate_node_token_script", "CertmgrParameters"),
    ("sign_csr_script", "CertmgrParameters"),
    ("certificate_renewal_period", "CertmgrParameters"),
    ("single_use_tokens", "CertmgrParameters"),
    ("keygen_script", "CertgenParameters"),
    ("certgen_script", "CertgenParameters"),
    ("ca_cert_file", "TLSParameters"),
    ("ctld_cert_file", "TLSParameters"),
    ("ctld_cert_key_file", "TLSParameters"),
    ("load_system_certificates", "TLSParameters"),
];

/// Looks at what is no key of slurm.conf.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    let Some(conf) = scene.slurm_conf() else { return };
    let mut all_well = true;
    let mut bad = |found: &mut Findings, code, what: String, fix: String| {
        all_well = false;
        found.critical(code, what, fix);
    };
    for (old, new) in OBSOLETE.into_iter().filter(|(old, _)| conf.get(old).is_some()) {
        let what = format!("{old} is a name of 25.05.0's manual that no Slurm reads");
        bad(found, "conf-obsolete", what, format!("write {new} in {}; {SHOW}", conf.path().display()));
    }
    for flag in FLAGS {
        if let Some(value) = conf.get(flag) {
            let what = format!("{flag}={value} is no key: {flag} is a flag of DebugFlags");
            bad(found, "conf-flag", what, format!("write DebugFlags={flag} in {}", conf.path().display()));
        }
    }
    for (name, key) in PARAMETERS.into_iter().filter(|(name, _)| conf.get(name).is_some()) {
        let what = format!("{name}= stands alone, or after a blank: it belongs into {key}");
        bad(found, "conf-parameter", what, format!("put it into {key}, without blanks; {SHOW}"));
    }
    if all_well {
        found.ok("conf-keys", "no flag, parameter or obsolete name stands where a key should");
    }
}
