//! How bundles travel: what each format makes of the nodes' files, in the folder that `--out` names or on stdout.
//!
//! Whatever the format, a bundle is in its place when it is whole and durable, and not before.

mod ansible;
mod cloud_init;
mod folder;
mod network;
mod tarball;
mod warewulf;

use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use pki::name::NodeName;
use pki::secret::Secret;
use site::Error;
use site::batch::{self, Batch};
use site::config::{Daemon, ResumeFormat, VARIABLE};
use site::file::{NewFile, Owner, remove_leftovers};
use site::folder::Folder;

use super::contents::Contents;
use super::tree;
use crate::admin::{caller, group_name, owner_name};
use crate::advice::{Advice, Advise as _};
use crate::fleet::Placed;
use crate::global::Global;
use crate::report;

/// Who reads a bundle on the controller: whoever made it.
const FILE_MODE: u32 = 0o600;

/// The form that bundles have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A tree laid out from the node's root
    Dir,
    /// One archive, for tar -xpf n1.tar -C /
    Tar,
    /// A site overlay for Warewulf 4, and the secrets that its template takes in
    Warewulf,
    /// User-data with write_files, for cloud-init
    CloudInit,
    /// An inventory of its own with the nodes' variables, for Ansible
    Ansible,
}

impl From<ResumeFormat> for Format {
    fn from(format: ResumeFormat) -> Self {
        match format {
            ResumeFormat::Dir => Self::Dir,
            ResumeFormat::Tar => Self::Tar,
            ResumeFormat::CloudInit => Self::CloudInit,
        }
    }
}

impl Format {
    /// Whether owners are words in it: whoever makes it then need not be able to give files away.
    fn names_owners(self) -> bool {
        matches!(self, Self::Tar | Self::CloudInit | Self::Ansible)
    }

    /// Whom the files are to belong to that are root's on the node.
    pub(super) fn root(self) -> Owner {
        if self.names_owners() || caller().uid == 0 { Owner { uid: 0, gid: 0 } } else { caller() }
    }
}

/// What a node has that no other node gets.
#[derive(Debug)]
pub(super) struct Ready {
    /// Which.
    pub(super) name: NodeName,
    /// Its files, in the order of [`Own`].
    pub(super) files: Vec<Placed>,
}

/// What kind of files are a node's own: a word for each, and its path as the config has it.
pub(super) type Own = Vec<(&'static str, String)>;

/// Where bundles go, and in which form.
#[derive(Debug)]
pub(super) struct Medium<'a> {
    /// The form.
    pub(super) format: Format,
    /// The folder; `-` is stdout.
    pub(super) out: &'a Path,
    /// Who reads the bundles' files: slurmd or sackd.
    pub(super) daemon: Daemon,
    /// What is the same on every node.
    pub(super) contents: &'a Contents,
    /// What is not.
    pub(super) own: Own,
    /// Leave out what is the same on every node: images have it.
    pub(super) own_only: bool,
}

