//! The bundle to every host, and who has it: `hosts.json` beside the new CA remembers what each was given last.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use pki::secret::Secret;
use pki::time::UnixTime;
use serde::{Deserialize, Serialize};
use site::clock;
use site::file::{self, Keep, Owner};
use site::ledger::{Entry, Ledger};

use super::bundle::Bundle;
use super::proof::are_one;
use super::site_files::SiteFiles;
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::ca::new::CERTIFICATE_MODE;
use crate::fleet::{Delivery, Fleet, Missed, Placed, Skips, digest};
use crate::global::Global;
use crate::hostlist;
use crate::members::{Members, is_this_host};
use crate::report;

/// As long as a list of all hosts of the largest cluster.
const MAX_FILE: usize = 16 * 1024 * 1024;

const FILE: &str = "ca/rollover/hosts.json";

/// How hosts come by the bundle.
#[derive(Args, Clone, Debug)]
pub(super) struct Reach {
    /// Copy nothing: images or configuration management bring the bundle
    #[arg(long)]
    no_push: bool,
    /// Leave these out: they are dead, and are remembered
    #[arg(long, value_name = "HOSTLIST")]
    skip: Vec<String>,
}

impl Reach {
    /// Whether nothing is to be done on other hosts.
    pub(super) fn brings_nothing(&self) -> bool {
        self.no_push
    }

    /// The dead, by name.
    ///
    /// # Errors
    /// When it is no hostlist.
    pub(super) fn skipped(&self) -> anyhow::Result<Vec<String>> {
        hostlist::hosts(&self.skip).usage()
    }
}

impl Reach {
    /// The same where names of the ledger alone were left out too: a login host that is in no file of Slurm's.
    ///
    /// # Errors
    /// When the site's files cannot be read.
    pub(super) fn of_hosts(&self, admin: &Admin) -> anyhow::Result<Self> {
        let members = Members::of(admin)?;
        let is_host = |name: &String| {
            let host = members.all().iter().any(|member| member.host == *name);
            members.node_named(name).is_some() || (host && !is_this_host(name))
        };
        let skip = self.skipped()?.into_iter().filter(is_host).collect();
        Ok(Self { no_push: self.no_push, skip })
    }
}

/// What a host was given last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Given {
    /// SHA-256 of ca_cert.
    bundle: String,
    /// When it was there: never before it arrived.
    time: UnixTime,
    /// Serial numbers of its certificates that the ledger had by then and dates later: a clock was fast.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dated_later: Vec<String>,
}

impl Given {
    /// This host's own.
    pub(super) fn here(time: UnixTime) -> Self {
        Self { bundle: String::new(), time, dated_later: Vec::new() }
    }

    /// Whether the host was issued a certificate after it had the bundle, as far as that can be told now. Times are whole
    /// seconds: within one, nobody knows what came first.
    pub(super) fn came_before(&self, renewal: &Entry, now: UnixTime) -> bool {
        renewal.time > self.time && !self.is_dated_wrongly(renewal, now)
    }

    /// Whether a clock was fast when the ledger got this line. No tolerance: who is named for a second asks again.
    pub(super) fn is_dated_wrongly(&self, renewal: &Entry, now: UnixTime) -> bool {
        renewal.time > now || self.dated_later.contains(&renewal.serial)
    }
}

/// Hosts that have, and have not, what lies here.
pub(super) struct Standing {
    pub(super) lacking: Vec<String>,
    pub(super) given: usize,
}

/// Brings ca_cert, as it is here now, to every other host that was not given it yet.
///
/// # Errors
/// When any of them could not be reached; the same again goes on with those.
pub(super) fn bring(files: &SiteFiles<'_>, reach: &Reach, now: UnixTime) -> anyhow::Result<()> {
    let (global, admin) = (files.global, files.admin);
    let members = Members::of(admin)?;
    let hosts = others(&members);
    if reach.no_push {
        return say_what_has_to_get_there(global, admin, &hosts);
    }
    let mut skips = Skips::load(admin)?;
    let skip = as_hosts(&members, &hosts, reach.skipped()?);
    let hosts = skips.leave_out(global, hosts, &skip, Missed::CaCert, now)?;
    if global.dry_run {
        let names = hostlist::fold_texts(hosts.iter().map(String::as_str));
        let none = if names.is_empty() { "no other host" } else { &names };
        report::line(&format!("would bring {} to {none}", admin.controller.ca_cert.display()));
        return Ok(());
    }
    let bundle = Bundle::of(admin)?.text;
    let wanted = digest(&bundle);
    let mut known = load(admin)?;
    let lacking: Vec<_> = hosts.into_iter().filter(|host| !has(&known, host, &wanted)).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let deliveries = lacking.into_iter().map(|host| delivery(admin, host, &bundle)).collect();
    let outcomes = Fleet::of(admin)?.deliver(global, "bringing ca_cert", deliveries);
    // Who renewed while it was on its way may have loaded the one before.
    let there = clock::now();
    let reached = outcomes.reached();
    let later = Ledger::of(&admin.controller).entries(|entry| entry.time > there).advise()?;
    for host in &reached {
        let its = later.iter().filter(|entry| are_one(host.as_bytes(), entry.node.as_bytes()));
        let dated_later = its.map(|entry| entry.serial.clone()).collect();
        known.insert(host.clone(), Given { bundle: wanted.clone(), time: there, dated_later });
    }
    files.put_hosts(&serde_json::to_vec_pretty(&known)?)?;
    skips.reached(global, &reached, &[Missed::CaCert])?;
    report::done(
        global,
        &format!("brought  {} to {} hosts", admin.controller.ca_cert.display(), reached.len()),
    );
    outcomes.into_result("bringing ca_cert")
}

