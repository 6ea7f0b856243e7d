//! What daemons load, and what the programs read and write.

use std::fs;
use std::os::unix::fs::chown;

use pki::key::{KeyKind, PrivateKey};
use support::site::{new_ca, now};

use crate::healthy::{DAY, Healthy, OldCa};
use crate::scratch::caller;

impl Healthy {
    /// Puts files of others in the place of slurmctld's.
    fn ctld(&self, cert: &str, key: &[u8]) {
        for (name, contents) in [("ctld_cert.pem", cert.as_bytes()), ("ctld_cert_key.pem", key)] {
            let _ = fs::remove_file(self.site.path(name));
            fs::write(self.site.path(name), contents).unwrap();
            chown(self.site.path(name), Some(self.site.slurm_user.1), None).unwrap();
        }
        self.mode("ctld_cert.pem", 0o644);
        self.mode("ctld_cert_key.pem", 0o600);
    }
}

#[test]
fn a_pair_that_does_not_fit_is_not_trusted_or_is_not_there_is_found() {
    let well = Healthy::new();
    let cert = well.site.read("ctld_cert.pem");
    let other = PrivateKey::generate(KeyKind::P256).unwrap().to_pem();
    well.ctld(&cert, other.expose());
    let look = well.finds("pair", "critical");
    assert!(look.bad()[0].2.contains("does not belong"), "{:?}", look.bad());
    let (cert, key) = new_ca("slurmctld", now().minus(DAY), now().plus(300 * DAY));
    well.ctld(&cert, &key);
    well.finds("pair-accepted", "critical");
    fs::remove_file(well.site.path("ctld_cert_key.pem")).unwrap();
    well.finds("pair", "critical");
    fs::remove_file(well.site.path("ctld_cert.pem")).unwrap();
    well.finds("pair-missing", "critical");
}

#[test]
fn a_certificate_for_servers_alone_and_one_for_an_address_are_found() {
    let well = Healthy::new();
    let openssl = |subject: &str, extensions: &str| {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(well.site.path("ca_cert.pem"), folder.path().join("ca.pem")).unwrap();
        fs::copy(well.site.path("state/ca/ca_key.pem"), folder.path().join("ca.key")).unwrap();
        fs::write(folder.path().join("ext"), extensions).unwrap();
        let script = format!(
            "openssl ecparam -name prime256v1 -genkey -noout -out key.pem && \
             openssl req -new -key key.pem -subj {subject} -out csr.pem && \
             openssl x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -days 300 -extfile ext -out cert.pem"
        );
        let mut shell = std::process::Command::new("sh");
        let output = shell.args(["-c", &script]).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", crate::scratch::text(&output.stderr));
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        well.ctld(&read("cert.pem"), read("key.pem").as_bytes());
    };
    openssl("/CN=slurmctld", "subjectAltName=DNS:h1\nextendedKeyUsage=serverAuth\n");
    let look = well.finds("pair-accepted", "critical");
    assert!(look.bad()[0].2.contains("server and client"), "{:?}", look.bad());
    openssl("/CN=10.0.0.1", "basicConstraints=CA:FALSE\n");
    let look = well.finds("pair", "critical");
    assert!(look.bad()[0].2.contains("IP address"), "{:?}", look.bad());
    openssl("/CN=slurmctld", "subjectAltName=DNS:h1\nextendedKeyUsage=serverAuth,clientAuth\n");
    well.is_well();
}

#[test]
fn owner_and_mode_are_judged_as_slurm_does_and_more_strictly_for_keys() {
    let well = Healthy::new();
    let uid = well.site.slurm_user.1;
    let (cert, key) = ("ctld_cert.pem", "ctld_cert_key.pem");
    for (path, mode, severity) in [
        (key, 0o604, "critical"),
        (key, 0o601, "critical"),
        (key, 0o640, "warning"),
        (cert, 0o646, "critical"),
        (cert, 0o645, "critical"),
    ] {
        well.mode(path, mode);
        well.finds("pair-mode", severity);
        well.mode(path, if path == key { 0o600 } else { 0o644 });
    }
    well.mode(cert, 0o600);
    well.is_well();
    if caller() == 0 {
        for (owner, why) in [(0, "cannot read it"), (12_345, "belongs to uid")] {
            chown(well.site.path(key), Some(owner), None).unwrap();
            let look = well.finds("pair-mode", "critical");
            assert!(look.bad()[0].2.contains(why), "{:?}", look.bad());
        }
        chown(well.site.path(key), Some(uid), None).unwrap();
        well.is_well();
        // Root's, and SlurmUser's group reads it: slurmctld cannot change its own key.
        let group = std::process::Command::new("id").args(["-g", &well.site.slurm_user.0]).output().unwrap();
        let group = crate::scratch::text(&group.stdout).trim().parse().unwrap();
        chown(well.site.path(key), Some(0), Some(group)).unwrap();
        well.mode(key, 0o640);
        well.is_well();
        well.mode(key, 0o660);
        well.finds("pair-mode", "warning");
    }
}

