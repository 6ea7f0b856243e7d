//! Every sample: enabled, it says what `conf show` prints; disabled again, it is what it was, byte by byte.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use crate::apart::apart;
use crate::scratch::Scratch;
use crate::site::{DISABLE, ENABLE, copies, disabled, files, is_on, samples, value, with_sample};

fn names() -> Vec<String> {
    let names =
        fs::read_dir(samples()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".conf")).collect();
    names.sort();
    assert!(names.len() > 15, "{names:?}");
    names
}

/// What `conf show` prints stands in the files.
#[track_caller]
fn assert_enabled(site: &Scratch, sample: &str) {
    let files = files(site);
    let shown = site.json(&["conf", "show"], "slurm-pki.conf.show.v1");
    for (file, lines) in [("slurm.conf", &shown["slurm_conf"]), ("slurmdbd.conf", &shown["slurmdbd_conf"])] {
        for line in lines.as_array().unwrap() {
            let (key, wanted) = line.as_str().unwrap().split_once('=').unwrap();
            let is = value(&files, file, key).unwrap_or_else(|| panic!("{sample}: no {key} in {file}"));
            for parameter in wanted.split(',') {
                assert!(is.split(',').any(|is| is == parameter), "{sample}: {key}={is}, not {parameter}");
            }
        }
    }
    let flags =
        value(&files, "slurm.conf", "DebugFlags").unwrap_or_else(|| panic!("{sample}: no DebugFlags"));
    assert!(flags.split(',').any(|flag| flag.eq_ignore_ascii_case("AuditTLS")), "{sample}: {flags}");
}

#[test]
fn every_sample_is_enabled_and_comes_back_byte_by_byte() {
    apart!({
        for sample in names() {
            let site = with_sample(&sample);
            let before = files(&site);
            site.done(&ENABLE);
            let enabled = files(&site);
            assert_ne!(enabled["slurm.conf"], before["slurm.conf"], "{sample}");
            assert_enabled(&site, &sample);
            let (_, said) = site.done(&ENABLE);
            assert!(said.contains("nothing to change"), "{sample}: {said}");
            assert_eq!(files(&site), enabled, "{sample}: the second run");
            assert_eq!(copies(&site, "slurm.conf"), [before["slurm.conf"].clone()], "{sample}");
            disabled(&site, &DISABLE, is_on(&before, "tls"));
            assert_eq!(files(&site), before, "{sample}");
            site.done(&ENABLE);
            assert_eq!(files(&site), enabled, "{sample}: once more");
        }
    });
}

#[test]
fn values_of_others_stay_in_their_lists() {
    apart!({
        let site = with_sample("tls_parameters.conf");
        site.done(&ENABLE);
        let is = |key: &str| value(&files(&site), "slurm.conf", key).unwrap();
        let tls = is("TLSParameters");
        let ca_cert = format!("ca_cert_file={}", site.text_path("ca_cert.pem"));
        for parameter in ["load_system_certificates", "dbd_cert_file=/etc/slurm/dbd.pem", &ca_cert] {
            assert!(tls.split(',').any(|is| is == parameter), "{tls}");
        }
        assert!(!tls.contains("/old/ca.pem"), "{tls}");
        assert!(is("CertmgrParameters").starts_with("single_use_tokens,certificate_renewal_period=60,"));
        let text = site.read("slurm.conf");
        assert!(text.contains("\nTLSParameters=\"load_system"), "quotes stay: {text}");
    });
}

#[test]
fn a_key_is_changed_in_the_included_file_where_it_stands() {
    apart!({
        let site = with_sample("include.conf");
        site.done(&ENABLE);
        let included = site.read("tls_c1.inc");
        assert!(included.contains("\nDebugFlags=Gres,AuditTLS\t# needed by the GPU people\n"), "{included}");
        assert!(included.contains("\nTLSType = tls/s2n\n"), "{included}");
        let text = site.read("slurm.conf");
        assert!(!text.contains("TLSType") && text.contains("TLSParameters"), "{text}");
        assert_eq!(copies(&site, "tls_c1.inc").len(), 1);
        assert_eq!(copies(&site, "nodes.inc").len(), 0);
    });
}

#[test]
fn lines_keep_their_kind_of_end() {
    apart!({
        for sample in ["crlf.conf", "crlf_without_end.conf"] {
            let site = with_sample(sample);
            site.done(&ENABLE);
            let text = site.read("slurm.conf");
            assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "{sample}: {text:?}");
        }
    });
}

