//! A whole site in one folder: config, CA, token store, slurmctld's certificate, the nodes' secrets.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pki::loads_in_s2n::MAX_BUNDLE_PEM;
use pki::name::NodeName;
use pki::token::{MAX_TOKEN, NodeSecret};
use site::Error;
use site::file::{self, Keep, NewFile, make_folder};
use tempfile::TempDir;

use crate::admin::caller;
use crate::advice::{Advice, Advise as _};
use crate::checks::{Checks, Looked};
use crate::handshake::Pair;
use crate::hostlist;
use crate::programs::Programs;
use crate::slurm_run::Slurm;

/// The part of the demo that this is.
pub(super) const SITE: &str = "site";

/// A cluster of its own, whatever slurm.conf this host has.
const SLURM_CONF: &str = "ClusterName=demo\nSlurmctldHost=ctld.demo\n";

/// A folder that goes away with this value, or one that stays.
#[derive(Debug)]
enum Folder {
    Temporary(TempDir),
    Kept(PathBuf),
}

/// A site that nobody else uses. All of it belongs to whoever runs this: SlurmUser is the caller.
#[derive(Debug)]
pub(super) struct Scratch {
    folder: Folder,
    secrets: BTreeMap<NodeName, NodeSecret>,
    /// The seven.
    pub(super) programs: Programs,
    /// Daemons of this site.
    pub(super) slurm: Slurm,
    /// What every host of the site trusts, PEM.
    pub(super) anchors: Vec<u8>,
    /// slurmctld's certificate and key.
    pub(super) ctld: Pair,
}

impl Scratch {
    /// Makes a site in a new folder, `keep` or a temporary one, and enrols `nodes`: with the commands
    /// that an admin would use.
    ///
    /// # Errors
    /// When a command fails, a file cannot be made, or one of the seven is missing.
    pub(super) fn make(keep: Option<&Path>, nodes: &[NodeName], checks: &mut Checks) -> anyhow::Result<Self> {
        let programs = Programs::beside_this()?;
        let folder = Folder::make(keep)?;
        let path = folder.path();
        make_folder(&path.join("node"), 0o700, None).advise()?;
        make_folder(&path.join("exchange"), 0o700, None).advise()?;
        write(&path.join("slurm.conf"), 0o644, SLURM_CONF.as_bytes())?;
        let config = path.join("slurm-pki.toml");
        write(&config, 0o644, config_text(path)?.as_bytes())?;
        set_up(path, nodes, checks)?;
        let read = |name: &str, keep| file::read(&path.join(name), keep, MAX_BUNDLE_PEM).advise();
        let ctld = Pair {
            chain: read("ctld_cert.pem", Keep::Intact)?.expose().to_vec(),
            key: read("ctld_cert_key.pem", Keep::Secret)?,
        };
        let anchors = read("ca_cert.pem", Keep::Intact)?.expose().to_vec();
        let slurm = Slurm::with_config(&config);
        let mut site = Self { folder, secrets: BTreeMap::new(), programs, slurm, anchors, ctld };
        nodes.iter().try_for_each(|node| site.unpack(node))?;
        Ok(site)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The secret of an enrolled node.
    pub(super) fn secret(&self, node: &NodeName) -> Option<&NodeSecret> {
        self.secrets.get(node)
    }

    /// Leaves a public file for whoever looks at the folder afterwards.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn leave(&self, name: &str, text: &[u8]) -> anyhow::Result<()> {
        write(&self.path().join("exchange").join(name), 0o644, text)
    }

    /// `cp -a bundles/NODE/. /`, as far as the demo goes: the config and ca_cert.pem are in place already.
    fn unpack(&mut self, node: &NodeName) -> anyhow::Result<()> {
        let token_file = self.path().join("node").join(format!("{node}_token.txt"));
        let below_root = token_file.strip_prefix("/")?;
        let bundled = self.path().join("bundles").join(node.as_str()).join(below_root);
        let text = file::read(&bundled, Keep::Secret, MAX_TOKEN).advise()?;
        write(&token_file, 0o400, text.expose())?;
        let secret = NodeSecret::from_token_file(text.expose()).advise()?;
        self.secrets.insert(node.clone(), secret);
        Ok(())
    }
}

