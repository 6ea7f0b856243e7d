//! The stand-in for Slurm keeps Slurm's own rules.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use support::slurm::{End, Run, Slurm};

/// Runs a script for the shell.
fn run(body: &str) -> Run {
    Slurm::bare().run(Path::new("/bin/sh"), &["-c", body])
}

#[test]
fn what_a_script_says_on_stderr_is_part_of_its_answer() {
    assert_eq!(run("echo warning >&2; echo answer").text(), "warning\nanswer\n");
}

#[test]
fn an_answer_is_used_as_it_stands_up_to_the_first_nul() {
    assert_eq!(run("printf ' tok\\n\\n'").text(), " tok\n\n");
    assert_eq!(run(r"printf 'tok\000more'").text(), "tok");
    assert!(run(r"printf '\000tok'").answer().is_err());
}

#[test]
fn silence_is_enough_for_validate_and_for_nobody_else() {
    let silent = run("exit 0");
    assert!(silent.accepted() && silent.answer().is_err());
}

#[test]
fn any_other_end_than_exit_0_is_a_failure() {
    assert!(!run("echo answer; exit 1").accepted());
    assert!(!run("echo answer; kill -KILL $$").accepted());
}

#[test]
fn a_relative_path_is_not_run() {
    let run = Slurm::bare().in_folder("/bin").run::<&str>(Path::new("true"), &[]);
    assert_eq!(run.raw_status(), 127 << 8);
}

#[test]
fn a_program_must_be_executable_and_readable_for_its_user() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    fs::write(&script, "#!/bin/sh\necho answer\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(!Slurm::bare().run::<&str>(&script, &[]).accepted());
    fs::set_permissions(&script, fs::Permissions::from_mode(0o711)).unwrap();
    let run = Slurm::bare().as_user(65533, 65533).run::<&str>(&script, &[]);
    assert_eq!(run.end, End::NotRun("can not be executed".into()));
}

#[test]
fn a_child_that_keeps_stdout_open_turns_success_into_a_time_out() {
    let slurm = Slurm::bare().with_max_wait(Duration::from_millis(300));
    let run = slurm.run(Path::new("/bin/sh"), &["-c", "sleep 600 & echo answer"]);
    assert_eq!(run.end, End::TimedOut);
    assert!(run.answer().is_err());
}

#[test]
fn whatever_a_script_leaves_in_its_group_is_swept_away() {
    let run = run("sleep 600 >/dev/null 2>&1 & echo $!");
    let left_behind = run.text();
    // Killed and gone, or killed and not yet reaped by init.
    let stat = fs::read_to_string(format!("/proc/{}/stat", left_behind.trim())).unwrap_or_default();
    let state = stat.rsplit(") ").next().unwrap_or_default();
    assert!(stat.is_empty() || state.starts_with('Z') || state.starts_with('X'), "{stat}");
}

#[test]
fn a_script_has_the_environment_of_its_daemon_and_an_empty_stdin() {
    let script = "cat; /usr/bin/env | /usr/bin/grep -v -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD=";
    let slurm = Slurm::bare().with_env("SLURM_CONF", "/etc/slurm/slurm.conf");
    assert_eq!(slurm.run(Path::new("/bin/sh"), &["-c", script]).text(), "SLURM_CONF=/etc/slurm/slurm.conf\n");
}
