//! A whole site in one folder: config, CA, token store, slurmctld's certificate, the nodes' secrets.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pki::ca::{NewCa, new_root};
use pki::key::{KeyKind, PrivateKey};
use pki::name::NodeName;
use pki::policy::Plan;
use pki::profile::Serial;
use pki::record::{Record, RecordId};
use pki::token::NodeSecret;
use site::config::{ConfigFile, ControllerConfig};
use site::file::{NewFile, make_folder};
use site::signer::{self, Signer};
use site::store::Store;
use site::{Error, clock, random};
use tempfile::TempDir;

use crate::advice::{Advice, Advise as _};
use crate::handshake::Pair;
use crate::programs::Programs;
use crate::slurm_run::Slurm;

const DAY: Duration = Duration::from_secs(86_400);
const BACKDATE: Duration = Duration::from_secs(300);

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
    /// Makes a site in a new folder, `keep` or a temporary one, and enrols `nodes`.
    ///
    /// # Errors
    /// When a file cannot be made, or one of the seven is missing.
    pub(super) fn make(keep: Option<&Path>, nodes: &[NodeName]) -> anyhow::Result<Self> {
        let programs = Programs::beside_this()?;
        let folder = Folder::make(keep)?;
        let path = folder.path();
        for part in ["state", "state/ca", "state/tokens", "state/ledger", "node", "exchange"] {
            make_folder(&path.join(part), 0o700, None).advise()?;
        }
        let config_path = path.join("slurm-pki.toml");
        write(&config_path, 0o644, config_text(path)?.as_bytes())?;
        let config = ControllerConfig::read(&ConfigFile::load_from(&config_path).advise()?).advise()?;
        let anchors = make_ca(&config)?;
        let ctld = make_ctld(path, &config)?;
        let slurm = Slurm::with_config(&config_path);
        let mut site = Self { folder, secrets: BTreeMap::new(), programs, slurm, anchors, ctld };
        nodes.iter().try_for_each(|node| site.enrol(&config, node))?;
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

    fn enrol(&mut self, config: &ControllerConfig, node: &NodeName) -> anyhow::Result<()> {
        let secret = NodeSecret::new(random::bytes().advise()?);
        let id = RecordId::new(random::bytes().advise()?);
        let store = Store::of(config).advise()?;
        store.add(&store.lock().advise()?, node, Record::of(&secret, id, clock::now())).advise()?;
        let token_file = self.path().join("node").join(format!("{node}_token.txt"));
        write(&token_file, 0o400, secret.to_token_file().expose())?;
        self.secrets.insert(node.clone(), secret);
        Ok(())
    }
}

impl Folder {
    fn make(keep: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = keep else {
            return Ok(Self::Temporary(tempfile::Builder::new().prefix("slurm-pki-demo.").tempdir()?));
        };
        // The programs run in / and are told absolute paths.
        let path = std::path::absolute(path)?;
        match fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(Self::Kept(path)),
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
         state_dir = {}\n\n\
         [node]\n\
         token_file = {}\n\
         key_dir = {}\n\n\
         [controller]\n\
         ca_cert = {}\n",
        path("state")?,
        // %n is the node's name.
        toml::Value::from(format!("{}/%n_token.txt", path("node")?.as_str().unwrap_or_default())),
        path("node/keys")?,
        path("ca_cert.pem")?,
    ))
}

fn make_ca(config: &ControllerConfig) -> anyhow::Result<Vec<u8>> {
    let key = PrivateKey::generate(KeyKind::P256).advise()?;
    let new = NewCa {
        common_name: "slurm-pki demo CA",
        subject: &[],
        serial: Serial::new(random::bytes().advise()?),
        validity: 30 * DAY,
        backdate: BACKDATE,
    };
    let root = new_root(&key, &new, clock::now()).advise()?;
    let pem = pki::loads_in_s2n::pad_bundle(root.to_pem());
    write(&config.ca_cert, 0o644, pem.as_bytes())?;
    write(&config.ca_key, 0o400, key.to_pem().expose())?;
    Ok(pem.into_bytes())
}

/// slurmctld's own pair, under Slurm's file names.
fn make_ctld(folder: &Path, config: &ControllerConfig) -> anyhow::Result<Pair> {
    let key = PrivateKey::generate(KeyKind::P256).advise()?;
    let now = clock::now();
    let names = vec!["localhost".to_owned()];
    let public = key.public().advise()?;
    let plan = Plan::for_daemon("slurmctld", names, public, &[], 10 * DAY, BACKDATE, now);
    let ca = Signer::open(config, signer::ca_certificates(config).advise()?).advise()?;
    let certificate = ca.sign(&plan, now).advise()?;
    write(&folder.join("ctld_cert.pem"), 0o644, certificate.to_pem().as_bytes())?;
    write(&folder.join("ctld_cert_key.pem"), 0o600, key.to_pem().expose())?;
    Ok(Pair { chain: certificate.to_pem().as_bytes().to_vec(), key: key.to_pem() })
}

fn write(path: &Path, mode: u32, bytes: &[u8]) -> anyhow::Result<()> {
    NewFile::new(path, mode).not_synced().replace(bytes).advise()
}
