//! The site: what an admin does with slurm-pki on a new cluster.

use std::fs;

use anyhow::{Context, Result};
use pki::token::NodeSecret;

use crate::cluster::Cluster;
use crate::lab::Lab;
use crate::shell;

/// Enrols nodes (`n1,c[1-200]`, or with options) and gives each its token.
pub(crate) fn enrol(cluster: &Cluster<'_>, nodes: &str, options: &[&str]) -> Result<()> {
    cluster.slurm_pki(&[&["node", "add", nodes], options].concat())?;
    let login = if options.contains(&"--login") { &["--login"][..] } else { &[] };
    hand_out(cluster, nodes, login)
}

/// Bundles nodes and copies each bundle to its place, as `node bundle --help` says. All hosts share one /etc here.
pub(crate) fn hand_out(cluster: &Cluster<'_>, nodes: &str, options: &[&str]) -> Result<()> {
    let lab = cluster.lab;
    let _ = fs::remove_dir_all(lab.path("/tmp/bundles"));
    cluster.slurm_pki(&[&["node", "bundle", nodes, "--out", "/tmp/bundles"], options].concat())?;
    for bundle in fs::read_dir(lab.path("/tmp/bundles"))? {
        let bundle = bundle?;
        if bundle.file_type()?.is_dir() {
            let inner = format!("/tmp/bundles/{}/.", bundle.file_name().display());
            shell::answer(lab.command("cp", crate::lab::User::Root).args(["-a", &inner, "/"]))?;
            note(lab, &bundle.file_name().to_string_lossy())?;
        }
    }
    Ok(())
}

/// A node's secret, from its token file.
pub(crate) fn secret(lab: &Lab, node: &str) -> Result<NodeSecret> {
    let path = format!("/etc/slurm/certmgr/{node}_token.txt");
    let file = fs::read(lab.path(&path)).with_context(|| path.clone())?;
    NodeSecret::from_token_file(&file).map_err(|e| anyhow::anyhow!("{path}: {e}"))
}

/// A node's token.
pub(crate) fn token(lab: &Lab, node: &str) -> Result<String> {
    Ok(String::from_utf8(secret(lab, node)?.token().secret().expose().to_vec())?)
}

/// Secret and token must not be found in a log later.
fn note(lab: &Lab, node: &str) -> Result<()> {
    lab.keep_secret(token(lab, node)?);
    let file = String::from_utf8(secret(lab, node)?.to_token_file().expose().to_vec())?;
    lab.keep_secret(file.rsplit(':').next().unwrap_or(&file));
    Ok(())
}
