//! What Slurm's own scontrol tells and is told.

use std::fs::File;
use std::io::{Read, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use pki::name::NodeName;
use pki::token::NodeSecret;

use crate::advice::Advice;
use crate::shown_node::ShownNode;
use crate::timed::{self, Answered, Bounds};
use crate::{interrupt, slurm_command};

/// JSON of some 100,000 nodes, or jobs.
const MAX_JSON: usize = 1024 * 1024 * 1024;

/// How long scontrol may take: it asks every controller in turn, each for MessageTimeout.
const PATIENCE: Duration = Duration::from_secs(90);

/// The same after an interruption: what was done until then belongs on record, and nodes by their names in it.
const AFTER_INTERRUPTION: Duration = Duration::from_secs(10);

/// The nodes of `scontrol show nodes --json`: from a file, from stdin (`-`), or asked for here
/// (empty).
///
/// # Errors
/// When scontrol cannot be run, or what it printed is not its JSON.
pub(crate) fn nodes_of(source: &Path) -> anyhow::Result<Vec<ShownNode>> {
    match source.to_str() {
        Some("") => shown_nodes(),
        Some("-") => parse(&at_most(std::io::stdin().lock())?),
        // A pipe is welcome too: --from-scontrol <(ssh head scontrol show nodes --json).
        _ => parse(&File::open(source).and_then(at_most).map_err(site::Error::read(source))?),
    }
}

fn parse(json: &[u8]) -> anyhow::Result<Vec<ShownNode>> {
    ShownNode::parse_all(json).map_err(|why| {
        Advice::new(
            format!("this is not what scontrol show nodes --json prints: {why}"),
            "see what is in it; scontrol needs Slurm's JSON serializer plugin for --json",
        )
        .into()
    })
}

fn at_most(source: impl Read) -> std::io::Result<Vec<u8>> {
    let mut json = Vec::new();
    source.take(MAX_JSON as u64).read_to_end(&mut json)?;
    Ok(json)
}

/// `scontrol show nodes --json` of this host.
///
/// # Errors
/// When scontrol cannot be run, fails, has not ended after [`PATIENCE`], or prints something else.
pub(crate) fn shown_nodes() -> anyhow::Result<Vec<ShownNode>> {
    shown_nodes_within(PATIENCE)
}

/// The same for who has less time.
///
/// # Errors
/// As [`shown_nodes`].
pub(crate) fn shown_nodes_within(patience: Duration) -> anyhow::Result<Vec<ShownNode>> {
    parse(&shown_by(&["show", "nodes", "--json"], patience)?)
}

/// The same with those in state FUTURE, which scontrol leaves out else.
///
/// # Errors
/// As [`shown_nodes`].
pub(crate) fn shown_nodes_and_future() -> anyhow::Result<Vec<ShownNode>> {
    parse(&shown_by(&["--future", "show", "nodes", "--json"], PATIENCE)?)
}

/// `scontrol show jobs --json` of this host, as it was printed.
///
/// # Errors
/// When scontrol cannot be run, fails, or has not ended after [`PATIENCE`].
pub(crate) fn shown_jobs() -> anyhow::Result<Vec<u8>> {
    shown_by(&["show", "jobs", "--json"], PATIENCE)
}

fn shown_by(arguments: &[&str], patience: Duration) -> anyhow::Result<Vec<u8>> {
    let ask = |time, goes_on| {
        let bounds = Bounds { time, room: MAX_JSON, memory: None, goes_on };
        let said = timed::run_apart(scontrol().args(arguments), &bounds).map_err(|e| not_run(&e))?;
        anyhow::Ok((said, time))
    };
    let (mut said, mut waited) = ask(patience, false)?;
    if said.status.is_none() && interrupt::came() {
        (said, waited) = ask(AFTER_INTERRUPTION.min(patience), true)?;
    }
    answer(said, waited, MAX_JSON).map_err(|why| {
        Advice::new(format!("scontrol {} {why}", arguments.join(" ")), "try it by hand on this host").into()
    })
}

/// What it printed, whole, or why there is no such thing.
fn answer(said: Answered, waited: Duration, room: usize) -> Result<Vec<u8>, String> {
    if !said.status.is_some_and(|status| status.success()) {
        let how = timed::how(said.status, waited);
        return Err(match String::from_utf8_lossy(&said.errors).trim() {
            "" => how,
            why => format!("{how}: {why}"),
        });
    }
    if said.answer.len() < room { Ok(said.answer) } else { Err("printed more than any cluster has".into()) }
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

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;

    const SECONDS: Duration = Duration::from_secs(90);

    fn said(code: Option<i32>, stdout: &[u8], stderr: &[u8]) -> Answered {
        let status = code.map(|code| ExitStatus::from_raw(code << 8));
        Answered { status, answer: stdout.to_vec(), errors: stderr.to_vec() }
    }

    #[test]
    fn an_answer_is_what_was_printed_whole_by_one_that_succeeded() {
        let warned = said(Some(0), b"{}", b"a warning\n");
        assert_eq!(answer(warned, SECONDS, 3), Ok(b"{}".to_vec()));
        let too_much = answer(said(Some(0), b"{}", b""), SECONDS, 2).unwrap_err();
        assert_eq!(too_much, "printed more than any cluster has");
        let failed = answer(said(Some(1), b"{}", b"no contact\n"), SECONDS, 3).unwrap_err();
        assert_eq!(failed, "ended with exit status: 1: no contact");
        let silent = answer(said(None, b"{}", b""), SECONDS, 3).unwrap_err();
        assert_eq!(silent, "was killed: it took longer than 1m 30s");
    }
}
