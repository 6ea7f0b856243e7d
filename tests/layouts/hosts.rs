//! The hosts of a site, each with its own folder for a root: files by openssl, config by us.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use support::openssl;
use support::programs;
use support::site::random;
use support::slurm::Slurm;
use tempfile::TempDir;

use crate::layout::Layout;

/// The host that slurmctld runs on.
pub(crate) const CONTROLLER: &str = "controller";

/// The folder that both layouts use.
const FOLDER: &str = "etc/slurm/certmgr";

pub(crate) struct Hosts {
    pub(crate) layout: &'static Layout,
    root: TempDir,
}

impl Hosts {
    /// A controller and these nodes, nothing of ours in them but the shipped config and the folders of
    /// the state.
    pub(crate) fn new(layout: &'static Layout, nodes: &[&str]) -> Self {
        let hosts = Self { layout, root: tempfile::tempdir().unwrap() };
        hosts.make_controller();
        let mut list = String::new();
        for node in nodes {
            hosts.make_folder(node, FOLDER);
            let token = data_encoding::HEXLOWER.encode(&random::<16>());
            hosts.put(node, layout.token, &format!("{token}{}", layout.after_token), 0o400);
            hosts.put(node, layout.node_key, &openssl::read(layout.new_key, b""), 0o400);
            list += &layout.list_line.replace("%n", node).replace("%t", &token);
            hosts.configure(node, "");
        }
        hosts.put(CONTROLLER, layout.token_list, &list, 0o400);
        hosts
    }

    fn make_controller(&self) {
        self.make_folder(CONTROLLER, FOLDER);
        self.make_folder(CONTROLLER, "var/lib/slurm-pki/tokens");
        self.make_folder(CONTROLLER, "var/lib/slurm-pki/ledger");
        let key = openssl::read(self.layout.new_key, b"");
        let subject = format!("{}/CN=my_slurm_ca", self.layout.subject);
        let args = ["req", "-x509", "-new", "-sha256", "-days", "3650", "-key", "/dev/stdin", "-subj"];
        let cert = openssl::read(&[args.as_slice(), &[&subject]].concat(), key.as_bytes());
        self.put(CONTROLLER, self.layout.ca_key, &key, 0o400);
        self.put(CONTROLLER, self.layout.ca_cert, &cert, 0o644);
        self.configure(CONTROLLER, "");
    }

    /// Installs the shipped config, its paths moved below the host's folder; `more` is added to
    /// `[controller]`.
    pub(crate) fn configure(&self, host: &str, more: &str) {
        let shipped = programs::workspace().join("config").join(self.layout.config);
        let text = fs::read_to_string(shipped).unwrap();
        let root = self.root.path().join(host);
        let text = text.replace("\"/etc/", &format!("\"{}/etc/", root.display()));
        let text = text.replace("[controller]\n", &format!("[controller]\n{more}\n"));
        let text = format!("state_dir = \"{}/var/lib/slurm-pki\"\n{text}", root.display());
        fs::write(root.join("slurm-pki.toml"), text).unwrap();
    }

    /// A daemon of this host.
    pub(crate) fn slurm(&self, host: &str) -> Slurm {
        Slurm::bare().with_env("SLURM_PKI_CONF", self.root.path().join(host).join("slurm-pki.toml"))
    }

    pub(crate) fn path(&self, host: &str, name: &str) -> PathBuf {
        self.root.path().join(host).join(FOLDER).join(name.replace("%n", host))
    }

    pub(crate) fn read(&self, host: &str, name: &str) -> String {
        fs::read_to_string(self.path(host, name)).unwrap()
    }

    /// The token as the list has it.
    pub(crate) fn token(&self, node: &str) -> String {
        self.read(node, self.layout.token).trim_end().to_owned()
    }

    /// Every line of the ledger.
    pub(crate) fn ledger(&self) -> String {
        let folder = self.root.path().join(CONTROLLER).join("var/lib/slurm-pki/ledger");
        let files = support::site::files_below(&folder).into_iter();
        let issued = files.filter(|(path, _)| path.extension().is_some_and(|ending| ending == "jsonl"));
        issued.map(|(_, text)| String::from_utf8(text).unwrap()).collect()
    }

    fn make_folder(&self, host: &str, folder: &str) {
        let path = self.root.path().join(host).join(folder);
        fs::create_dir_all(&path).unwrap();
        mode(&path, 0o700);
    }

    fn put(&self, host: &str, name: &str, text: &str, bits: u32) {
        let path = self.path(host, name);
        fs::write(&path, text).unwrap();
        mode(&path, bits);
    }
}

fn mode(path: &Path, bits: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
}
