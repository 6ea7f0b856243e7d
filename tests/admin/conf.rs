//! `slurm-pki conf show`.

use crate::scratch::Scratch;

const PROGRAMS: [&str; 2] = ["--programs", "/opt/slurm-pki"];

fn lines(site: &Scratch, more: &[&str]) -> serde_json::Value {
    site.json(&[&["conf", "show"], &PROGRAMS[..], more].concat(), "slurm-pki.conf.show.v1")
}

#[test]
fn the_lines_are_exactly_those_that_slurm_reads() {
    let site = Scratch::ready();
    let f = site.text_path("");
    let shown = lines(&site, &[]);
    let pair = |d: &str| format!("{d}_cert_file={f}{d}_cert.pem,{d}_cert_key_file={f}{d}_cert_key.pem");
    let wanted = [
        "TLSType=tls/s2n".to_owned(),
        format!("TLSParameters=ca_cert_file={f}ca_cert.pem,{}", pair("ctld")),
        "CertgenType=certgen/script".into(),
        "CertgenParameters=keygen_script=/opt/slurm-pki/keygen,certgen_script=/opt/slurm-pki/certgen".into(),
        "CertmgrType=certmgr/script".into(),
        "CertmgrParameters=get_node_token_script=/opt/slurm-pki/get_node_token,\
         generate_csr_script=/opt/slurm-pki/generate_csr,get_node_cert_key_script=/opt/slurm-pki/get_cert_key,\
         validate_node_script=/opt/slurm-pki/validate_node_token,sign_csr_script=/opt/slurm-pki/sign_csr,\
         certificate_renewal_period=1440"
            .into(),
    ];
    assert_eq!(shown["slurm_conf"], serde_json::json!(wanted));
    let dbd = format!("TLSParameters=ca_cert_file={f}ca_cert.pem,{}", pair("dbd"));
    assert_eq!(shown["slurmdbd_conf"], serde_json::json!(["TLSType=tls/s2n", dbd]));
    let option = format!("--ca-cert-file={f}ca_cert.pem");
    assert_eq!((&shown["slurmd_options"], &shown["sackd_options"]), (&option.clone().into(), &option.into()));
    assert_eq!(shown["environment"], format!("SLURM_PKI_CONF={f}slurm-pki.toml"));
    let (text, _) = site.done(&[&["conf", "show"], &PROGRAMS[..]].concat());
    assert!(wanted.iter().all(|line| text.lines().any(|is| is == line)), "{text}");
    assert!(text.contains("AuditTLS"), "{text}");
}

#[test]
fn without_certmgr_every_daemon_has_its_pair() {
    let site = Scratch::ready();
    site.done(&["cert", "issue", "restd"]);
    let shown = lines(&site, &["--static"]);
    let text = shown["slurm_conf"].to_string();
    for part in ["restd_cert_file=", "slurmd_cert_file=", "slurmd_cert_key_file=", "sackd_cert_key_file="] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("Certmgr") && text.contains("CertgenParameters"), "{text}");
}

#[test]
fn a_short_life_gets_a_shorter_period_and_a_warning() {
    let site = Scratch::ready();
    site.write("slurm-pki.toml", &(site.read("slurm-pki.toml") + "validity = \"48h\"\n"), 0o644);
    let (text, said) = site.done(&["conf", "show"]);
    assert!(text.contains("certificate_renewal_period=576\n"), "{text}");
    assert!(said.contains("slurm-pki: warning: validity"), "{said}");
}

#[test]
fn a_path_that_slurm_would_split_is_refused() {
    let site = Scratch::ready();
    for folder in ["/a,b", "/a b", "relative"] {
        let said = site.refused(&["conf", "show", "--programs", folder]);
        assert!(said.contains("cannot stand in slurm.conf"), "{said}");
    }
}

#[test]
fn a_static_pair_that_would_keep_slurmd_from_certmgr_is_pointed_out() {
    let site = Scratch::ready();
    site.write("slurmd_cert.pem", "anything", 0o644);
    let warnings = lines(&site, &[])["warnings"].to_string();
    assert!(warnings.contains("slurmd_cert.pem"), "{warnings}");
}

#[test]
fn programs_that_are_not_there_are_pointed_out() {
    let site = Scratch::ready();
    let warnings = lines(&site, &[])["warnings"].to_string();
    assert!(warnings.contains("/opt/slurm-pki does not have all seven"), "{warnings}");
}
