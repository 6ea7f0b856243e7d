//! A new pair for one daemon: from the verdict to the files.

use pki::key::{KeyKind, PublicKey};
use pki::loads_in_s2n::MAX_CHAIN_PEM;
use pki::time::UnixTime;
use pki::x509::X509;
use site::file::Owner;
use site::signer::Signer;

use super::super::daemon_pair::{DaemonPair, owner_of};
use super::super::facts::{DaemonFacts, Trusted};
use super::super::host_names::renewed_names;
use super::super::target::{Target, is_static};
use super::judge::{Verdict, judge};
use super::outcome::{Outcome, Word};
use crate::admin::{Admin, caller, owner_name};
use crate::advice::{Advice, Advise as _};
use crate::daemon_files::{DaemonFiles, Looks, Pair};
use crate::global::Global;

/// What every renewal of one run works with.
pub(super) struct Work<'a> {
    pub(super) global: &'a Global,
    pub(super) admin: &'a Admin,
    pub(super) signer: Signer,
    pub(super) trusted: Trusted,
    pub(super) force: bool,
    pub(super) now: UnixTime,
}

/// What is to become of a pair.
pub(super) enum Decision {
    /// There is to be a new one: why.
    Renew(String),
    /// It stays: what is said of it.
    Stay(Outcome),
}

impl Work<'_> {
    /// Renews a pair on this host where it is time.
    pub(super) fn here(&self, target: &Target) -> Outcome {
        self.try_here(target).unwrap_or_else(|e| Outcome::failed(target, &e))
    }

    fn try_here(&self, target: &Target) -> anyhow::Result<Outcome> {
        let facts = DaemonFacts::of(target.daemon, &target.config, &self.trusted, self.now)?;
        let why = match self.decide(target, &facts)? {
            Decision::Renew(why) => why,
            Decision::Stay(outcome) => return Ok(outcome),
        };
        let files = DaemonFiles::of(target.daemon, &target.config)?;
        // Before anything is issued: what cannot be installed is not to be in the ledger either.
        files.may_renew()?;
        let looks = self.looks(target, Looks::on_disk(&files))?;
        if self.only_says_for_vault() {
            return Ok(self.would_renew(target, why));
        }
        let old = facts.chain.first();
        let pair = self.issue(target, old, old)?;
        if !self.global.dry_run {
            files.renew(self.global, &pair, looks, self.now)?;
        }
        self.renewed(target, why, &pair)
    }

    /// Judges a pair: why there is to be a new one, or what is said of the one that stays.
    pub(super) fn decide(&self, target: &Target, facts: &DaemonFacts) -> anyhow::Result<Decision> {
        Ok(match judge(facts, &self.signer, self.force, self.now)? {
            Verdict::Keep => Decision::Stay(Outcome::stays(target, Word::NotDue, None, facts)),
            Verdict::Hold(why) => Decision::Stay(Outcome::stays(target, Word::Held, Some(why), facts)),
            Verdict::Renew(why) => Decision::Renew(why),
        })
    }

    /// Whether nothing is to be changed, and the pair would come from Vault: what Vault signs is issued, whoever drops it.
    pub(super) fn only_says_for_vault(&self) -> bool {
        self.global.dry_run && matches!(self.signer, Signer::Vault(_))
    }

    /// What is said of a pair that was not made.
    pub(super) fn would_renew(&self, target: &Target, why: String) -> Outcome {
        Outcome::renews(target, Word::WouldRenew, why, self.now.plus(target.config.validity))
    }

    /// What is said of a new pair that has taken its place.
    pub(super) fn renewed(&self, target: &Target, why: String, pair: &Pair) -> anyhow::Result<Outcome> {
        let chain = X509::all_from_pem(pair.cert().as_bytes(), MAX_CHAIN_PEM).advise()?;
        let end = chain.first().map_or(self.now, |leaf| leaf.facts().not_after);
        let word = if self.global.dry_run { Word::WouldRenew } else { Word::Renewed };
        Ok(Outcome::renews(target, word, why, end))
    }

    /// A pair like the old one, with a key of its own and the names in `named`. With `--dry-run` it is made all the same, and
    /// nobody gets it: so it is known whether it can be made.
    pub(super) fn issue(
        &self,
        target: &Target,
        old: Option<&X509>,
        named: Option<&X509>,
    ) -> anyhow::Result<Pair> {
        let pair = DaemonPair {
            common_name: common_name(target),
            dns: renewed_names(self.admin, target, named)?,
            key: old.map_or(KeyKind::P256, key_like),
            validity: target.config.validity,
        };
        pair.issue(self.global, self.admin, &self.signer, self.now)
    }

    /// Owner and mode: as they are, where there is a pair; else as the config says.
    pub(super) fn looks(&self, target: &Target, on_disk: Option<Looks>) -> anyhow::Result<Looks> {
        let Some(looks) = on_disk else {
            return Ok(Looks::new(owner_of(self.admin, target.daemon, &target.config)?));
        };
        let gives = |owner: Owner| caller().uid != 0 && owner.uid != caller().uid;
        if gives(looks.key.owner) || gives(looks.cert.owner) {
            let name = owner_name(looks.key.owner);
            return Err(Advice::new(
                format!("the files belong to {name}, and you cannot give files away"),
                "run it as root",
            )
            .into());
        }
        Ok(looks)
    }
}

/// The name in a daemon's certificate.
pub(super) fn common_name(target: &Target) -> String {
    match target.nodes.first() {
        Some(node) => node.to_string(),
        None if is_static(target.daemon) => target.place.host(),
        None => target.daemon.program().to_owned(),
    }
}

/// The kind of the old key, if keys of that kind are made here.
fn key_like(leaf: &X509) -> KeyKind {
    match PublicKey::from_spki(&leaf.facts().spki).map(|key| key.kind()) {
        Ok(KeyKind::P384) => KeyKind::P384,
        _ => KeyKind::P256,
    }
}