fn delivery(admin: &Admin, host: String, bundle: &[u8]) -> Delivery {
    let file = Placed {
        path: admin.controller.ca_cert.clone(),
        contents: Secret::new(bundle.to_vec()),
        mode: CERTIFICATE_MODE,
        owner: Owner { uid: 0, gid: 0 },
    };
    Delivery { host, files: vec![file], then: String::new() }
}

/// A warning that names the hosts that were not given the bundle of this host.
///
/// # Errors
/// When what is known of them cannot be read.
pub(super) fn say_who_lacks(files: &SiteFiles<'_>) -> anyhow::Result<()> {
    let Standing { lacking, .. } = standing(files.admin)?;
    if !lacking.is_empty() {
        let names = hostlist::fold_texts(lacking.iter().map(String::as_str));
        report::warning(&format!(
            "not known to have the new root yet: {names}; they accept the new certificates all the same, until finish"
        ));
    }
    Ok(())
}

/// Who was given the bundle that lies here.
///
/// # Errors
/// When files of the site cannot be read.
pub(super) fn standing(admin: &Admin) -> anyhow::Result<Standing> {
    let wanted = digest(&Bundle::of(admin)?.text);
    let known = load(admin)?;
    let (given, lacking): (Vec<_>, Vec<_>) =
        others(&Members::of(admin)?).into_iter().partition(|host| has(&known, host, &wanted));
    Ok(Standing { lacking, given: given.len() })
}

/// The hosts that were given the bundle of this host, and when.
///
/// # Errors
/// When what is known of them cannot be read.
pub(super) fn given(admin: &Admin) -> anyhow::Result<BTreeMap<String, Given>> {
    let wanted = digest(&Bundle::of(admin)?.text);
    Ok(load(admin)?.into_iter().filter(|(_, given)| given.bundle == wanted).collect())
}

/// Every host but this one.
fn others(members: &Members) -> Vec<String> {
    let hosts = members.all().iter().map(|member| member.host.clone());
    hosts.filter(|host| !is_this_host(host)).collect()
}

/// The hosts that these names mean, be they those of hosts, or of nodes there. Nodes of this host are left out;
/// a name that means nothing stays, to be refused.
fn as_hosts(members: &Members, hosts: &[String], names: Vec<String>) -> Vec<String> {
    let meant = names.into_iter().filter_map(|name| match members.node_named(&name) {
        Some(node) if !hosts.contains(&name) => Some(node.host.clone()).filter(|host| hosts.contains(host)),
        _ => Some(name),
    });
    meant.collect()
}

fn say_what_has_to_get_there(global: &Global, admin: &Admin, hosts: &[String]) -> anyhow::Result<()> {
    let bundle = Bundle::of(admin)?.text;
    let (path, names) =
        (admin.controller.ca_cert.display(), hostlist::fold_texts(hosts.iter().map(String::as_str)));
    let hosts = if names.is_empty() { "every host" } else { &names };
    report::done(
        global,
        &format!(
            "Bring {path} (mode 0644, root's, SHA-256 {}) to {hosts}, and into images.",
            digest(&bundle)
        ),
    );
    Ok(())
}

fn path(admin: &Admin) -> PathBuf {
    admin.top().state_dir.join(FILE)
}

fn has(known: &BTreeMap<String, Given>, host: &str, wanted: &str) -> bool {
    known.get(host).is_some_and(|given| given.bundle == wanted)
}

fn load(admin: &Admin) -> anyhow::Result<BTreeMap<String, Given>> {
    let path = path(admin);
    match file::read_if_there(&path, Keep::Intact, MAX_FILE).advise()? {
        None => Ok(BTreeMap::new()),
        Some(text) => serde_json::from_slice(text.expose()).map_err(|e| {
            let what = format!("{}: {e}", path.display());
            Advice::new(what, "remove it: every host is then given the bundle again").into()
        }),
    }
}
