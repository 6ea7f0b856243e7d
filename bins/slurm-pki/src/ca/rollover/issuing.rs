//! Who may sign in a rollover, the old CA or the new: its key in a file of this host, or its issuer in Vault. All the rest
//! of a rollover is the same for both.

use pki::ca::{CaCertificates, LocalCa};
use pki::certificate::Certificate;
use pki::key::{KeyKind, PrivateKey};
use pki::policy::Plan;
use pki::profile::Serial;
use pki::time::UnixTime;
use pki::x509::X509;
use site::random;

use super::in_vault::{InVault, TRIAL, accepted};
use super::site_files::ca_of;
use crate::admin::Admin;
use crate::advice::Advise as _;
use crate::ca::new::try_out;

/// One of the two.
pub(super) enum Issuing<'a> {
    /// Its key.
    Key(Box<PrivateKey>),
    /// Its id in Vault.
    Issuer(&'a InVault, String),
}

impl Issuing<'_> {
    /// Issues a certificate that nobody will ever see, to know that peers with these anchors accept it when this is sent
    /// along.
    ///
    /// # Errors
    /// Why they would not.
    pub(super) fn try_out(
        &self,
        admin: &Admin,
        anchors: Vec<X509>,
        chain: Vec<X509>,
        now: UnixTime,
    ) -> anyhow::Result<()> {
        match self {
            Self::Key(key) => try_out(&ca_of(anchors, chain, key)?, admin, now),
            Self::Issuer(vault, id) => Trial::by(vault, id, admin, now)?.accepted_with(anchors, chain),
        }
    }

    /// The same for several kinds of peers.
    pub(super) fn try_out_all(
        &self,
        admin: &Admin,
        peers: Vec<Vec<X509>>,
        chain: &[X509],
        now: UnixTime,
    ) -> anyhow::Result<()> {
        match self {
            Self::Key(_) => {
                peers.into_iter().try_for_each(|anchors| self.try_out(admin, anchors, chain.to_vec(), now))
            }
            Self::Issuer(vault, id) => {
                let trial = Trial::by(vault, id, admin, now)?;
                peers.into_iter().try_for_each(|anchors| trial.accepted_with(anchors, chain.to_vec()))
            }
        }
    }

    /// The name of what it issues for a rollover's own needs.
    pub(super) fn own_name(&self) -> &'static str {
        match self {
            Self::Key(_) => super::proof::NAME,
            Self::Issuer(..) => TRIAL,
        }
    }

    /// Issues for peers that trust `anchor` alone, with nothing sent along.
    ///
    /// # Errors
    /// When it cannot, or they would not accept it.
    pub(super) fn issue(
        &self,
        anchor: &X509,
        plan: &Plan,
        key: &PrivateKey,
        now: UnixTime,
    ) -> anyhow::Result<Certificate> {
        match self {
            Self::Key(own) => {
                let ca: LocalCa = ca_of(vec![anchor.clone()], Vec::new(), own)?;
                ca.issue(plan, Serial::new(random::bytes().advise()?), now).advise()
            }
            Self::Issuer(vault, id) => {
                let (leaf, _) = vault.sign(id, plan, key)?;
                let known = CaCertificates { anchors: vec![anchor.clone()], chain: Vec::new() };
                accepted(&known, plan, (leaf, Vec::new()), now)
            }
        }
    }
}

/// One signature of Vault's, judged as each kind of peer would.
struct Trial {
    plan: Plan,
    leaf: X509,
    now: UnixTime,
}

impl Trial {
    fn by(vault: &InVault, id: &str, admin: &Admin, now: UnixTime) -> anyhow::Result<Self> {
        let files = &admin.controller;
        let key = PrivateKey::generate(KeyKind::P256).advise()?;
        let public = key.public().advise()?;
        let names = vec![TRIAL.to_owned()];
        let plan =
            Plan::for_daemon(TRIAL, names, public, &files.subject, files.validity, files.backdate, now);
        let (leaf, _) = vault.sign(id, &plan, &key)?;
        Ok(Self { plan, leaf, now })
    }

    /// What Vault sends along is left out: what is in ca_chain must do.
    fn accepted_with(&self, anchors: Vec<X509>, chain: Vec<X509>) -> anyhow::Result<()> {
        let known = CaCertificates { anchors, chain };
        accepted(&known, &self.plan, (self.leaf.clone(), Vec::new()), self.now).map(drop)
    }
}
