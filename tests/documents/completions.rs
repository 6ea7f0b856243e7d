//! What the three shells complete, each asked itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use support::programs::{program, workspace};
use tempfile::TempDir;

use crate::answer;
use crate::help;

/// The scripts, under the names that the shells look for.
static SCRIPTS: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    for (shell, name) in [("bash", "slurm-pki"), ("zsh", "_slurm-pki"), ("fish", "slurm-pki.fish")] {
        let script = answer(Command::new(program("slurm-pki")).args(["completions", shell]));
        fs::write(folder.path().join(name), script).unwrap();
    }
    folder
});

fn ours(name: &str) -> PathBuf {
    workspace().join("tests/documents").join(name)
}

fn bash(line: &str) -> String {
    let mut bash = Command::new("bash");
    bash.arg("--norc").arg(ours("complete.bash")).arg(SCRIPTS.path().join("slurm-pki"));
    answer(bash.args(line.split(' ')))
}

fn zsh(line: &str) -> String {
    answer(Command::new("zsh").arg("-f").arg(ours("complete.zsh")).arg(SCRIPTS.path()).arg(line))
}

fn fish(line: &str) -> String {
    let script = SCRIPTS.path().join("slurm-pki.fish");
    let command = format!("source {}; complete --do-complete '{line}'", script.display());
    let home = SCRIPTS.path();
    answer(
        Command::new("fish")
            .args(["--no-config", "--command", &command])
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home),
    )
}

type Shell = (&'static str, fn(&str) -> String);

const SHELLS: [Shell; 3] = [("bash", bash), ("zsh", zsh), ("fish", fish)];

/// fish explains each word after a tab.
fn words(answer: &str) -> BTreeSet<&str> {
    answer.lines().filter_map(|line| line.split('\t').next()).filter(|word| !word.is_empty()).collect()
}

#[test]
fn commands_options_and_values_are_completed_in_every_shell() {
    for (shell, complete) in SHELLS {
        for (line, word) in [
            ("slurm-pki sta", "status"),
            ("slurm-pki node ad", "add"),
            ("slurm-pki ca rollover sw", "switch"),
            ("slurm-pki auth-key rotate --comp", "--compromised"),
            ("slurm-pki node push --sk", "--skip"),
            ("slurm-pki --dr", "--dry-run"),
        ] {
            let said = complete(line);
            assert_eq!(words(&said), BTreeSet::from([word]), "{shell}: {line}");
        }
    }
}

/// clap_complete makes nothing of them for fish.
#[test]
fn words_that_an_argument_may_be_are_completed_in_bash_and_zsh() {
    for (shell, complete) in [("bash", bash as fn(&str) -> String), ("zsh", zsh)] {
        assert_eq!(words(&complete("slurm-pki cert issue ct")), BTreeSet::from(["ctld"]), "{shell}");
    }
}

#[test]
fn every_command_is_completed_in_every_shell() {
    for (shell, complete) in SHELLS {
        for help in help::ALL.iter().filter(|help| !help.commands.is_empty()) {
            let line = help.path.join(" ") + " ";
            let said = complete(&line);
            let found = words(&said);
            let missing: Vec<_> =
                help.commands.iter().filter(|name| !found.contains(name.as_str())).collect();
            assert!(missing.is_empty(), "{shell}: {line}: {missing:?} are not in {found:?}");
        }
    }
}

#[test]
fn the_scripts_have_no_errors_in_them() {
    let script = |name: &str| SCRIPTS.path().join(name);
    let check = |shell: &str, script: &Path| answer(Command::new(shell).arg("-n").arg(script));
    check("bash", &script("slurm-pki"));
    check("zsh", &script("_slurm-pki"));
    check("fish", &script("slurm-pki.fish"));
}
