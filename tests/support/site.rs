//! A scratch site: config, CA, token store and node files in one folder that goes away with the value.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pki::ca::{CaCertificates, LocalCa, NewCa, new_root};
use pki::key::{KeyKind, PrivateKey};
use pki::profile::Serial;
use pki::record::{Record, RecordFile, RecordId};
use pki::time::UnixTime;
use pki::token::NodeSecret;
use serde_json::Value;
use tempfile::TempDir;

use crate::slurm::Slurm;
use crate::vaulted::Vaulted;

/// The CA's common name on a scratch site.
pub const CA_NAME: &str = "Scratch Cluster CA";

/// Right now. The programs under test look at the real clock, so their tests must too.
#[must_use]
pub fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixTime(i64::try_from(since.as_secs()).unwrap())
}

/// Random bytes from the kernel.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).unwrap();
    bytes
}

/// A scratch site. Its config says in so many words what the tests rely on; sections and keys are
/// those of slurm-pki.toml.
#[derive(Debug)]
pub struct Site {
    folder: TempDir,
    settings: BTreeMap<String, BTreeMap<String, Value>>,
    secrets: BTreeMap<String, NodeSecret>,
    vault: Option<Vaulted>,
}

impl Site {
    /// A site as `slurm-pki init` lays it out, with a root CA that began yesterday and lasts ten years,
    /// and no node yet.
    #[must_use]
    pub fn new() -> Self {
        let day = Duration::from_secs(24 * 3600);
        Self::with_ca(CA_NAME, now().minus(day), now().plus(3650 * day))
    }

    /// A site whose CA key and records are in Vault: a stand-in of it, for this site alone.
    #[must_use]
    pub fn in_vault() -> Self {
        let mut site = Self::new();
        fs::remove_file(site.path("state/ca/ca_key.pem")).unwrap();
        let vault = Vaulted::set_up();
        site.write("ca_cert.pem", vault.ca_cert.as_bytes(), 0o644);
        site.write("vault_ca.pem", vault.server.ca().as_bytes(), 0o644);
        site.write("vault_token", vault.token.as_bytes(), 0o600);
        site.set("controller", "signer", "vault");
        site.set("controller", "store", "vault");
        site.set("vault", "address", vault.server.address());
        site.set("vault", "ca_cert", site.path_text("vault_ca.pem"));
        site.set("vault", "token_file", site.path_text("vault_token"));
        site.vault = Some(vault);
        site.write_config();
        site
    }

    /// The stand-in of a site in Vault.
    #[must_use]
    #[track_caller]
    pub fn vault(&self) -> &Vaulted {
        self.vault.as_ref().expect("the site is in Vault")
    }

    /// The same with a CA of another name and life.
    #[must_use]
    pub fn with_ca(name: &str, begins: UnixTime, ends: UnixTime) -> Self {
        let mut site = Self::empty();
        site.make_folders(&["state/ca", "state/tokens", "state/ledger", "node"]);
        site.set("", "state_dir", site.path_text("state"));
        site.set("node", "token_file", site.path_text("node/%n_token.txt"));
        site.set("node", "key_dir", site.path_text("node/keys"));
        site.set("controller", "ca_cert", site.path_text("ca_cert.pem"));
        site.install_ca(name, "ca_cert.pem", "state/ca/ca_key.pem", begins, ends);
        site.write_config();
        site
    }

