//! Where this host's Slurm has its plugins: distributions build it without some of them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// TLS itself.
pub(crate) const TLS: &str = "tls_s2n.so";
/// Ways to authenticate.
pub(crate) const AUTH_JWT: &str = "auth_jwt.so";
pub(crate) const AUTH_SLURM: &str = "auth_slurm.so";
/// Certificates of daemons and of commands.
pub(crate) const CERTMGR: &str = "certmgr_script.so";
pub(crate) const CERTGEN: &str = "certgen_script.so";

/// Where packages and people put Slurm, and below that its plugins.
const PREFIXES: [&str; 3] = ["/usr", "/usr/local", "/opt/slurm"];
const BELOW: [&str; 4] =
    ["lib64/slurm", "lib/slurm", "lib/{arch}-linux-gnu/slurm-wlm", "lib/{arch}-linux-gnu/slurm"];

/// What PluginDir names; where nobody does, the first usual folder with plugins in it; nothing where there is none. `at` says
/// where this process sees a path of the host.
pub(crate) fn folders(plugin_dir: Option<&str>, at: impl Fn(&Path) -> PathBuf) -> Vec<PathBuf> {
    match plugin_dir {
        Some(list) => list.split(':').filter(|part| !part.is_empty()).map(PathBuf::from).collect(),
        None => usual(at).into_iter().find(|folder| has_plugins(folder)).into_iter().collect(),
    }
}

/// All usual folders, those of the Slurm on PATH first.
pub(crate) fn usual(at: impl Fn(&Path) -> PathBuf) -> Vec<PathBuf> {
    let below = BELOW.map(|below| below.replace("{arch}", env::consts::ARCH));
    let in_prefix = |prefix: PathBuf| below.each_ref().map(|below| at(&prefix.join(below)));
    prefixes().flat_map(in_prefix).collect()
}

fn prefixes() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let scontrol = env::split_paths(&path).map(|folder| folder.join("scontrol")).find(|file| file.is_file());
    let scontrol = scontrol.and_then(|file| fs::canonicalize(file).ok());
    let own = scontrol.and_then(|file| Some(file.parent()?.parent()?.to_owned()));
    own.into_iter().chain(PREFIXES.map(PathBuf::from))
}

/// A folder of Slurm's, and not somebody else's of that name.
fn has_plugins(folder: &Path) -> bool {
    let is_plugin = |entry: fs::DirEntry| entry.path().extension().is_some_and(|ending| ending == "so");
    fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(is_plugin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_usual_folder_with_plugins_counts_unless_one_is_named() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &Path| root.path().join(path.strip_prefix("/").unwrap());
        assert!(folders(None, at).is_empty());
        for folder in ["usr/lib64/slurm", "opt/slurm/lib/slurm", "usr/local/lib/slurm"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        fs::write(root.path().join("opt/slurm/lib/slurm/tls_s2n.so"), "").unwrap();
        assert_eq!(folders(None, at), [root.path().join("opt/slurm/lib/slurm")]);
        fs::write(root.path().join("usr/local/lib/slurm/select_linear.so"), "").unwrap();
        assert_eq!(folders(None, at), [root.path().join("usr/local/lib/slurm")]);
        assert_eq!(folders(Some("/a::/b"), at), [PathBuf::from("/a"), PathBuf::from("/b")]);
    }
}
