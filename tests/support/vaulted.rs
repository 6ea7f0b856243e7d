//! A stand-in for Vault, set up as `slurm-pki vault setup` would.

use serde_json::json;
use vault_stand_in::StandIn;

use crate::site::CA_NAME;

/// What the programs may do: have nodes' requests signed, and read records.
pub const SIGNER_POLICY: &str = r#"
path "pki/sign/slurm" { capabilities = ["update"] }
path "node-tokens/data/*" { capabilities = ["read"] }
"#;

/// A server with an engine for each, one role, and a token for the programs.
#[derive(Debug)]
pub struct Vaulted {
    /// The server.
    pub server: StandIn,
    /// PEM of the CA that signs.
    pub ca_cert: String,
    /// The programs' token.
    pub token: String,
}

impl Vaulted {
    /// A server of its own, with a root CA of ten years.
    #[must_use]
    pub fn set_up() -> Self {
        let server = StandIn::start();
        let ten_years = "87600h";
        let mount = json!({ "type": "pki", "config": { "max_lease_ttl": ten_years } });
        server.root("POST", "sys/mounts/pki", mount);
        let new = json!({ "common_name": CA_NAME, "ttl": ten_years, "key_type": "ec", "key_bits": 256 });
        let root = server.root("POST", "pki/root/generate/internal", new);
        let ca_cert = root["data"]["certificate"].as_str().unwrap().to_owned() + "\n";
        server.root("POST", "sys/mounts/node-tokens", json!({ "type": "kv", "options": { "version": "2" } }));
        server.root("POST", "sys/policies/acl/slurm-signer", json!({ "policy": SIGNER_POLICY }));
        let token =
            server.root("POST", "auth/token/create", json!({ "policies": ["slurm-signer"], "ttl": "24h" }));
        let token = token["auth"]["client_token"].as_str().unwrap().to_owned();
        let vaulted = Self { server, ca_cert, token };
        vaulted.write_role(&[]);
        vaulted
    }

    /// Writes a record, and the name into the role.
    pub fn enrol(&self, node: &str, record: &str) {
        let data = json!({ "data": { "record": record } });
        self.server.root("POST", &format!("node-tokens/data/{node}"), data);
        let role = self.server.root("GET", "pki/roles/slurm", json!({}));
        let names = role["data"]["allowed_domains"].as_array().unwrap().clone();
        let mut names: Vec<String> = names.iter().map(|name| name.as_str().unwrap().to_owned()).collect();
        names.push(node.to_owned());
        self.write_role(&names);
    }

    /// The role, for these names and no others.
    pub fn write_role(&self, names: &[String]) {
        self.server.root("POST", "pki/roles/slurm", role(names));
    }
}

/// What the role says.
#[must_use]
pub fn role(names: &[String]) -> serde_json::Value {
    json!({
        "allowed_domains": names,
        "allow_bare_domains": true,
        "allow_subdomains": false,
        "allow_localhost": false,
        "allow_ip_sans": false,
        "allow_wildcard_certificates": false,
        "enforce_hostnames": false,
        "key_type": "any",
        "basic_constraints_valid_for_non_ca": true,
        "key_usage": ["DigitalSignature"],
        "use_csr_common_name": false,
        "use_csr_sans": false,
        "no_store": true,
        "not_before_duration": "5m",
        "ttl": "168h",
        "max_ttl": "168h",
    })
}