#[test]
fn a_certificate_near_its_end_or_past_it_is_found() {
    let well = Healthy::new();
    let ca = OldCa::new();
    well.site.write("ca_cert.pem", &(well.site.read("ca_cert.pem") + &ca.pem), 0o644);
    let severity = |begins: u32, life: u32, args: &[&str]| {
        let (cert, key) = ca.issue("slurmctld", now().minus(begins * DAY), life * DAY);
        well.ctld(&cert, key.to_pem().expose());
        let look = well.look(&[&["--only", "files"], args].concat());
        let bad: Vec<String> = look.bad().iter().map(|(code, bad, _)| format!("{code} {bad}")).collect();
        bad.join(", ")
    };
    assert_eq!(severity(60, 120, &[]), "");
    assert_eq!(severity(100, 120, &[]), "pair-expiry warning");
    assert_eq!(severity(114, 120, &[]), "pair-expiry critical");
    assert_eq!(severity(121, 120, &[]), "pair-expiry critical");
    // No month's warning for what lives a week: the last quarter of it, and the last tenth.
    assert_eq!(severity(5, 7, &["--warn", "99y"]), "");
    assert_eq!(severity(6, 7, &[]), "pair-expiry warning");
    assert_eq!(severity(99, 100, &["--warn", "12h", "--critical", "1h"]), "");
}

#[test]
fn a_pair_of_slurmds_that_keeps_it_from_certmgr_is_found() {
    let well = Healthy::new();
    for (from, to) in [("ctld_cert.pem", "slurmd_cert.pem"), ("ctld_cert_key.pem", "slurmd_cert_key.pem")] {
        fs::copy(well.site.path(from), well.site.path(to)).unwrap();
    }
    well.mode("slurmd_cert_key.pem", 0o600);
    well.finds("static-pair", "warning");
}

#[test]
fn folders_that_others_can_look_into_or_change_are_found() {
    let well = Healthy::new();
    for folder in ["state/tokens", "state/ledger", "state/ca"] {
        well.mode(folder, 0o755);
        well.finds("state-folder", "warning");
        well.mode(folder, 0o777);
        well.finds_among_others("state-folder", "critical");
        well.mode(folder, 0o700);
        if caller() == 0 {
            chown(well.site.path(folder), Some(0), None).unwrap();
            well.finds_among_others("state-folder", "critical");
            chown(well.site.path(folder), Some(well.site.slurm_user.1), None).unwrap();
        }
    }
    well.is_well();
    fs::remove_dir_all(well.site.path("state/ledger")).unwrap();
    well.finds("state-folder", "critical");
}

