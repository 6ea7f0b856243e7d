//! auditd rules that log every execve: with it the arguments, and so tokens on a controller and, wherever somebody
//! types squeue, the private key that Slurm passes to certgen.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::super::finding::Findings;
use super::super::scene::{HostRoot, Scene};
use crate::parameters::Parameters;

/// The programs that are given a secret in their arguments: the parameter that names each, and our own.
const PROGRAMS: [(&str, &str, &str); 2] = [
    ("CertmgrParameters", "validate_node_script", "/usr/libexec/slurm-pki/validate_node_token"),
    ("CertgenParameters", "certgen_script", "/usr/libexec/slurm-pki/certgen"),
];

/// Looks at the rules that auditd loads.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    let files = match files(&scene.host) {
        Ok(files) => files,
        Err(e) => {
            let what = format!("the rules of auditd: {e}");
            return found.unknown("audit-execve", what, "run this as root; or auditctl -l by hand");
        }
    };
    let mut rules = Vec::new();
    for path in &files {
        match fs::read_to_string(path) {
            Ok(text) => rules.extend(text.lines().map(|line| (Rule::parse(line), path.clone()))),
            Err(e) => {
                let what = format!("{}: {e}", path.display());
                return found.unknown("audit-execve", what, "run this as root; or auditctl -l by hand");
            }
        }
    }
    let programs = PROGRAMS.map(|(parameters, key, ours)| {
        Parameters::of(scene.get(parameters)).get(key).unwrap_or(ours).to_owned()
    });
    // The first rule that fits counts.
    let logged = |program: &String| {
        let first = rules.iter().find(|(rule, _)| rule.decides(program))?;
        first.0.always.then(|| (program.clone(), first.1.clone()))
    };
    let logged: Vec<(String, PathBuf)> = programs.iter().filter_map(logged).collect();
    let Some((_, path)) = logged.first() else {
        return found
            .ok("audit-execve", "no audit rule logs the arguments of validate_node_token or certgen");
    };
    let never =
        logged.iter().map(|(program, _)| format!("-a never,exit -F arch=b64 -S execve -F exe={program}"));
    found.warning(
        "audit-execve",
        format!("{} logs the arguments of every program: tokens and clients' private keys", path.display()),
        format!(
            "put before its rules, for these and in the same way for slurmctld, slurmd and slurmstepd: {}; then \
             augenrules --load",
            never.collect::<Vec<_>>().join(" and ")
        ),
    );
}

/// augenrules makes audit.rules of rules.d; where there are no parts, somebody wrote it by hand.
fn files(host: &HostRoot) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(host.at("/etc/audit/rules.d")) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        entries => entries.into_iter().flatten().flatten(),
    };
    let mut parts: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "rules"))
        .collect();
    parts.sort();
    let whole = host.at("/etc/audit/audit.rules");
    Ok(if parts.is_empty() && whole.try_exists()? { vec![whole] } else { parts })
}

/// A rule (auditctl(8)), as far as it matters here.
#[derive(Debug, Default)]
struct Rule {
    /// Whether what it fits is logged.
    always: bool,
    /// Whether it is about the end of a call, or a watch.
    acts: bool,
    calls: Vec<String>,
    filters: Vec<String>,
    /// Whether it compares two ids (-C): with setuid programs alone it fits, none of ours (CIS has that one).
    compares: bool,
    watched: Option<String>,
}

impl Rule {
    fn parse(line: &str) -> Self {
        let mut rule = Self::default();
        let mut words = line.split_whitespace();
        while let Some(option) = words.next() {
            if option.starts_with('#') {
                break;
            }
            let value = words.next().unwrap_or_default();
            match option {
                "-a" | "-A" => {
                    rule.acts = value.split(',').any(|word| word == "exit");
                    rule.always = value.split(',').any(|word| word == "always");
                }
                "-w" => {
                    (rule.acts, rule.always, rule.watched) = (true, true, Some(value.to_owned()));
                }
                "-p" => rule.filters.push(format!("perm={value}")),
                "-S" => rule.calls.extend(value.split(',').map(str::to_owned)),
                "-F" => rule.filters.push(value.to_owned()),
                "-C" => rule.compares = value.contains("uid!=") || value.contains("gid!="),
                _ => {}
            }
        }
        rule
    }

    /// Whether it says if the arguments of this program are logged.
    fn decides(&self, program: &str) -> bool {
        self.acts && self.is_about_execve() && !self.compares && self.covers(program)
    }

    /// Without a call it is about all of them; a watch is about the access that it names, else about every kind.
    fn is_about_execve(&self) -> bool {
        if let Some(kinds) = self.filters.iter().find_map(|filter| filter.strip_prefix("perm=")) {
            return kinds.contains('x');
        }
        let calls = ["execve", "execveat", "59", "322", "all"];
        self.calls.is_empty() || self.calls.iter().any(|call| calls.contains(&call.as_str()))
    }

    /// Programs and folders that a rule names are all that it fits.
    fn covers(&self, program: &str) -> bool {
        let program = Path::new(program);
        let below = |folder: &str| program.starts_with(folder);
        let named = |filter: &String| match filter.split_once('=') {
            Some(("exe" | "path", file)) => program == Path::new(file),
            Some(("dir", folder)) => below(folder),
            // Ours are none of 32 bits.
            Some(("arch", kind)) => kind != "b32",
            _ => true,
        };
        self.filters.iter().all(named) && self.watched.as_deref().is_none_or(below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decides(line: &str) -> bool {
        Rule::parse(line).decides("/usr/libexec/slurm-pki/certgen")
    }

    #[test]
    fn rules_that_log_arguments_are_told_from_others() {
        for line in [
            "-a always,exit -F arch=b64 -S execve -k exec",
            "-a exit,always -S open,execve",
            "-a always,exit -F arch=b64 -S execve -F auid>=1000",
            "-a always,exit -F arch=b64 -F auid>=1000 -k everything",
            "-a always,exit -F dir=/usr -F perm=x -k usr",
            "-w /usr/libexec -p wxa -k programs",
            "-w /usr/libexec/slurm-pki/certgen",
            "-a never,exit -F arch=b64 -S execve -F exe=/usr/libexec/slurm-pki/certgen",
        ] {
            assert!(decides(line), "{line}");
        }
        for line in [
            "-a always,exit -F arch=b64 -C euid!=uid -F auid!=unset -S execve -k user_emulation",
            "-a always,exit -F exe=/usr/bin/sudo -S execve",
            "-a always,exit -F path=/usr/bin/sudo -F perm=x -F auid>=1000 -F auid!=unset -k privileged",
            "-a always,exit -F dir=/usr/libexec -F perm=wa",
            "-a always,exit -F arch=b32 -S execve -k exec",
            "-a never,task",
            "# -a always,exit -S execve",
            "-w /etc/passwd -p wa -k passwd",
            "-w /usr/libexec/slurm -p x",
            "-D",
            "-b 8192",
            "",
        ] {
            assert!(!decides(line), "{line}");
        }
        assert!(
            Rule::parse("-a always,exit -S execve").always && !Rule::parse("-a never,exit -S execve").always
        );
    }
}
