//! A controller with a CA and an enrolled node, and everything that its peers may have loaded.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use pki::loads_in_s2n::{accepted_by_peers, own_chain, trust_bundle};
use pki::token::NodeSecret;
use serde_json::Value;
use support::bound_request::bound_request;
use support::openssl;
use support::programs::{copy_for_everybody, program};
use support::site::now;
use tempfile::TempDir;

use crate::scratch::{Scratch, caller, text};

/// A site, before any rollover.
pub(crate) struct Cluster {
    pub(crate) site: Scratch,
    /// What every host trusts before.
    pub(crate) old: String,
    /// Ports on this host: slurmctld's, n1's and n2's.
    pub(crate) ports: [u16; 3],
    secret: NodeSecret,
    sign_csr: PathBuf,
    programs: TempDir,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        Self::with(&[], "")
    }

    /// All on this host: slurmctld, and n1 and n2 where `nodes` says so.
    pub(crate) fn with_nodes() -> Self {
        Self::with(&[], "NodeHostname=localhost")
    }

    pub(crate) fn with(init: &[&str], nodes: &str) -> Self {
        let site = Scratch::new();
        let ports = [free_port(), free_port(), free_port()];
        let [ctld, n1, n2] = ports;
        let nodes = if nodes.is_empty() {
            String::new()
        } else {
            format!("NodeName=n[1-2] {nodes} NodeAddr=127.0.0.1 Port={n1},{n2}\n")
        };
        site.slurm_conf(&format!("SlurmctldHost=localhost(127.0.0.1)\nSlurmctldPort={ctld}\n{nodes}"));
        site.init(init);
        site.done(&["node", "add", "n1"]);
        let secret = fs::read(site.path("state/outgoing/n1_token.txt")).unwrap();
        let secret = NodeSecret::from_token_file(&secret).unwrap();
        let programs = tempfile::tempdir().unwrap();
        Command::new("chmod").args(["755", programs.path().to_str().unwrap()]).status().unwrap();
        let sign_csr = copy_for_everybody(&program("sign_csr"), programs.path());
        let old = site.read("ca_cert.pem");
        Self { site, old, ports, secret, sign_csr, programs }
    }

    pub(crate) fn rollover(&self, step: &str) -> String {
        self.site.done(&words(step)).1
    }

    pub(crate) fn refused(&self, step: &str) -> String {
        self.site.refused(&words(step))
    }

    /// The same as [`rollover`](Self::rollover), or refused, where slurmctld knows of these nodes: what stands between the
    /// brackets of `scontrol --future show nodes --json`. None: nobody answers scontrol.
    #[track_caller]
    pub(crate) fn knowing(&self, nodes: Option<&str>, step: &str) -> (bool, String) {
        fs::create_dir_all(self.site.path("bin")).unwrap();
        let answer = match nodes {
            Some(nodes) => {
                format!("[ \"$*\" = '--future show nodes --json' ] && echo '{{\"nodes\":[{nodes}]}}'")
            }
            None => "echo 'Unable to contact slurm controller' >&2; exit 1".to_owned(),
        };
        self.site.write("bin/scontrol", &format!("#!/bin/sh\n{answer}\n"), 0o755);
        let path = format!("{}:{}", self.site.text_path("bin"), std::env::var("PATH").unwrap());
        let mut command = self.site.command(&program("slurm-pki"));
        let output = command.args(words(step)).env("PATH", path).output().unwrap();
        (output.status.success(), text(&output.stderr))
    }

    pub(crate) fn status(&self) -> Value {
        self.site.json(&["ca", "rollover", "status"], "slurm-pki.ca.rollover.status.v1")
    }

    pub(crate) fn phase(&self) -> String {
        self.status()["phase"].as_str().unwrap().to_owned()
    }

    /// What the real sign_csr, run as slurmctld runs it, answers n1.
    #[track_caller]
    pub(crate) fn sign(&self) -> String {
        let request = bound_request(&self.secret, "n1");
        let slurm = self.site.bare();
        let slurm =
            if caller() == 0 { slurm.as_user(self.site.slurm_user.1, self.site.slurm_user.1) } else { slurm };
        slurm.run(&self.sign_csr, &[&request]).text()
    }

    /// Dates what the ledger has of a name so many seconds later, as a clock that was fast would have.
    pub(crate) fn date_later(&self, name: &str, seconds: i64) {
        for (path, contents) in self.site.everything() {
            if path.extension().is_none_or(|ending| ending != "jsonl") {
                continue;
            }
            let lines = text(&contents);
            let lines = lines.lines().map(|line| {
                let mut entry: Value = serde_json::from_str(line).unwrap();
                if entry["node"] == name {
                    for moment in ["time", "not_before", "not_after"] {
                        entry[moment] = (entry[moment].as_i64().unwrap() + seconds).into();
                    }
                }
                format!("{entry}\n")
            });
            fs::write(&path, lines.collect::<String>()).unwrap();
        }
    }

    /// The new root alone, once there is one.
    pub(crate) fn new_root(&self) -> Option<String> {
        fs::read_to_string(self.site.path("state/ca/rollover/new_root.pem")).ok()
    }

    /// The whole site as it is now, to be brought back.
    pub(crate) fn save(&self) -> Saved {
        let folder = tempfile::tempdir_in(self.programs.path()).unwrap();
        copy(&format!("{}/.", self.site.text_path(".")), folder.path().to_str().unwrap());
        Saved(folder)
    }

    pub(crate) fn restore(&self, saved: &Saved) {
        let folder = self.site.path(".");
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            }
            .unwrap();
        }
        copy(&format!("{}/.", saved.0.path().display()), folder.to_str().unwrap());
    }
}

pub(crate) struct Saved(TempDir);

fn copy(from: &str, to: &str) {
    assert!(Command::new("cp").args(["-a", from, to]).status().unwrap().success());
}

/// `begin --no-push` of `slurm-pki ca rollover`.
pub(crate) fn words(step: &str) -> Vec<&str> {
    ["ca", "rollover"].into_iter().chain(step.split(' ')).collect()
}

/// Both of ours and openssl say that a peer with this bundle accepts the chain, as server and as client.
#[track_caller]
pub(crate) fn accepted(chain: &str, bundle: &str) {
    let sent = own_chain(chain.as_bytes()).unwrap();
    let anchors = trust_bundle(bundle.as_bytes()).unwrap();
    accepted_by_peers(&sent, &anchors, now()).unwrap_or_else(|e| panic!("{e:?}: {chain}{bundle}"));
    for purpose in ["sslserver", "sslclient"] {
        openssl::verify_chain(chain, chain, bundle, purpose);
    }
}

/// How many certificates a text has.
pub(crate) fn count(pem: &str) -> usize {
    pem.matches("BEGIN CERTIFICATE").count()
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
