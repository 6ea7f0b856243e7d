//! The host around Slurm.

use std::fs;

use crate::healthy::Healthy;

#[test]
fn a_head_node_whose_proc_shows_arguments_is_found() {
    let well = Healthy::new();
    well.site.write("host/proc/mounts", "proc /proc proc rw,nosuid 0 0\n", 0o644);
    well.finds("hidepid", "warning");
    fs::remove_file(well.site.path("host/proc/mounts")).unwrap();
    well.finds("hidepid", "unknown");
}

#[test]
fn a_clock_that_nobody_keeps_or_nobody_has_set_is_found() {
    let well = Healthy::new();
    fs::remove_file(well.site.path("host/run/systemd/timesync/synchronized")).unwrap();
    well.finds("clock", "warning");
    well.site.write("host/proc/7/comm", "chronyd\n", 0o644);
    let look = well.look(&[]);
    assert!(look.exit == 0 && look.unseen().contains("chronyd has set the clock"), "{}", look.data);
    well.site.write("host/proc/7/comm", "bash\n", 0o644);
    well.finds("clock", "warning");
}

#[test]
fn a_ledger_of_the_future_is_found() {
    let well = Healthy::new();
    let path = well.site.path("state/ledger/last/slurmctld.json");
    let line = fs::read_to_string(&path).unwrap();
    let entry: serde_json::Value = serde_json::from_str(&line).unwrap();
    let time = entry["time"].as_i64().unwrap();
    fs::write(&path, line.replace(&format!("\"time\":{time}"), &format!("\"time\":{}", time + 7200)))
        .unwrap();
    well.finds("clock-ledger", "critical");
}

#[test]
fn audit_rules_that_log_every_argument_are_found_unless_ours_are_left_out() {
    let well = Healthy::new();
    well.folder("host/etc/audit/rules.d");
    let rules = |text: &str| well.site.write("host/etc/audit/rules.d/50-exec.rules", text, 0o600);
    rules("-a always,exit -F arch=b64 -S execve -k exec\n");
    well.finds("audit-execve", "warning");
    rules("-w /etc/passwd -p wa\n");
    well.is_well();
    let programs = well.programs.path().to_str().unwrap();
    let never = |program: &str| format!("-a never,exit -F arch=b64 -S execve -F exe={programs}/{program}\n");
    let log = "-a always,exit -F arch=b64 -S execve -k exec\n";
    rules(&(never("certgen") + &never("validate_node_token") + log));
    well.is_well();
    rules(&(log.to_owned() + &never("certgen") + &never("validate_node_token")));
    well.finds("audit-execve", "warning");
    fs::remove_file(well.site.path("host/etc/audit/rules.d/50-exec.rules")).unwrap();
    well.site.write("host/etc/audit/audit.rules", log, 0o600);
    let look = well.finds("audit-execve", "warning");
    // What it says to write is enough, as far as it goes.
    let fix = look.data["findings"].as_array().unwrap().iter().find_map(|finding| finding["fix"].as_str());
    let fix = fix.unwrap().split(": ").nth(1).unwrap().split(';').next().unwrap().replace(" and ", "\n");
    well.site.write("host/etc/audit/audit.rules", &format!("{fix}\n{log}"), 0o600);
    well.is_well();
    well.site.write("host/etc/audit/audit.rules", &format!("-w {programs} -p x -k ours\n"), 0o600);
    well.finds("audit-execve", "warning");
}

#[test]
fn a_unit_that_is_masked_does_not_count() {
    let well = Healthy::new();
    well.unit("slurmd", "");
    well.finds_among_others("unit-restart", "warning");
    // A host whose slurmd starts is a node, and has to have its token.
    well.finds_among_others("token-file", "critical");
    fs::remove_file(well.site.path("host/etc/systemd/system/slurmd.service")).unwrap();
    std::os::unix::fs::symlink("/dev/null", well.site.path("host/etc/systemd/system/slurmd.service"))
        .unwrap();
    well.is_well();
}

#[test]
fn a_unit_that_is_not_started_again_is_found() {
    let well = Healthy::new();
    well.token_of_this_host();
    for name in ["slurmctld", "slurmd", "slurmdbd"] {
        well.unit(name, "ExecStart=/usr/sbin/x\n");
        let look = well.finds("unit-restart", "warning");
        assert!(look.bad()[0].2.contains(name), "{:?}", look.bad());
        well.folder(&format!("host/etc/systemd/system/{name}.service.d"));
        let drop_in = format!("host/etc/systemd/system/{name}.service.d/restart.conf");
        well.site.write(&drop_in, "[Service]\nRestart=on-failure\n", 0o644);
        // systemd's way to switch one off.
        let masked = well.site.path(&format!("host/etc/systemd/system/{name}.service.d/other.conf"));
        let _ = std::os::unix::fs::symlink("/dev/null", masked);
        well.is_well();
    }
}

#[test]
fn a_variable_that_changes_who_a_daemon_is_is_found() {
    let well = Healthy::new();
    well.unit("slurmctld", "Restart=always\nEnvironment=\"SLURM_JWT=daemon\"\n");
    well.finds("unit-environment", "critical");
    well.unit("slurmctld", "Restart=always\nPassEnvironment=SLURM_SACK_JWKS LANG\n");
    well.finds("unit-environment", "critical");
    well.unit("slurmctld", "Restart=always\nEnvironmentFile=-/etc/default/slurmctld\n");
    well.is_well();
    well.folder("host/etc/default");
    well.site.write("host/etc/default/slurmctld", "SLURM_SACK_KEY=/etc/slurm/slurm.key\n", 0o644);
    let look = well.finds("unit-environment", "critical");
    assert!(!look.data.to_string().contains("slurm.key"), "{}", look.data);
}

#[test]
fn a_unit_whose_programs_find_another_config_is_found() {
    let well = Healthy::new();
    well.unit("slurmctld", "Restart=always\nUnsetEnvironment=SLURM_PKI_CONF\n");
    well.finds("unit-config", "warning");
}

#[test]
fn sackd_under_a_user_that_slurmctld_does_not_answer_is_found() {
    let well = Healthy::new();
    well.sackd();
    well.is_well();
    well.unit("sackd", "Restart=on-failure\nUser=daemon\n");
    well.finds("unit-user", "critical");
    well.unit("sackd", "Restart=on-failure\n");
    well.is_well();
    well.unit("sackd", "");
    well.finds("unit-restart", "warning");
}

#[test]
fn sackd_without_its_token_is_found() {
    let well = Healthy::new();
    well.sackd();
    let host = crate::scratch::text(rustix::system::uname().nodename().to_bytes());
    fs::remove_file(well.site.path(&format!("{host}_token.txt"))).unwrap();
    let look = well.finds("token-file", "critical");
    assert!(look.bad()[0].2.contains("sackd asks with it at every start"), "{:?}", look.bad());
}

#[test]
fn a_daemon_that_fetches_slurm_conf_without_knowing_the_ca_is_found() {
    let well = Healthy::new();
    well.token_of_this_host();
    let start = "Restart=always\nExecStart=/usr/sbin/slurmd --conf-server h1 $SLURMD_OPTIONS\n";
    well.unit("slurmd", start);
    well.finds("unit-ca-cert", "critical");
    let options = format!(
        "{start}Environment=\"SLURMD_OPTIONS=--ca-cert-file={} -v\"\n",
        well.site.text_path("ca_cert.pem")
    );
    well.unit("slurmd", &options);
    well.is_well();
}
