//! The token file: without it a node whose certificate is gone does not come back.

use std::os::unix::fs::MetadataExt as _;

use pki::token::{MAX_TOKEN, NodeSecret};
use site::config::Daemon;
use site::file;

use super::super::access::may_be_there;
use super::super::finding::Findings;
use super::super::scene::Scene;
use super::super::tls_files;

/// Looks at it.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    let Some(here) = &scene.token else {
        let daemon = if scene.node.is_some() { Daemon::Slurmd } else { Daemon::Sackd };
        let static_pair = may_be_there(&tls_files::pair(scene, daemon).0);
        if scene.certmgr_is_on() && !static_pair {
            found.critical(
                "token-file",
                if scene.node.is_some() {
                    "this node has no token file: a slurmd without a certificate of its own does not start"
                } else {
                    "this host has no token file: sackd asks with it at every start, and does not start without"
                },
                format!("on a controller: slurm-pki node push {0} (or node bundle {0}, and copy it here)", scene.own_name()),
            );
        }
        return;
    };
    let path = &here.token_file;
    let shown = path.display();
    let (text, seen) = match file::read_with_metadata(path, MAX_TOKEN + 64) {
        Ok(read) => read,
        Err(e) => return found.unknown("token-file", e.to_string(), "run this as root"),
    };
    let mode = seen.mode() & 0o7777;
    let owners = [Some(0), scene.slurm_user.map(|owner| owner.uid)];
    if scene.slurm_user.is_some() && !owners.contains(&Some(seen.uid())) {
        let what = format!(
            "{shown} belongs to uid {}: neither slurmd (root) nor sackd (SlurmUser) reads it",
            seen.uid()
        );
        return found.critical("token-file", what, format!("chown root {shown}"));
    }
    if mode & 0o077 != 0 {
        let what = format!("{shown} has mode {mode:04o}: whoever reads it can be this node");
        let fix = format!(
            "chmod 0400 {shown}; and a new secret, on a controller: slurm-pki node token {0}, then slurm-pki node push {0}",
            here.name
        );
        return found.critical("token-file", what, fix);
    }
    match NodeSecret::from_token_file(text.expose()) {
        Ok(secret) if secret.is_foreign() => found.warning(
            "token-file",
            format!(
                "{shown} has a token that others made: whoever sees it in an argument can bind requests too"
            ),
            format!("on a controller: slurm-pki node token {0}, then slurm-pki node push {0}", here.name),
        ),
        Ok(_) => found.ok("token-file", format!("{shown} holds a secret of this node's own")),
        Err(e) => found.critical_error("token-file", &e),
    }
}