/// CA, slurmctld's certificate and store, then the nodes, then what each of them needs.
fn set_up(folder: &Path, nodes: &[NodeName], checks: &mut Checks) -> anyhow::Result<()> {
    let names = hostlist::fold(nodes);
    let bundles = folder.join("bundles");
    let steps: [(&'static str, &[&OsStr], &str); 3] = [
        ("init", &["init".as_ref()], "a CA, slurmctld's certificate, a token store"),
        ("add", &["node".as_ref(), "add".as_ref(), names.as_ref()], "a secret and a record for each node"),
        (
            "bundle",
            &["node".as_ref(), "bundle".as_ref(), names.as_ref(), "--out".as_ref(), bundles.as_ref()],
            "token, CA certificate and config for each node",
        ),
    ];
    for (step, args, brought) in steps {
        slurm_pki(folder, args)?;
        let words: Vec<_> = args.iter().take(3).map(|word| word.to_string_lossy()).collect();
        let looked = Looked { part: SITE, subject: "", step, what: format!("slurm-pki {}", words.join(" ")) };
        let _ = checks.note(looked, Ok(((), brought.to_owned())));
    }
    Ok(())
}

/// This very command, on the scratch site. The slurm.conf of this host is none of its business.
fn slurm_pki(folder: &Path, args: &[&OsStr]) -> anyhow::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--config").arg(folder.join("slurm-pki.toml")).arg("--quiet").args(args);
    command.env_clear().env("SLURM_CONF", folder.join("slurm.conf")).stdin(Stdio::null());
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let after =
        |word: &str| said.lines().find_map(|line| line.split_once(word).map(|(_, text)| text.to_owned()));
    let what = after("error: ").unwrap_or_else(|| output.status.to_string());
    let hint = after("hint: ").unwrap_or_else(|| "run the same command by itself on a --keep folder".into());
    Err(Advice::new(format!("the scratch site cannot be set up: {what}"), hint).into())
}

impl Folder {
    fn make(keep: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = keep else {
            return Ok(Self::Temporary(tempfile::Builder::new().prefix("slurm-pki-demo.").tempdir()?));
        };
        // The programs run in / and are told absolute paths.
        let path = std::path::absolute(path)?;
        let make = || {
            let (around, name) = site::folder::Folder::around(&path)?;
            around.make(name, 0o700, None)
        };
        match make() {
            Ok(_) => Ok(Self::Kept(path)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(Advice::new(
                format!("{} is there already", path.display()),
                "name a new folder: the demo makes it",
            )
            .into()),
            Err(e) => Err(Error::write(&path)(e)).advise(),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(path) => path,
        }
    }
}

/// The few keys that keep everything inside the folder; all others have their defaults.
fn config_text(folder: &Path) -> anyhow::Result<String> {
    let path = |relative: &str| {
        let path = folder.join(relative);
        let path = path.to_str().filter(|path| !path.contains('%')).ok_or_else(|| {
            Advice::new(
                format!("{} cannot stand in a config", path.display()),
                "use a folder whose name is UTF-8 without %; TMPDIR names the place for temporary ones",
            )
        })?;
        anyhow::Ok(toml::Value::from(path))
    };
    Ok(format!(
        "# The scratch site of slurm-pki demo.\n\
         slurm_user = \"{}\"\n\
         state_dir = {}\n\n\
         [node]\n\
         token_file = {}\n\
         key_dir = {}\n\n\
         [controller]\n\
         ca_cert = {}\n",
        caller().uid,
        path("state")?,
        // %n is the node's name.
        toml::Value::from(format!("{}/%n_token.txt", path("node")?.as_str().unwrap_or_default())),
        path("node/keys")?,
        path("ca_cert.pem")?,
    ))
}

fn write(path: &Path, mode: u32, bytes: &[u8]) -> anyhow::Result<()> {
    NewFile::new(path, mode).not_synced().replace(bytes).advise()
}
