//! slurm.conf, read only: the few keys that say what our defaults depend on.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use pki::explain::Explain as _;
use site::file;

use crate::advice::Advice;

/// Where Debian's and EL's packages have it; `SLURM_CONF` comes first, as in Slurm.
const DEFAULT_PATH: &str = "/etc/slurm/slurm.conf";

/// Longest file that is read: some 100,000 NodeName lines.
const MAX_FILE: usize = 16 * 1024 * 1024;

/// Include inside Include, as deep as anybody needs it.
const MAX_DEPTH: usize = 16;

/// The keys of a slurm.conf, Include followed. Keys count without regard to case; of a key that stands
/// twice the last value counts, but every SlurmctldHost is kept.
#[derive(Debug)]
pub(crate) struct SlurmConf {
    path: PathBuf,
    values: HashMap<String, String>,
    controllers: Vec<String>,
}

impl SlurmConf {
    /// Reads `$SLURM_CONF` or /etc/slurm/slurm.conf; `None` when there is no such file.
    ///
    /// # Errors
    /// When a file is there but cannot be read.
    pub(crate) fn load() -> anyhow::Result<Option<Self>> {
        let named = std::env::var_os("SLURM_CONF").filter(|name| !name.is_empty());
        Self::load_from(named.as_deref().map_or(Path::new(DEFAULT_PATH), Path::new))
    }

    /// Reads one file of this form (slurmdbd.conf has it too); `None` when there is no such file.
    ///
    /// # Errors
    /// When it is there but cannot be read.
    pub(crate) fn load_from(path: &Path) -> anyhow::Result<Option<Self>> {
        let mut conf = Self { path: path.to_owned(), values: HashMap::new(), controllers: Vec::new() };
        match file::read_with_metadata(path, MAX_FILE) {
            Ok((text, _)) => conf.read(&String::from_utf8_lossy(text.expose()), 0)?,
            Err(e) if e.is_not_found() => return Ok(None),
            Err(e) => return Err(unreadable(&e)),
        }
        Ok(Some(conf))
    }

    /// Where it was read.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A key's value.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.values.get(&key.to_ascii_lowercase()).map(String::as_str)
    }

    /// The hosts of SlurmctldHost lines, without addresses, the primary first.
    pub(crate) fn controllers(&self) -> &[String] {
        &self.controllers
    }

    fn read(&mut self, text: &str, depth: usize) -> anyhow::Result<()> {
        for line in logical_lines(text) {
            let mut words = line.split_whitespace();
            match words.next() {
                Some(word) if word.eq_ignore_ascii_case("include") => {
                    self.include(words.next().unwrap_or_default(), depth)?;
                }
                _ => self.keys_of(&line),
            }
        }
        Ok(())
    }

    fn include(&mut self, name: &str, depth: usize) -> anyhow::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let path = folder.join(name);
        if depth >= MAX_DEPTH {
            return Err(Advice::new(
                format!("{} includes itself", path.display()),
                "break the circle of Include lines",
            )
            .into());
        }
        let (text, _) = file::read_with_metadata(&path, MAX_FILE).map_err(|e| unreadable(&e))?;
        self.read(&String::from_utf8_lossy(text.expose()), depth + 1)
    }

    /// `Key=Value` words; lines that describe nodes and partitions are theirs, not the cluster's.
    fn keys_of(&mut self, line: &str) {
        let first = line.split('=').next().unwrap_or_default().trim().to_ascii_lowercase();
        if ["nodename", "partitionname", "nodeset", "downnodes", "frontendname"].contains(&first.as_str()) {
            return;
        }
        for word in line.split_whitespace() {
            let Some((key, value)) = word.split_once('=') else { continue };
            let value = value.trim_matches('"').to_owned();
            if key.eq_ignore_ascii_case("SlurmctldHost") {
                self.controllers.push(value.split('(').next().unwrap_or_default().to_owned());
            }
            self.values.insert(key.to_ascii_lowercase(), value);
        }
    }
}

/// Lines without comments, a backslash at the end joining a line with the next (slurm.conf(5)).
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = String::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim_end();
        match line.strip_suffix('\\') {
            Some(part) => open.push_str(part),
            None => lines.push(std::mem::take(&mut open) + line),
        }
    }
    lines.push(open);
    lines.retain(|line| !line.trim().is_empty());
    lines
}

fn unreadable(e: &site::Error) -> anyhow::Error {
    let hint = match e {
        site::Error::Read { .. } => "run this as root, or name the file in SLURM_CONF".into(),
        e => e.hint(),
    };
    Advice::new(e.to_string(), hint).into()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_never_ends_is_not_read() {
        assert!(SlurmConf::load_from(Path::new("/dev/zero")).is_err());
    }

    #[test]
    fn keys_are_read_as_slurm_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("slurm.conf");
        fs::write(
            &path,
            "# SlurmUser=nobody\nclustername=c1 # tail\nSlurmctldHost=h1(10.0.0.1)\nSlurmctldHost=h2\n\
             NodeName=n[1-2] SlurmUser=x\nInclude more.conf\nStateSaveLocation=/var/\\\nspool\n",
        )
        .unwrap();
        fs::write(folder.path().join("more.conf"), "SlurmUser=slurm\r\n").unwrap();
        let conf = SlurmConf::load_from(&path).unwrap().unwrap();
        assert_eq!(conf.get("ClusterName"), Some("c1"));
        assert_eq!(conf.get("slurmuser"), Some("slurm"));
        assert_eq!(conf.get("StateSaveLocation"), Some("/var/spool"));
        assert_eq!(conf.controllers(), ["h1", "h2"]);
    }

    #[test]
    fn no_file_is_no_error() {
        assert!(SlurmConf::load_from(Path::new("/nowhere/slurm.conf")).unwrap().is_none());
    }
}
