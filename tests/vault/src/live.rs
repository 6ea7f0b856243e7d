//! A live server in the place of the core: the listener, its faults and its record of requests stay, and every request is
//! sent on. Whatever a test names (mounts, policies, roles of a login method) gets a prefix of its own there, and is taken
//! away at the end, so that many tests share a server, and the server's own things are left alone.
//!
//! Only where `SLURM_PKI_LIVE_VAULT` is set, which `cargo xtask vault` does: somebody's `VAULT_ADDR` alone never leads a
//! test to their server.

use std::collections::BTreeSet;
use std::env;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use ureq::http::Request as Outgoing;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::core::random_id;
use crate::http::{Request, Response};

/// What makes a test's server a live one.
pub(crate) const SWITCH: &str = "SLURM_PKI_LIVE_VAULT";

/// A server, and what was made there.
#[derive(Debug)]
pub(crate) struct Live {
    agent: ureq::Agent,
    address: String,
    namespace: Option<String>,
    token: String,
    /// In front of every name.
    prefix: String,
    /// Paths to delete, in the API's words.
    made: BTreeSet<String>,
    tokens: Vec<String>,
}

impl Live {
    /// The server of `VAULT_ADDR`, with the root token in `VAULT_TOKEN`, where a live one is wanted.
    pub(crate) fn wanted() -> Option<Self> {
        env::var_os(SWITCH)?;
        let var = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let need = |name: &str| var(name).unwrap_or_else(|| panic!("{SWITCH} is set and {name} is not"));
        let address = need("VAULT_ADDR").trim_end_matches('/').to_owned();
        Some(Self::at(address, need("VAULT_TOKEN"), var("VAULT_NAMESPACE"), var("VAULT_CACERT")))
    }

