//! What a cluster must refuse, each with the reason that it must give.

use pki::armor;
use pki::binding::Binding;
use pki::name::NodeName;
use pki::policy::Refusal;
use pki::standing::TokenRefusal;
use pki::token::{NodeSecret, TokenError};
use rcgen::{
    Attribute, BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair,
    PublicKeyData as _, SanType,
};
use site::clock;

use super::scratch::Scratch;
use crate::checks::{Checks, Looked};
use crate::programs::{SIGN_CSR, VALIDATE_NODE_TOKEN};

/// The part of the demo that this is.
pub(super) const REFUSALS: &str = "refusals";

/// challengePassword (PKCS#9), where a binding stands.
const CHALLENGE_PASSWORD: &[u64] = &[1, 2, 840, 113_549, 1, 9, 7];

/// `node`, an enrolled node, misbehaves; `other` is enrolled too.
pub(super) fn run(site: &Scratch, checks: &mut Checks, node: &NodeName, other: &NodeName) -> Option<()> {
    let (secret, others) = (site.secret(node)?, site.secret(other)?);
    let wrong = TokenRefusal::WrongToken.to_string();
    let mut refuse = Refuse { site, checks, node };
    refuse.token("a token that nobody has", b"0123456789abcdef", &wrong);
    refuse.token("the token of another node", others.token().secret().expose(), &wrong);
    refuse.token("an empty token", b"", &TokenError::Empty.to_string());
    refuse.token("the token .", b".", &wrong);
    let ctld = NodeName::parse(b"slurmctld").ok()?;
    refuse.request("a request to be a CA (CA:TRUE)", secret, node, true, &Refusal::AsksForCa);
    refuse.request(
        &format!("a request of {node} in the name of {other}"),
        secret,
        other,
        false,
        &Refusal::WrongBinding(other.clone()),
    );
    refuse.request(
        &format!("a request of {node} in the name of {ctld}"),
        secret,
        &ctld,
        false,
        &Refusal::ReservedName(ctld.clone()),
    );
    Some(())
}

struct Refuse<'a> {
    site: &'a Scratch,
    checks: &'a mut Checks,
    node: &'a NodeName,
}

impl Refuse<'_> {
    fn token(&mut self, what: &str, token: &[u8], reason: &str) {
        let argv = [self.node.as_str().as_bytes(), token];
        self.note("token", what, VALIDATE_NODE_TOKEN, &argv, reason);
    }

    /// A request that `secret` truly binds, so that nothing but its contents is wrong.
    fn request(&mut self, what: &str, secret: &NodeSecret, name: &NodeName, ca: bool, reason: &Refusal) {
        match foreign_request(secret, name, ca) {
            Ok(csr) => self.note("request", what, SIGN_CSR, &[csr.as_bytes()], &reason.to_string()),
            Err(why) => {
                let looked = self.looked("request", what);
                let _ = self.checks.note(looked, Err::<((), _), _>(why.to_string()));
            }
        }
    }

    fn note(&mut self, step: &'static str, what: &str, program: &str, argv: &[&[u8]], reason: &str) {
        let run = self.site.slurm.run(&self.site.programs.path(program), argv);
        let result = match run.failure() {
            _ if run.accepted() => Err(format!("{program} accepted it")),
            said if said.contains(reason) => Ok(((), format!("{program}: {reason}"))),
            said => Err(format!("refused, but not because \"{reason}\":\n{said}")),
        };
        let looked = self.looked(step, what);
        let _ = self.checks.note(looked, result);
    }

    fn looked(&self, step: &'static str, what: &str) -> Looked<'static> {
        Looked { part: REFUSALS, subject: "", step, what: what.to_owned() }
    }
}

/// A request as no generate_csr of ours would make it.
fn foreign_request(secret: &NodeSecret, name: &NodeName, ca: bool) -> Result<String, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name.as_str());
    params.subject_alt_names = vec![SanType::DnsName(name.as_str().try_into()?)];
    if ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let binding = secret.binding_key().bind(name, clock::now(), &key.subject_public_key_info());
    let attribute = Attribute { oid: CHALLENGE_PASSWORD, values: set_of_one_utf8_string(&binding) };
    let request = params.serialize_request_with_attributes(&key, vec![attribute])?;
    Ok(armor::public("CERTIFICATE REQUEST", request.der()))
}

/// SET { UTF8String }: a binding's text has 109 bytes, so both lengths fit in one.
fn set_of_one_utf8_string(binding: &Binding) -> Vec<u8> {
    let text = binding.to_text();
    let length = u8::try_from(text.len()).unwrap_or_default();
    let mut der = vec![0x31, length.saturating_add(2), 0x0c, length];
    der.extend_from_slice(text.as_bytes());
    der
}
