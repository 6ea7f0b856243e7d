//! `node bundle`: what each node needs on its disk; the secret leaves the controller with it.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use pki::loads_in_s2n::{self, MAX_BUNDLE_PEM};
use pki::name::NodeName;
use pki::token::NodeSecret;
use site::Error;
use site::config::{ConfigFile, DEFAULT_PATH, Daemon, NodeConfig, Template, VARIABLE};
use site::file::{self, Keep, NewFile, Owner};

use super::add::count;
use super::enrolment::{Enrolment, Given, Terms};
use super::outgoing::record_of;
use super::refused::Refused;
use super::static_pair::StaticPairs;
use super::token::successor;
use super::tree::{self, NodeFile, Tree};
use crate::admin::{Admin, caller};
use crate::advice::{Advice, Advise as _};
use crate::global::Global;
use crate::hostlist::{self, fold};
use crate::report;

/// Ending of the file beside a bundle.
const OPTIONS: &str = ".options";

/// As site::config has it.
const MAX_CONFIG: usize = 256 * 1024;

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

/// What is the same in every bundle.
struct Contents {
    ca_path: PathBuf,
    ca: Vec<u8>,
    config: Option<(PathBuf, Vec<u8>)>,
    token_file: Template,
    /// `None`: whoever runs this, who cannot give files away.
    root: Option<Owner>,
    token_owner: Option<Owner>,
    options: String,
}

impl Bundle {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        if self.static_pair {
            return self.run_static(global);
        }
        let admin = Admin::load(global)?;
        let enrolment = Enrolment::of(&admin)?;
        let names = hostlist::nodes(&self.nodes).usage()?;
        let contents = self.contents(&admin)?;
        tree::prepare(&self.out, global.dry_run)?;
        let lock = enrolment.lock(global, &admin)?;

