//! A head node with nothing but default paths: /etc, /var/lib and /root of its own.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::programs::{SEVEN, copy_for_everybody, program};
use tempfile::TempDir;

/// $1 is its folder, $2 what is typed.
const ENTER: &str = r#"set -eu
mount --bind "$1/etc" /etc
mount --bind "$1/lib" /var/lib
mount --bind "$1/root" /root
mount -t tmpfs none /run
PATH="$1/programs:$PATH"
export PATH
cd /root
exec sh -eux -c "$2"
"#;

/// A node's slurmd starts, and slurmctld's programs answer it: $NODE with what its bundle holds. Prints its certificate.
const START: &str = r#"as_slurm_user() { SETPRIV "$@"; }
cp -a "/root/bundles/$NODE/etc/slurm/certmgr" /etc/slurm/
trap 'rm -r /etc/slurm/certmgr' EXIT
token=$(get_node_token "$NODE")
request=$(generate_csr "$NODE")
as_slurm_user validate_node_token "$NODE" "$token"
as_slurm_user sign_csr "$request"
"#;

/// What a site has in its configuration management.
const KEPT: &str = "slurm.conf slurmdbd.conf slurm-pki.toml";

pub(crate) struct Head {
    folder: TempDir,
}

impl Head {
    /// A site with the daemons' pairs, and three nodes that have their bundles.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let head = Self { folder };
        for path in ["", "etc", "etc/slurm", "lib", "root", "programs"] {
            fs::create_dir_all(head.path(path)).unwrap();
            fs::set_permissions(head.path(path), fs::Permissions::from_mode(0o755)).unwrap();
        }
        for name in ["passwd", "group", "ld.so.cache"] {
            fs::copy(Path::new("/etc").join(name), head.path("etc").join(name)).unwrap();
        }
        for name in SEVEN.into_iter().chain(["slurm-pki"]) {
            let _ = copy_for_everybody(&program(name), &head.path("programs"));
        }
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let user = slurm_user();
        let slurm = format!("ClusterName=c1\nSlurmctldHost={host}\nSlurmUser={user}\nNodeName=n[1-4]\n");
        fs::write(head.path("etc/slurm/slurm.conf"), slurm).unwrap();
        let slurmdbd = format!("DbdHost={host}\nSlurmUser={user}\n");
        fs::write(head.path("etc/slurm/slurmdbd.conf"), slurmdbd).unwrap();
        let _ = head.done("slurm-pki init --daemons dbd,restd; slurm-pki node add 'n[1-3]'");
        head.bundle("n[1-3]");
        head
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    #[track_caller]
    pub(crate) fn read(&self, relative: &str) -> String {
        fs::read_to_string(self.path(relative)).unwrap_or_else(|e| panic!("{relative}: {e}"))
    }

    fn types(&self, commands: &str, node: &str) -> Output {
        let mut command = Command::new("unshare");
        if !is_root() {
            command.arg("--map-root-user");
        }
        command.args(["--mount", "--propagation", "private", "sh", "-c", ENTER, "sh"]);
        command.arg(self.folder.path()).arg(commands).env("NODE", node);
        command.env_remove("SLURM_PKI_CONF").env_remove("SLURM_CONF");
        command.output().unwrap_or_else(|e| panic!("unshare (of util-linux): {e}"))
    }

    /// Types commands, each of which must succeed; what they say on stdout.
    #[track_caller]
    pub(crate) fn done(&self, commands: &str) -> String {
        let output = self.types(commands, "");
        assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// Types a command that must fail; what it says on stderr.
    #[track_caller]
    pub(crate) fn fails(&self, command: &str) -> String {
        let output = self.types(command, "");
        assert!(!output.status.success(), "{}", text(&output.stdout));
        text(&output.stderr)
    }

    /// The same as SlurmUser.
    #[track_caller]
    pub(crate) fn done_by_slurm_user(&self, command: &str) {
        let _ = self.done(&format!("{} {command}", as_slurm_user()));
    }

    /// What these nodes need, each in its folder, as if it was theirs from now on.
    #[track_caller]
    pub(crate) fn bundle(&self, nodes: &str) {
        let _ = self.done(&format!("slurm-pki node bundle '{nodes}' --out /root/bundles --force"));
    }

    /// A node asks as at its first start: its certificate, or why it gets none.
    pub(crate) fn starts(&self, node: &str) -> Result<String, String> {
        let script = START.replace("SETPRIV", &as_slurm_user());
        let output = self.types(&script, node);
        output.status.success().then(|| text(&output.stdout)).ok_or_else(|| text(&output.stderr))
    }

    /// The same of a node that must get one, which peers with this ca_cert accept.
    #[track_caller]
    pub(crate) fn starts_under(&self, ca_cert: &str, node: &str) -> String {
        let certificate = self.starts(node).unwrap_or_else(|why| panic!("{node}: {why}"));
        support::openssl::verify(&certificate, ca_cert, "sslserver");
        support::openssl::verify(&certificate, ca_cert, "sslclient");
        certificate
    }

    /// The pairs of the three daemons load, and peers with the site's ca_cert accept them.
    #[track_caller]
    pub(crate) fn assert_pairs(&self) {
        let ca_cert = self.read("etc/slurm/ca_cert.pem");
        for daemon in ["ctld", "dbd", "restd"] {
            let cert = self.read(&format!("etc/slurm/{daemon}_cert.pem"));
            let key = self.read(&format!("etc/slurm/{daemon}_cert_key.pem"));
            support::openssl::verify(&cert, &ca_cert, "sslserver");
            pki::loads_in_s2n::own_pair(cert.as_bytes(), key.as_bytes()).unwrap();
        }
    }

    /// All of state_dir belongs to SlurmUser, the folder itself too.
    #[track_caller]
    pub(crate) fn assert_owners(&self) {
        let found = Command::new("find").arg(self.path("lib/slurm-pki")).output().unwrap();
        let owner = if is_root() { uid() } else { rustix::process::geteuid().as_raw() };
        for path in text(&found.stdout).lines() {
            assert_eq!(fs::symlink_metadata(path).unwrap().uid(), owner, "{path}");
        }
    }

    /// A new machine under the old name. What lies in /root was elsewhere.
    pub(crate) fn is_lost(&self) {
        let _ = self.done(&format!(
            "mkdir kept; cd /etc/slurm; cp -p {KEPT} /root/kept/; rm -r /etc/slurm/* /etc/slurm/.slurm-pki \
             /var/lib/slurm-pki; cd /root/kept; cp -p {KEPT} /etc/slurm/"
        ));
    }
}

/// In a user namespace nobody is there but root.
fn slurm_user() -> &'static str {
    if is_root() { "nobody" } else { "root" }
}

/// What goes before a command of his.
fn as_slurm_user() -> String {
    if is_root() { format!("setpriv --reuid {0} --regid {0} --clear-groups", uid()) } else { String::new() }
}

fn uid() -> u32 {
    let output = Command::new("id").args(["-u", slurm_user()]).output().unwrap();
    text(&output.stdout).trim().parse().unwrap()
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
