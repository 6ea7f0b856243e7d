//! Whether this host's Slurm has the plugins that the new lines name: distributions build it without s2n.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::advice::Advice;
use crate::slurm_conf::SlurmConf;
use crate::{slurm_command, timed};

/// TLS itself.
const TLS: &str = "tls_s2n.so";
/// Certificates of daemons and of commands.
const CERTMGR: &str = "certmgr_script.so";
const CERTGEN: &str = "certgen_script.so";

/// Where packages and people put Slurm, and below that its plugins.
const PREFIXES: [&str; 3] = ["/usr", "/usr/local", "/opt/slurm"];
const BELOW: [&str; 4] =
    ["lib64/slurm", "lib/slurm", "lib/{arch}-linux-gnu/slurm-wlm", "lib/{arch}-linux-gnu/slurm"];

/// Longer than MessageTimeout; the answer is short.
const PATIENCE: Duration = Duration::from_secs(15);
const ROOM: usize = 256 * 1024;

/// Looks for the plugins where Slurm will.
///
/// # Errors
/// When one is not there; with where it was looked for.
pub(super) fn must_be_there(slurm: Option<&SlurmConf>, with_certmgr: bool) -> anyhow::Result<()> {
    let folders = folders(slurm);
    let missing = |name: &&str| !folders.iter().any(|folder| folder.join(name).is_file());
    let wanted = [TLS, CERTGEN].into_iter().chain(with_certmgr.then_some(CERTMGR));
    match wanted.into_iter().find(missing) {
        None => Ok(()),
        Some(name) => {
            let looked: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
            Err(Advice::new(
                format!("this host's Slurm has no {name}: looked in {}", looked.join(", ")),
                "build Slurm 25.05.1 or later where s2n-tls is installed (Debian's is built without it); where the \
                 plugins lie elsewhere, set PluginDir in slurm.conf; --offline edits the files without this check",
            )
            .into())
        }
    }
}

/// slurm.conf's PluginDir, the running slurmctld's, or the first usual folder with plugins in it; all usual folders when
/// there is none.
fn folders(slurm: Option<&SlurmConf>) -> Vec<PathBuf> {
    let list = |text: String| text.split(':').map(PathBuf::from).collect();
    if let Some(configured) =
        slurm.and_then(|slurm| slurm.get("PluginDir")).map(str::to_owned).or_else(shown_by_scontrol)
    {
        return list(configured);
    }
    let usual: Vec<PathBuf> =
        prefixes().iter().flat_map(|prefix| BELOW.map(|below| prefix.join(of_this_arch(below)))).collect();
    match usual.iter().find(|folder| has_plugins(folder)) {
        Some(folder) => vec![folder.clone()],
        None => usual,
    }
}

fn of_this_arch(below: &str) -> String {
    below.replace("{arch}", env::consts::ARCH)
}

/// The one that belongs to the scontrol on PATH comes first.
fn prefixes() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let scontrol = env::split_paths(&path).map(|folder| folder.join("scontrol")).find(|file| file.is_file());
    let scontrol = scontrol.and_then(|file| fs::canonicalize(file).ok());
    let own = scontrol.and_then(|file| Some(file.parent()?.parent()?.to_owned()));
    own.into_iter().chain(PREFIXES.map(PathBuf::from)).collect()
}

fn has_plugins(folder: &Path) -> bool {
    let is_plugin = |entry: fs::DirEntry| entry.path().extension().is_some_and(|ending| ending == "so");
    fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(is_plugin))
}

/// It answers only while slurmctld does.
fn shown_by_scontrol() -> Option<String> {
    let ended = timed::run(slurm_command::new("scontrol").args(["show", "config"]), PATIENCE, ROOM).ok()?;
    let output = String::from_utf8_lossy(ended.output.expose()).into_owned();
    let value = |line: &str| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "PluginDir").then(|| value.trim().to_owned())
    };
    output.lines().filter(|_| ended.succeeded()).find_map(value)
}
