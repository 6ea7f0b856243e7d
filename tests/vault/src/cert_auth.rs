//! The login by a TLS certificate.

use std::collections::BTreeMap;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};
use serde_json::json;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::core::{Call, done, unsupported};
use crate::engine::{Answer, Done, Failed, Op, bad};
use crate::params::Params;
use crate::token::{NewToken, Tokens};

#[derive(Debug, Default)]
pub(crate) struct CertAuth {
    roles: BTreeMap<String, Role>,
}

#[derive(Clone, Debug)]
struct Role {
    certificate: String,
    common_names: Vec<String>,
    policies: Vec<String>,
    ttl: i64,
    max_ttl: i64,
}

impl CertAuth {
    pub(crate) fn answer(&mut self, tokens: &mut Tokens, call: &Call<'_>, path: &str) -> Answer {
        let params = Params::of(&call.request.body);
        let parts: Vec<&str> = path.split('/').collect();
        match (call.op, parts.as_slice()) {
            (Op::Write, ["login"]) => self.login(tokens, call, &params),
            (Op::List, ["certs"]) => Done::keys(self.roles.keys().cloned().collect()),
            (Op::Write, ["certs", name]) => {
                let role = Role {
                    certificate: params.text("certificate"),
                    common_names: params.list("allowed_common_names").unwrap_or_default(),
                    policies: params.list("token_policies").unwrap_or_default(),
                    ttl: params.seconds("token_ttl"),
                    max_ttl: params.seconds("token_max_ttl"),
                };
                self.roles.insert((*name).to_owned(), role);
                done()
            }
            (Op::Read, ["certs", name]) => {
                let role = self.roles.get(*name).ok_or(Failed::Nothing)?;
                Done::data(json!({
                    "allowed_common_names": role.common_names,
                    "certificate": role.certificate,
                    "token_policies": role.policies,
                    "token_ttl": role.ttl,
                    "token_max_ttl": role.max_ttl,
                }))
            }
            (Op::Delete, ["certs", name]) => {
                self.roles.remove(*name);
                done()
            }
            _ => unsupported(),
        }
    }

    fn login(&self, tokens: &mut Tokens, call: &Call<'_>, params: &Params<'_>) -> Answer {
        let peer = &call.request.peer;
        if peer.is_empty() {
            return Err(bad("client certificate must be supplied"));
        }
        let named = params.text("name");
        let mut roles = self.roles.iter().filter(|(name, _)| named.is_empty() || **name == named);
        let found = roles.find(|(_, role)| role.accepts(peer, call.now));
        let invalid = "invalid certificate or no client certificate supplied";
        let (name, role) = found.ok_or_else(|| bad(invalid))?;
        let new = NewToken {
            policies: role.policies.clone(),
            display_name: format!("cert-{name}"),
            ttl: role.ttl,
            max_ttl: role.max_ttl,
            path: "auth/cert/login".into(),
            ..NewToken::default()
        };
        Ok(Done { auth: Some(tokens.make(new, call.now)), ..Done::default() })
    }
}

impl Role {
    /// A chain to the role's CA, or that very certificate; and a common name that it allows.
    fn accepts(&self, peer: &[Vec<u8>], now: i64) -> bool {
        let Ok(trusted) = pem::parse(&self.certificate) else { return false };
        let leaf = CertificateDer::from(peer[0].as_slice());
        let (_, parsed) = X509Certificate::from_der(&peer[0]).unwrap();
        let names: Vec<_> =
            parsed.subject().iter_common_name().filter_map(|name| name.as_str().ok()).collect();
        let fits = |name: &&str| {
            self.common_names.iter().any(|allowed| match allowed.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => allowed == name,
            })
        };
        if !self.common_names.is_empty() && !names.iter().any(fits) {
            return false;
        }
        if trusted.contents() == peer[0] {
            return true;
        }
        let trusted = CertificateDer::from(trusted.contents());
        let Ok(anchor) = anchor_from_trusted_cert(&trusted) else { return false };
        let between: Vec<_> = peer[1..].iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now).unwrap()));
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        EndEntityCert::try_from(&leaf).is_ok_and(|leaf| {
            leaf.verify_for_usage(
                algorithms.all,
                &[anchor],
                &between,
                now,
                KeyUsage::client_auth(),
                None,
                None,
            )
            .is_ok()
        })
    }
}
