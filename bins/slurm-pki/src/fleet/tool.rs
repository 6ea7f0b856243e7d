//! One run of one of the site's tools, for one host.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::Fleet;
use super::script::{one_line, quoted, said, whole};
use crate::interrupt;
use crate::members::is_this_host;
use crate::slurm_command::AUTHENTICATION;
use crate::timed::{self, Bounds, Ended};

/// As much as a script's result may be long.
const ROOM: usize = 64 * 1024;

/// As much memory as a tool may take for one host: several times what the largest needs. Ansible keeps all that a host
/// says, and root there could say more than this host has room for.
const TOOL_MEMORY: u64 = 1 << 30;

/// As long as is tried, after an interruption, to take away from a host what was brought there.
const CLEARING: Duration = Duration::from_secs(5);

/// As much of a failure as a person wants to read for one host.
const MAX_SHOWN: usize = 400;

/// Why a host has no result.
pub(crate) const INTERRUPTED: &str = "this command was interrupted";

/// Why a tool was ended that had time left, when this command had none.
const TIME_OVER: &str = "the time of this command is over";

/// What the tools, or the ssh below them, are told by variables. Whatever would ask (for a password, about an unknown
/// host key) fails instead of waiting on the terminal; and Ansible neither shows the files that it copies nor leaves
/// them in root's home, which hosts may share.
const TOLD: [(&str, &str); 5] = [
    ("SSH_ASKPASS", "/bin/false"),
    ("SSH_ASKPASS_REQUIRE", "force"),
    ("ANSIBLE_DIFF_ALWAYS", "False"),
    ("ANSIBLE_REMOTE_TMP", "/run/slurm-pki-ansible"),
    ("ANSIBLE_NOCOLOR", "True"),
];

impl Fleet {
    /// Runs a script on a host; the lines that it said.
    pub(super) fn run_on(&self, host: &str, script: &str) -> Result<Vec<String>, String> {
        self.run_in(host, script, &self.bounds())
    }

    /// Takes a folder of ours away from a host where something failed. After an interruption that is tried all the same,
    /// for a short time: secrets may be in it.
    pub(super) fn clear_away(&self, host: &str, folder: &str) {
        let mut bounds = self.bounds();
        if interrupt::came() {
            bounds = Bounds { time: CLEARING.min(self.timeout), goes_on: true, ..bounds };
        }
        let _ = self.run_in(host, &format!("rm -rf {}", quoted(folder)), &bounds);
    }

    fn run_in(&self, host: &str, script: &str, bounds: &Bounds) -> Result<Vec<String>, String> {
        let whole = whole(script);
        let output = if is_this_host(host) {
            self.child(&["/bin/sh".into(), "-c".into(), whole], &here(bounds))?
        } else {
            let line = one_line(&whole);
            self.child(&filled(&self.run, &[("{host}", host), ("{command}", &line)]), bounds)?
        };
        said(&output).ok_or_else(|| format!("it did not come to its end: {}", shown(&output)))
    }

    /// Runs a script that lies in a file of that host, and may hold secrets.
    pub(super) fn run_file_on(&self, host: &str, file: &str) -> Result<Vec<String>, String> {
        let output = if is_this_host(host) {
            self.child(&["/bin/sh".into(), file.into()], &here(&self.bounds()))?
        } else {
            let line = format!("sh {file}");
            self.child(&filled(&self.run, &[("{host}", host), ("{command}", &line)]), &self.bounds())?
        };
        said(&output).ok_or_else(|| format!("it did not come to its end: {}", shown(&output)))
    }

    /// Copies a file to a host.
    pub(super) fn copy_to(&self, host: &str, from: &Path, to: &str) -> Result<(), String> {
        let from = from.to_str().ok_or("a file's name is not UTF-8")?;
        let words = filled(&self.copy, &[("{host}", host), ("{from}", from), ("{to}", to)]);
        self.child(&words, &self.bounds()).map(drop)
    }

    fn bounds(&self) -> Bounds {
        Bounds { time: self.timeout, room: ROOM, memory: Some(TOOL_MEMORY), goes_on: self.goes_on }
    }

