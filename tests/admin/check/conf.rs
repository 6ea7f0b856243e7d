//! slurm.conf, slurmdbd.conf, and what slurmctld runs with.

use std::fs;

use crate::healthy::Healthy;

/// Each of these changes of slurm.conf is found, and it alone; what slurmctld runs with follows the file.
#[track_caller]
fn each_is_found(code: &str, severity: &str, changes: &[(&str, &str)]) {
    let well = Healthy::new();
    for change in changes {
        well.slurm_conf(&[*change]);
        // What runs is another case.
        fs::remove_file(well.site.path("bin/scontrol")).unwrap_or_default();
        well.site.write("bin/scontrol", "#!/bin/sh\ncat /dev/null\n", 0o755);
        let look = well.finds(code, severity);
        assert!(look.bad().len() == 1, "{change:?}: {:?}", look.bad());
    }
    well.slurm_conf(&[]);
    well.is_well();
}

const PERIOD: &str = "certificate_renewal_period=1440";

#[test]
fn a_period_with_a_unit_of_nothing_or_less_is_found() {
    let with = |text: &'static str| (PERIOD, text);
    each_is_found(
        "period",
        "critical",
        &[
            with("certificate_renewal_period=1d"),
            with("certificate_renewal_period=0"),
            with("certificate_renewal_period=-1"),
            with("certificate_renewal_period=24h"),
            with("certificate_renewal_period=soon"),
        ],
    );
}

#[test]
fn a_period_that_is_too_long_for_the_validity_is_found() {
    each_is_found("period-validity", "warning", &[(PERIOD, "certificate_renewal_period=2880")]);
    each_is_found("period-validity", "critical", &[(PERIOD, "certificate_renewal_period=10081")]);
}

#[test]
fn the_default_period_counts_where_none_is_given() {
    let well = Healthy::new();
    well.slurm_conf(&[(",certificate_renewal_period=1440", "")]);
    well.scontrol("", 0);
    well.is_well();
    well.site.write("slurm-pki.toml", &(well.site.read("slurm-pki.toml") + "validity = \"4d\"\n"), 0o644);
    well.finds("period-validity", "warning");
}

#[test]
fn scripts_that_certmgr_needs_and_does_not_have_are_found() {
    let well = Healthy::new();
    let programs = well.programs.path().to_str().unwrap();
    let sign = format!("sign_csr_script={programs}/sign_csr,");
    well.slurm_conf(&[(&sign, "")]);
    well.scontrol("", 0);
    well.finds("script-missing", "critical");
    let validate = format!("validate_node_script={programs}/validate_node_token,");
    well.slurm_conf(&[(&validate, "")]);
    well.finds("script-missing", "warning");
}