        let mut refused = Refused::default();
        let (mut ready, mut new) = (Vec::new(), Vec::new());
        for name in &names {
            match self.secret(&enrolment, name) {
                Ok(Secret::Waits(secret)) => ready.push((name.clone(), secret)),
                Ok(Secret::New(given)) => new.push(*given),
                Ok(Secret::None(why, hint)) => refused.add(name, why, hint),
                Err(e) => refused.add_error(name, &e),
            }
        }
        let made: Vec<_> = new.iter().map(|one| one.name.clone()).collect();
        if !made.is_empty() {
            let verb = if global.dry_run { "would be made" } else { "is made" };
            let names = fold(&made);
            report::done(
                global,
                &format!("no secret waits for {names}: a new one {verb}, beside the old one"),
            );
        }
        let Some(lock) = &lock else {
            let all: Vec<_> = ready.iter().map(|(name, _)| name).chain(&made).collect();
            let text =
                format!("{} would be bundled in {}: {}", count(all.len()), self.out.display(), fold(all));
            report::done(global, &text);
            return refused.into_result(names.len(), "bundled");
        };
        ready.extend(enrolment.hand_out(global, lock, new, Terms::default())?);
        let ready: Vec<_> =
            ready.into_iter().map(|(name, secret)| contents.with_token(name, &secret)).collect();
        self.lay_out(global, &contents, &ready)?;
        // Only now: the secrets are durable in the bundles.
        for one in &ready {
            if let Err(e) = enrolment.outgoing.remove(&one.name) {
                refused.add_error(&one.name, &e);
            }
        }
        self.say(global, &contents, &ready);
        refused.into_result(names.len(), "bundled")
    }

    /// Pairs that slurmd or sackd loads from files: no token, because such a node never asks.
    fn run_static(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let names = hostlist::nodes(&self.nodes).usage()?;
        let contents = self.contents(&admin)?;
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
        self.say(global, &contents, &ready);
        refused.into_result(names.len(), "bundled")
    }

    fn is_taken(&self, name: &NodeName) -> bool {
        let place = self.out.join(name.as_str());
        let is_free = fs::read_dir(&place).map_or(true, |mut entries| entries.next().is_none());
        !is_free && !self.force
    }

    fn secret(&self, enrolment: &Enrolment, name: &NodeName) -> Result<Secret, Error> {
        if self.is_taken(name) {
            return Ok(Secret::None(TAKEN.0, TAKEN.1));
        }
        let held = enrolment.store.held(name)?.unwrap_or_default();
        if let Some(secret) = enrolment.outgoing.waiting(name)? {
            let records: Vec<_> = held.into_iter().map(|one| one.record).collect();
            if record_of(&secret, &records).is_some_and(|record| record.withdrawn.is_none()) {
                return Ok(Secret::Waits(secret));
            }
        }
        match successor(enrolment, name, false)? {
            Some(given) => Ok(Secret::New(Box::new(given))),
            None => Ok(Secret::None("not enrolled", "enrol it with node add")),
        }
    }

    fn contents(&self, admin: &Admin) -> anyhow::Result<Contents> {
        let ca_path = admin.controller.ca_cert.clone();
        let ca = file::read(&ca_path, Keep::Intact, MAX_BUNDLE_PEM).advise()?.expose().to_vec();
        // A bad bundle in place of a good one crashes daemons at their next renewal.
        loads_in_s2n::trust_bundle(&ca).map_err(Error::contents(&ca_path)).advise()?;
        let config_path = std::path::absolute(admin.config.path())?;
        let config = file::read_if_there(&config_path, Keep::Intact, MAX_CONFIG).advise()?;
        if let Some(text) = &config {
            // Read a second time: nothing but a config goes to the nodes, for everybody to read there.
            ConfigFile::parse(&config_path, text.expose()).and_then(|new| new.refuse_unknown()).advise()?;
        }
        let token_file = NodeConfig::read(&admin.config).advise()?.token_file;
        for path in [ca_path.as_path(), &config_path, Path::new(token_file.as_str())] {
            if !tree::can_stand(path) {
                return Err(Advice::new(
                    format!("{} cannot be laid out below a node's folder", path.display()),
                    "name it in the config as an absolute path without ..",
                )
                .into());
            }
        }
        let root = (caller().uid == 0).then_some(Owner { uid: 0, gid: 0 });
        let token_owner = match root {
            Some(_) if self.login => Some(admin.slurm_user()?),
            other => other,
        };
        let options = self.options(&ca_path, config.as_ref().map(|_| config_path.as_path()));
        let config = config.map(|text| (config_path, text.expose().to_vec()));
        Ok(Contents { ca_path, ca, config, token_file, root, token_owner, options })
    }

    /// What the node's daemon must be told, to merge by hand: a ready file would drop the site's own
    /// options.
    fn options(&self, ca_path: &Path, config_path: Option<&Path>) -> String {
        let (variable, daemon) =
            if self.login { ("SACKD_OPTIONS", "sackd") } else { ("SLURMD_OPTIONS", "slurmd") };
        let mut text = format!(
            "# Merge into /etc/default/{daemon} (Debian) or /etc/sysconfig/{daemon} (EL):\n\
             {variable}=\"--ca-cert-file={}\"\n",
            ca_path.display()
        );
        if let Some(path) = config_path.filter(|path| *path != Path::new(DEFAULT_PATH)) {
            text.push_str(&format!("{VARIABLE}={}\n", path.display()));
        }
        text
    }

    fn lay_out(&self, global: &Global, contents: &Contents, ready: &[Ready]) -> anyhow::Result<()> {
        let bar = report::progress(global, ready.len(), "bundles");
        let mut trees = Vec::new();
        site::batch::sweep(&self.out, OPTIONS).advise()?;
        for one in ready {
            trees.push(contents.tree(&self.out, one).advise()?);
            let options = self.out.join(format!("{}{OPTIONS}", one.name));
            let file = NewFile::new(&options, 0o644).owned_by(contents.root).not_synced();
            file.replace(contents.options.as_bytes()).advise()?;
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

    fn say(&self, global: &Global, contents: &Contents, ready: &[Ready]) {
        if ready.is_empty() {
            return;
        }
        let names = fold(ready.iter().map(|one| &one.name));
        report::done(global, &format!("{} bundled in {}: {names}", count(ready.len()), self.out.display()));
        if contents.root.is_none() {
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
    files: Vec<NodeFile>,
}

enum Secret {
    Waits(NodeSecret),
    New(Box<Given>),
    None(&'static str, &'static str),
}

impl Contents {
    fn tree(&self, out: &Path, one: &Ready) -> Result<Tree, Error> {
        let tree = Tree::new(out, one.name.as_str())?;
        tree.add(&self.ca_path, &self.ca, 0o644, self.root)?;
        if let Some((path, text)) = &self.config {
            tree.add(path, text, 0o644, self.root)?;
        }
        for file in &one.files {
            tree.add(&file.path, file.contents.expose(), file.mode, file.owner)?;
        }
        Ok(tree)
    }

    fn with_token(&self, name: NodeName, secret: &NodeSecret) -> Ready {
        let token = NodeFile {
            path: self.token_path(&name),
            contents: secret.to_token_file(),
            mode: 0o400,
            owner: self.token_owner,
        };
        Ready { name, files: vec![token] }
    }

    /// Where the node has its token. `%h` means the node's host there, not this one.
    fn token_path(&self, name: &NodeName) -> PathBuf {
        let short = name.as_str().split('.').next().unwrap_or_default();
        PathBuf::from(self.token_file.as_str().replace("%n", name.as_str()).replace("%h", short))
    }
}
