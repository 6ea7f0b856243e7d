//! The policies: what the programs may do, what a person who enrols may do, who signs for daemons, and who changes the CA.
//! Nothing else.

use pki::name::REHEARSAL;
use site::config::VaultConfig;

/// What every token of ours needs of itself: to be looked up and looked at by `vault check`, and kept alive by `vault renew`.
const SELF: &str = r#"path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "sys/capabilities-self" { capabilities = ["update"] }
"#;

/// What the policies are called: after the role, so that two clusters share a Vault.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// The programs'.
    pub(crate) signer: String,
    /// A person's who enrols nodes.
    pub(crate) enroller: String,
    /// Whose who signs daemons' pairs.
    pub(crate) daemons: String,
    /// A person's who changes the CA.
    pub(crate) rollover: String,
}

impl Names {
    /// By `[vault]`.
    pub(crate) fn of(config: &VaultConfig) -> Self {
        let named = |what: &str| format!("{}-{what}", config.role);
        Self {
            signer: named("signer"),
            enroller: named("enroller"),
            daemons: named("daemons"),
            rollover: named("rollover"),
        }
    }
}

/// What of Vault a site uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Uses {
    /// The CA.
    pub(crate) signer: bool,
    /// The records.
    pub(crate) store: bool,
}

/// A path, and what may be done there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    path: String,
    pub(crate) capabilities: &'static [&'static str],
}

impl Rule {
    fn new(path: String, capabilities: &'static [&'static str]) -> Self {
        Self { path, capabilities }
    }

    /// A path that the rule fits, to ask what a token may do there.
    pub(crate) fn example(&self) -> String {
        let part = |part: &str| if part == "+" { REHEARSAL.to_owned() } else { part.replace('*', REHEARSAL) };
        self.path.split('/').map(part).collect::<Vec<_>>().join("/")
    }

    fn line(&self) -> String {
        let list: Vec<_> = self.capabilities.iter().map(|name| format!("\"{name}\"")).collect();
        format!("path \"{}\" {{ capabilities = [{}] }}\n", self.path, list.join(", "))
    }
}

/// A policy as it is written.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) name: String,
    /// The commands that it is for.
    commands: &'static str,
    pub(crate) rules: Vec<Rule>,
}

impl Policy {
    /// The text that Vault takes.
    pub(crate) fn text(&self) -> String {
        let lines: String = self.rules.iter().map(Rule::line).collect();
        format!("# Written by slurm-pki vault setup: {}.\n{lines}{SELF}", self.commands)
    }
}

/// All that a site has.
pub(crate) fn all(config: &VaultConfig, uses: Uses) -> Vec<Policy> {
    let mut all = vec![signer(config, uses), enroller(config, uses)];
    if uses.signer {
        all.extend([daemons(config), rollover(config)]);
    }
    all
}

/// slurmctld's programs: nodes' requests are signed, records are read. It writes, lists and deletes nothing.
fn signer(config: &VaultConfig, uses: Uses) -> Policy {
    let mut rules = Vec::new();
    if uses.signer {
        rules.push(Rule::new(of_engine(config, &format!("sign/{}", config.role)), &["update"]));
    }
    if uses.store {
        rules.push(Rule::new(keys(config, "data"), &["read"]));
    }
    Policy { name: Names::of(config).signer, commands: "sign_csr and validate_node_token", rules }
}

/// A person who enrols nodes: records, and the names in the nodes' role. It signs nothing.
fn enroller(config: &VaultConfig, uses: Uses) -> Policy {
    let mut rules = Vec::new();
    if uses.signer {
        rules.push(Rule::new(of_engine(config, &format!("roles/{}", config.role)), &["read", "update"]));
    }
    if uses.store {
        let data: &'static [&'static str] = match config.kv_version {
            1 => &["create", "read", "update", "delete"],
            _ => &["create", "read", "update"],
        };
        rules.push(Rule::new(keys(config, "data"), data));
        if config.kv_version != 1 {
            rules.push(Rule::new(keys(config, "metadata"), &["read", "delete"]));
        }
        rules.push(Rule::new(folder(config), &["list"]));
    }
    let commands = "slurm-pki node add, token, remove, import";
    Policy { name: Names::of(config).enroller, commands, rules }
}

/// Who signs daemons' own pairs: `cert issue` and `cert renew`.
fn daemons(config: &VaultConfig) -> Policy {
    let sign = of_engine(config, &format!("sign/{}", config.daemon_role));
    let rules = vec![Rule::new(sign, &["update"])];
    Policy { name: Names::of(config).daemons, commands: "slurm-pki cert issue and cert renew", rules }
}

