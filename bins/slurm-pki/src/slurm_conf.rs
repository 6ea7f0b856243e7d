//! slurm.conf, read only: the few keys that say what our defaults depend on.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::slurm_files::SlurmFiles;
use crate::slurm_lines::{self, Word};

/// Where Debian's and EL's packages have it; `SLURM_CONF` comes first, as in Slurm.
const DEFAULT_PATH: &str = "/etc/slurm/slurm.conf";

/// Slurm's defaults (slurm.conf(5), slurmdbd.conf(5)).
const SLURMCTLD_PORT: &str = "6817";
const DBD_PORT: &str = "6819";

/// The keys of a slurm.conf, Include followed. Keys count without regard to case; of a key that stands
/// twice the last value counts, but every SlurmctldHost is kept.
#[derive(Debug)]
pub(crate) struct SlurmConf {
    path: PathBuf,
    values: HashMap<String, String>,
    controllers: Vec<String>,
    addresses: HashMap<String, String>,
    node_lines: Vec<Vec<Word>>,
}

impl SlurmConf {
    /// Reads `$SLURM_CONF` or /etc/slurm/slurm.conf; `None` when there is no such file.
    ///
    /// # Errors
    /// When a file is there but cannot be read.
    pub(crate) fn load() -> anyhow::Result<Option<Self>> {
        Self::load_from(&Self::path_here())
    }

    /// Where it is looked for.
    pub(crate) fn path_here() -> PathBuf {
        let named = std::env::var_os("SLURM_CONF").filter(|name| !name.is_empty());
        named.map_or_else(|| DEFAULT_PATH.into(), PathBuf::from)
    }

    /// Reads one file of this form (slurmdbd.conf has it too); `None` when there is no such file.
    ///
    /// # Errors
    /// When it is there but cannot be read.
    pub(crate) fn load_from(path: &Path) -> anyhow::Result<Option<Self>> {
        let Some(files) = SlurmFiles::load(path)? else { return Ok(None) };
        let mut conf = Self {
            path: path.to_owned(),
            values: HashMap::new(),
            controllers: Vec::new(),
            addresses: HashMap::new(),
            node_lines: Vec::new(),
        };
        for (_, word) in files.keys() {
            if word.is("SlurmctldHost") {
                let (host, address) = word.value.split_once('(').unwrap_or((&word.value, ""));
                conf.controllers.push(host.to_owned());
                if let Some(address) = address.strip_suffix(')') {
                    conf.addresses.insert(host.to_owned(), address.to_owned());
                }
            }
            conf.values.insert(word.key.to_ascii_lowercase(), word.value.clone());
        }
        let lines = files.lines.into_iter().map(|(_, words)| words);
        conf.node_lines.extend(lines.filter(|words| words.first().is_some_and(|word| word.is("NodeName"))));
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

    /// Whether it turns TLS on.
    pub(crate) fn has_tls(&self) -> bool {
        self.get("TLSType").is_some_and(|value| !slurm_lines::is_no_tls(value))
    }

    /// The hosts of SlurmctldHost lines, without addresses, the primary first.
    pub(crate) fn controllers(&self) -> &[String] {
        &self.controllers
    }

    /// Where a controller is reached, where its SlurmctldHost line says so.
    pub(crate) fn controller_address(&self, host: &str) -> Option<&str> {
        self.addresses.get(host).map(String::as_str)
    }

    /// slurmctld's port: the first of a range, for it listens on all of them.
    pub(crate) fn slurmctld_port(&self) -> &str {
        let ports = self.get("SlurmctldPort").unwrap_or(SLURMCTLD_PORT);
        ports.split('-').next().unwrap_or(ports)
    }

    /// slurmdbd's port: slurmdbd.conf knows better than this file, and need not be here.
    pub(crate) fn slurmdbd_port<'a>(&'a self, slurmdbd_conf: Option<&'a Self>) -> &'a str {
        let own = slurmdbd_conf.and_then(|conf| conf.get("DbdPort"));
        own.or(self.get("AccountingStoragePort")).unwrap_or(DBD_PORT)
    }

    /// The NodeName lines: what they mean stands in [`crate::node_line`].
    pub(crate) fn node_lines(&self) -> &[Vec<Word>] {
        &self.node_lines
    }
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
        assert_eq!((conf.controller_address("h1"), conf.controller_address("h2")), (Some("10.0.0.1"), None));
        assert_eq!((conf.slurmctld_port(), conf.slurmdbd_port(None)), ("6817", "6819"));
    }

    #[test]
    fn no_file_is_no_error() {
        assert!(SlurmConf::load_from(Path::new("/nowhere/slurm.conf")).unwrap().is_none());
    }
}
