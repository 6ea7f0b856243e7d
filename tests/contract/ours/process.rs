//! The programs as processes: users, arguments, modes, an output that is closed.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::thread;

use rustix::fs::{FlockOperation, flock};
use support::openssl;
use support::programs;
use support::site::files_below;
use support::slurm::Slurm;

use crate::pem_text::one_block;

use super::cluster;

/// sign_csr waits for the ledger's lock, which this test holds: long enough to look at it.
#[test]
fn the_arguments_disappear_from_the_process_list() {
    let cluster = cluster();
    let csr = cluster.run("generate_csr", &["n1"]).text();
    let _ = cluster.run("sign_csr", &[&csr]).text();
    let mut locks =
        fs::read_dir(cluster.site.path("state/ledger")).unwrap().map(|entry| entry.unwrap().path());
    let lock = locks.find(|path| path.extension().is_some_and(|end| end == "lock")).unwrap();
    let lock = File::open(lock).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let mut waiting = cluster.site.slurm().command(&programs::program("sign_csr"), &[&csr]);
    let mut waiting = waiting.stdout(Stdio::piped()).spawn().unwrap();
    while !is_concealed(waiting.id()) {
        assert!(waiting.try_wait().unwrap().is_none(), "it ended, and its arguments were there all the time");
        thread::yield_now();
    }
    drop(lock);
    assert!(waiting.wait_with_output().unwrap().status.success());
}

/// Nothing of a request among a process's arguments, and no core dumps.
fn is_concealed(pid: u32) -> bool {
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
    // Its own name stays; a process that has ended has no arguments at all.
    arguments.starts_with(b"/")
        && !arguments.windows(5).any(|window| window == b"BEGIN")
        && core.split_whitespace().filter(|word| *word == "0").count() == 2
}

#[test]
fn a_client_command_needs_no_folder_and_no_user_of_its_own() {
    let cluster = cluster();
    let root = rustix::process::geteuid().is_root();
    let slurm = Slurm::bare().in_folder("/proc");
    let slurm = if root { slurm.as_user(65534, 65534) } else { slurm };
    let key = slurm.run::<&str>(&cluster.copy_for_everybody("keygen"), &[]).text();
    let certificate = slurm.run(&cluster.copy_for_everybody("certgen"), &[&key]).text();
    assert_eq!(openssl::public_of_certificate(&certificate), openssl::public_of_key(&key));
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let cluster = cluster();
    let csr = cluster.run("generate_csr", &["n1"]).text();
    for (program, argument) in [("get_node_token", "n1"), ("generate_csr", "n1"), ("sign_csr", &csr)] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut command = cluster.site.slurm().command(&programs::program(program), &[argument]);
        let output = command.stdout(full).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{program}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with(&format!("{program}: error: cannot write the answer")), "{said}");
    }
}

#[test]
fn slurmctlds_programs_run_as_slurm_user() {
    let cluster = cluster();
    let (token, csr) = (cluster.site.token("n1"), cluster.run("generate_csr", &["n1"]).text());
    let copies = ["validate_node_token", "sign_csr"].map(|name| cluster.copy_for_everybody(name));
    let mut slurmctld = cluster.site.slurm();
    if rustix::process::geteuid().is_root() {
        cluster.site.give_to(65534, 65534);
        slurmctld = slurmctld.as_user(65534, 65534);
    }
    assert!(slurmctld.run(&copies[0], &["n1", &token]).accepted());
    let certificate = one_block(slurmctld.run(&copies[1], &[&csr]).text(), "CERTIFICATE");
    assert_eq!(openssl::public_of_certificate(&certificate), openssl::public_of_request(&csr));
}

#[test]
fn what_the_programs_write_is_closed_to_others_whatever_the_umask() {
    for umask in ["0000", "0077"] {
        let cluster = cluster();
        // exec: the program's parent stays this process.
        let order = format!("umask {umask}; exec \"$0\" \"$@\"");
        let run = |program: &str, argument: &str| {
            let program = programs::program(program);
            let words = ["-c", &order, program.to_str().unwrap(), argument];
            cluster.site.slurm().run(Path::new("/bin/sh"), &words).text()
        };
        let csr = run("generate_csr", "n1");
        let _ = run("sign_csr", &csr);
        let _ = run("get_cert_key", "n1");
        for folder in ["node/keys", "state/ledger", "state/tokens"] {
            let files = files_below(&cluster.site.path(folder));
            assert!(files.len() > 1 || folder == "node/keys", "{folder}: {}", files.len());
            for (path, _) in files {
                let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
                assert_eq!(mode & 0o137, 0, "umask {umask}: {} has mode {mode:o}", path.display());
                assert_eq!(mode & 0o600, 0o600, "umask {umask}: {} has mode {mode:o}", path.display());
            }
        }
        let folder = fs::metadata(cluster.site.path("node/keys")).unwrap().permissions().mode();
        assert_eq!(folder & 0o7777, 0o700);
    }
}
