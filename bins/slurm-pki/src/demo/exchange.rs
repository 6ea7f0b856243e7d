//! One node's way to a certificate, and its renewal: the programs in Slurm's order.

use pki::csr::Csr;
use pki::loads_in_s2n;
use pki::name::NodeName;
use pki::secret::Secret;
use pki::time::UnixTime;
use site::clock;

use super::scratch::Scratch;
use crate::checks::{Checks, Looked};
use crate::handshake::{self, Pair};
use crate::programs::{GENERATE_CSR, GET_CERT_KEY, GET_NODE_TOKEN, SIGN_CSR, VALIDATE_NODE_TOKEN};

/// slurmd's first certificate.
pub(super) const ENROLMENT: &str = "enrolment";
/// Its next ones: over mTLS, without a token.
pub(super) const RENEWAL: &str = "renewal";

/// The steps of each part, by the names of their columns.
pub(super) const PARTS: [(&str, &[&str]); 2] = [
    (ENROLMENT, &["token", "csr", "validate", "sign", "key", "tls"]),
    (RENEWAL, &["csr", "sign", "key", "tls"]),
];

/// A renewal that brings the old key renews nothing.
const SAME_KEY: &str = "the renewed certificate has the old key, though renew_key = true";

/// One node among Slurm's daemons.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    site: &'a Scratch,
    checks: &'a mut Checks,
    node: &'a NodeName,
    part: &'static str,
}

impl<'a> Exchange<'a> {
    /// For one node.
    pub(super) fn new(site: &'a Scratch, checks: &'a mut Checks, node: &'a NodeName) -> Self {
        Self { site, checks, node, part: ENROLMENT }
    }

    /// First certificate, then a renewal. The first failure ends it.
    pub(super) fn run(mut self) -> Option<()> {
        let token = self.token()?;
        let csr = self.request()?;
        self.validated(&token)?;
        let first = self.certificate(&csr)?;
        self.handshakes(&first)?;
        self.part = RENEWAL;
        let csr = self.request()?;
        let second = self.certificate(&csr)?;
        self.renewed(&first, &second)?;
        self.handshakes(&second)
    }

    fn token(&mut self) -> Option<Secret> {
        let result = self.answer(GET_NODE_TOKEN, self.name()).map(|token| {
            let detail = format!("a token of {} characters", token.expose().len());
            (token, detail)
        });
        self.note("token", format!("{GET_NODE_TOKEN} {}", self.node), result)
    }

    fn request(&mut self) -> Option<Secret> {
        let result = self.answer(GENERATE_CSR, self.name()).and_then(|csr| {
            let request = Csr::parse(csr.expose()).map_err(|e| e.to_string())?;
            let detail = format!("a request for {} with a {} key", request.name(), request.key().kind());
            self.leave("csr", csr.expose())?;
            Ok((csr, detail))
        });
        self.note("csr", format!("{GENERATE_CSR} {}", self.node), result)
    }

    fn validated(&mut self, token: &Secret) -> Option<()> {
        let argv = [self.name(), token.expose()];
        let run = self.site.slurm.run(&self.site.programs.path(VALIDATE_NODE_TOKEN), &argv);
        let result = if run.accepted() { Ok(((), "accepted".to_owned())) } else { Err(run.failure()) };
        self.note("validate", format!("{VALIDATE_NODE_TOKEN} {} TOKEN", self.node), result)
    }

    fn certificate(&mut self, csr: &Secret) -> Option<Pair> {
        let result = self.answer(SIGN_CSR, csr.expose()).and_then(|chain| {
            let detail = described(chain.expose())?;
            self.leave("cert", chain.expose())?;
            Ok((chain, detail))
        });
        let chain = self.note("sign", format!("{SIGN_CSR} CSR"), result)?;
        let result = self.answer(GET_CERT_KEY, self.name()).and_then(|key| {
            let sent = loads_in_s2n::own_pair(chain.expose(), key.expose()).map_err(|e| e.to_string())?;
            let anchors = loads_in_s2n::trust_bundle(&self.site.anchors).map_err(|e| e.to_string())?;
            loads_in_s2n::accepted_by_peers(&sent, &anchors, clock::now()).map_err(|e| e.to_string())?;
            let pair = Pair { chain: chain.expose().to_vec(), key };
            Ok((pair, "the certificate's key".to_owned()))
        });
        self.note("key", format!("{GET_CERT_KEY} {}", self.node), result)
    }

    fn handshakes(&mut self, pair: &Pair) -> Option<()> {
        let Scratch { ctld, anchors, .. } = self.site;
        let as_client = handshake::mutual(ctld, pair, anchors).map_err(|e| format!("as client: {e}"));
        let as_server = || handshake::mutual(pair, ctld, anchors).map_err(|e| format!("as server: {e}"));
        let result = as_client.and_then(|()| as_server());
        let result = result.map(|()| ((), "mutual TLS, each side as client and as server".to_owned()));
        self.note("tls", format!("handshakes {} with slurmctld", self.node), result)
    }

    fn renewed(&mut self, first: &Pair, second: &Pair) -> Option<()> {
        if first.key.expose() == second.key.expose() {
            return self.note("key", "renewal".to_owned(), Err(SAME_KEY.to_owned()));
        }
        Some(())
    }

    fn answer(&self, program: &str, argument: &[u8]) -> Result<Secret, String> {
        let run = self.site.slurm.run(&self.site.programs.path(program), &[argument]);
        run.answer().ok_or_else(|| run.failure())
    }

    fn leave(&self, what: &str, pem: &[u8]) -> Result<(), String> {
        self.site.leave(&format!("{}.{what}.pem", self.node), pem).map_err(|e| e.to_string())
    }

    fn name(&self) -> &'a [u8] {
        self.node.as_str().as_bytes()
    }

    fn note<T>(
        &mut self,
        step: &'static str,
        what: String,
        result: Result<(T, String), String>,
    ) -> Option<T> {
        let looked = Looked { part: self.part, subject: self.node.as_str(), step, what };
        self.checks.note(looked, result)
    }
}

/// A chain in a few words.
fn described(chain: &[u8]) -> Result<String, String> {
    let chain = loads_in_s2n::own_chain(chain).map_err(|e| e.to_string())?;
    let leaf = chain.first().map(pki::x509::X509::facts).ok_or("no certificate")?;
    let UnixTime(life) = UnixTime(leaf.not_after.0 - leaf.not_before.0);
    Ok(format!("{}, for {} h, by {}", leaf.subject, life / 3600, leaf.issuer))
}
