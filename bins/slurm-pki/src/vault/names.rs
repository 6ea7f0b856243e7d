//! The names in the nodes' role, which are to be those of the enrolled nodes: whoever steals the programs' login could have
//! any of them signed, and a node whose name is not there gets no certificate.
//!
//! A command that enrols writes the role before the records, one that removes writes it after them. Killed in between, it
//! leaves a name too much, which enrols nobody, and the same command run again ends it; the other way round a node would be
//! enrolled and get nothing.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use pki::name::NodeName;
use pki::standing::Standing;
use signer::{Door, of_vault, pki_engine};
use site::config::{Place, VaultConfig};
use site::random;
use site::store::Store;
use site::token_list;
use vault::Client;

use super::role::{Settings, domains, names_in, with_names};
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::global::Global;
use crate::report;

/// For all that one command asks about the role, a large one among it.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often the role is written when somebody else writes it too.
const TRIES: u32 = 5;

/// Storage of a server holds values up to 1 MiB, some of 512 KiB: this much of names is worth a word.
const MANY_BYTES: usize = 400 * 1024;

/// More than any server stores in one value, and half of the answer that is still read: what is written must be read again.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// All nodes that may have a certificate.
pub(crate) struct Enrolled {
    pub(crate) names: Vec<NodeName>,
    /// Whether the list has tokens without a name, which enrol nodes of any.
    pub(crate) any: bool,
}

