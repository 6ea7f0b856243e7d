//! `node bundle`: what each node needs on its disk; the secret leaves the controller with it.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use pki::name::NodeName;
use site::Error;
use site::config::{Daemon, VARIABLE};
use site::file::{NewFile, Owner};

use super::add::count;
use super::contents::Contents;
use super::enrolment::{Enrolment, Terms};
use super::handout::Handout;
use super::refused::Refused;
use super::static_pair::StaticPairs;
use super::tree::{self, Tree};
use crate::admin::{Admin, caller};
use crate::advice::Advise as _;
use crate::fleet::Placed;
use crate::global::Global;
use crate::hostlist::{self, fold};
use crate::report;

/// Ending of the file beside a bundle.
const OPTIONS: &str = ".options";

#[derive(Args, Debug)]
#[command(after_help = "\
DIR/n1/ is a tree laid out from n1's root: the CA bundle, the token and the config file, each where the \
config says. Beside it DIR/n1.options has what to merge into the daemon's options. A node's waiting secret \
leaves the controller with its bundle; bundling again makes a new secret, and the old one lasts until \
secret_grace after the first certificate under the new one.

Examples:
  slurm-pki node bundle 'n[001-128]' --out /root/bundles
  slurm-pki node bundle login1.example.org --login --out /root/bundles
  tar -C /root/bundles/n1 -cf - . | ssh n1 tar -C / -xpf -
  slurm-pki node bundle n9 --static --out /root/static     a certificate and key instead of a token
  slurm-pki node bundle n7 --out /root/bundles --force     anew, with a new secret")]
pub(crate) struct Bundle {
    /// Nodes, as in slurm.conf: n[001-128,200] login1
    #[arg(value_name = "HOSTLIST", required = true)]
    nodes: Vec<String>,
    /// The folder for the bundles: new, or yours with mode 0700
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// These hosts run sackd: the token is SlurmUser's
    #[arg(long)]
    login: bool,
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
        let contents = Contents::of(&admin, root())?;
        let token_owner = self.token_owner(&admin)?;
        tree::prepare(&self.out, global.dry_run)?;
        let lock = enrolment.lock(global, &admin)?;

        let mut refused = Refused::default();
        let mut handout = Handout::default();
        for name in &names {
            if self.is_taken(name) {
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
        let with_token = |(name, secret)| {
            let files = vec![contents.token(&name, &secret, token_owner)];
            Ready { name, files }
        };
        let ready: Vec<_> = ready.into_iter().map(with_token).collect();
        self.lay_out(global, &contents, &ready)?;
        // Only now: the secrets are durable in the bundles.
        for one in &ready {
            if let Err(e) = enrolment.outgoing.remove(&one.name) {
                refused.add_error(&one.name, &e);
            }
        }
        self.say(global, &ready);
        refused.into_result(names.len(), "bundled")
    }

    /// Pairs that slurmd or sackd loads from files: no token, because such a node never asks.
    fn run_static(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let names = hostlist::nodes(&self.nodes).usage()?;
        let contents = Contents::of(&admin, root())?;
        let pairs = StaticPairs::of(&admin, if self.login { Daemon::Sackd } else { Daemon::Slurmd })?;
        tree::prepare(&self.out, global.dry_run)?;
        let mut refused = Refused::default();
        let (there, free): (Vec<_>, Vec<_>) = names.iter().partition(|name| self.is_taken(name));
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
        self.lay_out(global, &contents, &ready)?;
        self.say(global, &ready);
        refused.into_result(names.len(), "bundled")
    }

    fn is_taken(&self, name: &NodeName) -> bool {
        let place = self.out.join(name.as_str());
        let is_free = fs::read_dir(&place).map_or(true, |mut entries| entries.next().is_none());
        !is_free && !self.force
    }

    /// Whoever cannot give files away keeps them.
    fn token_owner(&self, admin: &Admin) -> anyhow::Result<Owner> {
        if self.login && caller().uid == 0 { admin.slurm_user() } else { Ok(root()) }
    }

    /// What the node's daemon must be told, to merge by hand: a ready file would drop the site's own
    /// options.
    fn options(&self, contents: &Contents) -> String {
        let (variable, daemon) =
            if self.login { ("SACKD_OPTIONS", "sackd") } else { ("SLURMD_OPTIONS", "slurmd") };
        let mut text = format!(
            "# Merge into /etc/default/{daemon} (Debian) or /etc/sysconfig/{daemon} (EL):\n\
             {variable}=\"--ca-cert-file={}\"\n",
            contents.ca().path.display()
        );
        if let Some(path) = contents.config_elsewhere() {
            text.push_str(&format!("{VARIABLE}={}\n", path.display()));
        }
        text
    }

    fn lay_out(&self, global: &Global, contents: &Contents, ready: &[Ready]) -> anyhow::Result<()> {
        let bar = report::progress(global, ready.len(), "bundles");
        let mut trees = Vec::new();
        site::batch::sweep(&self.out, OPTIONS).advise()?;
        for one in ready {
            trees.push(tree_of(&self.out, contents, one).advise()?);
            let options = self.out.join(format!("{}{OPTIONS}", one.name));
            let file = NewFile::new(&options, 0o644).owned_by(Some(root())).not_synced();
            file.replace(self.options(contents).as_bytes()).advise()?;
            bar.inc(1);
        }
        tree::sync(&self.out).advise()?;
        for tree in &trees {
            tree.put().advise()?;
        }
        tree::sync(&self.out).advise()?;
        bar.finish_and_clear();
        Ok(())
    }

    fn say(&self, global: &Global, ready: &[Ready]) {
        if ready.is_empty() {
            return;
        }
        let names = fold(ready.iter().map(|one| &one.name));
        report::done(global, &format!("{} bundled in {}: {names}", count(ready.len()), self.out.display()));
        if caller().uid != 0 {
            report::warning(
                "the bundles are yours, not root's: on the node give the files to root after copying",
            );
        }
        if let Some(Ready { name, .. }) = ready.first() {
            let out = self.out.display();
            report::done(
                global,
                &format!(
                    "next: tar -C {out}/{name} -cf - . | ssh {name} tar -C / -xpf -   and see {out}/{name}{OPTIONS}"
                ),
            );
        }
    }
}

/// A node, and the files that no other node gets.
struct Ready {
    name: NodeName,
    files: Vec<Placed>,
}

/// Whom the files belong to: root, or whoever runs this and cannot give them away.
fn root() -> Owner {
    if caller().uid == 0 { Owner { uid: 0, gid: 0 } } else { caller() }
}

fn tree_of(out: &Path, contents: &Contents, one: &Ready) -> Result<Tree, Error> {
    let tree = Tree::new(out, one.name.as_str())?;
    contents.shared().chain(&one.files).try_for_each(|file| tree.add(file))?;
    Ok(tree)
}
