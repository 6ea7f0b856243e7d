//! Where a secret must never be seen while it is brought to a host.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use data_encoding::BASE64;
use support::site::files_below;

use crate::hosts::Hosts;

/// The argument lists of all programs that a command and all its hosts start while `work` runs.
fn started(hosts: &Hosts, args: &[&str]) -> String {
    let log = hosts.path("strace");
    // The sshds are traced from outside, the command from its start.
    let mut tracers = Vec::new();
    let mut own = Command::new("strace");
    own.args(["-f", "-q", "-s", "1000000", "-v", "-e", "trace=execve", "-o"]).arg(log.join("own"));
    fs::create_dir_all(&log).unwrap();
    for pid in hosts.pids() {
        let ready = log.join(format!("of-{pid}"));
        let tracer = Command::new("strace")
            .args(["-f", "-q", "-s", "1000000", "-v", "-e", "trace=execve", "-p", &pid.to_string(), "-o"])
            .arg(&ready)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        tracers.push(tracer);
        wait_until_traced(pid);
    }
    let command = hosts.command(args);
    own.arg(command.get_program()).args(command.get_args()).env_clear().stdin(Stdio::null());
    own.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = own.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for mut tracer in tracers {
        let _ = Command::new("kill").arg(tracer.id().to_string()).status();
        let _ = tracer.wait();
    }
    files_below(&log).into_iter().map(|(_, text)| String::from_utf8_lossy(&text).into_owned()).collect()
}

fn wait_until_traced(pid: u32) {
    let is_traced = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
    };
    while !is_traced() {
        thread::yield_now();
    }
}

/// What of a secret must not be seen: as it stands in its file, in base64 as it travels, and the token.
fn forms(hosts: &Hosts, node: &str) -> Vec<String> {
    let secret = hosts.waiting(node).unwrap();
    let file = secret.to_token_file();
    let token = String::from_utf8(secret.token().secret().expose().to_vec()).unwrap();
    let text = String::from_utf8(file.expose().to_vec()).unwrap();
    vec![text.rsplit(':').next().unwrap().to_owned(), BASE64.encode(file.expose()), token]
}

#[test]
fn no_program_on_either_side_has_a_secret_in_its_arguments_or_environment() {
    let hosts = Hosts::new(2);
    let forms: Vec<_> = ["n1", "n2"].into_iter().flat_map(|node| forms(&hosts, node)).collect();
    let all = started(&hosts, &["node", "push", "n[1-2]"]) + &started(&hosts, &["node", "verify", "n[1-2]"]);
    for seen in ["clush", "/usr/bin/scp", "\"base64\", \"-d\"", "mktemp", "get_node_token", "sha256sum"] {
        assert!(all.contains(seen), "{seen} was not seen: the test sees too little");
    }
    for form in forms {
        assert!(!all.contains(&form), "a secret in an argument");
    }
}

#[test]
fn a_secret_lies_nowhere_that_others_can_read_while_it_travels() {
    let hosts = Hosts::new(1);
    let forms = forms(&hosts, "n1");
    let done = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut seen = BTreeSet::new();
            while !done.load(Ordering::Relaxed) {
                for folder in [hosts.path("n1"), "/run".into(), "/tmp".into()] {
                    look_as_somebody(&folder, 0, &mut seen);
                }
            }
            seen
        });
        hosts.ok(&["node", "push", "n1"]);
        done.store(true, Ordering::Relaxed);
        watcher.join().unwrap()
    });
    assert!(seen.iter().any(|text| text.contains("BEGIN CERTIFICATE")), "the test sees too little");
    for form in forms {
        assert!(!seen.iter().any(|text| text.contains(&form)), "a secret where others can read it");
    }
}

/// The small files that anybody could read: through folders that anybody can enter.
fn look_as_somebody(folder: &Path, depth: u32, seen: &mut BTreeSet<String>) {
    use std::os::unix::fs::MetadataExt as _;
    if depth > 4 || !fs::metadata(folder).is_ok_and(|is| is.mode() & 0o001 != 0) {
        return;
    }
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.filter_map(Result::ok) {
        let Ok(is) = entry.metadata() else { continue };
        if is.is_dir() {
            look_as_somebody(&entry.path(), depth + 1, seen);
        } else if is.is_file() && is.mode() & 0o004 != 0 && is.len() < 100_000 {
            let text = fs::read(entry.path()).unwrap_or_default();
            seen.insert(String::from_utf8_lossy(&text).into_owned());
        }
    }
}
