//! auditd rules that log every execve: with it the arguments, and so tokens on a controller and, wherever somebody
//! types squeue, the private key that Slurm passes to certgen.

use std::fs;
use std::path::PathBuf;

use super::super::finding::Findings;
use super::super::scene::{HostRoot, Scene};

/// The programs of ours that are given a secret in their arguments.
const PROGRAMS: [&str; 2] = ["validate_node_token", "certgen"];

/// Looks at the rules that auditd loads.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    let files = files(&scene.host);
    let mut rules = Vec::new();
    for path in &files {
        match fs::read_to_string(path) {
            Ok(text) => rules.extend(text.lines().map(|line| (line.trim().to_owned(), path.clone()))),
            Err(e) => {
                let what = format!("{}: {e}", path.display());
                return found.unknown("audit-execve", what, "run this as root; or auditctl -l by hand");
            }
        }
    }
    let spared = |program: &str| {
        let never = |rule: &str| is_execve(rule) && rule.contains("never") && rule.contains(program);
        rules.iter().take_while(|(rule, _)| !logs_execve(rule)).any(|(rule, _)| never(rule))
    };
    match rules.iter().find(|(rule, _)| logs_execve(rule)) {
        Some((_, path)) if !PROGRAMS.iter().all(|program| spared(program)) => found.warning(
            "audit-execve",
            format!("{} logs the arguments of every program: tokens and clients' private keys", path.display()),
            "put before that rule, for validate_node_token, certgen and Slurm's daemons: \
             -a never,exit -F arch=b64 -S execve -F exe=/usr/libexec/slurm-pki/certgen; then augenrules --load",
        ),
        Some((_, path)) => {
            found.ok("audit-execve", format!("{} leaves out validate_node_token and certgen", path.display()));
        }
        None => found.ok("audit-execve", "no audit rule logs every program's arguments"),
    }
}

/// augenrules makes audit.rules of rules.d; where there are no parts, somebody wrote it by hand.
fn files(host: &HostRoot) -> Vec<PathBuf> {
    let entries = fs::read_dir(host.at("/etc/audit/rules.d")).into_iter().flatten().flatten();
    let mut parts: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "rules"))
        .collect();
    parts.sort();
    let whole = host.at("/etc/audit/audit.rules");
    if parts.is_empty() && whole.exists() { vec![whole] } else { parts }
}

/// A rule (auditctl(8)) about execve, execveat or every call.
fn is_execve(rule: &str) -> bool {
    let mut words = rule.split_whitespace();
    let mut calls = Vec::new();
    while let Some(word) = words.next() {
        if word == "-S" {
            calls.extend(words.next().unwrap_or_default().split(','));
        }
    }
    calls.iter().any(|call| ["execve", "execveat", "59", "322", "all"].contains(call))
}

fn logs_execve(rule: &str) -> bool {
    let acts = rule.starts_with("-a") || rule.starts_with("-A");
    acts && is_execve(rule) && rule.contains("always") && !is_narrow(rule)
}

/// A rule about programs or folders that it names, or about setuid programs alone (the benchmarks of CIS have that one):
/// none of ours.
fn is_narrow(rule: &str) -> bool {
    let words: Vec<&str> = rule.split_whitespace().collect();
    let after = |option: &str, is: fn(&str) -> bool| {
        words.windows(2).any(|pair| matches!(pair, [first, second] if *first == option && is(second)))
    };
    let names = |filter: &str| ["exe=", "path=", "dir="].iter().any(|field| filter.starts_with(field));
    let setuid = |filter: &str| filter.contains("uid!=") || filter.contains("gid!=");
    (after("-F", names) && !PROGRAMS.iter().any(|program| rule.contains(program))) || after("-C", setuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_log_arguments_are_told_from_others() {
        assert!(logs_execve("-a always,exit -F arch=b64 -S execve -k exec"));
        assert!(logs_execve("-a exit,always -S open,execve"));
        assert!(!logs_execve(
            "-a always,exit -F arch=b64 -C euid!=uid -F auid!=unset -S execve -k user_emulation"
        ));
        assert!(!logs_execve("-a always,exit -F exe=/usr/bin/sudo -S execve"));
        assert!(logs_execve("-a always,exit -F auid>=1000 -S execve"));
        assert!(!logs_execve("-a never,exit -S execve"));
        assert!(!logs_execve("# -a always,exit -S execve"));
        assert!(!logs_execve("-w /etc/passwd -p wa -k passwd"));
    }
}
