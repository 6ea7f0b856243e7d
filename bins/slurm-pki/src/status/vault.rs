//! Vault, where CA or records are there: whether it can be used, and until when the programs' token lives.

use std::time::Instant;

use pki::time::UnixTime;
use serde::Serialize;
use signer::{Door, of_vault};
use site::config::vault::VaultAuth;
use site::config::{Place, VaultConfig};
use vault::{auth, sys};

use super::Part;
use crate::admin::Admin;
use crate::advice::Advise as _;
use crate::vault::life::Life;

/// How Vault is.
#[derive(Debug, Serialize)]
pub(crate) struct VaultState {
    /// Where.
    pub(crate) address: String,
    /// What it calls its version.
    pub(crate) version: String,
    /// Whether it can do nothing until it is unsealed.
    pub(crate) sealed: bool,
    /// Whether another server is the active one.
    pub(crate) standby: bool,
    /// When the programs' token ends if nobody renews it; null where each run gets a new one, or it never ends.
    pub(crate) token_ends: Option<UnixTime>,
}

impl VaultState {
    /// Asks, where the config says that anything is there.
    pub(super) fn of(admin: &Admin, now: UnixTime) -> Part<Self> {
        let places = [admin.controller.signer, admin.controller.store];
        if places.contains(&Place::Vault) { Self::asked(admin, now).into() } else { Part::Elsewhere }
    }

    fn asked(admin: &Admin, now: UnixTime) -> anyhow::Result<Self> {
        let config = VaultConfig::read(&admin.config).advise()?;
        let open = |door: Door| door.open(&config, Instant::now() + config.deadline).advise();
        let client = open(Door::Nobody)?;
        let health = sys::health(&client).map_err(of_vault).advise()?;
        let keeps_a_token = config.auth == VaultAuth::TokenFile && !health.sealed;
        let token_ends = if keeps_a_token {
            let facts = auth::lookup_self(&open(Door::Programs)?).map_err(of_vault).advise()?;
            Life::of(&facts, now, 0).ends
        } else {
            None
        };
        let (address, version) = (client.address(), health.version);
        Ok(Self { address, version, sealed: health.sealed, standby: health.standby, token_ends })
    }
}
