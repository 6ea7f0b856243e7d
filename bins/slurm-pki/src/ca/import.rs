//! `slurm-pki ca import`: a CA that the site already has.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use pki::ca::{CaCertificates, LocalCa};
use pki::key::PrivateKey;
use pki::loads_in_s2n::{MAX_BUNDLE_PEM, MAX_CHAIN_PEM, pad_bundle};
use pki::time::UnixTime;
use site::clock;
use site::config::Place;
use site::file::{self, Keep, NewFile, Owner};
use site::signer;

use super::new::{CERTIFICATE_MODE, KEY_MODE, try_out};
use super::rollover::refuse_while_under_way;
use crate::admin::{Admin, STATE_DIR_MODE};
use crate::advice::{Advice, Advise as _};
use crate::dated_copy;
use crate::global::Global;
use crate::making::Making;
use crate::report;

/// Take over a CA that the site already has
#[derive(Args, Debug)]
#[command(
    after_help = "The key is P-256, P-384 or RSA of 2048 to 4096 bits, unencrypted, in SEC1, PKCS#1 or \
    PKCS#8.\nNothing is installed before a certificate issued with it, in memory, was found to be one that \
    Slurm's TLS library loads and peers accept. Copies of what is replaced are kept beside it.\n\n\
    Examples:\n  \
    slurm-pki ca import --cert /root/slurm_ca.pem --key /root/slurm_ca.key\n  \
    slurm-pki ca import --cert root.pem --chain slurm-intermediate.pem --key slurm-intermediate.key\n  \
    slurm-pki ca import --cert new.pem --key new.key --dry-run"
)]
pub(super) struct Import {
    /// What every host is to trust: the CA's certificate, or the roots above it
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// The CA's private key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Intermediates, the issuer first
    #[arg(long, value_name = "FILE")]
    chain: Option<PathBuf>,
    /// Replace the CA that is there, without asking
    #[arg(long)]
    replace: bool,
}

/// A CA's three files, as they will be written.
struct Bytes {
    cert: String,
    key: pki::secret::Secret,
    chain: Option<Vec<u8>>,
}

impl Import {
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        if admin.controller.signer != Place::Local {
            return Err(Advice::new(
                "the config says that the CA is not in files here (signer)",
                "set signer = \"local\" in [controller] first",
            )
            .into());
        }
        refuse_while_under_way(&admin)?;
        let owner = admin.slurm_user_to_write_for()?;
        let now = clock::now();
        let (ca, bytes) = self.read(&admin, now)?;
        if is_there_already(&admin, &ca) {
            report::done(global, "This CA is there already, key and certificates; nothing was changed.");
            return Ok(());
        }
        self.may_replace(global, &admin)?;
        install(global, &admin, owner, &bytes, now)?;
        report::done(global, &format!("Imported: {}. Next: slurm-pki ca show", ca.issuer().facts().subject));
        Ok(())
    }

    /// Reads and judges everything before anything is written.
    fn read(&self, admin: &Admin, now: UnixTime) -> anyhow::Result<(LocalCa, Bytes)> {
        let key = signer::ca_key(&self.key).advise()?;
        let cert = file::read(&self.cert, Keep::Intact, MAX_BUNDLE_PEM).advise()?;
        let cert = String::from_utf8(cert.expose().to_vec()).map_err(|_| {
            Advice::new(format!("{} is not text", self.cert.display()), "give the certificate as PEM")
        })?;
        let cert = pad_bundle(cert);
        let chain = match &self.chain {
            Some(path) => Some(file::read(path, Keep::Intact, MAX_CHAIN_PEM).advise()?.expose().to_vec()),
            None => None,
        };
        let certificates = CaCertificates::from_pem(cert.as_bytes(), chain.as_deref()).advise()?;
        let pem = key.to_pem();
        let ca = LocalCa::new(certificates, key).advise()?;
        try_out(&ca, admin, now)?;
        Ok((ca, Bytes { cert, key: pem, chain }))
    }

    fn may_replace(&self, global: &Global, admin: &Admin) -> anyhow::Result<()> {
        let files = &admin.controller;
        let there: Vec<_> = [&files.ca_cert, &files.ca_key, &files.ca_chain]
            .into_iter()
            .filter(|path| fs::symlink_metadata(path).is_ok())
            .map(|path| path.display().to_string())
            .collect();
        if there.is_empty() || self.replace || global.dry_run {
            return Ok(());
        }
        report::warning("certificates of the CA that is there will be refused once hosts have the new one");
        report::confirm(global, &format!("Replace {}?", there.join(", ")))
    }
}

/// Whether the files hold this very CA already: the same certificates, and their key.
fn is_there_already(admin: &Admin, ca: &LocalCa) -> bool {
    let files = &admin.controller;
    let Ok(there) = signer::ca_certificates(files) else { return false };
    let given = ca.certificates();
    let key = |key: PrivateKey| key.public().is_ok_and(|key| key.spki() == ca.issuer().facts().spki);
    there.anchors == given.anchors
        && there.chain == given.chain
        && signer::ca_key(&files.ca_key).is_ok_and(key)
}

/// Key first: a kill in between leaves files that sign nothing, and the same command completes them.
fn install(global: &Global, admin: &Admin, owner: Owner, bytes: &Bytes, now: UnixTime) -> anyhow::Result<()> {
    let files = &admin.controller;
    let making = Making::new(global);
    making.folder(&files.top.state_dir, STATE_DIR_MODE, owner)?;
    for path in [&files.ca_key, &files.ca_chain, &files.ca_cert] {
        if let Some(folder) = path.parent()
            && !folder.exists()
        {
            let ours = folder.starts_with(&files.top.state_dir);
            let (mode, owner) = if ours { (0o700, owner) } else { (0o755, crate::admin::caller()) };
            making.folder(folder, mode, owner)?;
        }
        if !global.dry_run {
            dated_copy::keep(global, path, now)?;
        }
    }
    put(&making, &files.ca_key, KEY_MODE, Some(owner), bytes.key.expose())?;
    match &bytes.chain {
        Some(chain) => put(&making, &files.ca_chain, CERTIFICATE_MODE, Some(owner), chain)?,
        None => remove_chain(global, &files.ca_chain)?,
    }
    put(&making, &files.ca_cert, CERTIFICATE_MODE, None, bytes.cert.as_bytes())
}

fn put(
    making: &Making<'_>,
    path: &Path,
    mode: u32,
    owner: Option<Owner>,
    bytes: &[u8],
) -> anyhow::Result<()> {
    making.says(path, mode, owner, "");
    if making.only_says() {
        return Ok(());
    }
    NewFile::new(path, mode).owned_by(owner).replace(bytes).advise()
}

/// The old CA's intermediates must not be sent after the new one's certificates.
fn remove_chain(global: &Global, path: &Path) -> anyhow::Result<()> {
    if fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    if global.dry_run {
        report::line(&format!("would remove {}", path.display()));
        return Ok(());
    }
    file::remove(path).advise()?;
    report::done(global, &format!("removed  {}", path.display()));
    Ok(())
}
