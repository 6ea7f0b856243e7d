//! A controller with TLS on, whose config says that renewals restart the daemons.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use support::programs::program;
use tempfile::TempDir;

/// Slurm's short names.
pub(crate) const DAEMONS: [&str; 5] = ["ctld", "dbd", "restd", "slurmd", "sackd"];

/// What the config has as each daemon's command, and what systemctl is on a real host: asks the supervisor for a restart
/// and waits for it.
const RESTART: &str = "#!/bin/sh\ncd \"${0%/*}\" || exit 1\n: > \"$1.request\"\nwhile [ -e \"$1.request\" ]; do sleep 0.02; done\n";

/// The scratch folder that everything is in.
#[derive(Debug)]
pub(crate) struct Site {
    folder: TempDir,
    ports: [u16; DAEMONS.len()],
}

impl Site {
    /// A site on which everybody has a pair that lives for a minute; slurmd and sackd have static ones.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let site = Self { folder, ports: DAEMONS.map(|_| free_port()) };
        let user = if rustix::process::geteuid().is_root() { "nobody".to_owned() } else { own_name() };
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let [ctld, dbd, _, slurmd, _] = site.ports;
        site.write(
            "slurm.conf",
            &format!(
                "ClusterName=c1\nSlurmUser={user}\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={ctld}\nTLSType=tls/s2n\n\
                 NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={slurmd}\n"
            ),
        );
        site.write(
            "slurmdbd.conf",
            &format!("SlurmUser={user}\nDbdHost=localhost\nDbdPort={dbd}\nTLSType=tls/s2n\n"),
        );
        site.write("restart", RESTART);
        fs::set_permissions(site.path("restart"), fs::Permissions::from_mode(0o755)).unwrap();
        site.configure("activate = false");
        site.run(&["init"]);
        site.run(&["cert", "renew"]);
        site.configure("activate = true");
        site
    }

    /// Writes the config, with a line more for each daemon.
    fn configure(&self, more: &str) {
        let mut config = format!(
            "state_dir = {:?}\n[controller]\nca_cert = {:?}\nbackdate = \"0s\"\n",
            self.path("state"),
            self.path("ca_cert.pem")
        );
        for (daemon, port) in DAEMONS.into_iter().zip(self.ports) {
            config += &format!(
                "[daemons.{daemon}]\nvalidity = \"1m\"\nrenew_at = 0.5\ncommand = [{:?}, {daemon:?}]\n{more}\n",
                self.path("restart")
            );
            // No file of Slurm's says where these two listen.
            if ["restd", "sackd"].contains(&daemon) {
                config += &format!("probe = \"localhost:{port}\"\n");
            }
            if daemon == "slurmd" {
                config += &format!("owner = {:?}\n", own_name());
            }
        }
        self.write("slurm-pki.toml", &config);
    }

    /// Where something is.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// The port that a daemon answers at.
    pub(crate) fn port(&self, daemon: &str) -> u16 {
        let place = DAEMONS.iter().position(|known| *known == daemon).unwrap();
        *self.ports.get(place).unwrap()
    }

    /// What the timer runs.
    pub(crate) fn renew(&self) {
        self.run(&["cert", "renew"]);
    }

    /// A command that must succeed.
    pub(crate) fn run(&self, args: &[&str]) {
        let mut command = Command::new(program("slurm-pki"));
        command.args(args).stdin(Stdio::null()).env("SLURM_CONF", self.path("slurm.conf"));
        let output = command.env("SLURM_PKI_CONF", self.path("slurm-pki.toml")).output().unwrap();
        assert!(output.status.success(), "slurm-pki {args:?}: {}", said(&output));
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn own_name() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
