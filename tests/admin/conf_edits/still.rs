//! Nothing is turned while Slurm runs.

use std::fs;
use std::process::{Child, Command, Stdio};

use crate::apart::apart;
use crate::scratch::{Scratch, text};
use crate::site::{DISABLE, ENABLE, files, slurm_pki, with_command, with_sample};

/// A program of a daemon's name that does nothing.
pub(crate) struct Daemon(Child);

impl Daemon {
    pub(crate) fn start(site: &Scratch, name: &str) -> Self {
        fs::create_dir_all(site.path("sbin")).unwrap();
        let program = site.path("sbin").join(name);
        // By another process: one that is forked while this holds the file open could not run it.
        assert!(Command::new("cp").arg("/bin/sleep").arg(&program).status().unwrap().success());
        Self(Command::new(program).arg("600").stdin(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_daemon_of_this_host_that_is_up_refuses_both() {
    apart!({
        let site = with_sample("plain.conf");
        let before = files(&site);
        for name in ["slurmctld", "slurmdbd", "slurmrestd", "slurmd", "sackd", "slurmstepd"] {
            let daemon = Daemon::start(&site, name);
            let said = site.refused(&ENABLE);
            assert!(
                said.contains(&format!("{name} of this host is up")) && said.contains("--prepare"),
                "{said}"
            );
            assert_eq!(files(&site), before);
            drop(daemon);
        }
        site.done(&ENABLE);
        let enabled = files(&site);
        let daemon = Daemon::start(&site, "slurmctld");
        assert!(site.refused(&DISABLE).contains("slurmctld of this host is up"));
        assert_eq!(files(&site), enabled);
        site.done(&["conf", "disable", "--dry-run"]);
        let (_, said) = site.done(&ENABLE);
        assert!(
            said.contains("nothing to change"),
            "a second run changes nothing, so nothing is in its way: {said}"
        );
        drop(daemon);
    });
}

#[test]
fn a_daemon_whose_program_was_replaced_is_still_up() {
    apart!({
        let site = with_sample("plain.conf");
        let daemon = Daemon::start(&site, "slurmd");
        fs::remove_file(site.path("sbin/slurmd")).unwrap();
        assert!(site.refused(&ENABLE).contains("slurmd of this host is up"));
        drop(daemon);
    });
}

#[test]
fn jobs_and_a_slurmctld_that_answers_from_elsewhere_refuse_both() {
    apart!({
        for (script, wanted) in [
            ("printf '17\\n18_1\\n'", "slurmctld answers, and has 2 jobs"),
            ("echo 'squeue: a warning' >&2", "slurmctld answers: it is up on another host"),
        ] {
            let site = with_sample("plain.conf");
            let before = files(&site);
            let path = with_command(&site, "squeue", script);
            let output = slurm_pki(&site).env("PATH", &path).args(ENABLE).output().unwrap();
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains(wanted), "{said}");
            assert_eq!(files(&site), before);
        }
    });
}

#[test]
fn squeue_has_no_token_of_the_caller_and_its_silence_is_said() {
    apart!({
        let site = with_sample("plain.conf");
        let path = with_command(
            &site,
            "squeue",
            "[ -z \"$SLURM_JWT$SLURM_SACK_KEY$SLURM_SACK_JWKS\" ] && exit 1; echo 1",
        );
        let mut command = slurm_pki(&site);
        command
            .env("PATH", path)
            .env("SLURM_JWT", "x")
            .env("SLURM_SACK_KEY", "y")
            .env("SLURM_SACK_JWKS", "z");
        let output = command.args(ENABLE).output().unwrap();
        let said = text(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("not checked: jobs on other hosts"), "{said}");
    });
}

#[test]
fn a_check_that_cannot_be_made_is_said() {
    apart!({
        let site = with_sample("plain.conf");
        let output = slurm_pki(&site).env("PATH", "/nowhere").args(ENABLE).output().unwrap();
        let said = text(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(
            said.contains("not checked: jobs, and a slurmctld on another host (squeue cannot be run"),
            "{said}"
        );
        assert!(said.contains("not checked (--offline): tls_s2n.so"), "{said}");
    });
}