    /// A site in SchedMD's layout, as the reference scripts use it: flat, with foreign token files, a
    /// token list, and one lasting key per node. Both kinds of programs find the same things in it.
    #[must_use]
    pub fn foreign() -> Self {
        let mut site = Self::empty();
        site.make_folders(&["state/tokens", "state/ledger"]);
        site.set("", "state_dir", site.path_text("state"));
        site.set("node", "token_file", site.path_text("%n_token.txt"));
        site.set("node", "renew_key", false);
        site.set("node", "key_file", site.path_text("%n_private_key.pem"));
        site.set("controller", "ca_cert", site.path_text("root_cert.pem"));
        site.set("controller", "ca_key", site.path_text("root_key.pem"));
        site.set("controller", "token_list", site.path_text("node_token_list.txt"));
        let day = Duration::from_secs(24 * 3600);
        let (begins, ends) = (now().minus(day), now().plus(3650 * day));
        site.install_ca(CA_NAME, "root_cert.pem", "root_key.pem", begins, ends);
        site.write("node_token_list.txt", b"", 0o600);
        site.write_config();
        site
    }

    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // SlurmUser must get in.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder, settings: BTreeMap::new(), secrets: BTreeMap::new(), vault: None }
    }

    fn make_folders(&self, paths: &[&str]) {
        for path in paths {
            fs::create_dir_all(self.path(path)).unwrap();
            fs::set_permissions(self.path(path), fs::Permissions::from_mode(0o700)).unwrap();
        }
    }

    fn install_ca(&self, name: &str, cert: &str, key: &str, begins: UnixTime, ends: UnixTime) {
        let (cert_pem, key_pem) = new_ca(name, begins, ends);
        self.write(cert, cert_pem.as_bytes(), 0o644);
        self.write(key, &key_pem, 0o400);
    }

    /// Puts an intermediate under the root and signs with that; returns its certificate.
    #[must_use]
    pub fn sign_with_an_intermediate(&self) -> String {
        let certificates = CaCertificates::from_pem(self.anchors().as_bytes(), None).unwrap();
        let root_key = PrivateKey::from_pem(self.read("state/ca/ca_key.pem").as_bytes()).unwrap();
        let root = LocalCa::new(certificates, root_key).unwrap();
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        let new = NewCa {
            common_name: "Scratch Cluster Intermediate",
            subject: &[],
            serial: Serial::new(random()),
            validity: Duration::from_secs(3600),
            backdate: Duration::from_secs(60),
        };
        let pem = root.issue_intermediate(&key, &new, now()).unwrap().to_pem();
        self.write("state/ca/chain.pem", pem.as_bytes(), 0o644);
        self.write("state/ca/ca_key.pem", key.to_pem().expose(), 0o400);
        pem
    }

    /// A file or folder of the site.
    #[must_use]
    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    fn path_text(&self, relative: &str) -> String {
        self.path(relative).to_str().unwrap().to_owned()
    }

    /// Sets a config key; `""` is the section of the top-level keys. [`write_config`](Self::write_config)
    /// makes it so.
    pub fn set(&mut self, section: &str, key: &str, value: impl Into<Value>) {
        self.settings.entry(section.to_owned()).or_default().insert(key.to_owned(), value.into());
    }

    /// Writes slurm-pki.toml.
    pub fn write_config(&self) {
        let mut text = String::new();
        for (section, keys) in &self.settings {
            if !section.is_empty() {
                text += &format!("\n[{section}]\n");
            }
            for (key, value) in keys {
                // A JSON string, number, boolean or list of these is also TOML.
                text += &format!("{key} = {value}\n");
            }
        }
        self.write("slurm-pki.toml", text.as_bytes(), 0o644);
    }

    /// Writes a file with a mode, over whatever is there.
    pub fn write(&self, relative: &str, contents: &[u8], mode: u32) {
        let path = self.path(relative);
        let _ = fs::remove_file(&path);
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Reads a file as text.
    #[must_use]
    #[track_caller]
    pub fn read(&self, relative: &str) -> String {
        let text = fs::read_to_string(self.path(relative));
        text.unwrap_or_else(|e| panic!("{relative}: {e}"))
    }

    /// Enrols a node as `slurm-pki node add` does, token file included.
    pub fn enrol(&mut self, node: &str) -> NodeSecret {
        let secret = NodeSecret::new(random());
        self.store(node, &[Record::of(&secret, RecordId::new(random()), now())]);
        self.write(&format!("node/{node}_token.txt"), secret.to_token_file().expose(), 0o400);
        self.secrets.insert(node.to_owned(), secret.clone());
        secret
    }

    /// Writes a node's store file.
    pub fn store(&self, node: &str, records: &[Record]) {
        let file = RecordFile::new(records.to_vec());
        if let Some(vault) = &self.vault {
            return vault.enrol(node, &file.to_json());
        }
        self.write(&format!("state/tokens/{node}.json"), file.to_json().as_bytes(), 0o600);
    }

    /// Enrols a node as sites without slurm-pki do: a token file, and a line `name token`.
    pub fn enrol_by_list(&mut self, node: &str) -> String {
        let token = data_encoding::HEXLOWER.encode(&random::<16>());
        let list = self.read("node_token_list.txt") + &format!("{node} {token}\n");
        self.write("node_token_list.txt", list.as_bytes(), 0o600);
        self.write(&format!("{node}_token.txt"), format!("{token}\n").as_bytes(), 0o400);
        self.secrets.insert(node.to_owned(), NodeSecret::foreign(token.as_bytes()).unwrap());
        token
    }

    /// The secret of an enrolled node.
    #[must_use]
    #[track_caller]
    pub fn secret(&self, node: &str) -> &NodeSecret {
        self.secrets.get(node).unwrap_or_else(|| panic!("{node} is enrolled"))
    }

    /// The token that Slurm would carry for an enrolled node.
    #[must_use]
    #[track_caller]
    pub fn token(&self, node: &str) -> String {
        String::from_utf8(self.secret(node).token().secret().expose().to_vec()).unwrap()
    }

    /// What every host of the site trusts.
    #[must_use]
    pub fn anchors(&self) -> String {
        ["ca_cert.pem", "root_cert.pem"]
            .iter()
            .find_map(|name| fs::read_to_string(self.path(name)).ok())
            .expect("a site has a CA")
    }

    /// A daemon of this site: its environment names the config, and the reference scripts' folder.
    #[must_use]
    pub fn slurm(&self) -> Slurm {
        Slurm::bare()
            .with_env("SLURM_PKI_CONF", self.path("slurm-pki.toml"))
            .with_env("REFERENCE_DIR", self.folder.path())
    }

    /// Every certificate that our sign_csr recorded, one JSON value per line of its ledger.
    #[must_use]
    pub fn ledger(&self) -> Vec<Value> {
        let mut lines = Vec::new();
        for (path, contents) in files_below(&self.path("state/ledger")) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("issued.") && name.ends_with(".jsonl") {
                let text = String::from_utf8(contents).unwrap();
                lines.extend(text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")));
            }
        }
        lines
    }

    /// Gives the whole site to another user. Only root can.
    pub fn give_to(&self, uid: u32, gid: u32) {
        give(self.folder.path(), uid, gid);
    }

    /// Every text that must never appear in a message or a log: tokens, secrets, lines of private keys.
    #[must_use]
    pub fn secret_texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        for secret in self.secrets.values() {
            texts.push(String::from_utf8_lossy(secret.token().secret().expose()).into_owned());
            let file = String::from_utf8_lossy(secret.to_token_file().expose()).into_owned();
            texts.push(file.trim_start_matches("slurm-pki-node-v1:").to_owned());
        }
        for (path, contents) in files_below(self.folder.path()) {
            let contents = String::from_utf8_lossy(&contents).into_owned();
            if path.to_string_lossy().contains("key") && contents.contains("PRIVATE KEY") {
                texts.extend(key_lines(&contents));
            }
        }
        texts
    }
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}

/// The lines of a private key that are the key itself.
pub fn key_lines(pem: &str) -> impl Iterator<Item = String> + '_ {
    pem.lines().filter(|line| line.len() > 20 && !line.contains("--")).map(str::to_owned)
}

/// A new root: its certificate and its key, PEM.
#[must_use]
pub fn new_ca(name: &str, begins: UnixTime, ends: UnixTime) -> (String, Vec<u8>) {
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let new = NewCa {
        common_name: name,
        subject: &[],
        serial: Serial::new(random()),
        validity: Duration::from_secs(u64::try_from(ends.0 - begins.0).unwrap()),
        backdate: Duration::ZERO,
    };
    let root = new_root(&key, &new, begins).unwrap();
    (root.to_pem(), key.to_pem().expose().to_vec())
}

/// Every file below a folder, with its contents; nothing when there is no such folder.
#[must_use]
pub fn files_below(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.is_file() {
            let contents = fs::read(&path).unwrap();
            files.push((path, contents));
        }
    }
    files.sort();
    files
}

fn give(path: &Path, uid: u32, gid: u32) {
    chown(path, Some(uid), Some(gid)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path(), uid, gid);
        }
    }
}