#[test]
fn scripts_that_cannot_be_run_by_their_user_are_found() {
    let well = Healthy::new();
    ["sign_csr", "certgen"].iter().for_each(|name| well.programs.own(name));
    let sign = well.programs.path().join("sign_csr");
    let mode = |path: &std::path::Path, mode| {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    for bad in [0o700, 0o711, 0o644] {
        mode(&sign, bad);
        let look = well.look(&["--only", "conf"]);
        // Whoever runs this test may be SlurmUser and own the file.
        if crate::scratch::caller() == 0 || bad == 0o644 {
            assert!(look.bad().iter().all(|(code, ..)| *code == "script-run"), "{bad:o}: {:?}", look.bad());
            assert_eq!(look.exit, 2, "{bad:o}");
        }
    }
    mode(&sign, 0o755);
    let certgen = well.programs.path().join("certgen");
    mode(&certgen, 0o750);
    well.finds("script-run", "critical");
    mode(&certgen, 0o755);
    mode(well.programs.path(), 0o700);
    let look = well.finds_among_others("script-run", "critical");
    assert!(look.bad().iter().any(|(_, _, what)| what.contains("does not get through")), "{:?}", look.bad());
    mode(well.programs.path(), 0o755);
    well.is_well();
    fs::remove_file(&certgen).unwrap();
    well.finds("script-run", "critical");
}

#[test]
fn a_relative_path_is_found() {
    let well = Healthy::new();
    let folder = format!("keygen_script={}/", well.programs.path().to_str().unwrap());
    well.slurm_conf(&[(&folder, "keygen_script=")]);
    well.scontrol("", 0);
    well.finds("script-path", "critical");
}

#[test]
fn a_comma_or_a_blank_in_a_path_is_found() {
    let well = Healthy::new();
    let keygen = format!("keygen_script={}/keygen", well.programs.path().to_str().unwrap());
    well.scontrol("", 0);
    well.slurm_conf(&[(&keygen, &(keygen.clone() + ",v2"))]);
    well.finds("parameter-unknown", "critical");
    well.slurm_conf(&[(&format!("{keygen},"), &(keygen.clone() + ", "))]);
    well.finds_among_others("conf-parameter", "critical");
}

#[test]
fn names_of_the_first_manual_are_found() {
    each_is_found(
        "conf-obsolete",
        "critical",
        &[
            ("SlurmctldHost", "CertificateManagerType=certmgr/script\nSlurmctldHost"),
            ("SlurmctldHost", "CertificateManagerParameters=x=/y\nSlurmctldHost"),
        ],
    );
    each_is_found(
        "parameter-obsolete",
        "critical",
        &[
            (PERIOD, "certificate_renewal_period=1440,validate_node_token_script=/x"),
            (PERIOD, "certificate_renewal_period=1440,gen_self_signed_cert_script=/x"),
            (PERIOD, "certificate_renewal_period=1440,gen_private_key_script=/x"),
        ],
    );
}

#[test]
fn flags_and_parameters_that_stand_as_keys_are_found() {
    each_is_found(
        "conf-flag",
        "critical",
        &[
            ("SlurmctldHost", "AuditTLS=debug\nSlurmctldHost"),
            ("SlurmctldHost", "audittls=yes\nSlurmctldHost"),
        ],
    );
    each_is_found(
        "conf-parameter",
        "critical",
        &[
            ("SlurmctldHost", "certificate_renewal_period=1440\nSlurmctldHost"),
            ("SlurmctldHost", "single_use_tokens=yes\nSlurmctldHost"),
        ],
    );
}

#[test]
fn system_certificates_and_another_policy_are_found() {
    each_is_found(
        "load-system-certificates",
        "critical",
        &[("TLSParameters=", "TLSParameters=load_system_certificates,")],
    );
    each_is_found(
        "tls-policy",
        "warning",
        &[("TLSParameters=", "TLSParameters=security_policy_version=default,")],
    );
}

#[test]
fn debug_flags_that_log_secrets_are_found_in_the_file_and_in_what_runs() {
    each_is_found(
        "debug-script",
        "critical",
        &[("SlurmctldHost", "DebugFlags=AuditTLS,script\nSlurmctldHost")],
    );
    let well = Healthy::new();
    well.scontrol("DebugFlags              = Script\n", 0);
    let look = well.finds_among_others("debug-script", "critical");
    assert!(
        look.bad().iter().any(|(_, _, what)| what.contains("slurmctld runs with it")),
        "{:?}",
        look.bad()
    );
    well.slurm_conf(&[("SlurmctldHost", "DebugFlags=AuditTLS\nSlurmctldHost")]);
    well.scontrol("DebugFlags              = AuditTLS\n", 0);
    well.is_well();
}

#[test]
fn a_value_that_runs_and_is_not_in_the_file_is_found_and_a_silent_slurmctld_is_unknown() {
    let well = Healthy::new();
    well.scontrol("TLSType                 = (null)\nCertmgrType             = certmgr/script\n", 0);
    let look = well.finds("running", "warning");
    assert!(look.bad()[0].2.contains("TLSType=(null)"), "{:?}", look.bad());
    well.scontrol("DebugFlags              = AuditTLS\n", 0);
    let look = well.finds("running", "warning");
    assert!(look.data.to_string().contains("scontrol setdebugflags -FLAG"), "{}", look.data);
    well.scontrol("slurm_load_ctl_conf error: Unable to contact slurm controller\n", 1);
    well.finds("running", "unknown");
    fs::remove_file(well.site.path("bin/scontrol")).unwrap();
    let mut command = well.command(&["--no-rehearsal", "--json"]);
    let output = command.env("PATH", well.site.path("bin")).output().unwrap();
    let look = crate::healthy::Look::of(&output);
    assert!(look.exit == 0 && look.unseen().contains("scontrol cannot be run"), "{}", look.data);
}

#[test]
fn tls_that_is_off_or_of_another_kind_is_found() {
    each_is_found("tls-off", "warning", &[("TLSType=tls/s2n", "TLSType=tls/none")]);
    let well = Healthy::new();
    well.slurm_conf(&[("TLSType=tls/s2n", "TLSType=tls/openssl")]);
    well.scontrol("", 0);
    well.finds("tls-type", "critical");
}

#[test]
fn plugins_that_are_not_there_are_found() {
    let well = Healthy::new();
    for plugin in ["tls_s2n.so", "certmgr_script.so", "certgen_script.so"] {
        fs::remove_file(well.site.path(&format!("plugins/{plugin}"))).unwrap();
        let look = well.finds("plugin", "critical");
        assert!(look.bad()[0].2.contains(plugin), "{:?}", look.bad());
        well.site.write(&format!("plugins/{plugin}"), "", 0o755);
    }
    well.is_well();
}

#[test]
fn slurm_conf_and_slurmdbd_conf_that_do_not_agree_are_found() {
    let well = Healthy::new();
    well.site.write("slurmdbd.conf", "DbdHost=h1\n", 0o600);
    well.finds("dbd-tls", "critical");
    well.site.done(&["cert", "issue", "dbd"]);
    well.site.write("slurmdbd.conf", "DbdHost=h1\nTLSType=tls/s2n\n", 0o600);
    well.is_well();
    let all = "DbdHost=h1\nTLSType=tls/s2n\nTLSParameters=load_system_certificates\n";
    well.site.write("slurmdbd.conf", all, 0o600);
    well.finds("load-system-certificates", "critical");
    let word = "DbdHost=h1\nTLSType=tls/s2n\nTLSParameters=dbd_cert=/x\n";
    well.site.write("slurmdbd.conf", word, 0o600);
    well.finds("parameter-unknown", "critical");
    well.site.write("slurmdbd.conf", "DbdHost=h1\nTLSType=tls/s2n\n", 0o600);
    well.slurm_conf(&[("TLSType=tls/s2n\n", "")]);
    well.scontrol("", 0);
    well.finds_among_others("dbd-tls", "critical");
}

#[test]
fn slurmdbds_own_host_needs_no_slurm_conf() {
    let well = Healthy::new();
    well.scontrol("", 1);
    well.site.done(&["cert", "issue", "dbd"]);
    fs::remove_file(well.site.path("slurm.conf")).unwrap();
    fs::remove_dir_all(well.site.path("state")).unwrap();
    well.site.write("slurmdbd.conf", "DbdHost=h1\nTLSType=tls/s2n\n", 0o600);
    let look = well.look(&[]);
    assert!(look.exit == 0 && look.has("pair-accepted"), "{:?} {}", look.bad(), look.data);
    assert!(look.unseen().contains("only slurmdbd's own file"), "{}", look.data);
    fs::remove_file(well.site.path("dbd_cert.pem")).unwrap();
    fs::remove_file(well.site.path("dbd_cert_key.pem")).unwrap();
    well.finds("pair-missing", "critical");
}

#[test]
fn files_of_slurms_that_are_not_kept_here_are_found() {
    let well = Healthy::new();
    let ctld = well.site.text_path("ctld_cert.pem");
    for name in ["ctld_cert.pem", "ctld_cert_key.pem"] {
        let copy = well.site.text_path(&format!("other_{name}"));
        fs::copy(well.site.path(name), &copy).unwrap();
        well.mode(&format!("other_{name}"), 0o600);
        std::os::unix::fs::chown(&copy, Some(well.site.slurm_user.1), None).unwrap();
    }
    well.scontrol("", 0);
    well.slurm_conf(&[(&ctld, &well.site.text_path("other_ctld_cert.pem"))]);
    well.finds("tls-file", "warning");
}

#[test]
fn relative_files_are_found_and_worse_where_hosts_are_configless() {
    let well = Healthy::new();
    let folder = well.site.text_path("");
    well.scontrol("", 0);
    well.slurm_conf(&[(&format!("ca_cert_file={folder}"), "ca_cert_file=")]);
    well.finds("tls-path", "warning");
    let configless = ("SlurmctldHost", "SlurmctldParameters=enable_configless\nSlurmctldHost");
    well.slurm_conf(&[(&format!("ca_cert_file={folder}"), "ca_cert_file="), configless]);
    well.finds("tls-path", "critical");
    let named = format!("ca_cert_file={folder}ca_cert.pem,");
    well.slurm_conf(&[(&named, ""), configless]);
    well.finds("tls-path", "critical");
    well.slurm_conf(&[configless]);
    well.is_well();
}

#[test]
fn single_use_tokens_beside_sackd_are_found() {
    let well = Healthy::new();
    well.slurm_conf(&[(PERIOD, "certificate_renewal_period=1440,single_use_tokens")]);
    well.scontrol("", 0);
    well.is_well();
    let config = well.site.read("slurm-pki.toml");
    well.site.write("slurm-pki.toml", &format!("{config}\n[fleet]\nsackd = \"login[1-2]\"\n"), 0o644);
    well.finds("single-use-sackd", "critical");
    well.site.write("slurm-pki.toml", &config, 0o644);
    well.sackd();
    well.finds("single-use-sackd", "critical");
}

#[test]
fn a_login_host_whose_own_token_is_for_a_single_use_is_found() {
    let well = Healthy::new();
    well.site.done(&["node", "add", "login[1-2]", "--single-use"]);
    well.is_well();
    let config = well.site.read("slurm-pki.toml");
    well.site.write("slurm-pki.toml", &format!("{config}\n[fleet]\nsackd = \"login1\"\n"), 0o644);
    let look = well.finds("single-use-sackd", "critical");
    assert!(look.bad()[0].2.contains("login1"), "{:?}", look.bad());
}

#[test]
fn a_replay_window_that_is_shorter_than_slurms_patience_is_found() {
    each_is_found("replay-window", "warning", &[("SlurmctldHost", "MessageTimeout=361\nSlurmctldHost")]);
}

#[test]
fn requests_that_nobody_binds_are_found() {
    let well = Healthy::new();
    let ours = format!("{}/generate_csr", well.programs.path().to_str().unwrap());
    well.programs.write("site_csr.sh", "exit 0");
    let foreign = format!("{}/site_csr.sh", well.programs.path().to_str().unwrap());
    well.slurm_conf(&[(&ours, &foreign)]);
    well.scontrol("", 0);
    well.finds("generate-csr", "critical");
    let config = well.site.read("slurm-pki.toml");
    well.site.write("slurm-pki.toml", &format!("{config}\nbind = \"warn\"\n"), 0o644);
    well.finds("generate-csr", "warning");
    well.site.write("slurm-pki.toml", &format!("{config}\nbind = \"off\"\n"), 0o644);
    well.slurm_conf(&[]);
    well.finds("bind-off", "warning");
}

#[test]
fn a_key_program_that_does_not_know_the_key_of_the_request_is_found() {
    let well = Healthy::new();
    let ours = format!("{}/get_cert_key", well.programs.path().to_str().unwrap());
    well.programs.write("site_key.sh", "exit 0");
    well.slurm_conf(&[(&ours, &format!("{}/site_key.sh", well.programs.path().to_str().unwrap()))]);
    well.scontrol("", 0);
    well.is_well();
    let config = well.site.read("slurm-pki.toml");
    well.site.write("slurm-pki.toml", &format!("{config}\n[node]\nrenew_key = true\n"), 0o644);
    let look = well.finds("get-cert-key", "critical");
    assert!(look.bad()[0].2.contains("slurmd crashes"), "{:?}", look.bad());
    well.site.write("slurm-pki.toml", &format!("{config}\n[node]\nrenew_key = false\n"), 0o644);
    well.is_well();
}

#[test]
fn a_life_that_others_decide_on_is_not_judged() {
    let well = Healthy::new();
    let ours = format!("{}/sign_csr", well.programs.path().to_str().unwrap());
    well.programs.write("site_sign.sh", "exit 0");
    let foreign = format!("{}/site_sign.sh", well.programs.path().to_str().unwrap());
    well.slurm_conf(&[(&ours, &foreign), (PERIOD, "certificate_renewal_period=2880")]);
    well.scontrol("", 0);
    let look = well.look(&[]);
    assert!(look.exit == 0 && look.unseen().contains("outlive 5 renewals"), "{:?} {}", look.bad(), look.data);
}

#[test]
fn a_host_where_nothing_is_kept_is_not_told_where_a_controller_keeps_it() {
    let well = Healthy::new();
    fs::remove_dir_all(well.site.path("state")).unwrap();
    fs::copy(well.site.path("ca_cert.pem"), well.site.path("other_ca.pem")).unwrap();
    let own = format!("ca_cert_file={}", well.site.text_path("ca_cert.pem"));
    let other = format!("ca_cert_file={}", well.site.text_path("other_ca.pem"));
    // Its own config may not say how long certificates live, either.
    well.slurm_conf(&[(&own, &other), (PERIOD, "certificate_renewal_period=2880")]);
    let look = well.look(&["--only", "conf,ca"]);
    assert!(look.exit == 0 && look.has("period"), "{:?} {}", look.bad(), look.data);
    fs::remove_file(well.site.path("other_ca.pem")).unwrap();
    let look = well.look(&["--only", "ca"]);
    assert!(
        look.exit == 2 && look.bad()[0].0 == "ca-cert",
        "what Slurm does not load is no help: {}",
        look.data
    );
}

#[test]
fn slurms_own_certgen_is_found() {
    let well = Healthy::new();
    let programs = well.programs.path().to_str().unwrap();
    let line =
        format!("CertgenParameters=keygen_script={programs}/keygen,certgen_script={programs}/certgen\n");
    well.slurm_conf(&[(&line, "")]);
    well.scontrol("", 0);
    well.finds("certgen", "warning");
}

#[test]
fn no_slurm_conf_at_all_is_unknown() {
    let well = Healthy::new();
    fs::remove_file(well.site.path("slurm.conf")).unwrap();
    well.scontrol("", 1);
    well.finds_among_others("slurm-conf", "unknown");
}

#[test]
fn a_slurm_that_is_too_old_is_found() {
    let well = Healthy::new();
    well.scontrol("SLURM_VERSION           = 25.05.0\n", 0);
    well.finds("slurm-version", "critical");
    well.scontrol("SLURM_VERSION           = 25.05.1\n", 0);
    well.is_well();
}

#[test]
fn node_lines_that_mean_nothing_are_found() {
    let well = Healthy::new();
    well.scontrol("", 0);
    well.slurm_conf(&[("SlurmctldHost", "NodeName=n[1-\nSlurmctldHost")]);
    well.finds("slurm-hosts", "unknown");
}
