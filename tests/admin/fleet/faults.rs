//! Hosts that are dead, silent, unknown or full, and a command that is interrupted.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::hosts::{Hosts, names_in, write_program};

#[test]
fn a_dead_host_is_skipped_remembered_and_forgotten_when_it_is_reached_again() {
    let mut hosts = Hosts::new(2);
    hosts.name("n3", "127.0.0.19", 9);
    hosts.ok(&["node", "add", "n3"]);
    let (_, stderr) = hosts.fails(&["node", "push", "n[1-3]"]);
    assert!(stderr.contains("failed on 1 of 3 hosts: n3"), "{stderr}");
    assert!(stderr.contains("Connection refused"), "the reason of ssh itself: {stderr}");
    assert_eq!(hosts.skipped(), [""; 0]);

    hosts.ok(&["node", "push", "n[1-3]", "--skip", "n3"]);
    assert_eq!(hosts.skipped(), ["n3"]);
    assert!(hosts.waiting("n3").is_some());
    let (_, stderr) = hosts.fails(&["node", "push", "n1", "--skip", "n4"]);
    assert!(stderr.contains("n4"), "{stderr}");
    assert_eq!(hosts.skipped(), ["n3"]);

    // It comes back under n2's address.
    let n2 = fs::read_to_string(hosts.path("ssh_config")).unwrap();
    let port = n2.split("HostName 127.0.0.12\n  Port ").nth(1).unwrap().lines().next().unwrap();
    let port = port.parse().unwrap();
    hosts.name("n3", "127.0.0.12", port);
    hosts.ok(&["node", "push", "n3"]);
    assert_eq!(hosts.skipped(), [""; 0]);
    assert!(hosts.secret_on("n2", "n3").is_some());
    hosts.stop(2);
}

#[test]
fn a_host_that_never_answers_takes_its_time_and_no_more() {
    let mut hosts = Hosts::new(1);
    hosts.set("timeout", "15s");
    let silent = TcpListener::bind("127.0.0.18:0").unwrap();
    hosts.name("n2", "127.0.0.18", silent.local_addr().unwrap().port());
    hosts.ok(&["node", "add", "n2"]);
    let begun = Instant::now();
    let (_, stderr) = hosts.fails(&["node", "push", "n[1-2]"]);
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert!(
        stderr.contains("n2: ") && (stderr.contains("killed") || stderr.contains("timed out")),
        "{stderr}"
    );
    assert!(hosts.secret_on("n1", "n1").is_some());
    assert_eq!(of_this(&hosts), [""; 0], "no tool goes on");
}

#[test]
fn a_host_whose_key_is_not_known_is_a_failure_and_nobody_is_asked() {
    let mut hosts = Hosts::new(1);
    for tool in ["clush", "ssh", "pdsh"] {
        hosts.set("copy", tool);
        hosts.set("run", tool);
        fs::write(hosts.path("known_hosts"), "").unwrap();
        let begun = Instant::now();
        let (_, stderr) = hosts.fails(&["node", "push", "n1"]);
        assert!(stderr.contains("Host key verification failed"), "{tool}: {stderr}");
        assert!(begun.elapsed() < Duration::from_secs(60), "{tool}");
    }
    assert!(hosts.waiting("n1").is_some());
}

#[test]
fn a_file_that_cannot_take_its_place_is_told_with_its_reason() {
    let hosts = Hosts::new(1);
    let taken = hosts.on("n1", &hosts.token_path("n1"));
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("x"), "").unwrap();
    let (_, stderr) = hosts.fails(&["node", "push", "n1"]);
    assert!(stderr.contains("n1_token.txt"), "{stderr}");
    assert!(hosts.waiting("n1").is_some());
    let folder = hosts.on("n1", &hosts.site.path("node"));
    assert_eq!(names_in(&folder), ["n1_token.txt"], "nothing is left beside it");
    assert_eq!(names_in(&hosts.path("n1/run")), ["sshd"]);
}

#[test]
fn a_link_in_a_files_place_is_replaced_and_not_followed() {
    let hosts = Hosts::new(1);
    let (place, other) = (hosts.on("n1", &hosts.token_path("n1")), hosts.path("other"));
    fs::write(&other, "mine").unwrap();
    symlink(&other, &place).unwrap();
    hosts.ok(&["node", "push", "n1"]);
    assert_eq!(fs::read_to_string(&other).unwrap(), "mine");
    assert!(hosts.secret_on("n1", "n1").is_some());
}

