//! What every host trusts, with a root more or less.

use pki::loads_in_s2n::{pad_bundle, trust_bundle};
use pki::x509::X509;
use site::Error;
use site::file::{self, Keep};

use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};

/// The text of ca_cert, and the certificates in it.
pub(super) struct Bundle {
    pub(super) text: Vec<u8>,
    pub(super) anchors: Vec<X509>,
}

impl Bundle {
    /// As it is on this host.
    ///
    /// # Errors
    /// When hosts could not load it.
    pub(super) fn of(admin: &Admin) -> anyhow::Result<Self> {
        let path = &admin.controller.ca_cert;
        let text = file::read(path, Keep::Intact, pki::loads_in_s2n::MAX_BUNDLE_PEM).advise()?;
        let anchors = trust_bundle(text.expose()).map_err(Error::contents(path)).advise()?;
        Ok(Self { text: text.expose().to_vec(), anchors })
    }

    /// The same with one root more, at its end.
    ///
    /// # Errors
    /// When hosts could not load the result.
    pub(super) fn with(self, root: &X509) -> anyhow::Result<Self> {
        if self.anchors.contains(root) {
            return Ok(self);
        }
        let mut text = self.text;
        if !text.ends_with(b"\n") {
            text.push(b'\n');
        }
        text.extend_from_slice(root.to_pem().as_bytes());
        let text = String::from_utf8(text).map_err(|_| {
            Advice::new("ca_cert is not text", "leave out what stands around its certificates")
        })?;
        Self::loading(pad_bundle(text).into_bytes())
    }

    /// The same without some certificates.
    ///
    /// # Errors
    /// When nothing is left.
    pub(super) fn without(self, leaving: &[String]) -> anyhow::Result<Self> {
        if !self.anchors.iter().any(|anchor| leaving.contains(&anchor.fingerprint())) {
            return Ok(self);
        }
        let stays = self.anchors.iter().filter(|anchor| !leaving.contains(&anchor.fingerprint()));
        Self::loading(pad_bundle(stays.map(X509::to_pem).collect()).into_bytes())
    }

    /// A text, if hosts load it.
    ///
    /// # Errors
    /// When they do not.
    pub(super) fn loading(text: Vec<u8>) -> anyhow::Result<Self> {
        let anchors = trust_bundle(&text).advise()?;
        Ok(Self { text, anchors })
    }
}

/// The trusted certificates that a CA leads to, by SHA-256: itself where it is one, and whatever stands above it.
pub(super) fn above(issuer: &X509, chain: &[X509], anchors: &[X509]) -> Vec<String> {
    let mut reached = vec![issuer];
    let mut done = 0;
    while let Some(below) = reached.get(done).copied() {
        let further = chain.iter().chain(anchors).filter(|ca| below.is_issued_by(ca));
        for ca in further {
            if !reached.contains(&ca) {
                reached.push(ca);
            }
        }
        done += 1;
    }
    anchors.iter().filter(|anchor| reached.contains(anchor)).map(X509::fingerprint).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pki::ca::{NewCa, new_root};
    use pki::key::{KeyKind, PrivateKey};
    use pki::profile::Serial;

    use super::*;

    fn root(common_name: &str) -> X509 {
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        let (serial, day) = (Serial::new([7; 16]), Duration::from_secs(86_400));
        let new = NewCa { common_name, subject: &[], serial, validity: day, backdate: day };
        new_root(&key, &new, site::clock::now()).unwrap()
    }

    #[test]
    fn a_root_comes_at_the_end_and_what_was_there_stays_to_the_letter() {
        let (old, new) = (root("old"), root("new"));
        let text = format!("the old one\n{}", old.to_pem().trim_end());
        let both = Bundle::loading(text.clone().into_bytes()).unwrap().with(&new).unwrap();
        assert_eq!(both.text, format!("{text}\n{}", new.to_pem()).into_bytes());
        let again = Bundle::loading(both.text.clone()).unwrap().with(&new).unwrap();
        assert_eq!(again.text, both.text);
        let left = both.without(&[old.fingerprint()]).unwrap();
        assert_eq!(left.text, new.to_pem().into_bytes());
        assert!(left.without(&[new.fingerprint()]).is_err(), "a bundle of nothing");
    }

    #[test]
    fn a_bundle_of_whole_pages_is_never_made() {
        let (old, new) = (root("old"), root("new"));
        let room = 4096 - old.to_pem().len() - new.to_pem().len() - 1;
        let text = format!("{}\n{}", "x".repeat(room), old.to_pem());
        let both = Bundle::loading(text.into_bytes()).unwrap().with(&new).unwrap();
        assert_eq!(both.text.len(), 4097);
    }

    #[test]
    fn above_a_ca_stands_what_it_leads_to_and_nothing_else() {
        let (own, other) = (root("own"), root("other"));
        let anchors = [other, own.clone()];
        assert_eq!(above(&own, &[], &anchors), [own.fingerprint()]);
    }
}
