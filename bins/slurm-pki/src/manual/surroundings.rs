//! What commands read besides their arguments: variables and files, and pages of others that go with them.

use super::text::{Item, Part};

/// Something, what is said of it, and the commands that it belongs to, by how they begin.
type Entry = (&'static str, &'static str, &'static [&'static str]);

/// Every command.
const ALL: &[&str] = &[""];

const VARIABLES: &[Entry] = &[
    ("SLURM_PKI_CONF", "The config file, where --config names none.", ALL),
    ("SLURM_CONF", "Slurm's own config file. Not set: /etc/slurm/slurm.conf.", ALL),
    (
        "PATH",
        "Where Slurm's commands, and the tools that reach other hosts, are looked for.",
        &["auth-key", "ca", "cert", "check", "conf", "jwt", "node", "rehearse"],
    ),
    ("VAULT_TOKEN_FILE", "The file with the token to use, where --token-file names none.", &["vault setup"]),
    (
        "HOME",
        "Where .vault-token is, the token that vault login leaves, where admin_token_file of the config names no other.",
        &["ca", "cert", "check", "init", "node", "status", "vault"],
    ),
    (
        "NO_COLOR",
        "Set to anything: no colours on a terminal.",
        &["check", "conf check", "demo", "rehearse", "status", "vault check"],
    ),
];

const FILES: &[Entry] = &[
    ("/etc/slurm/slurm-pki.toml", "The config, slurm-pki.toml(5). Need not exist.", ALL),
    ("/etc/slurm/slurm.conf", "Slurm's own config, which says what ours leaves open.", ALL),
    ("/etc/slurm/slurmdbd.conf", "slurmdbd's, on its host.", &["conf", "check", "jwt key"]),
    (
        "/etc/slurm/ca_cert.pem",
        "What every host trusts (ca_cert).",
        &["ca", "cert", "check", "init", "node bundle", "node push", "node verify", "rehearse", "status"],
    ),
    (
        "/etc/slurm/*_cert.pem, /etc/slurm/*_cert_key.pem",
        "The pairs of Slurm's daemons, under Slurm's own names.",
        &["init", "cert", "ca rollover"],
    ),
    (
        "/etc/slurm/certmgr/",
        "On a node: its token (token_file).",
        &["node bundle", "node push", "node verify", "rehearse"],
    ),
    (
        "/etc/slurm/slurm.jwks, /etc/slurm/slurm.key",
        "The keys of auth/slurm.",
        &["auth-key", "conf enable", "conf show"],
    ),
    (
        "/etc/slurm/slurm-pki.d/",
        "Hooks: what the site wants run after a change.",
        &["cert renew", "cert activate", "jwt jwks fetch"],
    ),
    (
        "/etc/default/, /etc/sysconfig/",
        "slurmd, sackd and slurmrestd: options of the daemons.",
        &["conf enable", "conf disable"],
    ),
    ("/var/lib/slurm-pki/", "The controller's state (state_dir), with all that follows.", ALL),
    (
        "/var/lib/slurm-pki/ca/",
        "The CA's key, and what signs above it. Secret; SlurmUser's.",
        &["ca", "cert", "init"],
    ),
    ("/var/lib/slurm-pki/tokens/", "The nodes' records, one file each.", &["init", "node"]),
    ("/var/lib/slurm-pki/outgoing/", "Nodes' secrets that wait to be handed out.", &["node"]),
    ("/var/lib/slurm-pki/ledger/", "What was issued, a line per certificate.", &["ledger", "status", "cert"]),
    (
        "/usr/libexec/slurm-pki/",
        "The programs that Slurm runs.",
        &["conf", "demo", "node verify", "rehearse"],
    ),
];

const PAGES: &[Entry] = &[
    ("slurm.conf(5)", "", &["conf", "auth-key", "jwt"]),
    ("slurmdbd.conf(5)", "", &["conf", "jwt"]),
    (
        "keygen(1), certgen(1), get_node_token(1), generate_csr(1), get_cert_key(1), validate_node_token(1), sign_csr(1)",
        "",
        &["rehearse", "demo"],
    ),
    ("slurm-pki-signer(1)", "", &["vault"]),
];

/// The variables that a command reads.
pub(super) fn environment(path: &[&str]) -> Vec<Part> {
    list(VARIABLES, path)
}

/// The files that a command reads or writes, where the defaults have them.
pub(super) fn files(path: &[&str]) -> Vec<Part> {
    list(FILES, path)
}

/// The pages of others.
pub(super) fn see_also(path: &[&str]) -> Vec<&'static str> {
    of(PAGES, path).map(|(page, ..)| *page).collect()
}

fn list(entries: &'static [Entry], path: &[&str]) -> Vec<Part> {
    vec![Part::Items(of(entries, path).map(|(name, text, _)| Item::new(name, text)).collect())]
}

/// Whether an entry is about a command: the command itself, one below it, or one above it that has it below.
fn of(entries: &'static [Entry], path: &[&str]) -> impl Iterator<Item = &'static Entry> {
    let path = path.get(1..).unwrap_or_default().join(" ") + " ";
    entries.iter().filter(move |(_, _, commands)| {
        commands.iter().any(|command| {
            command.is_empty() || {
                let command = format!("{command} ");
                path.starts_with(&command) || command.starts_with(&path) || path == " "
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_something_belongs_to_exists() {
        let root = crate::cli::command();
        for (name, _, commands) in [VARIABLES, FILES, PAGES].concat() {
            for command in commands.iter().filter(|command| !command.is_empty()) {
                let found = command.split(' ').try_fold(&root, |above, name| above.find_subcommand(name));
                assert!(found.is_some(), "{name}: there is no {command}");
            }
        }
    }

    fn has(path: &[&str], term: &str) -> bool {
        let parts = environment(path);
        parts
            .iter()
            .any(|part| matches!(part, Part::Items(items) if items.iter().any(|item| item.term == term)))
    }

    #[test]
    fn a_variable_is_told_where_it_counts_and_in_the_pages_above() {
        for path in [&["slurm-pki", "vault", "setup"][..], &["slurm-pki", "vault"], &["slurm-pki"]] {
            assert!(has(path, "VAULT_TOKEN_FILE"), "{path:?}");
        }
        assert!(!has(&["slurm-pki", "vault", "check"], "VAULT_TOKEN_FILE"));
        assert!(has(&["slurm-pki", "ledger", "show"], "SLURM_PKI_CONF"));
    }
}
