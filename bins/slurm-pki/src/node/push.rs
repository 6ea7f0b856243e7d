//! `node push`: what each node needs on its disk, brought to the running host. A secret leaves the controller when the
//! host has said that the file lies there.

use std::collections::BTreeMap;

use clap::Args;
use pki::name::NodeName;
use pki::token::NodeSecret;
use serde::Serialize;
use site::file::Owner;

use super::add::count;
use super::contents::Contents;
use super::enrolment::{Enrolment, Terms};
use super::handout::Handout;
use super::refused::Refused;
use super::targets::{self, Target};
use crate::admin::Admin;
use crate::advice::Advise as _;
use crate::fleet::{Delivery, Fleet, Missed, Outcomes, Placed, Skips};
use crate::global::Global;
use crate::hostlist::{self, fold, fold_texts};
use crate::members::Members;
use crate::report;

/// Whose the files on a node are that everybody may read, and slurmd's token.
const ROOT: Owner = Owner { uid: 0, gid: 0 };

#[derive(Args, Debug)]
#[command(after_help = "\
The CA bundle, the config and the token go to the host of each node (NodeHostname in slurm.conf; a node that \
slurm.conf does not have is its own host), each by one rename with its owner and mode, through the tool that \
[fleet] names, as root. A node's waiting secret leaves the controller when its host said that the file lies \
there; where that failed it goes on waiting, and the same command again completes it. A node without a waiting \
secret gets a new one, and the old one lasts until secret_grace after the first certificate under the new one. \
Nothing is restarted: a running slurmd asks for nothing until its next start.

Exit codes: 0 all have it, 1 some have not, 64 wrong usage.

Examples:
  slurm-pki node push 'n[001-128]'
  slurm-pki node push 'n[001-128]' --skip 'n[7,9]'      leave dead hosts out, and remember them
  slurm-pki node push 'n[001-128]' --ca-only            CA bundle and config alone, no new secrets
  slurm-pki node push login1.example.org --login        the token is SlurmUser's
  slurm-pki node push 'n[001-128]' --dry-run")]
pub(crate) struct Push {
    /// Nodes, as in slurm.conf: n[001-128,200] login1
    #[arg(value_name = "HOSTLIST", required = true)]
    nodes: Vec<String>,
    /// These hosts run sackd: the token is SlurmUser's. Hosts under fleet sackd that are no nodes need not be told apart
    #[arg(long, conflicts_with = "ca_only")]
    login: bool,
    /// Only what all nodes have alike: CA bundle and config. No secret is made
    #[arg(long)]
    ca_only: bool,
    /// Hosts to leave out, by node or host name: remembered until they are reached again
    #[arg(long, value_name = "HOSTLIST")]
    skip: Vec<String>,
}

/// What came of it, for `--json`.
#[derive(Serialize)]
struct View<'a> {
    hosts: Vec<HostView<'a>>,
    new_secrets: Vec<&'a str>,
    not_brought: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct HostView<'a> {
    host: &'a str,
    nodes: Vec<&'a str>,
    arrived: bool,
    why: Option<&'a str>,
}

impl Push {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let enrolment = Enrolment::of(&admin)?;
        let names = hostlist::nodes(&self.nodes).usage()?;
        let (members, fleet) = (Members::of(&admin)?, Fleet::of(&admin)?);
        let contents = Contents::of(&admin, ROOT)?;
        let mut skips = Skips::load(&admin)?;
        let targets = targets::of(&members, &names);
        let missed = if self.ca_only { Missed::CaCert } else { Missed::Token };
        let targets = targets::without_skipped(global, targets, &self.skip, &mut skips, missed)?;

        let mut refused = Refused::default();
        let secrets = self.secrets(global, &admin, &enrolment, &targets, &mut refused)?;
        let targets = targets::without_refused(targets, &refused);
        if global.dry_run {
            self.say_plan(global, &contents, &targets);
            return refused.into_result(names.len(), "brought anything");
        }
        let mut tokens = Vec::new();
        for (name, secret) in &secrets.all {
            let login = self.login || targets::is_login(&members, name);
            let owner = if login { admin.slurm_user()? } else { ROOT };
            tokens.push((name, contents.token(name, secret, owner)));
        }
        let deliveries = deliveries(&contents, &targets, tokens.into_iter().collect());
        let outcomes = fleet.deliver(global, "hosts", deliveries);