/// Reads the records of all nodes, one by one, and the list once: nodes that it alone enrols may ask too, those with records
/// are judged by them. `store` is `None` where there can be no records yet.
///
/// # Errors
/// When records or list cannot be read.
pub(crate) fn enrolled(global: &Global, admin: &Admin, store: Option<&Store>) -> anyhow::Result<Enrolled> {
    let (now, windows) = (site::clock::now(), admin.controller.windows);
    let recorded = store.map_or_else(|| Ok(Vec::new()), Store::names).advise()?;
    let bar = report::progress(global, recorded.len(), "reading records");
    let mut names = Vec::new();
    for name in &recorded {
        if let Some(store) = store
            && store.standing(name).advise()?.is_enrolled(now, &windows)
        {
            names.push(name.clone());
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let Some(list) = &admin.controller.token_list else { return Ok(Enrolled { names, any: false }) };
    let entries = token_list::entries(list).advise()?;
    let any = entries.iter().any(|(name, _)| name.is_none());
    // Sorted, as the store gives them.
    let is_judged = |name: &NodeName| name.is_reserved() || recorded.binary_search(name).is_ok();
    names.extend(entries.into_iter().filter_map(|(name, _)| name).filter(|name| !is_judged(name)));
    Ok(Enrolled { names, any })
}

/// Adds the names of nodes that are about to be enrolled, where the CA is in Vault.
///
/// # Errors
/// When the role cannot be read or written; then nothing else should be either.
pub(crate) fn allow(admin: &Admin, nodes: &[NodeName]) -> anyhow::Result<()> {
    if admin.controller.signer != Place::Vault || nodes.is_empty() {
        return Ok(());
    }
    let wanted: BTreeSet<_> =
        nodes.iter().flat_map(|name| domains(&admin.controller, name.as_str())).collect();
    if let Some(name) = wanted.iter().find(|name| name.contains('_')) {
        report::warning(&format!(
            "{name} has an underscore: Vault's PKI engine signs for no such name, and its slurmd gets no certificate; \
             give the node another NodeName"
        ));
    }
    Role::of(admin)?.change(&wanted, &BTreeSet::new())
}

/// Takes the names of removed nodes away.
///
/// # Errors
/// When the role cannot be read or written. The nodes are removed nevertheless.
pub(crate) fn disallow(admin: &Admin, store: &Store, nodes: &[NodeName]) -> anyhow::Result<()> {
    if admin.controller.signer != Place::Vault || nodes.is_empty() {
        return Ok(());
    }
    let mut gone = BTreeSet::new();
    for name in nodes {
        for domain in domains(&admin.controller, name.as_str()) {
            if domain == name.as_str() || !is_another_node(admin, store, &domain)? {
                gone.insert(domain);
            }
        }
    }
    Role::of(admin)?.change(&BTreeSet::new(), &gone)
}

/// Whether what `san` makes of one node's name is another node's own.
fn is_another_node(admin: &Admin, store: &Store, domain: &str) -> anyhow::Result<bool> {
    let Ok(name) = NodeName::parse(domain.as_bytes()) else { return Ok(false) };
    let standing: Standing = store.standing(&name).advise()?;
    Ok(standing.is_enrolled(site::clock::now(), &admin.controller.windows))
}

/// The nodes' role, with a person's token.
struct Role {
    config: VaultConfig,
    client: Client,
}

impl Role {
    fn of(admin: &Admin) -> anyhow::Result<Self> {
        let config = VaultConfig::read(&admin.config).advise()?;
        let client = Door::Admin.open(&config, Instant::now() + PATIENCE).advise()?;
        Ok(Self { config, client })
    }

    /// One write for all names. The engine has no check-and-set: what was written is read again, and a write that somebody
    /// else's ran over is repeated on what they left.
    fn change(&self, more: &BTreeSet<String>, less: &BTreeSet<String>) -> anyhow::Result<()> {
        for _ in 0..TRIES {
            let role = self.read()?;
            let now = names_in(&role);
            let mut wanted: BTreeSet<_> = now.difference(less).cloned().collect();
            wanted.extend(more.iter().cloned());
            if wanted == now {
                return Ok(());
            }
            // Taking names away is never too much.
            if !more.is_empty() {
                refuse_too_many(&wanted)?;
            }
            self.write(&with_names(&role, &wanted))?;
            let after = names_in(&self.read()?);
            if more.is_subset(&after) && less.is_disjoint(&after) {
                return Ok(());
            }
            let [random] = random::bytes().advise()?;
            sleep(Duration::from_millis(100 + u64::from(random)));
        }
        Err(Advice::new(
            format!("somebody else keeps changing the role {} in Vault", self.config.role),
            "see who it is, then run the same command again",
        )
        .into())
    }

    fn read(&self) -> anyhow::Result<Settings> {
        let role = pki_engine(&self.config).advise()?.role(&self.client, &self.config.role);
        role.map_err(of_vault).advise()?.ok_or_else(|| {
            Advice::new(
                format!("there is no role {} at {} in Vault", self.config.role, self.config.pki_mount),
                "make it with slurm-pki vault setup",
            )
            .into()
        })
    }

    fn write(&self, role: &Settings) -> anyhow::Result<()> {
        let settings = serde_json::Value::Object(role.clone());
        let engine = pki_engine(&self.config).advise()?;
        engine.write_role(&self.client, &self.config.role, &settings).map_err(of_vault).advise()
    }
}

/// Says so before the server refuses it, and refuses what none takes.
///
/// # Errors
/// When the names are more than a server stores.
pub(super) fn refuse_too_many(names: &BTreeSet<String>) -> anyhow::Result<()> {
    let bytes: usize = names.iter().map(|name| name.len() + 3).sum();
    let what = format!(
        "the names in the role come to {} KiB; servers store at most 512 KiB or 1 MiB in one value (max_entry_size)",
        bytes / 1024
    );
    if bytes > MAX_BYTES {
        return Err(Advice::new(what, "fewer names in san, or shorter ones; nothing was written").into());
    }
    if bytes > MANY_BYTES {
        report::warning(&what);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_names_are_taken_and_more_than_a_server_stores_are_not() {
        let names = |count: usize, length: usize| -> BTreeSet<String> {
            (0..count).map(|number| format!("{number:0length$}")).collect()
        };
        assert!(refuse_too_many(&names(10_000, 64)).is_ok());
        assert!(refuse_too_many(&names(40_000, 64)).is_err());
    }
}
