//! A role of the PKI engine: its settings with their documented defaults, and which names it allows.

use serde_json::{Value, json};

use crate::params::Params;

/// A role.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) allowed_domains: Vec<String>,
    pub(crate) allow_bare_domains: bool,
    pub(crate) allow_subdomains: bool,
    pub(crate) allow_glob_domains: bool,
    pub(crate) allow_wildcard_certificates: bool,
    pub(crate) allow_any_name: bool,
    pub(crate) allow_localhost: bool,
    pub(crate) enforce_hostnames: bool,
    pub(crate) allow_ip_sans: bool,
    pub(crate) server_flag: bool,
    pub(crate) client_flag: bool,
    pub(crate) code_signing_flag: bool,
    pub(crate) email_protection_flag: bool,
    pub(crate) key_type: String,
    pub(crate) key_bits: i64,
    pub(crate) key_usage: Vec<String>,
    pub(crate) ext_key_usage: Vec<String>,
    pub(crate) use_csr_common_name: bool,
    pub(crate) use_csr_sans: bool,
    pub(crate) require_cn: bool,
    pub(crate) no_store: bool,
    pub(crate) generate_lease: bool,
    pub(crate) basic_constraints_valid_for_non_ca: bool,
    pub(crate) not_before_duration: i64,
    pub(crate) ttl: i64,
    pub(crate) max_ttl: i64,
    pub(crate) issuer_ref: String,
    pub(crate) organization: Vec<String>,
    pub(crate) ou: Vec<String>,
    pub(crate) country: Vec<String>,
    pub(crate) locality: Vec<String>,
    pub(crate) province: Vec<String>,
    pub(crate) cn_validations: Vec<String>,
    pub(crate) signature_bits: i64,
}

const KEY_USAGE: [&str; 3] = ["DigitalSignature", "KeyAgreement", "KeyEncipherment"];

