//! Slurm's own plugins: a package may have been built without s2n.

use super::super::finding::Findings;
use super::super::scene::Scene;
use crate::slurm_plugins::{self, CERTGEN, CERTMGR, TLS};

/// Looks for the plugins that slurm.conf asks for.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    if !scene.tls_is_on() {
        return;
    }
    let named = scene.get("PluginDir").or_else(|| scene.running.get("PluginDir"));
    let folders = slurm_plugins::folders(named, |path| scene.host.at(&path.to_string_lossy()));
    if folders.is_empty() {
        return found
            .not_looked_at("Slurm's plugins: no PluginDir is known, and none of the usual folders is here");
    }
    let mut wanted = vec![TLS, CERTGEN];
    if scene.get("CertmgrType").is_some() {
        wanted.push(CERTMGR);
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
