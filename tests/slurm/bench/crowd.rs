//! Many nodes in one process, which asks slurmctld by Slurm's own code; see crowd.c.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use pki::csr;
use pki::key::{KeyKind, PrivateKey};
use pki::loads_in_s2n;
use pki::name::NodeName;

use crate::install::Install;
use crate::lab::{Lab, User};
use crate::{probe, shell, site};

const SOURCE: &str = include_str!("crowd.c");
const FIXED_SOURCE: &str = include_str!("fixed.c");

/// Where the two lie in the root.
const PROGRAM: &str = "/slurm-pki/crowd";
pub(crate) const FIXED: &str = "/slurm-pki/fixed";

/// Requests, keys, tokens; then certificates.
const FOLDER: &str = "/tmp/crowd";

/// Compiles it beside the probe.
pub(crate) fn compile(install: &Install, probe: &Path) -> Result<()> {
    let source = probe.with_file_name("crowd.c");
    fs::write(&source, SOURCE)?;
    probe::compile_with_library(install, &source, &probe.with_file_name("crowd"))?;
    let source = probe.with_file_name("fixed.c");
    fs::write(&source, FIXED_SOURCE)?;
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-static", "-o"]).arg(probe.with_file_name("fixed")).arg(&source);
    shell::answer(&mut cc).map(drop)
}

/// Puts both into the root.
pub(crate) fn install(lab: &Lab, built: &Path) -> Result<()> {
    for inner in [PROGRAM, FIXED] {
        let name = Path::new(inner).file_name().context("a path has a name")?;
        fs::copy(built.join(name), lab.path(inner))?;
        fs::set_permissions(lab.path(inner), fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// What came of one question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Answer {
    /// The one that was wanted.
    pub(crate) good: bool,
    /// From the question to the answer, in however many attempts.
    pub(crate) seconds: f64,
    /// See crowd.c.
    pub(crate) more: u32,
}

impl Answer {
    fn parse(line: &str) -> Result<Self> {
        let words: Vec<_> = line.split_whitespace().collect();
        let [error, wait, more] = words.as_slice() else { bail!("crowd: a strange line: {line}") };
        Ok(Self { good: *error == "0", seconds: wait.parse::<f64>()? / 1e6, more: more.parse()? })
    }
}

/// Nodes c1, c2, ... with all that they say.
#[derive(Debug)]
pub(crate) struct Crowd {
    pub(crate) nodes: usize,
    keys: Vec<PrivateKey>,
}

impl Crowd {
    /// For nodes that are enrolled already.
    pub(crate) fn lay_out(lab: &Lab, nodes: usize) -> Result<Self> {
        lab.folder(FOLDER, User::Root)?;
        let keys = (1..=nodes).map(|number| Self::lay_out_one(lab, &format!("c{number}")));
        Ok(Self { nodes, keys: keys.collect::<Result<_>>()? })
    }

    fn lay_out_one(lab: &Lab, node: &str) -> Result<PrivateKey> {
        let key = PrivateKey::generate(KeyKind::P256).map_err(anyhow::Error::msg)?;
        let name = NodeName::parse(node.as_bytes()).map_err(anyhow::Error::msg)?;
        let public = key.public().map_err(anyhow::Error::msg)?;
        let binding = site::secret(lab, node)?.binding_key().bind(&name, ::site::clock::now(), public.spki());
        let request = csr::write(&key, &name, Some(&binding)).map_err(anyhow::Error::msg)?;
        for (end, text) in [
            ("token", site::token(lab, node)?.into_bytes()),
            ("csr", request.into_bytes()),
            ("key", key.to_pem().expose().to_vec()),
        ] {
            fs::write(lab.path(&format!("{FOLDER}/{node}.{end}")), text)?;
        }
        Ok(key)
    }

    /// All boot at once; ends when the last has its certificate or was refused.
    pub(crate) fn enrol(&self, lab: &Lab) -> Result<Vec<Answer>> {
        self.forget_certificates(lab);
        run(lab, User::Root, CLUSTER, &["enrol", FOLDER, &self.nodes.to_string()])
    }

    fn forget_certificates(&self, lab: &Lab) {
        for number in 1..=self.nodes {
            let _ = fs::remove_file(lab.path(&format!("{FOLDER}/c{number}.crt")));
        }
    }

    /// How many nodes have a certificate with their name that s2n loads with their key.
    pub(crate) fn certificates(&self, lab: &Lab) -> usize {
        let nodes = (1..).map(|number| format!("c{number}"));
        let has = |(node, key): (String, &PrivateKey)| {
            let cert = fs::read(lab.path(&format!("{FOLDER}/{node}.crt"))).ok()?;
            let chain = loads_in_s2n::own_pair(&cert, key.to_pem().expose()).ok()?;
            let names = &chain.first()?.facts().common_names;
            (names == &[node.into_bytes()]).then_some(())
        };
        nodes.zip(&self.keys).filter_map(has).count()
    }

    /// Clients under these names come again ten seconds after each refusal, without a token.
    pub(crate) fn renew(&self, lab: &Lab, clients: usize, seconds: u32) -> Result<Asking> {
        let [nodes, clients, seconds] = [self.nodes.to_string(), clients.to_string(), seconds.to_string()];
        start(lab, User::Root, CLUSTER, &["renew", FOLDER, &nodes, &clients, &seconds])
    }
}

const LOG: &str = "/var/log/slurm/crowd.log";
const CLUSTER: &str = "/etc/slurm/slurm.conf";

/// What slurmctld answers to `scontrol ping`, ten times a second.
pub(crate) fn ping(lab: &Lab, seconds: u32) -> Result<Vec<Answer>> {
    run(lab, User::Root, CLUSTER, &["ping", &seconds.to_string()])
}

/// keygen and certgen as this slurm.conf has them, as anybody who types squeue.
pub(crate) fn certgen(lab: &Lab, conf: &str, rounds: u32) -> Result<Vec<Answer>> {
    run(lab, User::Ordinary, conf, &["certgen", &rounds.to_string()])
}

/// What Slurm's library complained of last.
pub(crate) fn log(lab: &Lab) -> String {
    let text = lab.text(LOG).unwrap_or_default();
    let last: Vec<_> = text.lines().rev().take(6).collect();
    last.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// A crowd at work.
#[derive(Debug)]
pub(crate) struct Asking(Child);

impl Asking {
    /// At its end.
    pub(crate) fn answers(mut self) -> Result<Vec<Answer>> {
        let mut text = String::new();
        self.0.stdout.take().context("stdout is a pipe")?.read_to_string(&mut text)?;
        let status = self.0.wait()?;
        anyhow::ensure!(status.success(), "crowd ended with {status}");
        text.lines().map(Answer::parse).collect()
    }
}

fn run(lab: &Lab, user: User, conf: &str, arguments: &[&str]) -> Result<Vec<Answer>> {
    start(lab, user, conf, arguments)?.answers()
}

fn start(lab: &Lab, user: User, conf: &str, arguments: &[&str]) -> Result<Asking> {
    let log = fs::File::options().create(true).append(true).open(lab.path(LOG))?;
    let mut command = lab.command(PROGRAM, user);
    command.args(arguments).env("SLURM_CONF", conf).env("SLURM_SACK_KEY", "/etc/slurm/slurm.key");
    Ok(Asking(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_crowd_is_one_answer() {
        assert_eq!(Answer::parse("0 1500000 2").unwrap(), Answer { good: true, seconds: 1.5, more: 2 });
        assert!(!Answer::parse("1 20 0").unwrap().good);
        assert!(Answer::parse("probe: no").is_err());
    }
}
