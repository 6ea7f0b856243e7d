//! What a person, Nagios and a script get to see.

use std::fs;

use crate::healthy::{Healthy, Look};
use crate::scratch::text;

#[test]
fn a_site_where_all_is_well_is_ok_with_a_count_and_the_rehearsal_of_this_controller() {
    let well = Healthy::new();
    let output = well.run(&[]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    let first = said.lines().next().unwrap();
    assert!(first.starts_with("SLURM-PKI OK - ") && first.contains(" ok (controller)"), "{first}");
    assert!(!said.contains("fix:"), "{said}");
    let all = text(&well.run(&["--all"]).stdout);
    assert!(all.contains("ok        rehearsal: slurmctld: sign_csr CSR"), "{all}");
    let without = Look::of(&well.run(&["--no-rehearsal", "--json"]));
    assert!(!without.has("rehearsal") && without.unseen().contains("rehearsal"), "{}", without.data);
}

#[test]
fn findings_are_a_summary_line_then_a_line_each_with_what_to_do_the_worst_first() {
    let well = Healthy::new();
    well.site.write("host/proc/mounts", "proc /proc proc rw 0 0\n", 0o644);
    well.slurm_conf(&[("certificate_renewal_period=1440", "certificate_renewal_period=1d")]);
    let output = well.run(&["--no-rehearsal"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("SLURM-PKI CRITICAL - 1 critical, 2 warnings, "), "{said}");
    assert!(lines[0].contains(": period: certificate_renewal_period=1d is read as 1 min"), "{said}");
    assert!(lines[1].starts_with("critical  period: ") && lines[2].starts_with("          fix: "), "{said}");
    assert!(lines[3].starts_with("warning   ") && !said.contains('\x1b'), "{said}");
    let quiet = text(&well.run(&["--no-rehearsal", "--quiet"]).stdout);
    assert_eq!(quiet.lines().count(), 1, "{quiet}");
}

#[test]
fn a_risk_that_the_site_takes_does_not_count_and_is_told() {
    let well = Healthy::new();
    well.site.write("host/proc/mounts", "proc /proc proc rw 0 0\n", 0o644);
    well.finds("hidepid", "warning");
    let output = well.run(&["--no-rehearsal", "--skip", "hidepid"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.lines().next().unwrap().contains("1 left out"), "{said}");
    assert!(said.contains("left out by --skip hidepid: "), "{said}");
}

#[test]
fn only_the_wanted_parts_are_looked_at() {
    let well = Healthy::new();
    well.site.write("host/proc/mounts", "proc /proc proc rw 0 0\n", 0o644);
    let look = well.look(&["--only", "conf,ca"]);
    assert!(look.exit == 0 && look.has("ca-key") && look.has("period"), "{:?}", look.bad());
    assert!(!look.has("hidepid") && !look.has("pair"));
    let conf = well.site.command(&well.programs.path().join("slurm-pki"));
    let mut conf = conf;
    let output = conf.args(["conf", "check", "--json"]).output().unwrap();
    let look = Look::of(&output);
    assert!(look.exit == 0 && look.has("period") && !look.has("ca-key"), "{:?}", look.bad());
    well.slurm_conf(&[("TLSType=tls/s2n", "TLSType=tls/none")]);
    well.scontrol("", 0);
    for (more, exit) in [(&["--all"][..], 1), (&["--skip", "tls-off"], 0)] {
        let mut conf = well.site.command(&well.programs.path().join("slurm-pki"));
        let output = conf.args(["conf", "check"]).args(more).output().unwrap();
        assert_eq!(output.status.code(), Some(exit), "{}", text(&output.stdout));
    }
}

#[test]
fn wrong_usage_is_unknown_to_a_monitor() {
    let well = Healthy::new();
    for args in [
        &["--only", "nonsense"][..],
        &["--warn", "soon"],
        &["--warn", "1d", "--critical", "2d"],
        &["--node", "10.0.0.1"],
        &["--timeout", "0"],
        &["--nonsense"],
    ] {
        assert_eq!(well.run(args).status.code(), Some(3), "{args:?}");
    }
}

#[test]
fn a_config_that_cannot_be_used_is_critical_and_says_what_was_not_looked_at() {
    let well = Healthy::new();
    let config = well.site.read("slurm-pki.toml");
    for (broken, mode) in [(format!("{config}\ncolour = 1\n"), 0o644), (config.clone(), 0o666)] {
        well.site.write("slurm-pki.toml", &broken, mode);
        let look = well.finds("config", "critical");
        assert!(look.unseen().contains("everything else"), "{}", look.data);
    }
    well.site.write("slurm-pki.toml", &config, 0o644);
    well.is_well();
    fs::remove_file(well.site.path("slurm-pki.toml")).unwrap();
    well.finds("config", "critical");
}

#[test]
fn a_rehearsal_that_fails_is_critical() {
    let well = Healthy::new();
    well.programs.replace("sign_csr", "echo out of order; exit 1");
    let output = well.run(&["--json", "--only", "rehearsal"]);
    let look = Look::of(&output);
    let bad = look.bad();
    assert!(look.exit == 2 && bad[0].0 == "rehearsal" && bad[0].2.contains("out of order"), "{bad:?}");
}

#[test]
fn nothing_is_changed() {
    let well = Healthy::new();
    let before = well.site.everything();
    well.look(&[]);
    assert_eq!(well.site.everything(), before);
}

#[test]
fn who_may_not_look_is_told_so_and_gets_no_ok() {
    let well = Healthy::new();
    // What a host may hide from its users: the rules of auditd, a unit with a secret, processes, slurmdbd.conf.
    well.folder("host/etc/audit/rules.d");
    well.mode("host/etc/audit/rules.d", 0o700);
    well.mode("host/etc/systemd/system/slurmctld.service", 0o600);
    fs::remove_dir_all(well.site.path("host/proc/1")).unwrap();
    fs::remove_dir_all(well.site.path("host/proc/7")).unwrap();
    fs::remove_dir_all(well.site.path("host/run/systemd")).unwrap();
    well.site.write("slurmdbd.conf", "DbdHost=h1\nTLSType=tls/s2n\n", 0o600);
    let Some(look) = well.as_nobody(&[]) else { return };
    assert_eq!(look.exit, 3, "{}", look.data);
    let bad = look.bad();
    assert!(bad.iter().all(|(_, severity, _)| *severity == "unknown"), "{bad:?}");
    for code in [
        "ca-chain",
        "pair",
        "ledger-write",
        "state-files",
        "rehearsal",
        "audit-execve",
        "unit",
        "clock",
        "dbd-tls",
    ] {
        assert!(bad.iter().any(|(is, ..)| *is == code), "{code}: {bad:?}");
    }
}

#[test]
fn a_pair_in_a_folder_that_this_user_may_not_look_into_is_not_missing() {
    let well = Healthy::new();
    well.folder("closed");
    let mut changes = Vec::new();
    for name in ["ctld_cert.pem", "ctld_cert_key.pem"] {
        let moved = well.site.text_path(&format!("closed/{name}"));
        fs::copy(well.site.path(name), &moved).unwrap();
        changes.push((well.site.text_path(name), moved));
    }
    let changes: Vec<(&str, &str)> = changes.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    well.slurm_conf(&changes);
    well.mode("closed", 0o700);
    let Some(look) = well.as_nobody(&["--only", "files"]) else { return };
    let bad = look.bad();
    assert!(bad.iter().any(|(code, ..)| *code == "pair") && look.exit == 3, "{bad:?}");
}

#[test]
fn the_document_has_these_members_and_no_others() {
    let keys = |value: &serde_json::Value| {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys.join(" ")
    };
    let well = Healthy::new();
    well.site.write("host/proc/mounts", "proc /proc proc rw 0 0\n", 0o644);
    let look = well.look(&["--only", "host", "--skip", "hidepid"]);
    assert_eq!(keys(&look.data), "critical findings host not_looked_at ok skipped state unknown warning");
    assert_eq!(keys(&look.data["host"]), "controller node sackd");
    for list in ["findings", "skipped"] {
        assert_eq!(keys(&look.data[list][0]), "code fix group severity what");
    }
    assert_eq!((look.data["state"].as_str(), look.data["warning"].as_u64()), (Some("ok"), Some(0)));
}

#[test]
fn a_static_pair_of_slurmds_that_this_user_may_not_see_is_not_missing() {
    let well = Healthy::new();
    well.folder("closed");
    let ca = format!("ca_cert_file={}", well.site.text_path("ca_cert.pem"));
    let pair = format!("{ca},slurmd_cert_file={}", well.site.text_path("closed/slurmd.pem"));
    well.slurm_conf(&[("CertmgrType=certmgr/script\n", ""), (&ca, &pair)]);
    let look = well.look(&["--only", "conf", "--node", "n1"]);
    assert!(look.bad().iter().any(|(code, ..)| *code == "certmgr-type"), "{:?}", look.bad());
    well.mode("closed", 0o700);
    let Some(look) = well.as_nobody(&["--only", "conf", "--node", "n1"]) else { return };
    assert!(!look.bad().iter().any(|(code, ..)| *code == "certmgr-type"), "{:?}", look.bad());
}

#[test]
fn a_silent_scontrol_does_not_keep_the_rest_from_being_looked_at() {
    let well = Healthy::new();
    well.site.write("bin/scontrol", "#!/bin/sh\nexec sleep 600\n", 0o755);
    let look = well.look(&["--timeout", "8"]);
    let bad = look.bad();
    assert!(bad.len() == 1 && bad[0].0 == "running" && bad[0].2.contains("longer than 4s"), "{bad:?}");
    assert!(look.exit == 3 && look.has("ca-key") && look.has("hidepid"), "{}", look.data);
}

#[test]
fn what_hangs_is_told_in_time_with_what_was_found_before_and_leaves_no_program_behind() {
    let well = Healthy::two_controllers();
    well.reach_hangs();
    let look = well.look(&["--fleet", "--timeout", "4s", "--skip", "state-local"]);
    let bad = look.bad();
    assert!(bad.len() == 1 && bad[0].0 == "time-limit" && bad[0].2.contains("fleet"), "{bad:?}");
    assert!(look.exit == 3 && look.has("ca-key"), "{}", look.data);
    assert_eq!(look.data["host"]["controller"], true);
    assert!(well.is_gone());
}

/// It says what it runs with, and not how its nodes are: the time for both is one.
#[test]
fn a_slurmctld_that_stops_answering_costs_no_more_time_and_leaves_no_program_behind() {
    let well = Healthy::new();
    let (pid, running) = (well.site.text_path("pid"), well.site.text_path("running"));
    let script = format!(
        "#!/bin/sh\n[ \"$*\" = 'show config' ] && sleep 1 && exec cat {running}\necho $$ >{pid}\nexec sleep 600\n"
    );
    well.site.write("bin/scontrol", &script, 0o755);
    let look = well.look(&["--timeout", "16"]);
    let unseen = look.unseen();
    // Of the eight seconds for both, one was gone.
    let waited = |seconds| format!("scontrol show nodes --json was killed: it took longer than {seconds}s");
    assert!((0..7).any(|seconds| unseen.contains(&waited(seconds))), "{unseen}");
    assert!(look.exit == 0 && look.has("hidepid") && well.is_gone(), "{}", look.data);
}

#[test]
fn a_controller_that_lost_its_state_is_still_one() {
    let well = Healthy::new();
    fs::remove_dir_all(well.site.path("state")).unwrap();
    let host = text(rustix::system::uname().nodename().to_bytes());
    well.slurm_conf(&[("SlurmctldHost=h1(10.0.0.1)", &format!("SlurmctldHost={host}"))]);
    well.scontrol("", 0);
    let look = well.finds_among_others("state-folder", "critical");
    assert_eq!(look.data["host"]["controller"], true);
}