#[test]
fn an_interrupted_push_ends_its_tools_and_keeps_the_secrets_of_those_that_were_not_reached() {
    let mut hosts = Hosts::new(1);
    let silent = TcpListener::bind("127.0.0.17:0").unwrap();
    hosts.set("timeout", "600s");
    hosts.set("parallel", 1);
    hosts.name("n2", "127.0.0.17", silent.local_addr().unwrap().port());
    hosts.ok(&["node", "add", "n[2-3]"]);
    let child = hosts
        .command(&["node", "push", "n[1-3]"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    // n1 is done, and n2 keeps it waiting.
    let _held = silent.accept().unwrap();
    let begun = Instant::now();
    assert!(!of_this(&hosts).is_empty());
    let interrupt = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let output = child.wait_with_output().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("n[2-3]: ") && stderr.contains("interrupted"), "{stderr}");
    assert!(hosts.waiting("n1").is_none() && hosts.secret_on("n1", "n1").is_some());
    assert!(hosts.waiting("n2").is_some() && hosts.waiting("n3").is_some());
    assert_eq!(of_this(&hosts), [""; 0], "no tool goes on");
}

/// Ctrl-C when the secret lies on the host already, and the shell that is to put it in its place hangs.
#[test]
fn an_interrupted_push_leaves_no_secret_waiting_on_a_host() {
    let mut hosts = Hosts::new(1);
    let hangs = hosts.path("hangs");
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = copy ]; then exec scp -q -B \"$3\" \"$2:$4\"; fi\n\
         case $3 in 'sh /run/'*) touch {}; exec sleep 600 ;; esac\nexec ssh -n \"$2\" \"$3\"\n",
        hangs.display()
    );
    write_program(&hosts.path("bin/tool"), &script);
    hosts.set("run", vec!["tool", "run", "{host}", "{command}"]);
    hosts.set("copy", vec!["tool", "copy", "{host}", "{from}", "{to}"]);
    let mut push = hosts.command(&["node", "push", "n1"]);
    let push = push.stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0).spawn().unwrap();
    while !hangs.exists() {
        sleep(Duration::from_millis(20));
    }
    let waits = names_in(&hosts.path("n1/run"));
    let folder = waits.iter().find(|name| name.starts_with("slurm-pki.")).expect("a folder in /run");
    assert_eq!(names_in(&hosts.path("n1/run").join(folder)), ["files"]);
    assert!(Command::new("kill").args(["-TERM", &push.id().to_string()]).status().unwrap().success());
    let output = push.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("what is under way is brought to an end"), "{stderr}");
    assert!(stderr.contains("n1: this command was interrupted"), "{stderr}");
    assert_eq!(names_in(&hosts.path("n1/run")), ["sshd"]);
    assert!(hosts.waiting("n1").is_some() && hosts.secret_on("n1", "n1").is_none());
}

#[test]
fn what_a_killed_push_left_on_a_host_goes_with_the_next_one() {
    let hosts = Hosts::new(1);
    let (old, young) = ("slurm-pki.0123456789abcdef", "slurm-pki.fedcba9876543210");
    let beside = ".slurm-pki-new.0123456789abcdef";
    for left in [format!("run/{old}"), format!("run/{young}"), format!("site/node/{beside}")] {
        let left = hosts.path(&format!("n1/{left}"));
        fs::create_dir(&left).unwrap();
        fs::write(left.join("file"), "").unwrap();
        fs::set_permissions(&left, fs::Permissions::from_mode(0o700)).unwrap();
        if !left.ends_with(young) {
            assert!(Command::new("touch").args(["-d", "1 day ago"]).arg(left).status().unwrap().success());
        }
    }
    hosts.ok(&["node", "push", "n1"]);
    assert_eq!(names_in(&hosts.path("n1/site/node")), ["n1_token.txt"]);
    assert_eq!(names_in(&hosts.path("n1/run")), [young, "sshd"], "the young one may be another command's");
}