        self.let_go(global, &admin, &enrolment, &targets, &secrets, &outcomes)?;
        skips.reached(global, &outcomes.reached(), &[Missed::CaCert])?;
        if !self.ca_only {
            let whole = targets::whole(&members, &targets, outcomes.reached());
            skips.reached(global, &whole, &[Missed::Token])?;
        }
        if global.json {
            report::json("slurm-pki.node.push.v1", &view(&targets, &secrets, &outcomes, &refused))?;
        }
        self.say(global, &targets, &outcomes);
        let brought = outcomes.into_result("node push");
        refused.into_result(names.len(), "brought anything")?;
        brought
    }

    /// The secret of each node. They wait in the store's outgoing folder, durable, until they have arrived.
    fn secrets(
        &self,
        global: &Global,
        admin: &Admin,
        enrolment: &Enrolment,
        targets: &[Target],
        refused: &mut Refused,
    ) -> anyhow::Result<Secrets> {
        if self.ca_only {
            return Ok(Secrets::default());
        }
        let lock = enrolment.lock(global, admin)?;
        let mut handout = Handout::default();
        for name in targets.iter().flat_map(|target| &target.nodes) {
            handout.add(enrolment, name, refused);
        }
        handout.say(global);
        let new = handout.made();
        let Handout { ready: mut all, new: given } = handout;
        if let Some(lock) = &lock {
            crate::vault::names::allow(admin, &new)?;
            all.extend(enrolment.hand_out(global, lock, given, Terms::default())?);
        }
        Ok(Secrets { all: all.into_iter().collect(), new })
    }

    /// Secrets that have arrived leave the controller.
    fn let_go(
        &self,
        global: &Global,
        admin: &Admin,
        enrolment: &Enrolment,
        targets: &[Target],
        secrets: &Secrets,
        outcomes: &Outcomes,
    ) -> anyhow::Result<()> {
        if secrets.all.is_empty() {
            return Ok(());
        }
        // Others may have given a node another secret while the hosts were worked on: that one stays.
        let _lock = enrolment.lock(global, admin)?;
        for target in targets.iter().filter(|target| matches!(outcomes.of(&target.host), Some(Ok(_)))) {
            for name in &target.nodes {
                let waiting = enrolment.outgoing.waiting(name).advise()?;
                if let (Some(sent), Some(waiting)) = (secrets.all.get(name), waiting)
                    && sent.token().digest() == waiting.token().digest()
                {
                    enrolment.outgoing.remove(name).advise()?;
                }
            }
        }
        Ok(())
    }

    fn what(&self) -> &'static str {
        if self.ca_only { "CA bundle and config" } else { "CA bundle, config and token" }
    }

    fn say_plan(&self, global: &Global, contents: &Contents, targets: &[Target]) {
        let names = || targets.iter().flat_map(|target| &target.nodes);
        let hosts = fold_texts(targets.iter().map(|target| target.host.as_str()));
        let what = self.what();
        let text = format!("{} would get {what}: {}, on {hosts}", count(names().count()), fold(names()));
        report::done(global, &text);
        let mut paths: Vec<_> = contents.shared().map(|file| file.path.clone()).collect();
        if let Some(first) = names().next().filter(|_| !self.ca_only) {
            paths.push(contents.token_path(first));
        }
        let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        report::done(global, &format!("files there: {}", paths.join(", ")));
    }

    fn say(&self, global: &Global, targets: &[Target], outcomes: &Outcomes) {
        let arrived = |target: &&Target| matches!(outcomes.of(&target.host), Some(Ok(_)));
        let names: Vec<_> = targets.iter().filter(arrived).flat_map(|target| &target.nodes).collect();
        if names.is_empty() {
            return;
        }
        let folded = fold(names.iter().copied());
        report::done(global, &format!("{} have {}: {folded}", count(names.len()), self.what()));
        if !self.ca_only {
            report::done(global, &format!("next: slurm-pki node verify '{folded}'"));
        }
    }
}

/// The secrets that go to nodes.
#[derive(Default)]
struct Secrets {
    all: BTreeMap<NodeName, NodeSecret>,
    new: Vec<NodeName>,
}

fn deliveries(
    contents: &Contents,
    targets: &[Target],
    mut tokens: BTreeMap<&NodeName, Placed>,
) -> Vec<Delivery> {
    let delivery = |target: &Target| {
        let tokens = target.nodes.iter().filter_map(|name| tokens.remove(name));
        let files = contents.shared().cloned().chain(tokens).collect();
        Delivery { host: target.host.clone(), files, then: String::new() }
    };
    targets.iter().map(delivery).collect()
}

fn view<'a>(
    targets: &'a [Target],
    secrets: &'a Secrets,
    outcomes: &'a Outcomes,
    refused: &'a Refused,
) -> View<'a> {
    let host = |target: &'a Target| {
        let why = outcomes.of(&target.host).and_then(|result| result.as_ref().err());
        HostView {
            host: &target.host,
            nodes: target.nodes.iter().map(NodeName::as_str).collect(),
            arrived: matches!(outcomes.of(&target.host), Some(Ok(_))),
            why: why.map(String::as_str),
        }
    };
    View {
        hosts: targets.iter().map(host).collect(),
        new_secrets: secrets.new.iter().map(NodeName::as_str).collect(),
        not_brought: refused.iter().map(|(name, why)| (name.as_str(), why)).collect(),
    }
}
