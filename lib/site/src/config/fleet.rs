//! `[fleet]`: how the site copies to hosts and runs on them, and which hosts slurm.conf does not name.

use std::time::Duration;

use serde::Deserialize;

use super::ConfigFile;
use crate::error::{Error, quoted};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Most hosts that are worked on at the same time.
const MAX_PARALLEL: usize = 1024;

/// The tools that need no more than their name in the config: how each copies and runs.
const TOOLS: [(&str, &[&str], &[&str]); 4] = [
    (
        "clush",
        &["clush", "-n", "-q", "-S", "-w", "{host}", "-c", "{from}", "--dest", "{to}"],
        &["clush", "-n", "-q", "-S", "-N", "-w", "{host}", "{command}"],
    ),
    (
        "pdsh",
        &["pdcp", "-R", "ssh", "-w", "{host}", "{from}", "{to}"],
        &["pdsh", "-S", "-N", "-R", "ssh", "-w", "{host}", "{command}"],
    ),
    (
        "ansible",
        &["ansible", "all", "-i", "{host},", "-m", "copy", "-a", "src={from} dest={to} mode=0600"],
        &["ansible", "all", "-i", "{host},", "-m", "shell", "-a", "{command}"],
    ),
    (
        "ssh",
        &["scp", "-q", "-B", "-o", "ConnectTimeout=15", "{from}", "[{host}]:{to}"],
        // As scp does by itself: root on a node must not get to the keys of this host's agent or to its display.
        &["ssh", "-n", "-a", "-x", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "{host}", "{command}"],
    ),
];

/// `[fleet]`, with its defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetConfig {
    /// Words of the command that copies one file: `{host}`, `{from}` and `{to}` in them are replaced.
    pub copy: Vec<String>,
    /// Words of the command that runs a line of shell on a host: `{host}` and `{command}` are replaced.
    pub run: Vec<String>,
    /// How many hosts at the same time.
    pub parallel: usize,
    /// How long one command may take for one host.
    pub timeout: Duration,
    /// Hosts that run sackd, as a hostlist.
    pub sackd: Option<String>,
    /// Hosts that run slurmrestd, as a hostlist.
    pub restd: Option<String>,
    /// Hosts that run slurmdbd, as a hostlist; `None`: those that Slurm's files name.
    pub dbd: Option<String>,
    /// Further hosts that have Slurm's commands, as a hostlist.
    pub also: Option<String>,
}

/// A tool's name, or the words of a command.
#[derive(Deserialize)]
#[serde(untagged)]
enum Command {
    Tool(String),
    Words(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Keys {
    copy: Command,
    run: Command,
    parallel: usize,
    timeout: String,
    sackd: String,
    restd: String,
    dbd: String,
    also: String,
}

impl Default for Keys {
    fn default() -> Self {
        let clush = || Command::Tool("clush".into());
        Self {
            copy: clush(),
            run: clush(),
            parallel: 32,
            timeout: "60s".into(),
            sackd: String::new(),
            restd: String::new(),
            dbd: String::new(),
            also: String::new(),
        }
    }
}

impl FleetConfig {
    /// Gives `[fleet]` its meaning.
    ///
    /// # Errors
    /// On an unknown key, or a value without a meaning.
    pub fn read(config: &ConfigFile) -> Result<Self, Error> {
        let keys: Keys = config.section("fleet")?;
        if !(1..=MAX_PARALLEL).contains(&keys.parallel) {
            let why = format!("[fleet] parallel = {} is not between 1 and {MAX_PARALLEL}", keys.parallel);
            return Err(config.refuse(why));
        }
        Ok(Self {
            copy: words(config, "copy", keys.copy, &["{host}", "{from}", "{to}"])?,
            run: words(config, "run", keys.run, &["{host}", "{command}"])?,
            parallel: keys.parallel,
            timeout: config.span("[fleet] timeout", &keys.timeout, SECOND, HOUR)?,
            sackd: super::given(keys.sackd),
            restd: super::given(keys.restd),
            dbd: super::given(keys.dbd),
            also: super::given(keys.also),
        })
    }
}

/// The words of a command, each of `places` in at least one of them.
fn words(config: &ConfigFile, key: &str, given: Command, places: &[&str]) -> Result<Vec<String>, Error> {
    let words: Vec<String> = match given {
        Command::Words(words) => words,
        Command::Tool(name) => {
            let Some((_, copy, run)) = TOOLS.iter().find(|(tool, _, _)| *tool == name) else {
                let names: Vec<_> = TOOLS.iter().map(|(tool, _, _)| *tool).collect();
                return Err(config.refuse(format!(
                    "[fleet] {key} = {} is none of {}, nor a list of words",
                    quoted(&name),
                    names.join(", ")
                )));
            };
            let words = if key == "copy" { copy } else { run };
            words.iter().map(|&word| word.to_owned()).collect()
        }
    };
    match places.iter().find(|place| !words.iter().any(|word| word.contains(**place))) {
        None => Ok(words),
        Some(place) => Err(config.refuse(format!("[fleet] {key} has no word with {place} in it"))),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> Result<FleetConfig, Error> {
        FleetConfig::read(&ConfigFile::parse(Path::new("t"), text.as_bytes()).unwrap())
    }

    #[test]
    fn a_tool_goes_by_its_name_and_any_command_by_its_words() {
        assert_eq!(read("").unwrap().run.first().unwrap(), "clush");
        assert_eq!(read("[fleet]\ncopy = \"ssh\"\n").unwrap().copy.first().unwrap(), "scp");
        let own = "[fleet]\nrun = [\"rsh\", \"{host}\", \"{command}\"]\n";
        assert_eq!(read(own).unwrap().run, ["rsh", "{host}", "{command}"]);
    }

    #[test]
    fn a_command_that_forgets_the_host_or_the_file_is_refused() {
        for text in [
            "[fleet]\nrun = [\"rsh\", \"{command}\"]\n",
            "[fleet]\ncopy = [\"cp\", \"{from}\", \"{host}\"]\n",
            "[fleet]\nrun = \"telnet\"\n",
            "[fleet]\nrun = []\n",
            "[fleet]\nparallel = 0\n",
            "[fleet]\ntimeout = \"soon\"\n",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
