//! ssh to hosts that a test makes, each an sshd on an address of this machine: keys of its own, and where each name leads.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long an sshd may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// One key for all hosts, one for who goes there, and ssh's config, in a folder of the test's.
#[derive(Debug)]
pub struct Ssh {
    folder: PathBuf,
}

/// Where an sshd listens.
#[derive(Debug)]
pub struct Listens {
    address: String,
    port: u16,
}

impl Ssh {
    /// Makes the keys and a config without hosts.
    ///
    /// # Panics
    /// When that cannot be done.
    #[must_use]
    pub fn prepare(folder: &Path) -> Self {
        let ssh = Self { folder: folder.to_owned() };
        for key in [ssh.host_key(), ssh.path("user_key")] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(key)
                .stdin(Stdio::null())
                .status();
            assert!(made.expect("ssh-keygen: install openssh-client").success());
        }
        let host_key = fs::read_to_string(ssh.path("host_key.pub")).unwrap();
        fs::write(ssh.path("known_hosts"), format!("* {host_key}")).unwrap();
        let text = format!(
            "Host *\n  User root\n  IdentityFile {}\n  IdentitiesOnly yes\n  UserKnownHostsFile {}\n  \
             GlobalKnownHostsFile /dev/null\n",
            ssh.path("user_key").display(),
            ssh.path("known_hosts").display()
        );
        fs::write(ssh.config(), text).unwrap();
        ssh
    }

    /// What ssh is given with -F.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path("ssh_config")
    }

    /// The key that every host has.
    #[must_use]
    pub fn host_key(&self) -> PathBuf {
        self.path("host_key")
    }

    /// The key that every host lets in.
    #[must_use]
    pub fn user_key(&self) -> PathBuf {
        self.path("user_key.pub")
    }

    /// A name that leads to a port of this machine.
    ///
    /// # Panics
    /// When the config cannot be written.
    pub fn name(&self, host: &str, address: &str, port: u16) {
        let mut text = fs::read_to_string(self.config()).unwrap();
        text.insert_str(0, &format!("Host {host}\n  HostName {address}\n  Port {port}\n"));
        fs::write(self.config(), text).unwrap();
    }

    /// Waits until a host's sshd listens, and gives it its name. `log`: what it says.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn reach(&self, host: &str, at: &Listens, log: &Path) {
        let begun = Instant::now();
        while TcpStream::connect((at.address.as_str(), at.port)).is_err() {
            let log = || fs::read_to_string(log).unwrap();
            assert!(begun.elapsed() < PATIENCE, "{host} does not listen (install openssh-server): {}", log());
            sleep(Duration::from_millis(20));
        }
        self.name(host, &at.address, at.port);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Listens {
    /// A free port of an address. The kernel's choice; between here and sshd's start it could become another's, who would be
    /// told when the host is reached.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn on(address: String) -> Self {
        let port = TcpListener::bind((address.as_str(), 0)).unwrap().local_addr().unwrap().port();
        Self { address, port }
    }

    /// sshd's config, with the keys as the host sees them.
    #[must_use]
    pub fn config(&self, host_key: &Path, user_key: &Path) -> String {
        let Self { address, port } = self;
        format!(
            "ListenAddress {address}\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\nPermitRootLogin yes\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\nPidFile none\n\
             Subsystem sftp internal-sftp\nMaxStartups 100\n",
            host_key.display(),
            user_key.display()
        )
    }
}