/// Who changes the CA: `ca rollover`, which renews daemons' pairs too. It makes CAs that hosts come to trust, so it is given
/// for as long as that lasts. It reads no record, enrols nobody and deletes nothing.
fn rollover(config: &VaultConfig) -> Policy {
    let (role, daemon_role) = (&config.role, &config.daemon_role);
    let mut rules: Vec<Rule> = Vec::new();
    for (path, capabilities) in [
        ("config/issuers".to_owned(), &["read", "update"][..]),
        ("issuers".to_owned(), &["list"]),
        ("issuers/generate/root/internal".to_owned(), &["update"]),
        ("intermediate/cross-sign".to_owned(), &["update"]),
        ("issuer/+".to_owned(), &["read", "patch"]),
        ("issuer/+/sign-intermediate".to_owned(), &["update"]),
        (format!("issuer/+/sign/{role}"), &["update"]),
        (format!("roles/{role}"), &["read", "patch"]),
        (format!("roles/{daemon_role}"), &["read", "patch"]),
        (format!("sign/{daemon_role}"), &["update"]),
    ] {
        let rule = Rule::new(of_engine(config, &path), capabilities);
        // One role for both.
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    Policy { name: Names::of(config).rollover, commands: "slurm-pki ca rollover", rules }
}

fn of_engine(config: &VaultConfig, path: &str) -> String {
    format!("{}/{path}", config.pki_mount.trim_matches('/'))
}

/// All nodes' keys, as a policy names them: `+` is one whole part of a path; only at the end may a part be open (`*`).
fn keys(config: &VaultConfig, api: &str) -> String {
    let key = match config.kv_path.split_once("%n") {
        Some((before, after))
            if (before.is_empty() || before.ends_with('/'))
                && (after.is_empty() || after.starts_with('/')) =>
        {
            config.kv_path.replace("%n", "+")
        }
        Some((before, _)) => format!("{before}*"),
        None => config.kv_path.clone(),
    };
    format!("{}/{key}", mount(config, api))
}

/// The folder of the keys. A list is judged by its path with a slash at the end.
fn folder(config: &VaultConfig) -> String {
    let before = config.kv_path.split("%n").next().unwrap_or("");
    let folder = before.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    format!("{}/{folder}", mount(config, "metadata"))
}

fn mount(config: &VaultConfig, api: &str) -> String {
    let mount = config.kv_mount.trim_matches('/');
    if config.kv_version == 1 { mount.to_owned() } else { format!("{mount}/{api}") }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use site::config::ConfigFile;

    use super::*;

    fn config(text: &str) -> VaultConfig {
        VaultConfig::read(&ConfigFile::parse(Path::new("t"), text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn keys_are_named_as_narrowly_as_a_policy_can() {
        for (given, data, list) in [
            ("%n", "node-tokens/data/+", "node-tokens/metadata/"),
            ("slurm/nodes/%n", "node-tokens/data/slurm/nodes/+", "node-tokens/metadata/slurm/nodes/"),
            ("%n/slurm", "node-tokens/data/+/slurm", "node-tokens/metadata/"),
            ("slurm/node-%n.token", "node-tokens/data/slurm/node-*", "node-tokens/metadata/slurm/"),
        ] {
            let config = config(&format!("[vault]\nkv_path = \"{given}\""));
            assert_eq!((keys(&config, "data").as_str(), folder(&config).as_str()), (data, list), "{given}");
        }
        let old = config("[vault]\nkv_version = 1");
        assert_eq!((keys(&old, "data").as_str(), folder(&old).as_str()), ("node-tokens/+", "node-tokens/"));
    }

    #[test]
    fn the_programs_get_no_right_but_to_sign_and_to_read() {
        let text = signer(&config(""), Uses { signer: true, store: true }).text();
        assert!(text.contains("path \"pki/sign/slurm\" { capabilities = [\"update\"] }"), "{text}");
        assert!(text.contains("path \"node-tokens/data/+\" { capabilities = [\"read\"] }"), "{text}");
        for no in ["create", "delete", "list", "sudo", "roles", "slurm-daemons"] {
            assert!(!text.contains(no), "{no}: {text}");
        }
        assert!(!signer(&config(""), Uses { signer: false, store: true }).text().contains("pki/"));
    }
    #[test]
    fn who_changes_the_ca_reads_no_record_and_deletes_nothing() {
        let text = rollover(&config("")).text();
        for no in ["node-tokens", "create", "delete", "sudo", "\"pki/sign/slurm\"", "pki/keys", "revoke", "*"]
        {
            assert!(!text.contains(no), "{no}: {text}");
        }
        let one = rollover(&config("[vault]\ndaemon_role = \"slurm\"")).text();
        assert_eq!(one.matches("pki/roles/slurm\"").count(), 1, "{one}");
    }

    #[test]
    fn a_rule_is_asked_about_by_a_path_that_it_fits() {
        let example = |path: &str| Rule::new(path.into(), &["read"]).example();
        assert_eq!(example("pki/issuer/+/sign/slurm"), "pki/issuer/slurm-pki-rehearsal/sign/slurm");
        assert_eq!(example("node-tokens/data/node-*"), "node-tokens/data/node-slurm-pki-rehearsal");
        assert_eq!(example("node-tokens/metadata/"), "node-tokens/metadata/");
    }
}