    /// A server by its address, root token, namespace and CA file.
    pub(crate) fn at(address: String, token: String, namespace: Option<String>, ca: Option<String>) -> Self {
        let roots = ca.map_or(RootCerts::WebPki, |file| {
            let pem = std::fs::read(&file).unwrap_or_else(|e| panic!("VAULT_CACERT {file}: {e}"));
            let all = pem::parse_many(pem).unwrap();
            RootCerts::Specific(Arc::new(
                all.iter().map(|one| Certificate::from_der(one.contents()).to_owned()).collect(),
            ))
        });
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(roots)
            .build();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(30)))
            .tls_config(tls)
            .build();
        // Lower case: a mount's path may be shown so.
        let prefix = format!("{}-", random_id("slurm-pki-test-").to_lowercase().replace('_', "x"));
        let (made, tokens) = (BTreeSet::new(), Vec::new());
        Self { agent: ureq::Agent::new_with_config(config), address, namespace, token, prefix, made, tokens }
    }

    pub(crate) fn root_token(&self) -> String {
        self.token.clone()
    }

    /// Sends a request on, and brings back what it says under the names that the test knows.
    pub(crate) fn handle(&mut self, request: &Request) -> Response {
        let path = self.theirs(&request.path);
        let query: Vec<_> = request.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        let body = self.body(&request.body);
        let token = request.header("X-Vault-Token");
        let (status, text) = self.send(&request.method, &format!("{path}{query}"), token, &body);
        self.remember(&request.method, &path, status, &text);
        let text = text.replace(&self.prefix, "");
        let headers = Vec::new();
        Response { status, headers, body: self.own_mounts_alone(&request.path, text).into_bytes() }
    }

    fn send(&self, method: &str, path: &str, token: Option<&str>, body: &Value) -> (u16, String) {
        let answer = self.try_send(method, path, token, body);
        answer.unwrap_or_else(|e| panic!("{} does not answer: {e}", self.address))
    }

    fn try_send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: &Value,
    ) -> Result<(u16, String), ureq::Error> {
        // The API has a word for lists that not every client sends.
        let (method, path) = match method {
            "LIST" => ("GET", format!("{path}?list=true")),
            method => (method, path.to_owned()),
        };
        let mut outgoing = Outgoing::builder()
            .method(method)
            .uri(format!("{}/v1/{path}", self.address))
            .header("X-Vault-Request", "true");
        if method == "PATCH" {
            outgoing = outgoing.header("Content-Type", "application/merge-patch+json");
        }
        if let Some(token) = token {
            outgoing = outgoing.header("X-Vault-Token", token);
        }
        if let Some(namespace) = &self.namespace {
            outgoing = outgoing.header("X-Vault-Namespace", namespace);
        }
        let answer = match body {
            Value::Null => self.agent.run(outgoing.body(()).unwrap()),
            body => self.agent.run(outgoing.body(body.to_string()).unwrap()),
        };
        let mut answer = answer?;
        let text = answer.body_mut().read_to_string().unwrap_or_default();
        Ok((answer.status().as_u16(), text))
    }

    /// A path as the server knows it.
    fn theirs(&self, path: &str) -> String {
        let named = |head: &str| -> Option<String> {
            let rest = path.strip_prefix(head).filter(|rest| !rest.is_empty())?;
            Some(format!("{head}{}{rest}", self.prefix))
        };
        let heads = [
            "sys/mounts/",
            "sys/auth/",
            "sys/policies/acl/",
            "sys/policy/",
            "sys/audit/",
            "sys/internal/ui/mounts/",
        ];
        if let Some(found) = heads.iter().find_map(|head| named(head)) {
            return found;
        }
        if path.starts_with("sys/") || path.starts_with("auth/token/") || path.starts_with("cubbyhole/") {
            return path.to_owned();
        }
        named("auth/").unwrap_or_else(|| format!("{}{path}", self.prefix))
    }

    /// A body with the names in it as the server knows them.
    fn body(&self, body: &Value) -> Value {
        let Value::Object(fields) = body else { return body.clone() };
        let field = |(name, value): (&String, &Value)| {
            let value = match name.as_str() {
                "policies" | "token_policies" => each(value, |policy| self.policy(policy)),
                "paths" | "path" => each(value, |path| self.theirs(path)),
                "policy" => value.as_str().map_or(Value::Null, |text| json!(self.rules(text))),
                _ => value.clone(),
            };
            (name.clone(), value)
        };
        Value::Object(fields.iter().map(field).collect())
    }

    fn policy(&self, name: &str) -> String {
        if matches!(name, "root" | "default") { name.to_owned() } else { format!("{}{name}", self.prefix) }
    }

    /// A policy's text: each path in it stands after `path "`.
    fn rules(&self, text: &str) -> String {
        let mut parts = text.split("path \"");
        let mut rules = parts.next().unwrap_or("").to_owned();
        for part in parts {
            let (path, rest) = part.split_once('"').unwrap_or((part, ""));
            rules += &format!("path \"{}\"{rest}", self.theirs(path));
        }
        rules
    }

    /// What is to be taken away at the end.
    fn remember(&mut self, method: &str, path: &str, status: u16, text: &str) {
        if status >= 300 || !matches!(method, "POST" | "PUT") {
            return;
        }
        let kinds = ["sys/mounts/", "sys/auth/", "sys/policies/acl/", "sys/audit/"];
        if kinds.iter().any(|kind| path.starts_with(kind)) && !path.ends_with("/tune") {
            self.made.insert(path.to_owned());
        }
        let answer: Value = serde_json::from_str(text).unwrap_or_default();
        // A renewal gives a token that was made before.
        if let Some(token) = answer["auth"]["client_token"].as_str().filter(|token| *token != self.token) {
            self.tokens.push(token.to_owned());
        }
    }

    /// A list of mounts without what others mounted.
    fn own_mounts_alone(&self, path: &str, text: String) -> String {
        if !matches!(path, "sys/mounts" | "sys/auth" | "sys/audit") {
            return text;
        }
        let Ok(answer) = serde_json::from_str::<Value>(&text) else { return text };
        let ours: BTreeSet<String> = self
            .made
            .iter()
            .filter_map(|made| made.strip_prefix(&format!("{path}/{}", self.prefix)))
            .map(|name| format!("{}/", name.trim_end_matches('/')))
            .collect();
        let Some(data) = answer["data"].as_object() else { return text };
        let own = |(name, _): &(&String, &Value)| ours.contains(*name) || *name == "token/";
        let data: Map<String, Value> =
            data.iter().filter(own).map(|(name, value)| (name.clone(), value.clone())).collect();
        json!({ "data": data, "warnings": answer["warnings"] }).to_string()
    }
}

