//! `node bundle`: what each node needs on its disk; the secret leaves the controller with it.

use std::path::PathBuf;

use clap::Args;
use pki::name::NodeName;
use site::config::Daemon;
use site::file::Owner;

use super::add::count;
use super::contents::Contents;
use super::enrolment::{Enrolment, Terms};
use super::handout::Handout;
use super::medium::{Format, Medium, Own, Ready};
use super::refused::Refused;
use super::static_pair::StaticPairs;
use crate::admin::{Admin, caller};
use crate::advice::Advise as _;
use crate::global::Global;
use crate::hostlist::{self, fold};
use crate::report;

#[derive(Args, Debug)]
#[command(after_help = "\
A node's bundle is the CA bundle, the token and the config file, each for the place that the config says, and nothing \
of another node's. A node's waiting secret leaves the controller with its bundle; bundling again makes a new secret, \
and the old one lasts until secret_grace after the first certificate under the new one.

In DIR, with n1 for each node:
  dir         n1/, a tree laid out from n1's root, and n1.options with what to merge into the daemon's options
  tar         n1.tar, which names owners: it need not be made by root
  warewulf    slurm-pki/, a site overlay for all nodes, and slurm-pki.nodes/ with the secrets that its template takes
  cloud-init  n1.yaml, user-data with write_files
  ansible     hosts.yml and host_vars/n1.yml, an inventory to give beside the site's

Recipes for each: docs/provisioning.md.

Examples:
  slurm-pki node bundle 'n[001-128]' --out /root/bundles
  slurm-pki node bundle login1.example.org --login --out /root/bundles
  tar -C /root/bundles/n1 -cf - . | ssh n1 tar -C / -xpf -
  slurm-pki node bundle n1 --format tar --out - | ssh n1 tar -C / -xpf -
  slurm-pki node bundle 'n[001-128]' --format warewulf --out /var/lib/slurm-pki-warewulf
  slurm-pki node bundle 'n[001-128]' --format cloud-init --own-only --out /root/user-data
  slurm-pki node bundle 'n[001-128]' --format ansible --out /root/slurm-pki-inventory
  slurm-pki node bundle n9 --static --out /root/static     a certificate and key instead of a token
  slurm-pki node bundle n7 --out /root/bundles --force     anew, with a new secret")]
pub(crate) struct Bundle {
    /// Nodes, as in slurm.conf: n[001-128,200] login1
    #[arg(value_name = "HOSTLIST", required = true)]
    nodes: Vec<String>,
    /// The folder for the bundles: new, or yours with mode 0700; - for one node's bundle on stdout
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The form of the bundles
    #[arg(long, value_enum, default_value_t = Format::Dir)]
    format: Format,
    /// These hosts run sackd: the token is SlurmUser's
    #[arg(long)]
    login: bool,
    /// Leave out CA bundle and config, which images have already
    #[arg(long)]
    own_only: bool,
    /// Replace bundles that lie there already
    #[arg(long)]
    force: bool,
    /// With a certificate and key that slurmd loads from files, without certmgr
    #[arg(long = "static")]
    static_pair: bool,
}

/// Why a node is not bundled again, and what to do.
const TAKEN: (&str, &str) =
    ("a bundle lies there already", "take it to the node, or replace it with --force");

impl Bundle {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        if self.static_pair {
            return self.run_static(global);
        }
        let admin = Admin::load(global)?;
        let enrolment = Enrolment::of(&admin)?;
        let names = hostlist::nodes(&self.nodes).usage()?;
        let contents = Contents::of(&admin, self.format.root())?;
        let token_owner = self.token_owner(&admin)?;
        let medium = self.medium(&contents, contents.own());
        medium.prepare(names.len(), global.dry_run)?;
        let lock = enrolment.lock(global, &admin)?;

        let mut refused = Refused::default();
        let mut handout = Handout::default();
        for name in &names {
            if self.is_taken(&medium, name) {
                refused.add(name, TAKEN.0, TAKEN.1);
            } else {
                handout.add(&enrolment, name, &mut refused);
            }
        }
        handout.say(global);
        let made = handout.made();
        let Handout { mut ready, new } = handout;
        let Some(lock) = &lock else {
            let all: Vec<_> = ready.iter().map(|(name, _)| name).chain(&made).collect();
            let text =
                format!("{} would be bundled in {}: {}", count(all.len()), self.out.display(), fold(all));
            report::done(global, &text);
            return refused.into_result(names.len(), "bundled");
        };
        crate::vault::names::allow(&admin, &made)?;
        ready.extend(enrolment.hand_out(global, lock, new, Terms::default())?);
        let ready = contents.with_tokens(ready, token_owner);
        medium.write(global, &ready)?;
        // Only now: the secrets are durable in the bundles.
        for one in &ready {
            if let Err(e) = enrolment.outgoing.remove(&one.name) {
                refused.add_error(&one.name, &e);
            }
        }
        self.say(global, &medium, &ready);
        refused.into_result(names.len(), "bundled")
    }

    /// Pairs that slurmd or sackd loads from files: no token, because such a node never asks.
    fn run_static(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let names = hostlist::nodes(&self.nodes).usage()?;
        let contents = Contents::of(&admin, self.format.root())?;
        let pairs = StaticPairs::of(&admin, self.daemon())?;
        let medium = self.medium(&contents, pairs.own());
        medium.prepare(names.len(), global.dry_run)?;
        let mut refused = Refused::default();
        let (there, free): (Vec<_>, Vec<_>) = names.iter().partition(|name| self.is_taken(&medium, name));
        for name in there {
            refused.add(name, TAKEN.0, TAKEN.1);
        }
        if global.dry_run {
            let out = self.out.display();
            let text = format!("{} would get a pair, bundled in {out}: {}", count(free.len()), fold(free));
            report::done(global, &text);
            return refused.into_result(names.len(), "bundled");
        }
        let bar = report::progress(global, free.len(), "pairs");
        let mut ready = Vec::new();
        for name in free {
            ready.push(Ready { name: name.clone(), files: pairs.issue(global, &admin, name)? });
            bar.inc(1);
        }
        bar.finish_and_clear();
        medium.write(global, &ready)?;
        self.say(global, &medium, &ready);
        refused.into_result(names.len(), "bundled")
    }

    fn daemon(&self) -> Daemon {
        if self.login { Daemon::Sackd } else { Daemon::Slurmd }
    }

    fn medium<'a>(&'a self, contents: &'a Contents, own: Own) -> Medium<'a> {
        Medium {
            format: self.format,
            out: &self.out,
            daemon: self.daemon(),
            contents,
            own,
            own_only: self.own_only,
        }
    }

    fn is_taken(&self, medium: &Medium<'_>, name: &NodeName) -> bool {
        !self.force && medium.holds(name)
    }

    /// Whoever cannot give files away keeps them.
    fn token_owner(&self, admin: &Admin) -> anyhow::Result<Owner> {
        let root = self.format.root();
        if self.login && (root.uid == 0 || caller().uid == 0) { admin.slurm_user() } else { Ok(root) }
    }

    fn say(&self, global: &Global, medium: &Medium<'_>, ready: &[Ready]) {
        let Some(first) = ready.first() else { return };
        let names = fold(ready.iter().map(|one| &one.name));
        report::done(global, &format!("{} bundled in {}: {names}", count(ready.len()), self.out.display()));
        medium.say_next(global, &first.name);
    }
}
