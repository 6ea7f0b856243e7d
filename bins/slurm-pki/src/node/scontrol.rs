//! What Slurm's own scontrol tells and is told.

use std::fs::File;
use std::io::{Read, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use pki::name::NodeName;
use pki::token::NodeSecret;
use serde::Deserialize;

use crate::advice::Advice;
use crate::slurm_command;

/// JSON of some 100,000 nodes.
const MAX_JSON: u64 = 1024 * 1024 * 1024;

/// How long scontrol may take, in seconds: it asks every controller in turn, each for MessageTimeout.
const PATIENCE: &str = "90";

/// What timeout(1) exits with when the time was over.
const TIME_OVER: i32 = 124;

/// The node names of `scontrol show nodes --json`: from a file, from stdin (`-`), or asked for here
/// (empty).
///
/// # Errors
/// When scontrol cannot be run, or what it printed is not its JSON.
pub(crate) fn node_names(source: &Path) -> anyhow::Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Answer {
        nodes: Vec<Node>,
    }
    #[derive(Deserialize)]
    struct Node {
        name: String,
    }
    let json = match source.to_str() {
        Some("") => shown_nodes()?,
        Some("-") => at_most(std::io::stdin().lock())?,
        // A pipe is welcome too: --from-scontrol <(ssh head scontrol show nodes --json).
        _ => File::open(source).and_then(at_most).map_err(site::Error::read(source))?,
    };
    let answer: Answer = serde_json::from_slice(&json).map_err(|e| {
        Advice::new(
            format!("this is not what scontrol show nodes --json prints: {e}"),
            "see what is in it; scontrol needs Slurm's JSON serializer plugin for --json",
        )
    })?;
    Ok(answer.nodes.into_iter().map(|node| node.name).collect())
}

fn at_most(source: impl Read) -> std::io::Result<Vec<u8>> {
    let mut json = Vec::new();
    source.take(MAX_JSON).read_to_end(&mut json)?;
    Ok(json)
}

/// `scontrol show nodes --json` of this host.
///
/// # Errors
/// When scontrol cannot be run, fails, or has not ended after [`PATIENCE`].
pub(crate) fn shown_nodes() -> anyhow::Result<Vec<u8>> {
    shown_by(&["show", "nodes", "--json"])
}

/// The same with those in state FUTURE, which scontrol leaves out else.
///
/// # Errors
/// As [`shown_nodes`].
pub(crate) fn shown_nodes_and_future() -> anyhow::Result<Vec<u8>> {
    shown_by(&["--future", "show", "nodes", "--json"])
}

fn shown_by(arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    // timeout(1) ends what waits for a slurmctld without end.
    let mut command = slurm_command::new("timeout");
    command.args(["-k", "1", PATIENCE, "scontrol"]).args(arguments);
    let output = command.stdin(Stdio::null()).output().map_err(|e| not_run(&e))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let why = match output.status.code() {
        Some(TIME_OVER) => format!("no answer in {PATIENCE} s"),
        _ => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    };
    Err(Advice::new(format!("scontrol {} failed: {why}", arguments.join(" ")), "try it by hand on this host")
        .into())
}

/// Sets CertToken of nodes. The tokens go to scontrol's stdin, never into an argument, where every user
/// of the host could read them.
///
/// # Errors
/// When scontrol cannot be run, or says that a node was not updated.
pub(crate) fn set_cert_tokens(nodes: &[(NodeName, NodeSecret)]) -> anyhow::Result<()> {
    let mut child = scontrol()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| not_run(&e))?;
    let mut commands = Vec::new();
    for (name, secret) in nodes {
        commands.extend_from_slice(format!("update nodename={name} certtoken=").as_bytes());
        commands.extend_from_slice(secret.token().secret().expose());
        commands.push(b'\n');
    }
    commands.extend_from_slice(b"quit\n");
    let commands = pki::secret::Secret::new(commands);
    let stdin = child.stdin.take();
    // Beside the reading, or both sides could wait for each other with their pipes full. One that ends
    // early has something to say on stderr.
    let writer = thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(commands.expose())));
    let output = child.wait_with_output()?;
    let _ = writer.join();
    // scontrol's exit code is 1 after any error at any time. Its stdout may echo what it was told.
    if output.status.success() {
        return Ok(());
    }
    let said = without_tokens(&String::from_utf8_lossy(&output.stderr), nodes);
    let why = said.lines().find(|line| !line.trim().is_empty());
    Err(Advice::new(
        format!("scontrol did not set every CertToken: {}", why.unwrap_or("it does not say why")),
        "the new secrets and records stand; set CertToken as root or SlurmUser while slurmctld answers, for \
         nodes that it knows: node token --set-certtoken",
    )
    .into())
}

fn scontrol() -> Command {
    slurm_command::new("scontrol")
}

fn not_run(e: &std::io::Error) -> Advice {
    Advice::new(
        format!("scontrol cannot be run: {e}"),
        "run this where Slurm's commands are, or put their folder into PATH",
    )
}

fn without_tokens(text: &str, nodes: &[(NodeName, NodeSecret)]) -> String {
    let mut text = text.to_owned();
    for (_, secret) in nodes {
        if let Ok(token) = std::str::from_utf8(secret.token().secret().expose())
            && text.contains(token)
        {
            text = text.replace(token, "(token)");
        }
    }
    text
}
