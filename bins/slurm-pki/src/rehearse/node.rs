//! slurmd's (or sackd's) part: what the node's programs give the daemon.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use pki::key::PrivateKey;
use pki::name::NodeName;
use site::config::NodeConfig;
use site::file::Owner;
use site::host;
use site::node::Node;

use super::copy::Copy;
use super::part::Part;
use crate::admin::{Admin, caller};
use crate::advice::Advise as _;
use crate::checks::Checks;
use crate::programs::{GET_CERT_KEY, Programs};

/// The part's name.
pub(super) const SLURMD: &str = "slurmd";

/// A node whose token file is on this host.
#[derive(Debug)]
pub(crate) struct Here {
    pub(crate) name: NodeName,
    pub(crate) token_file: PathBuf,
}

/// Looks for the token file of the node of this name, `None` for this host's own. The error names the
/// files that are not there.
///
/// # Errors
/// When the config's `[node]` cannot be used.
pub(crate) fn find(admin: &Admin, given: Option<&NodeName>) -> anyhow::Result<Result<Here, String>> {
    let config = NodeConfig::read(&admin.config).advise()?;
    let host = host::full();
    let names = Node::names_here(given.map_or(host.as_slice(), |name| name.as_str().as_bytes()));
    let mut looked = Vec::new();
    for name in names {
        let token_file = config.token_file.path(&name);
        // One that we may not see is there as far as anybody can tell; the program will say so.
        match fs::symlink_metadata(&token_file) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                looked.push(token_file.display().to_string());
            }
            _ => return Ok(Ok(Here { name, token_file })),
        }
    }
    Ok(Err(format!("no token file {}", looked.join(" or "))))
}

/// Token, request and key, as the daemon would get them.
///
/// # Errors
/// When the copy of the config cannot be made. What a program says stands in `checks`.
pub(super) fn rehearse(
    admin: &Admin,
    here: &Here,
    programs: &Programs,
    checks: &mut Checks,
) -> anyhow::Result<String> {
    let config = NodeConfig::read(&admin.config).advise()?;
    let mut copy = Copy::of(&admin.config)?;
    if !config.renew_key && !config.key_file.path(&here.name).exists() {
        // generate_csr makes that key at its first run; not for a rehearsal.
        copy.set("node", "key_file", copy.path("key.pem"))?;
    }
    let mut part = Part::new(checks, SLURMD, &here.name, programs, &copy, user(here))?;
    let _ = run(&mut part);
    Ok(part.heading())
}

/// The daemon's user is the token file's owner: root for slurmd, SlurmUser for sackd. Only root can run
/// programs for another.
fn user(here: &Here) -> Option<Owner> {
    if caller().uid != 0 {
        return None;
    }
    let file = fs::metadata(&here.token_file).ok()?;
    let owner = Owner { uid: file.uid(), gid: file.gid() };
    (owner.uid != 0).then_some(owner)
}

fn run(part: &mut Part<'_>) -> Option<()> {
    part.token()?;
    let (_, csr) = part.request()?;
    let result = part.answer(GET_CERT_KEY, part.argument()).and_then(|key| {
        let key = PrivateKey::from_pem(key.expose()).map_err(|e| e.to_string())?;
        let public = key.public().map_err(|e| e.to_string())?;
        if public.spki() == csr.key().spki() {
            Ok(((), "the request's key".to_owned()))
        } else {
            Err("it is not the key of the request: slurmd would crash".to_owned())
        }
    });
    part.note("key", format!("{GET_CERT_KEY} {}", part.node), result)
}