#[test]
fn a_secret_is_not_put_on_a_file_system_that_hosts_share() {
    let hosts = Hosts::new(1);
    // The host's stat takes every file system for NFS.
    let stat = hosts.path("n1/stat");
    assert!(Command::new("cp").args(["-p", "/usr/bin/stat"]).arg(&stat).status().unwrap().success());
    let fake = hosts.path("n1/fake");
    let script = format!("#!/bin/sh\ncase $1 in -f) echo nfs ;; *) exec {} \"$@\" ;; esac\n", stat.display());
    write_program(&fake, &script);
    hosts.inside(1, &["mount", "-n", "--bind", fake.to_str().unwrap(), "/usr/bin/stat"]);
    let (_, stderr) = hosts.fails(&["node", "push", "n1"]);
    assert!(stderr.contains("file system that hosts share (nfs)"), "{stderr}");
    assert!(hosts.waiting("n1").is_some() && hosts.secret_on("n1", "n1").is_none());
    hosts.ok(&["node", "push", "n1", "--ca-only"]);
}

#[test]
fn a_host_that_goes_away_in_any_phase_keeps_its_secret_waiting_and_nothing_lies_about() {
    let mut hosts = Hosts::new(1);
    let tool = |hosts: &Hosts, fails: &str| {
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = copy ] && phase=copy || phase=other\ncase $3 in 'sh /run/'*) phase=install ;; esac\n\
             if [ $phase = {fails} ]; then echo 'Connection reset by peer' >&2; exit 255; fi\n\
             if [ \"$1\" = copy ]; then exec scp -q -B \"$3\" \"$2:$4\"; fi\nexec ssh -n \"$2\" \"$3\"\n"
        );
        write_program(&hosts.path("bin/tool"), &script);
    };
    hosts.set("run", vec!["tool", "run", "{host}", "{command}"]);
    hosts.set("copy", vec!["tool", "copy", "{host}", "{from}", "{to}"]);
    for phase in ["copy", "install"] {
        tool(&hosts, phase);
        let (_, stderr) = hosts.fails(&["node", "push", "n1"]);
        assert!(stderr.contains("Connection reset by peer"), "{phase}: {stderr}");
        assert!(hosts.waiting("n1").is_some(), "{phase}");
        assert_eq!(names_in(&hosts.path("n1/run")), ["sshd"], "{phase}");
    }
    let sent = hosts.waiting("n1").unwrap();
    tool(&hosts, "none");
    hosts.ok(&["node", "push", "n1"]);
    assert_eq!(hosts.secret_on("n1", "n1").unwrap().token().digest(), sent.token().digest());
}

#[test]
fn a_push_that_was_killed_is_completed_by_the_next_with_the_same_secret() {
    let mut hosts = Hosts::new(1);
    let silent = TcpListener::bind("127.0.0.16:0").unwrap();
    hosts.set("parallel", 1);
    hosts.name("n2", "127.0.0.16", silent.local_addr().unwrap().port());
    hosts.ok(&["node", "add", "n2"]);
    let sent = hosts.waiting("n1").unwrap();
    let push = hosts.command(&["node", "push", "n[1-2]"]).stderr(Stdio::null()).stdout(Stdio::null()).spawn();
    let mut push = push.unwrap();
    let held = silent.accept().unwrap();
    push.kill().unwrap();
    push.wait().unwrap();
    drop((held, silent));
    assert!(hosts.secret_on("n1", "n1").is_some() && hosts.waiting("n1").is_some());
    hosts.ok(&["node", "push", "n1"]);
    assert_eq!(hosts.secret_on("n1", "n1").unwrap().token().digest(), sent.token().digest());
    assert!(hosts.waiting("n1").is_none());
    assert!(hosts.waiting("n2").is_some());
}

/// The ssh processes that belong to these hosts, once those that end have had a moment.
fn of_this(hosts: &Hosts) -> Vec<String> {
    let config = hosts.path("ssh_config");
    let running = || {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap() {
            let line = fs::read(entry.unwrap().path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if line.contains(config.to_str().unwrap()) {
                found.push(line);
            }
        }
        found
    };
    let begun = Instant::now();
    loop {
        let found = running();
        if found.is_empty() || begun.elapsed() > Duration::from_secs(2) {
            return found;
        }
        sleep(Duration::from_millis(50));
    }
}
