//! `node bundle --static`: a certificate and key that a daemon loads from files, and never renews.

use pki::key::KeyKind;
use pki::name::NodeName;
use pki::secret::Secret;
use site::clock;
use site::config::{Daemon, DaemonConfig};
use site::file::Owner;
use site::signer::Signer;

use super::medium::Own;
use super::tree;
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::cert::{DaemonPair, owner_of};
use crate::fleet::Placed;
use crate::global::Global;

/// What all pairs of one command have in common.
pub(crate) struct StaticPairs {
    config: DaemonConfig,
    signer: Signer,
    owner: Owner,
}

impl StaticPairs {
    /// For slurmd's or sackd's pairs.
    ///
    /// # Errors
    /// When the CA cannot be used, or the caller cannot give files to their owner.
    pub(crate) fn of(admin: &Admin, daemon: Daemon) -> anyhow::Result<Self> {
        let config = DaemonConfig::read(&admin.config, &admin.controller, daemon).advise()?;
        if !tree::can_stand(&config.cert) || !tree::can_stand(&config.key) || config.cert == config.key {
            return Err(Advice::new(
                format!("[daemons.{}] cert and key cannot be laid out below a node's folder", daemon.short()),
                "name two absolute paths without ..",
            )
            .into());
        }
        let owner = owner_of(admin, daemon, &config)?;
        Ok(Self { config, signer: Signer::open(&admin.controller).advise()?, owner })
    }

    /// What a node with a pair has that no other node has, in the order of [`issue`](Self::issue).
    pub(super) fn own(&self) -> Own {
        let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
        vec![("key", path(&self.config.key)), ("cert", path(&self.config.cert))]
    }

    /// Issues a node's pair; the ledger has it before anyone sees it.
    ///
    /// # Errors
    /// When the CA cannot sign, or the certificate cannot be recorded.
    pub(crate) fn issue(
        &self,
        global: &Global,
        admin: &Admin,
        name: &NodeName,
    ) -> anyhow::Result<Vec<Placed>> {
        let pair = DaemonPair {
            common_name: name.to_string(),
            dns: vec![name.to_string()],
            key: KeyKind::P256,
            validity: self.config.validity,
        };
        let pair = pair.issue(global, admin, &self.signer, clock::now())?;
        let file = |path: &std::path::Path, contents: Secret, mode| Placed {
            path: path.to_owned(),
            contents,
            mode,
            owner: self.owner,
        };
        Ok(vec![
            file(&self.config.key, pair.key().clone(), 0o600),
            file(&self.config.cert, Secret::new(pair.cert().as_bytes().to_vec()), 0o644),
        ])
    }
}