#[test]
fn a_ledger_that_slurm_user_cannot_write_is_found() {
    let well = Healthy::new();
    if caller() == 0 {
        let file = fs::read_dir(well.site.path("state/ledger")).unwrap().flatten();
        let file = file
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|e| e == "jsonl"))
            .unwrap();
        chown(&file, Some(0), Some(0)).unwrap();
        well.finds("ledger-write", "critical");
        chown(&file, Some(well.site.slurm_user.1), None).unwrap();
        well.is_well();
    }
    well.mode("state/ledger", 0o500);
    well.finds("ledger-write", "critical");
    well.mode("state/ledger", 0o700);
    let lock = fs::read_dir(well.site.path("state/ledger")).unwrap().flatten().map(|entry| entry.path());
    let lock = lock.into_iter().find(|path| path.extension().is_some_and(|e| e == "lock")).unwrap();
    fs::set_permissions(&lock, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    well.finds("ledger-write", "critical");
    fs::set_permissions(&lock, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    // Refusals may go unrecorded.
    well.site.write("state/ledger/refused.h1.jsonl", "", 0o400);
    well.is_well();
}

/// Mounts a small file system over the ledger, in a mount namespace of its own, then looks.
const SMALL: &str =
    r#"mount -t tmpfs -o "size=$1,mode=700,uid=$(stat -c %u "$2/..")" tmpfs "$2" && shift 2 && exec "$@""#;

#[test]
fn a_ledger_without_room_and_one_mounted_read_only_are_found() {
    let well = Healthy::new();
    let ledger = well.site.text_path("state/ledger");
    for (options, severity, what) in
        [("8m", 2, "8 MiB are free"), ("100m", 1, "100 MiB are free"), ("900m,ro", 2, "mounted read-only")]
    {
        let look = well.command(&["--no-rehearsal", "--only", "files", "--json", "--skip", "state-folder"]);
        let mut command = std::process::Command::new("unshare");
        if caller() != 0 {
            command.args(["--user", "--map-current-user", "--keep-caps"]);
        }
        command.args(["--mount", "sh", "-c", SMALL, "sh", options, &ledger]).arg(look.get_program());
        command.args(look.get_args()).envs(look.get_envs().filter_map(|(key, value)| Some((key, value?))));
        let look = crate::healthy::Look::of(&command.output().unwrap());
        let bad = look.bad();
        assert!(
            bad.len() == 1 && bad[0].0 == "ledger-space" && bad[0].2.contains(what),
            "{options}: {bad:?}"
        );
        assert_eq!(look.exit, severity, "{bad:?}");
    }
}

#[test]
fn a_record_that_the_programs_refuse_is_found_by_its_name() {
    let well = Healthy::new();
    well.site.done(&["node", "add", "n[1-3]"]);
    well.is_well();
    for (path, mode) in [("state/tokens/n2.json", 0o620), ("state/tokens/n3.json", 0o200)] {
        well.mode(path, mode);
        let look = well.finds("state-files", "critical");
        assert!(look.bad()[0].2.contains(path), "{:?}", look.bad());
        well.mode(path, 0o600);
    }
    // A folder that is not SlurmUser's alone is not given away.
    let chain = well.site.path("ca_chain.pem");
    fs::copy(well.site.path("state/ca/chain.pem"), &chain)
        .or_else(|_| fs::copy(well.site.path("ca_cert.pem"), &chain))
        .unwrap();
    let config = well.site.read("slurm-pki.toml");
    let elsewhere =
        config.replacen("[controller]", &format!("[controller]\nca_chain = \"{}\"", chain.display()), 1);
    assert_ne!(config, elsewhere);
    well.site.write("slurm-pki.toml", &elsewhere, 0o644);
    well.mode("ca_chain.pem", 0o666);
    let look = well.look(&[]);
    let finding =
        look.data["findings"].as_array().unwrap().iter().find(|is| is["code"] == "state-files").unwrap();
    let fix = finding["fix"].as_str().unwrap();
    assert!(fix.ends_with(&format!("chmod go-w {}", chain.display())) && !fix.contains("-R"), "{finding}");
    well.site.write("slurm-pki.toml", &config, 0o644);
    if caller() == 0 {
        // As a restore by root leaves them.
        for path in ["state/tokens/n2.json", "state/rehearsal/slurm-pki-rehearsal_token.txt"] {
            let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(well.site.path(path)).unwrap());
            chown(well.site.path(path), Some(0), Some(0)).unwrap();
            well.finds("state-files", "critical");
            chown(well.site.path(path), Some(owner), None).unwrap();
        }
    }
    well.is_well();
}

/// Who has which groups may stand on another host.
#[test]
fn a_users_groups_are_asked_for_as_often_for_many_records_as_for_one() {
    // Root alone can leave records as a restore by root does.
    if caller() != 0 {
        return;
    }
    let asked = |nodes: &str| {
        let well = Healthy::new();
        well.site.done(&["node", "add", nodes]);
        for record in fs::read_dir(well.site.path("state/tokens")).unwrap() {
            chown(record.unwrap().path(), Some(0), Some(0)).unwrap();
        }
        let look = well.command(&["--no-rehearsal", "--only", "files", "--json"]);
        let trace = well.site.text_path("trace");
        let mut strace = std::process::Command::new("strace");
        strace.args(["-f", "-e", "trace=open,openat", "-o", &trace]).arg(look.get_program());
        strace.args(look.get_args()).envs(look.get_envs().filter_map(|(key, value)| Some((key, value?))));
        let look = crate::healthy::Look::of(&strace.output().unwrap());
        assert!(look.bad().iter().any(|(code, ..)| *code == "state-files"), "{:?}", look.bad());
        well.site.read("trace").matches("\"/etc/group\"").count()
    };
    let (few, many) = (asked("n1"), asked("n[1-40]"));
    assert!(few > 0 && few == many, "{few} for one record, {many} for 40");
}

