//! The PKI engine's two roles: for nodes, whom the programs sign for, and for daemons, which takes a person's token.

use std::collections::BTreeSet;
use std::time::Duration;

use pki::key::KeyKind;
use pki::name::{NodeName, REHEARSAL};
use pki::policy::SubjectAttribute;
use serde_json::{Map, Value, json};
use site::config::ControllerConfig;

/// A role as the engine shows it.
pub(crate) type Settings = Map<String, Value>;

/// The member with the names.
pub(crate) const NAMES: &str = "allowed_domains";

/// What a node of this name may have in its certificate: its own name, and those that `san` makes of it.
pub(crate) fn domains(controller: &ControllerConfig, name: &str) -> BTreeSet<String> {
    let sans = controller.san.iter().map(|template| template.replace("%n", name));
    std::iter::once(name.to_owned()).chain(sans).collect()
}

/// The same for many, and for the rehearsal's node.
pub(crate) fn domains_of(controller: &ControllerConfig, names: &[NodeName]) -> BTreeSet<String> {
    let names = names.iter().map(NodeName::as_str).chain([REHEARSAL]);
    names.flat_map(|name| domains(controller, name)).collect()
}

/// What a role is to say of everything but the names, besides what it says already.
pub(crate) fn settings(controller: &ControllerConfig, life: Duration, allowed: &[KeyKind]) -> Settings {
    let (key_type, key_bits) = keys(allowed);
    let subject = |attribute| -> Vec<&str> {
        let values = controller.subject.iter().filter(|(is, _)| *is == attribute);
        values.map(|(_, value)| value.as_str()).collect()
    };
    let Value::Object(settings) = json!({
        // These names and no others, as they stand.
        "allow_bare_domains": true,
        "allow_subdomains": false,
        "allow_glob_domains": false,
        "allow_any_name": false,
        "allow_localhost": false,
        "allow_wildcard_certificates": false,
        "allowed_domains_template": false,
        "allow_ip_sans": false,
        "allowed_uri_sans": [],
        "allowed_other_sans": [],
        // A name with an underscore is a node's too; the names above are the rule.
        "enforce_hostnames": false,
        // The names come from the plan that was judged, not from the request.
        "use_csr_common_name": false,
        "use_csr_sans": false,
        "require_cn": true,
        "key_type": key_type,
        "key_bits": key_bits,
        // Every daemon is server and client.
        "server_flag": true,
        "client_flag": true,
        "code_signing_flag": false,
        "email_protection_flag": false,
        "key_usage": ["DigitalSignature"],
        "ext_key_usage": [],
        "basic_constraints_valid_for_non_ca": true,
        // Nothing is revoked (Slurm knows no revocation), and the ledger keeps what was issued.
        "no_store": true,
        "generate_lease": false,
        "not_before_duration": controller.backdate.as_secs(),
        "ttl": life.as_secs(),
        "max_ttl": life.as_secs(),
        "country": subject(SubjectAttribute::C),
        "province": subject(SubjectAttribute::ST),
        "locality": subject(SubjectAttribute::L),
        "organization": subject(SubjectAttribute::O),
        "ou": subject(SubjectAttribute::OU),
    }) else {
        return Settings::new();
    };
    settings
}

/// The narrowest that the engine knows. Both kinds in one role it can only leave open; sign_csr has judged the key before.
fn keys(allowed: &[KeyKind]) -> (&'static str, u32) {
    match (
        allowed.contains(&KeyKind::Rsa),
        allowed.contains(&KeyKind::P256),
        allowed.contains(&KeyKind::P384),
    ) {
        (false, true, _) => ("ec", 256),
        (false, false, _) => ("ec", 384),
        (true, false, false) => ("rsa", 2048),
        (true, ..) => ("any", 0),
    }
}

/// The names that a role has.
pub(crate) fn names_in(role: &Settings) -> BTreeSet<String> {
    let list = role.get(NAMES).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A role with other names. All of it is written again: what were left out would go back to its default.
pub(crate) fn with_names(role: &Settings, names: &BTreeSet<String>) -> Settings {
    let mut role = role.clone();
    role.retain(|_, value| !value.is_null());
    role.insert(NAMES.into(), json!(names));
    role
}

/// Whether two values mean the same: a list may come in another order, and an empty one as nothing.
pub(crate) fn same(one: &Value, other: &Value) -> bool {
    let sorted = |value: &Value| -> Option<BTreeSet<String>> {
        match value {
            Value::Array(items) => Some(items.iter().map(ToString::to_string).collect()),
            Value::Null => Some(BTreeSet::new()),
            _ => None,
        }
    };
    match (sorted(one), sorted(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use site::config::ConfigFile;

    use super::*;

    fn controller(text: &str) -> ControllerConfig {
        let text = format!("[controller]\n{text}");
        ControllerConfig::read(&ConfigFile::parse(Path::new("t"), text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn a_node_has_its_name_and_what_san_makes_of_it() {
        let plain = domains_of(&controller(""), &[NodeName::parse(b"n1").unwrap()]);
        assert_eq!(plain.into_iter().collect::<Vec<_>>(), ["n1", "slurm-pki-rehearsal"]);
        let full = domains(&controller("san = [\"%n\", \"%n.example\"]"), "n1");
        assert_eq!(full.into_iter().collect::<Vec<_>>(), ["n1", "n1.example"]);
    }

    #[test]
    fn kinds_of_key_become_the_narrowest_rule() {
        use KeyKind::{P256, P384, Rsa};
        for (allowed, rule) in [
            (&[P256][..], ("ec", 256)),
            (&[P256, P384], ("ec", 256)),
            (&[P384], ("ec", 384)),
            (&[Rsa], ("rsa", 2048)),
            (&[P256, Rsa], ("any", 0)),
        ] {
            assert_eq!(keys(allowed), rule);
        }
    }

    #[test]
    fn lists_are_the_same_in_any_order_and_values_are_what_they_are() {
        assert!(same(&json!(["a", "b"]), &json!(["b", "a"])));
        assert!(same(&json!([]), &json!(null)));
        assert!(!same(&json!(["a"]), &json!([])));
        assert!(!same(&json!(true), &json!(false)));
        assert!(!same(&json!(0), &json!(null)));
    }
}