impl Medium<'_> {
    /// Makes the folder ready; says who else could read what comes into it. `count`: how many bundles are to come.
    ///
    /// # Errors
    /// When it is no place for secrets, or this format cannot hold these files.
    pub(super) fn prepare(&self, count: usize, dry_run: bool) -> anyhow::Result<()> {
        if self.format == Format::Warewulf {
            warewulf::refuse_what_has_no_template(self)?;
        }
        if self.is_stdout() {
            return self.prepare_stdout(count);
        }
        tree::prepare(self.out, dry_run)?;
        network::warn(self.out);
        Ok(())
    }

    fn prepare_stdout(&self, count: usize) -> anyhow::Result<()> {
        let refuse = |what: &str, hint: &str| Err(Advice::new(what, hint).into());
        if matches!(self.format, Format::Dir | Format::Warewulf) {
            return refuse(
                "a bundle of several files does not go to stdout",
                "name a folder, or --format tar",
            );
        }
        if count != 1 {
            return refuse("stdout takes the bundle of one node", "name one node, or a folder with --out");
        }
        if std::io::stdout().is_terminal() {
            return refuse("a secret is not shown on a terminal", "send it on: | ssh n1 tar -C / -xpf -");
        }
        Ok(())
    }

    fn is_stdout(&self) -> bool {
        self.out == Path::new("-")
    }

    /// What of a node's bundle is there for as long as the bundle is.
    fn place(&self, name: &NodeName) -> PathBuf {
        match self.format {
            Format::Dir => self.out.join(name.as_str()),
            Format::Tar => self.out.join(format!("{name}{}", tarball::ENDING)),
            Format::Warewulf => warewulf::place(self, name),
            Format::CloudInit => self.out.join(format!("{name}{}", cloud_init::ENDING)),
            Format::Ansible => self.out.join(ansible::FOLDER).join(format!("{name}{}", ansible::ENDING)),
        }
    }

    /// Whether a node's bundle lies there.
    pub(super) fn holds(&self, name: &NodeName) -> bool {
        if self.is_stdout() {
            return false;
        }
        let place = self.place(name);
        if self.format == Format::Dir {
            return fs::read_dir(place).is_ok_and(|mut entries| entries.next().is_some());
        }
        fs::symlink_metadata(place).is_ok()
    }

    /// Takes a node's bundle away.
    ///
    /// # Errors
    /// When it is there but cannot be removed.
    pub(super) fn remove(&self, name: &NodeName) -> Result<(), Error> {
        let place = self.place(name);
        let removed = Folder::around(&place).and_then(|(folder, name)| folder.remove_all(name));
        match removed {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::write(&place)(e)),
            _ => Ok(()),
        }
    }

    /// Writes bundles: each is in its place, whole and durable, when this returns.
    ///
    /// # Errors
    /// When one cannot be written.
    pub(super) fn write(&self, global: &Global, ready: &[Ready]) -> anyhow::Result<()> {
        if self.is_stdout() {
            return ready.iter().try_for_each(|one| report::bytes(self.text(one)?.expose()));
        }
        if self.format != Format::Dir && !self.own_only {
            self.write_options()?;
        }
        match self.format {
            Format::Dir => folder::lay_out(self, global, ready),
            Format::Warewulf => warewulf::lay_out(self, global, ready),
            Format::Ansible => ansible::lay_out(self, global, ready),
            Format::Tar => self.one_file_each(global, self.out, tarball::ENDING, ready),
            Format::CloudInit => {
                self.one_file_each(global, self.out, cloud_init::ENDING, ready)?;
                cloud_init::warn_of_size(self, ready);
                Ok(())
            }
        }
    }

    /// One for all: nothing in it is a node's own.
    fn write_options(&self) -> anyhow::Result<()> {
        let options = self.out.join(format!("{}{}", self.daemon.program(), folder::OPTIONS));
        remove_leftovers(&options).advise()?;
        NewFile::new(&options, 0o644).not_synced().replace(self.options().as_bytes()).advise()
    }

    /// A bundle that is one file.
    fn text(&self, one: &Ready) -> anyhow::Result<Secret> {
        match self.format {
            Format::CloudInit => cloud_init::user_data(self, one),
            Format::Ansible => ansible::variables(self, one),
            Format::Dir | Format::Warewulf | Format::Tar => tarball::archive(self.files(one)),
        }
    }

    fn one_file_each(
        &self,
        global: &Global,
        folder: &Path,
        ending: &str,
        ready: &[Ready],
    ) -> anyhow::Result<()> {
        let bar = report::progress(global, 2 * ready.len(), "bundles");
        batch::sweep(folder, ending).advise()?;
        let mut files = Batch::new(folder, FILE_MODE).advise()?;
        for one in ready {
            files.add(&format!("{}{ending}", one.name), self.text(one)?.expose()).advise()?;
            bar.inc(1);
        }
        files.commit(|| bar.inc(1)).advise()?;
        bar.finish_and_clear();
        Ok(())
    }

    /// All that one node gets, what is shared first.
    fn files<'b>(&'b self, one: &'b Ready) -> impl Iterator<Item = &'b Placed> {
        self.shared().chain(&one.files)
    }

    fn shared(&self) -> impl Iterator<Item = &Placed> {
        self.contents.shared().filter(|_| !self.own_only)
    }

    /// What the node's daemon must be told, to merge by hand: a ready file would drop the site's own options.
    fn options(&self) -> String {
        let daemon = self.daemon.program();
        let mut text = format!(
            "# Merge into /etc/default/{daemon} (Debian) or /etc/sysconfig/{daemon} (EL):\n\
             {}_OPTIONS=\"--ca-cert-file={}\"\n",
            daemon.to_ascii_uppercase(),
            self.contents.ca().path.display()
        );
        if let Some(path) = self.contents.config_elsewhere() {
            text.push_str(&format!("{VARIABLE}={}\n", path.display()));
        }
        text
    }

    /// Says who can read such a bundle on its way, and what comes next.
    pub(super) fn say_next(&self, global: &Global, name: &NodeName) {
        if !self.format.names_owners() && caller().uid != 0 {
            report::warning(
                "the bundles are yours, not root's: on the node give the files to root after copying",
            );
        }
        match self.format {
            Format::Warewulf => report::warning(warewulf::WHO_READS),
            Format::CloudInit => report::warning(cloud_init::WHO_READS),
            Format::Ansible => report::warning(ansible::WHO_READS),
            Format::Dir | Format::Tar => {}
        }
        if self.is_stdout() {
            return;
        }
        let out = self.out.display();
        let next = match self.format {
            Format::Dir => format!(
                "tar -C {out}/{name} -cf - . | ssh {name} tar -C / -xpf -   and see {out}/{name}{}",
                folder::OPTIONS
            ),
            Format::Tar => format!("ssh {name} tar -C / -xpf - < {out}/{name}{}", tarball::ENDING),
            Format::Warewulf => warewulf::next(self),
            Format::CloudInit => {
                format!("start {name} with {out}/{name}{} as its user-data", cloud_init::ENDING)
            }
            Format::Ansible => format!("ansible-playbook -i YOUR_INVENTORY -i {out} PLAYBOOK"),
        };
        report::done(global, &format!("next: {next}"));
    }
}

/// An owner's user and group by name: numbers may be others' on the node.
fn names_of(owner: Owner) -> (String, String) {
    (owner_name(owner), group_name(owner))
}

/// A string of YAML, which takes those of JSON.
fn yaml(text: &str) -> anyhow::Result<String> {
    Ok(serde_json::to_string(text)?)
}