#[test]
fn a_list_of_tokens_in_clear_is_found() {
    let well = Healthy::new();
    let list = well.site.text_path("tokens.txt");
    let config = well.site.read("slurm-pki.toml");
    well.site.write("slurm-pki.toml", &format!("{config}token_list = \"{list}\"\n"), 0o644);
    well.site.write("tokens.txt", "", 0o600);
    well.is_well();
    well.site.write("tokens.txt", "n1 aaaaaaaaaaaaaaaaaaaaaaaa\nbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n", 0o600);
    let look = well.finds("token-list", "warning");
    assert!(
        look.bad()[0].2.contains("2 tokens") && look.bad()[0].2.contains("1 of them bare"),
        "{:?}",
        look.bad()
    );
    assert!(!look.data.to_string().contains("bbbbbbbb"));
    well.mode("tokens.txt", 0o644);
    well.finds("token-list", "critical");
}

#[test]
fn several_controllers_with_a_folder_of_one_alone_are_found() {
    let well = Healthy::new();
    well.scontrol("", 0);
    let shared = well.site.text_path("");
    let second = |at: &str| format!("SlurmctldHost=h1(10.0.0.1)\nSlurmctldHost=h2\nStateSaveLocation={at}");
    well.slurm_conf(&[("SlurmctldHost=h1(10.0.0.1)", &second(&shared))]);
    // A scratch folder is on this host alone, wherever StateSaveLocation is.
    let look = well.finds("state-local", "warning");
    assert!(look.has("state-shared"), "{}", look.data);
    assert_eq!(well.look(&["--skip", "state-local"]).exit, 0);
    well.slurm_conf(&[("SlurmctldHost=h1(10.0.0.1)", &second("/proc"))]);
    well.finds("state-shared", "critical");
}

#[test]
fn a_config_that_programs_or_users_cannot_read_is_found() {
    let well = Healthy::new();
    if caller() == 0 {
        well.mode("slurm-pki.toml", 0o600);
        well.finds("config", "critical");
        let id = std::process::Command::new("id").args(["-g", &well.site.slurm_user.0]).output().unwrap();
        let group = crate::scratch::text(&id.stdout).trim().parse().unwrap();
        chown(well.site.path("slurm-pki.toml"), None, Some(group)).unwrap();
    }
    well.mode("slurm-pki.toml", 0o640);
    well.finds("config", "warning");
}

#[test]
fn values_that_are_allowed_and_unwise_are_found() {
    let well = Healthy::new();
    let config = well.site.read("slurm-pki.toml");
    for (line, code) in [("backdate = \"0s\"", "backdate"), ("ledger_required = false", "ledger-required")] {
        well.site.write("slurm-pki.toml", &format!("{config}{line}\n"), 0o644);
        well.finds(code, "warning");
    }
}

#[test]
fn a_renewal_that_does_not_come_is_found_long_before_the_end() {
    let well = Healthy::new();
    let ca = OldCa::new();
    well.site.write("ca_cert.pem", &(well.site.read("ca_cert.pem") + &ca.pem), 0o644);
    let pair = |begins: u32, ends: u32| {
        let (cert, key) = ca.issue("slurmctld", now().minus(begins * DAY), (begins + ends) * DAY);
        let current = well.site.path(".slurm-pki/ctld/current");
        fs::write(current.join("cert.pem"), cert).unwrap();
        fs::write(current.join("key.pem"), key.to_pem().expose()).unwrap();
        well.look(&["--only", "files"])
    };
    let look = pair(100, 40);
    let bad = look.bad();
    assert!(bad.len() == 1 && bad[0].0 == "pair-due" && bad[0].2.contains("nothing renews it"), "{bad:?}");
    let look = pair(60, 80);
    assert!(look.bad().is_empty() && look.has("pair-due"), "{}", look.data);
    fs::remove_file(well.site.path("ctld_cert.pem")).unwrap();
    fs::copy(well.site.path(".slurm-pki/ctld/current/cert.pem"), well.site.path("ctld_cert.pem")).unwrap();
    let look = well.look(&["--only", "files"]);
    assert!(look.bad().is_empty() && !look.has("pair-due"), "what others make, others renew: {}", look.data);
}
