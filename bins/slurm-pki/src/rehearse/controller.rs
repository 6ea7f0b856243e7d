//! slurmctld's part: whether a node that is enrolled gets a certificate that its peers accept.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pki::loads_in_s2n::{self, MAX_BUNDLE_PEM};
use pki::name::{NodeName, REHEARSAL};
use pki::secret::Secret;
use site::clock;
use site::config::{ControllerConfig, Place};
use site::file::{self, Keep, Owner};

use super::copy::Copy;
use super::part::Part;
use crate::admin::{Admin, caller, owner_name};
use crate::advice::{Advice, Advise as _};
use crate::checks::Checks;
use crate::programs::{GET_CERT_KEY, Programs, SIGN_CSR, VALIDATE_NODE_TOKEN};

/// The part's name.
pub(super) const SLURMCTLD: &str = "slurmctld";

/// Life of a rehearsal's certificate, as the config says it and in seconds.
const VALIDITY: (&str, i64) = ("1m", 60);

/// Whether slurmctld's files are on this host. A folder that may not be seen counts: the caller is
/// told who may.
pub(crate) fn is_here(config: &ControllerConfig) -> bool {
    let is_there = |path: &Path| match fs::metadata(path) {
        Ok(_) => true,
        Err(e) => e.kind() != io::ErrorKind::NotFound,
    };
    [&config.ca_key, &config.tokens, &folder(config)].into_iter().any(|path| is_there(path))
}

/// Where `init` keeps the secret of the node that rehearsals play.
fn folder(config: &ControllerConfig) -> PathBuf {
    config.top.state_dir.join("rehearsal")
}

/// The whole way of the reserved node, as SlurmUser, through the configured signer.
///
/// # Errors
/// When nobody is SlurmUser here, or the copy of the config cannot be made. What a program says stands
/// in `checks`.
pub(super) fn rehearse(admin: &Admin, programs: &Programs, checks: &mut Checks) -> anyhow::Result<String> {
    let config = &admin.controller;
    let user = slurm_user(admin)?;
    let node = NodeName::parse(REHEARSAL.as_bytes()).advise()?;
    let mut copy = Copy::of(&admin.config)?;
    copy.set("node", "token_file", folder(config).join("%n_token.txt"))?;
    if config.signer == Place::Local {
        copy.set("controller", "validity", VALIDITY.0)?;
    }
    // The site's own key file is of no use here: its %n names other nodes.
    copy.set("node", "key_file", copy.path("key.pem"))?;
    let mut part = Part::new(checks, SLURMCTLD, &node, programs, &copy, user)?;
    let _ = run(&mut part, config);
    Ok(part.heading())
}

/// Whom to become: nobody else for SlurmUser itself.
fn slurm_user(admin: &Admin) -> anyhow::Result<Option<Owner>> {
    let slurm = admin.slurm_user()?;
    match caller().uid {
        uid if uid == slurm.uid => Ok(None),
        0 => Ok(Some(slurm)),
        _ => Err(Advice::new(
            format!("slurmctld's part is played as SlurmUser, and this is {}", owner_name(caller())),
            format!("run it as root or as {}", owner_name(slurm)),
        )
        .into()),
    }
}

fn run(part: &mut Part<'_>, config: &ControllerConfig) -> Option<()> {
    secret_is_there(part, config)?;
    let token = part.token()?;
    let (csr, _) = part.request()?;
    let run = part.run(VALIDATE_NODE_TOKEN, &[part.argument(), token.expose()]);
    let result = if run.accepted() { Ok(((), "accepted".to_owned())) } else { Err(run.failure()) };
    part.note("validate", format!("{VALIDATE_NODE_TOKEN} {} TOKEN", part.node), result)?;
    let chain = part.answer(SIGN_CSR, csr.expose());
    let chain = chain.map(|chain| (chain, "a certificate, for this rehearsal only".to_owned()));
    let chain = part.note("sign", format!("{SIGN_CSR} CSR"), chain)?;
    let key = part.answer(GET_CERT_KEY, part.argument());
    let key = key.map(|key| (key, "a private key".to_owned()));
    let key = part.note("key", format!("{GET_CERT_KEY} {}", part.node), key)?;
    let result = judge(&chain, &key, config).map(|detail| ((), detail));
    part.note("certificate", "certificate and key".to_owned(), result)
}

fn secret_is_there(part: &mut Part<'_>, config: &ControllerConfig) -> Option<()> {
    let path = folder(config).join(format!("{REHEARSAL}_token.txt"));
    match fs::metadata(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let why = format!("{} is missing\nslurm-pki init makes it", path.display());
            part.note("secret", "secret of the rehearsal node".to_owned(), Err(why))
        }
        _ => Some(()),
    }
}

/// What every daemon that meets this certificate would judge.
fn judge(chain: &Secret, key: &Secret, config: &ControllerConfig) -> Result<String, String> {
    let chain = loads_in_s2n::own_pair(chain.expose(), key.expose()).map_err(|e| e.to_string())?;
    let bundle = file::read(&config.ca_cert, Keep::Intact, MAX_BUNDLE_PEM).map_err(|e| e.to_string())?;
    let anchors = loads_in_s2n::trust_bundle(bundle.expose()).map_err(|e| e.to_string())?;
    loads_in_s2n::accepted_by_peers(&chain, &anchors, clock::now()).map_err(|e| e.to_string())?;
    let leaf = chain.first().map(pki::x509::X509::facts).ok_or("no certificate")?;
    let life = leaf.not_after.0.saturating_sub(leaf.not_before.0);
    let most = VALIDITY.1.saturating_add_unsigned(config.backdate.as_secs());
    if config.signer == Place::Local && life > most {
        return Err(format!("it lives for {life} s, though the rehearsal asked for {most} s at most"));
    }
    Ok(format!("belong together, peers accept them; by {}", leaf.issuer))
}