#[test]
fn owner_and_mode_stay_and_no_password_is_shown() {
    apart!({
        let site = with_sample("plain.conf");
        site.write("slurm.conf", &site.read("slurm.conf"), 0o640);
        let owner = site.slurm_user.1;
        std::os::unix::fs::chown(site.path("slurmdbd.conf"), Some(owner), None).unwrap();
        let group = fs::metadata(site.path("slurmdbd.conf")).unwrap().gid();
        let (shown, said) = site.done(&ENABLE);
        assert!(shown.contains("StoragePass=(not shown)"), "{shown}");
        assert!(!(shown + &said).contains("not-to-be-shown"));
        site.assert_file("slurm.conf", 0o640, crate::scratch::caller());
        site.assert_file("slurmdbd.conf", 0o600, owner);
        assert_eq!(fs::metadata(site.path("slurmdbd.conf")).unwrap().gid(), group);
    });
}

#[test]
fn the_difference_is_shown_and_a_dry_run_changes_nothing() {
    apart!({
        let site = with_sample("debug_flags.conf");
        let before = site.everything();
        let (shown, _) = site.done(&["conf", "enable", "--dry-run"]);
        assert!(shown.contains("\n-DebugFlags=NO_CONF_HASH,TLS,Gres   # TLS since"), "{shown}");
        assert!(shown.contains("\n+DebugFlags=NO_CONF_HASH,TLS,Gres,AuditTLS   # TLS since"), "{shown}");
        assert!(shown.contains("\n+TLSType=tls/s2n\n"), "{shown}");
        assert!(shown.contains(&format!("--- {}", site.text_path("slurm.conf"))), "{shown}");
        assert_eq!(site.everything(), before);
        let refused = site.refused(&["conf", "enable", "--offline"]);
        assert!(refused.contains("--yes"), "{refused}");
        assert_eq!(site.everything(), before, "nobody was there to ask");
    });
}

#[test]
fn static_pairs_need_no_certmgr() {
    apart!({
        let site = with_sample("plain.conf");
        site.done(&[&ENABLE[..], &["--static"]].concat());
        let text = site.read("slurm.conf");
        assert!(text.contains("slurmd_cert_file=") && !text.contains("Certmgr"), "{text}");
    });
}

#[test]
fn the_order_of_restarts_ends_both() {
    apart!({
        let site = with_sample("plain.conf");
        for args in [&ENABLE[..], &DISABLE[..]] {
            let (shown, _) = site.done(args);
            let place = |word: &str| {
                shown.rfind(&format!("systemctl start {word} ")).unwrap_or_else(|| panic!("{shown}"))
            };
            let places = ["slurmdbd", "slurmctld", "slurmrestd", "slurmd"].map(place);
            assert!(places.is_sorted(), "{shown}");
        }
    });
}

#[test]
fn a_foreign_generate_csr_is_pointed_out() {
    apart!({
        let enable = [&ENABLE[..], &["--programs", "/opt/slurm-pki"]].concat();
        for (bind, keeps) in [
            ("", "sign_csr refuses the requests of another (bind = \"required\")"),
            ("bind = \"required\"", "sign_csr refuses the requests of another (bind = \"required\")"),
            ("bind = \"warn\"", "sign_csr cannot tell who made the requests of another"),
        ] {
            let site = with_sample("foreign_scripts.conf");
            let config = site.read("slurm-pki.toml");
            assert!(config.contains("[controller]\n"), "{config}");
            let config = config.replace("[controller]\n", &format!("[controller]\n{bind}\n"));
            site.write("slurm-pki.toml", &config, 0o644);
            let (_, said) = site.done(&enable);
            let wanted = format!(
                "warning: slurm.conf names a foreign generate_csr_script, /opt/site/csr; \
                 /opt/slurm-pki/generate_csr takes its place: {keeps}\n"
            );
            assert!(said.contains(&wanted), "{bind}: {said}");
            let text = site.read("slurm.conf");
            assert!(text.contains("generate_csr_script=/opt/slurm-pki/generate_csr,"), "{text}");
            assert!(!text.contains("\nCertmgrParameters=get_node_token_script=/opt/site"), "{text}");
        }
        let (_, said) = with_sample("plain.conf").done(&ENABLE);
        assert!(!said.contains("foreign"), "{said}");
    });
}
