//! What is to be seen of a node's certificate: in the ledger, in what slurmd keeps and serves, and in slurm-pki's own words.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::hosts::Hosts;
use crate::cluster::PATIENCE;
use crate::host::Host;
use crate::lab::User;
use crate::shell::{outcome, said, wait_until};

/// Where slurmd serves its certificate.
const PORTS: [(&str, &str); 2] = [("n1", "127.0.0.21:6821"), ("n2", "127.0.0.22:6822")];

/// The last certificate of a node, as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Issued {
    pub(super) node: String,
    pub(super) time: i64,
    pub(super) serial: String,
    pub(super) issuer: String,
    pub(super) ends: i64,
}

/// The last line about a node.
pub(super) fn issued(hosts: &Hosts<'_>, node: &str) -> Result<Issued> {
    let ledger = hosts.lab.ledger(node)?;
    let last = ledger.last().with_context(|| format!("nothing was issued to {node}"))?;
    let text = |key: &str| Some(last.get(key)?.as_str()?.to_owned());
    let number = |key: &str| last.get(key)?.as_i64();
    let all = || {
        Some(Issued {
            node: text("node")?,
            time: number("time")?,
            serial: text("serial")?,
            issuer: text("issuer")?,
            ends: number("not_after")?,
        })
    };
    all().with_context(|| format!("a strange line: {last}"))
}

/// The last certificates of both nodes.
pub(super) fn all_issued(hosts: &Hosts<'_>) -> Result<[Issued; 2]> {
    Ok([issued(hosts, "n1")?, issued(hosts, "n2")?])
}

/// Looks until it is as it is to be: a node may renew between two looks, and the ledger has its certificate before slurmd.
pub(super) fn agree(what: &str, look: impl Fn() -> Result<()>) -> Result<()> {
    let mut last = String::new();
    let agreed = || match look() {
        Ok(()) => Ok(true),
        Err(failure) => {
            last = format!("{failure:#}");
            Ok(false)
        }
    };
    wait_until(what, PATIENCE, agreed).with_context(|| last.clone())
}

/// SlurmdSpoolDir of a node.
pub(super) fn spool(hosts: &Hosts<'_>, node: &str) -> PathBuf {
    hosts.lab.path(&format!("/var/spool/slurmd-{node}"))
}

/// Its certmgr_state.
pub(super) fn state(hosts: &Hosts<'_>, node: &str) -> Result<Vec<u8>> {
    let path = spool(hosts, node).join("certmgr_state");
    fs::read(&path).with_context(|| path.display().to_string())
}

/// slurmd serves this certificate.
pub(super) fn serves(hosts: &Hosts<'_>, last: &Issued) -> Result<()> {
    let (node, port) = PORTS.into_iter().find(|(node, _)| *node == last.node).context("no such node")?;
    let line =
        format!("openssl s_client -connect {port} < /dev/null 2> /dev/null | openssl x509 -noout -serial");
    let served = hosts.ctl1.sh(&line)?.trim().to_ascii_lowercase();
    ensure!(served == format!("serial={}", last.serial), "{node} serves {served}, and not {last:?}");
    Ok(())
}

/// A JSON document.
#[derive(Debug)]
pub(super) struct Seen(pub(super) Value);

impl Seen {
    /// One of its values, by its JSON pointer.
    pub(super) fn of(&self, pointer: &str) -> Result<&Value> {
        self.0.pointer(pointer).with_context(|| format!("no {pointer} in {}", self.0))
    }

    /// All of these are as they are to be.
    pub(super) fn expect(&self, values: &[(&str, Value)]) -> Result<()> {
        for (pointer, value) in values {
            let found = self.of(pointer)?;
            ensure!(found == value, "{pointer} is {found} and not {value} in {}", self.0);
        }
        Ok(())
    }

    /// One of its lists; empty where there is none.
    pub(super) fn list(&self, pointer: &str) -> &[Value] {
        self.0.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Whether `check` found that.
    pub(super) fn has(&self, code: &str, severity: &str, words: &str) -> bool {
        let is = |finding: &Value, key: &str, value: &str| finding.get(key).is_some_and(|is| is == value);
        let says = |finding: &Value| {
            finding.get("what").and_then(Value::as_str).is_some_and(|what| what.contains(words))
        };
        self.list("/findings")
            .iter()
            .any(|finding| is(finding, "code", code) && is(finding, "severity", severity) && says(finding))
    }

    /// `check` found that.
    pub(super) fn says(&self, code: &str, severity: &str, words: &str) -> Result<()> {
        ensure!(self.has(code, severity, words), "no {severity} {code}: {words} in {}", self.0);
        Ok(())
    }

    /// `check` named this certificate: whose, by whom, and until when.
    pub(super) fn names(&self, last: &Issued) -> Result<()> {
        let whose = format!("this node's certificate CN={} by {} ends ", last.node, last.issuer);
        let ends = pki::time::UnixTime(last.ends);
        self.says("state-expiry", "ok", &format!("{whose}{ends} "))
    }
}

/// `check --only node` on a host.
pub(super) fn check(host: &Host<'_>) -> Result<Seen> {
    let mut command = host.command("/slurm-pki/bin/slurm-pki", User::Root);
    let output = outcome(command.args(["check", "--only", "node", "--all", "--json"]))?;
    let document: Value = serde_json::from_slice(&output.stdout).with_context(|| said(&output))?;
    Ok(Seen(document.get("data").with_context(|| said(&output))?.clone()))
}

/// The data of a command that goes well on ctl1.
pub(super) fn data(hosts: &Hosts<'_>, words: &[&str]) -> Result<Value> {
    let output = outcome(hosts.slurm_pki_command(words).arg("--json"))?;
    ensure!(output.status.success(), "slurm-pki {}: {}", words.join(" "), said(&output));
    let document: Value = serde_json::from_slice(&output.stdout).with_context(|| said(&output))?;
    Ok(document.get("data").with_context(|| said(&output))?.clone())
}
