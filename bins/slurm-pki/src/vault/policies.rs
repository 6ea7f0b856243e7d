//! The policies: what the programs may do, what a person who enrols may do, and who signs for daemons. Nothing else.

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
}

impl Names {
    /// By `[vault]`.
    pub(crate) fn of(config: &VaultConfig) -> Self {
        let named = |what: &str| format!("{}-{what}", config.role);
        Self { signer: named("signer"), enroller: named("enroller"), daemons: named("daemons") }
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

/// slurmctld's programs: nodes' requests are signed, records are read. It writes, lists and deletes nothing.
pub(crate) fn signer(config: &VaultConfig, uses: Uses) -> String {
    let mut text = String::from("# Written by slurm-pki vault setup: sign_csr and validate_node_token.\n");
    if uses.signer {
        text += &path(&format!("{}/sign/{}", config.pki_mount, config.role), &["update"]);
    }
    if uses.store {
        text += &path(&keys(config, "data"), &["read"]);
    }
    text + SELF
}

/// A person who enrols nodes: records, and the names in the nodes' role. It signs nothing.
pub(crate) fn enroller(config: &VaultConfig, uses: Uses) -> String {
    let mut text =
        String::from("# Written by slurm-pki vault setup: slurm-pki node add, token, remove, import.\n");
    if uses.signer {
        text += &path(&format!("{}/roles/{}", config.pki_mount, config.role), &["read", "update"]);
    }
    if uses.store {
        let data = keys(config, "data");
        let all: &[&str] = match config.kv_version {
            1 => &["create", "read", "update", "delete"],
            _ => &["create", "read", "update"],
        };
        text += &path(&data, all);
        if config.kv_version != 1 {
            text += &path(&keys(config, "metadata"), &["read", "delete"]);
        }
        text += &path(&folder(config), &["list"]);
    }
    text + SELF
}

/// Who signs daemons' own pairs: `cert issue` and `cert renew`.
pub(crate) fn daemons(config: &VaultConfig) -> String {
    let sign = format!("{}/sign/{}", config.pki_mount, config.daemon_role);
    String::from("# Written by slurm-pki vault setup: slurm-pki cert issue and cert renew.\n")
        + &path(&sign, &["update"])
        + SELF
}

fn path(path: &str, capabilities: &[&str]) -> String {
    let list: Vec<_> = capabilities.iter().map(|name| format!("\"{name}\"")).collect();
    format!("path \"{path}\" {{ capabilities = [{}] }}\n", list.join(", "))
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
        let text = signer(&config(""), Uses { signer: true, store: true });
        assert!(text.contains("path \"pki/sign/slurm\" { capabilities = [\"update\"] }"), "{text}");
        assert!(text.contains("path \"node-tokens/data/+\" { capabilities = [\"read\"] }"), "{text}");
        for no in ["create", "delete", "list", "sudo", "roles", "slurm-daemons"] {
            assert!(!text.contains(no), "{no}: {text}");
        }
        assert!(!signer(&config(""), Uses { signer: false, store: true }).contains("pki/"));
    }
}
