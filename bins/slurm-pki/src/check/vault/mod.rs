//! Vault: whether it is there, what each login may do and for how long, and whether engines and roles are as the policy of
//! this site needs them.

mod engines;
mod login;
mod role;
mod server;

use std::cell::OnceCell;
use std::time::{Duration, Instant};

use signer::Door;
use site::config::{ControllerConfig, Place, VaultConfig};
use vault::Client;

use super::finding::{Findings, Group};
use super::scene::Scene;
use crate::global::Global;

/// For everything that is asked through one door, thousands of records not among it.
const PATIENCE: Duration = Duration::from_secs(20);

/// What mends most of it.
const SETUP: &str = "slurm-pki vault setup writes it anew";

/// Whether CA or records of this site are in Vault.
pub(super) fn is_in_use(scene: &Scene) -> bool {
    let controller = &scene.admin.controller;
    controller.signer == Place::Vault || controller.store == Place::Vault
}

/// What is looked at, and how one gets there.
struct Look<'a> {
    global: &'a Global,
    scene: &'a Scene,
    config: VaultConfig,
    /// How many seconds Vault's clock is ahead.
    ahead: i64,
    /// Whether the CA is in Vault, or both are to be.
    signs: bool,
    /// The same of the records.
    keeps: bool,
    programs: Option<Client>,
    daemons: Option<Client>,
    admin: OnceCell<Option<Client>>,
}

/// Looks at all of it.
pub(super) fn look(scene: &Scene, global: &Global, found: &mut Findings) {
    found.begin(Group::Vault);
    let config = match VaultConfig::read(&scene.admin.config) {
        Ok(config) => config,
        Err(e) => return found.critical_error("vault-config", &e),
    };
    let Some(ahead) = server::look(scene, &config, found) else {
        return found.not_looked_at("the rest of Vault: not before it answers");
    };
    let planned = !is_in_use(scene);
    let ControllerConfig { signer, store, .. } = scene.admin.controller;
    let look = Look {
        global,
        scene,
        ahead,
        signs: planned || signer == Place::Vault,
        keeps: planned || store == Place::Vault,
        programs: open(&config, Door::Programs, found),
        daemons: config.has_daemon_credentials().then(|| open(&config, Door::Daemons, found)).flatten(),
        admin: OnceCell::new(),
        config,
    };
    login::look(&look, found);
    engines::look(&look, found);
    role::look(&look, found);
}

fn open(config: &VaultConfig, door: Door, found: &mut Findings) -> Option<Client> {
    match door.open(config, Instant::now() + PATIENCE) {
        Ok(client) => Some(client),
        Err(e) => {
            found.file_error("vault-login", &e);
            None
        }
    }
}

impl Look<'_> {
    /// By the token of whoever runs this, where there is one that Vault takes.
    fn admin(&self, found: &mut Findings) -> Option<&Client> {
        let first = self.admin.get().is_none();
        let client = self.admin.get_or_init(|| {
            let client = Door::Admin.open(&self.config, Instant::now() + PATIENCE).ok()?;
            vault::auth::lookup_self(&client).is_ok().then_some(client)
        });
        if first && client.is_none() {
            found.not_looked_at(
                "roles, issuer, enrolled names and audit devices: Vault shows them to a token of yours alone (vault login)",
            );
        }
        client.as_ref()
    }
}

/// An answer, `None` where this token may not ask, else a finding.
fn told<T>(
    found: &mut Findings,
    code: &'static str,
    what: &str,
    result: Result<T, vault::Error>,
) -> Option<T> {
    match result {
        Ok(value) => return Some(value),
        Err(e) if e.is_denied() => found.not_looked_at(format!("{what}: your token may not read it")),
        Err(e) => found.critical_error(code, &e),
    }
    None
}