    fn child(&self, words: &[String], bounds: &Bounds) -> Result<String, String> {
        let Some((program, arguments)) = words.split_first() else { return Err("no command".to_owned()) };
        if let Some(why) = ended_by_us().filter(|_| !bounds.goes_on) {
            return Err(why.to_owned());
        }
        let mut command = Command::new(program);
        command.args(arguments).envs(TOLD);
        // A script may run Slurm's commands.
        AUTHENTICATION.iter().for_each(|name| {
            command.env_remove(name);
        });
        let ended = timed::run_within(&mut command, bounds)
            .map_err(|e| format!("{program} cannot be run: {e} (see [fleet] in the config)"))?;
        let output = String::from_utf8_lossy(ended.output.expose()).into_owned();
        if ended.succeeded() { Ok(output) } else { Err(self.failure(program, &ended, &output)) }
    }

    fn failure(&self, program: &str, ended: &Ended, output: &str) -> String {
        // What goes on to its end was not ended by an interruption.
        let by_us = || ended_by_us().filter(|_| !self.goes_on || !interrupt::came());
        if let Some(why) = by_us().filter(|_| ended.status.is_none()) {
            return why.to_owned();
        }
        let how = ended.how(self.timeout);
        let name = program.rsplit('/').next().unwrap_or(program);
        match shown(output) {
            said if said.is_empty() => format!("{name} {how}"),
            said => format!("{said} ({name} {how})"),
        }
    }
}

/// Why no tool is started any more, and those that run are ended.
fn ended_by_us() -> Option<&'static str> {
    let over = || interrupt::ends_programs().then_some(TIME_OVER);
    if interrupt::came() { Some(INTERRUPTED) } else { over() }
}

/// A script of this host may start a daemon, which would keep the bound on memory.
fn here(bounds: &Bounds) -> Bounds {
    Bounds { memory: None, ..*bounds }
}

/// The words of a command with its places filled. No shell is in between: a word stays one word.
fn filled(words: &[String], places: &[(&str, &str)]) -> Vec<String> {
    let fill =
        |word: &String| places.iter().fold(word.clone(), |word, (place, with)| word.replace(place, with));
    words.iter().map(fill).collect()
}

/// The last lines of an output, as one.
pub(crate) fn shown(output: &str) -> String {
    let lines: Vec<_> = output.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(3)..).unwrap_or_default().join("; ");
    crate::report::printable(&last).chars().take(MAX_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Tools that stay on this host: `env` takes no part of the command apart.
    fn fleet(run: &[&str]) -> Fleet {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        Fleet {
            copy: words(&["cp", "{from}", "{to}"]),
            run: words(run),
            parallel: 2,
            timeout: Duration::from_secs(5),
            goes_on: false,
        }
    }

    #[test]
    fn a_script_runs_on_the_host_through_the_tool_and_on_this_one_without_it() {
        let through = fleet(&["sh", "-c", "echo \"$1:\"; eval \"$2\"", "sh", "{host}", "{command}"]);
        assert_eq!(through.run_on("elsewhere", "say hello").unwrap(), ["hello"]);
        assert_eq!(fleet(&["/nowhere/tool"]).run_on("localhost", "say hello").unwrap(), ["hello"]);
    }

    #[test]
    fn a_tool_that_fails_hangs_or_lies_is_a_failure_with_a_reason() {
        let fails = fleet(&["sh", "-c", "echo 'no route to {host}'; exit 255"]);
        let why = fails.run_on("n1", "say x").unwrap_err();
        assert!(why.contains("no route to n1") && why.contains("255"), "{why}");
        let lies = fleet(&["true", "{host}", "{command}"]);
        assert!(lies.run_on("n1", "say x").unwrap_err().contains("its end"));
        let hangs = Fleet { timeout: Duration::from_millis(200), ..fleet(&["sleep", "100"]) };
        assert!(hangs.run_on("n1", "say x").unwrap_err().contains("killed"));
        assert!(fleet(&["/nowhere/tool"]).run_on("n1", "").unwrap_err().contains("[fleet]"));
    }

    /// What Slurm's daemons have is not what a tool has: a script may start one on this host.
    #[test]
    fn only_a_tool_has_its_memory_bounded() {
        let tool = fleet(&["sh", "-c", "eval \"$2\"", "sh", "{host}", "{command}"]);
        // It is set from outside, when the tool has begun.
        let own = (TOOL_MEMORY / 1024).to_string();
        let waits = format!("until [ \"$(ulimit -d)\" = {own} ]; do sleep 0.01; done; say bounded");
        assert_eq!(tool.run_on("elsewhere", &waits).unwrap(), ["bounded"]);
        assert_ne!(tool.run_on("localhost", "sleep 1; say $(ulimit -d)").unwrap(), [own]);
    }
}