/// Each text of a list, or of a list in one text.
fn each(value: &Value, change: impl Fn(&str) -> String) -> Value {
    match value {
        Value::Array(all) => all.iter().map(|one| json!(change(one.as_str().unwrap_or_default()))).collect(),
        Value::String(all) => json!(all.split(',').map(change).collect::<Vec<_>>().join(",")),
        other => other.clone(),
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let root = self.token.clone();
        for token in &self.tokens {
            // One that has ended is gone already.
            let _ = self.try_send("POST", "auth/token/revoke", Some(&root), &json!({ "token": token }));
        }
        for path in &self.made {
            let gone = self.try_send("DELETE", path, Some(&root), &Value::Null);
            let is_gone = gone.as_ref().is_ok_and(|(status, _)| *status < 300);
            assert!(is_gone || std::thread::panicking(), "{path} is still there: {gone:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::StandIn;

    /// The stand-in as the live server: what a test does through it leaves nothing there.
    fn live(server: &StandIn) -> (Live, tempfile::NamedTempFile) {
        let ca = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ca.path(), server.ca()).unwrap();
        let file = ca.path().to_str().unwrap().to_owned();
        (Live::at(server.address(), server.root_token(), None, Some(file)), ca)
    }

    fn ask(live: &mut Live, method: &str, path: &str, body: Value) -> (u16, Value) {
        let headers = vec![("X-Vault-Token".to_owned(), live.root_token())];
        let (method, path) = (method.into(), path.into());
        let request = Request { method, path, query: Vec::new(), headers, body, peer: Vec::new() };
        let answer = live.handle(&request);
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    #[test]
    fn names_are_ones_own_there_and_nothing_is_left() {
        let server = StandIn::of_its_own();
        server.root("POST", "sys/mounts/pki", json!({ "type": "pki" }));
        let before = server.root("GET", "sys/mounts", json!(null));
        {
            let (mut live, _ca) = live(&server);
            let (status, _) = ask(&mut live, "POST", "sys/mounts/kv", json!({ "type": "kv" }));
            assert!(status < 300);
            ask(&mut live, "POST", "kv/n1", json!({ "record": "x" }));
            assert_eq!(ask(&mut live, "GET", "kv/n1", json!(null)).1["data"]["record"], "x");
            let rules = "path \"kv/*\" { capabilities = [\"read\"] }";
            ask(&mut live, "POST", "sys/policies/acl/p", json!({ "policy": rules }));
            assert_eq!(ask(&mut live, "GET", "sys/policies/acl/p", json!(null)).1["data"]["policy"], rules);
            let made = ask(&mut live, "POST", "auth/token/create", json!({ "policies": ["p"] })).1;
            assert!(made["auth"]["policies"].as_array().unwrap().contains(&json!("p")), "{made}");
            let mounts = ask(&mut live, "GET", "sys/mounts", json!(null)).1;
            assert_eq!(mounts["data"].as_object().unwrap().keys().collect::<Vec<_>>(), ["kv/"]);
            assert_ne!(server.root("GET", "sys/mounts", json!(null)), before);
            let (status, _) = ask(&mut live, "GET", "pki/ca_chain", json!(null));
            assert_eq!(status, 404);
        }
        assert_eq!(server.root("GET", "sys/mounts", json!(null)), before);
        let policies = server.root("GET", "sys/policies/acl", json!(null)).to_string();
        assert!(!policies.contains("slurm-pki-test"), "{policies}");
    }
}