impl Role {
    /// A role as it is written: what is left out has its default.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn of(params: &Params<'_>) -> Result<Self, String> {
        let list = |name: &str| params.list(name).unwrap_or_default();
        let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let text = |name: &str, default: &str| {
            let given = params.text(name);
            if given.is_empty() { default.to_owned() } else { given }
        };
        let key_type = text("key_type", "rsa");
        let given_bits = params.number("key_bits", 0);
        let key_bits = match (key_type.as_str(), given_bits) {
            ("rsa", 0) => 2048,
            ("ec", 0) => 256,
            ("any" | "ed25519", _) => 0,
            ("rsa", bits @ (2048 | 3072 | 4096)) | ("ec", bits @ (224 | 256 | 384 | 521)) => bits,
            ("rsa" | "ec", bits) => return Err(format!("unsupported bit length for {key_type} key: {bits}")),
            (other, _) => return Err(format!("unknown key type {other}")),
        };
        let role = Self {
            allowed_domains: list("allowed_domains"),
            allow_bare_domains: params.flag("allow_bare_domains", false),
            allow_subdomains: params.flag("allow_subdomains", false),
            allow_glob_domains: params.flag("allow_glob_domains", false),
            allow_wildcard_certificates: params.flag("allow_wildcard_certificates", true),
            allow_any_name: params.flag("allow_any_name", false),
            allow_localhost: params.flag("allow_localhost", true),
            enforce_hostnames: params.flag("enforce_hostnames", true),
            allow_ip_sans: params.flag("allow_ip_sans", true),
            server_flag: params.flag("server_flag", true),
            client_flag: params.flag("client_flag", true),
            code_signing_flag: params.flag("code_signing_flag", false),
            email_protection_flag: params.flag("email_protection_flag", false),
            key_type,
            key_bits,
            key_usage: params.list("key_usage").unwrap_or_else(|| texts(&KEY_USAGE)),
            ext_key_usage: list("ext_key_usage"),
            use_csr_common_name: params.flag("use_csr_common_name", true),
            use_csr_sans: params.flag("use_csr_sans", true),
            require_cn: params.flag("require_cn", true),
            no_store: params.flag("no_store", false),
            generate_lease: params.flag("generate_lease", false),
            basic_constraints_valid_for_non_ca: params.flag("basic_constraints_valid_for_non_ca", false),
            not_before_duration: if params.get("not_before_duration").is_some() {
                params.seconds("not_before_duration")
            } else {
                30
            },
            ttl: params.seconds("ttl"),
            max_ttl: params.seconds("max_ttl"),
            issuer_ref: text("issuer_ref", "default"),
            organization: list("organization"),
            ou: list("ou"),
            country: list("country"),
            locality: list("locality"),
            province: list("province"),
            cn_validations: params.list("cn_validations").unwrap_or_else(|| texts(&["email", "hostname"])),
            signature_bits: params.number("signature_bits", 0),
        };
        // Known, and of no effect here.
        for name in
            ["allowed_uri_sans", "allowed_other_sans", "allowed_domains_template", "policy_identifiers"]
        {
            let _ = params.get(name);
        }
        for name in
            ["allowed_serial_numbers", "allowed_user_ids", "ext_key_usage_oids", "not_after", "use_pss"]
        {
            let _ = params.get(name);
        }
        for name in ["street_address", "postal_code", "allowed_uri_sans_template", "allow_token_displayname"]
        {
            let _ = params.get(name);
        }
        if role.ttl > 0 && role.max_ttl > 0 && role.ttl > role.max_ttl {
            return Err("\"ttl\" value must be less than \"max_ttl\" value".into());
        }
        Ok(role)
    }

    /// As it is read.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "allowed_domains": self.allowed_domains,
            "allowed_domains_template": false,
            "allow_bare_domains": self.allow_bare_domains,
            "allow_subdomains": self.allow_subdomains,
            "allow_glob_domains": self.allow_glob_domains,
            "allow_wildcard_certificates": self.allow_wildcard_certificates,
            "allow_any_name": self.allow_any_name,
            "allow_localhost": self.allow_localhost,
            "allow_token_displayname": false,
            "allowed_uri_sans_template": false,
            "enforce_hostnames": self.enforce_hostnames,
            "allow_ip_sans": self.allow_ip_sans,
            "allowed_uri_sans": [],
            "allowed_other_sans": [],
            "allowed_serial_numbers": [],
            "allowed_user_ids": [],
            "server_flag": self.server_flag,
            "client_flag": self.client_flag,
            "code_signing_flag": self.code_signing_flag,
            "email_protection_flag": self.email_protection_flag,
            "key_type": self.key_type,
            "key_bits": self.key_bits,
            "signature_bits": self.signature_bits,
            "use_pss": false,
            "key_usage": self.key_usage,
            "ext_key_usage": self.ext_key_usage,
            "ext_key_usage_oids": [],
            "use_csr_common_name": self.use_csr_common_name,
            "use_csr_sans": self.use_csr_sans,
            "require_cn": self.require_cn,
            "no_store": self.no_store,
            "generate_lease": self.generate_lease,
            "policy_identifiers": [],
            "basic_constraints_valid_for_non_ca": self.basic_constraints_valid_for_non_ca,
            "not_before_duration": self.not_before_duration,
            "not_after": "",
            "ttl": self.ttl,
            "max_ttl": self.max_ttl,
            "issuer_ref": self.issuer_ref,
            "organization": self.organization,
            "ou": self.ou,
            "country": self.country,
            "locality": self.locality,
            "province": self.province,
            "street_address": [],
            "postal_code": [],
            "cn_validations": self.cn_validations,
        })
    }

    /// Whether a common name may be certified.
    pub(crate) fn allows_common_name(&self, name: &str) -> bool {
        self.cn_validations == ["disabled"] || self.allows(name)
    }

    /// Whether a name may be certified, by the documented meaning of each setting.
    pub(crate) fn allows(&self, name: &str) -> bool {
        let wildcard = name.contains('*');
        let reduced = if wildcard { name.split_once('.').map_or("", |(_, rest)| rest) } else { name };
        if name.contains('@') || (wildcard && !self.allow_wildcard_certificates) || reduced.contains('*') {
            return false;
        }
        if self.enforce_hostnames && !reduced.is_empty() && !is_host_name(reduced) {
            return false;
        }
        if self.allow_any_name {
            return true;
        }
        if self.allow_localhost && matches!(reduced, "localhost" | "localdomain") {
            return true;
        }
        self.allowed_domains.iter().any(|domain| {
            (self.allow_bare_domains && name.eq_ignore_ascii_case(domain))
                || (self.allow_subdomains
                    && (reduced.ends_with(&format!(".{domain}"))
                        || (wildcard && reduced.eq_ignore_ascii_case(domain))))
                || (self.allow_glob_domains && domain.contains('*') && glob(domain, name))
        })
    }
}

/// Letters, digits and hyphens between dots, no hyphen at an end.
pub(crate) fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        let bytes = label.as_bytes();
        let inside = bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
        inside && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    name.strip_suffix('.').unwrap_or(name).split('.').all(label)
}

/// `*` stands for any text.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).any(|start| rest.get(start..).is_some_and(|rest| glob(after, rest)))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(settings: Value) -> Role {
        Role::of(&Params::of(&settings)).unwrap()
    }

    #[test]
    fn a_bare_domain_is_that_name_alone() {
        let role = role(json!({
            "allowed_domains": ["n1", "n2.example"], "allow_bare_domains": true, "allow_localhost": false
        }));
        assert!(role.allows("n1") && role.allows("N1") && role.allows("n2.example"));
        for other in ["n3", "x.n1", "n1.example", "*.n1", "localhost", "n1\u{0}", ""] {
            assert!(!role.allows(other), "{other}");
        }
    }

    #[test]
    fn subdomains_and_globs_are_what_they_say() {
        let domains = role(json!({ "allowed_domains": "example.com", "allow_subdomains": true }));
        assert!(
            domains.allows("a.example.com") && domains.allows("localhost") && domains.allows("*.example.com")
        );
        assert!(!domains.allows("example.com") && !domains.allows("aexample.com"));
        let globs = role(json!({ "allowed_domains": ["n*"], "allow_glob_domains": true }));
        assert!(globs.allows("n17") && !globs.allows("m1"));
    }
}
