//! Slurm's own plugins: a package may have been built without s2n.

use std::path::{Path, PathBuf};

use super::super::finding::Findings;
use super::super::scene::Scene;

/// Where packages put them: slurm.conf(5) says what PluginDir was built with only in its own host's manual.
const USUAL: [&str; 6] = [
    "/usr/lib64/slurm",
    "/usr/lib/slurm",
    "/usr/local/lib/slurm",
    "/usr/lib/x86_64-linux-gnu/slurm-wlm",
    "/usr/lib/aarch64-linux-gnu/slurm-wlm",
    "/opt/slurm/lib/slurm",
];

/// Looks for the plugins that slurm.conf asks for.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    if !scene.tls_is_on() {
        return;
    }
    let folders = folders(scene);
    if folders.is_empty() {
        return found
            .not_looked_at("Slurm's plugins: no PluginDir is known, and none of the usual folders is here");
    }
    let mut wanted = vec!["tls_s2n.so", "certgen_script.so"];
    if scene.get("CertmgrType").is_some() {
        wanted.push("certmgr_script.so");
    }
    for plugin in wanted {
        match folders.iter().find(|folder| folder.join(plugin).is_file()) {
            Some(folder) => found.ok("plugin", format!("{}", folder.join(plugin).display())),
            None => {
                let shown =
                    folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(":");
                let what = format!("there is no {plugin} in {shown}: Slurm's programs do not start");
                let fix = "install Slurm's packages with s2n support (25.05.1 or later), or name PluginDir";
                found.critical("plugin", what, fix);
            }
        }
    }
}

fn folders(scene: &Scene) -> Vec<PathBuf> {
    let named = scene.get("PluginDir").or_else(|| scene.running.get("PluginDir"));
    match named {
        Some(list) => list.split(':').filter(|part| !part.is_empty()).map(PathBuf::from).collect(),
        None => USUAL.iter().map(|path| scene.host.at(path)).filter(|path| has_plugins(path)).collect(),
    }
}

/// A folder of Slurm's, and not somebody else's of that name.
fn has_plugins(folder: &Path) -> bool {
    let Ok(entries) = folder.read_dir() else { return false };
    entries.flatten().any(|entry| entry.path().extension().is_some_and(|ending| ending == "so"))
}
