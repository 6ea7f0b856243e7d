//! The issuers of a rollover whose CA is in Vault. Each change is one call that can be made again: the new issuer is found by
//! its name, and what is so already is left alone. No key leaves Vault, and none is deleted.

use std::time::Instant;

use pki::certificate::Certificate;
use pki::csr;
use pki::key::{KeyKind, PrivateKey};
use pki::loads_in_s2n::MAX_CHAIN_PEM;
use pki::name::REHEARSAL;
use pki::policy::{Plan, SubjectAttribute};
use pki::time::UnixTime;
use pki::x509::X509;
use serde::{Deserialize, Serialize};
use signer::{Door, of_vault, pki_engine};
use site::config::VaultConfig;
use vault::Client;
use vault::issuers::{NewRoot, Subject};
use vault::pki_engine::{Issuer, PkiEngine, Wanted};

use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::global::Global;
use crate::moment;
use crate::report;

/// The one usage of an issuer that matters here.
const ISSUING: &str = "issuing-certificates";

/// The two issuers, by their ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Issuers {
    /// Who issued until now.
    pub(super) old: String,
    /// Who issues from `switch` on.
    pub(super) new: String,
    /// The new one's name.
    pub(super) name: String,
}

/// An issuer, for people.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Shown {
    id: String,
    name: String,
    subject: String,
    /// Whether the roles of slurm-pki have their certificates signed by it.
    signs: bool,
    /// Whether it may sign at all.
    may_sign: bool,
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = if self.name.is_empty() { &self.id } else { &self.name };
        let does = match (self.signs, self.may_sign) {
            (true, _) => "signs",
            (false, true) => "may sign",
            (false, false) => "may not sign any more",
        };
        write!(f, "{name} ({}): {does}", self.subject)
    }
}

/// The engine, entered as a person who administers.
#[derive(Debug)]
pub(super) struct InVault {
    config: VaultConfig,
    engine: PkiEngine,
}

/// A role of ours, and what it calls its issuer.
struct Role {
    name: String,
    issuer_ref: String,
}

impl InVault {
    /// By `[vault]`.
    ///
    /// # Errors
    /// When that means nothing.
    pub(super) fn of(admin: &Admin) -> anyhow::Result<Self> {
        let config = VaultConfig::read(&admin.config).advise()?;
        let engine = pki_engine(&config).advise()?;
        Ok(Self { config, engine })
    }

    /// Each call has a deadline of its own: a person waits, not Slurm.
    fn client(&self) -> anyhow::Result<Client> {
        Door::Admin.open(&self.config, Instant::now() + self.config.deadline).advise()
    }

    fn issuer(&self, reference: &str) -> anyhow::Result<Option<Issuer>> {
        self.engine.issuer(&self.client()?, reference).map_err(of_vault).advise()
    }

    fn issuer_that_is_there(&self, reference: &str) -> anyhow::Result<Issuer> {
        self.issuer(reference)?.ok_or_else(|| {
            Advice::new(
                format!("the issuer {reference} is not in Vault any more"),
                format!("see what is there: vault list -detailed {}/issuers", self.engine.mount),
            )
            .into()
        })
    }

    /// The roles that there are: a site can do without the one for daemons.
    fn roles(&self) -> anyhow::Result<Vec<Role>> {
        let mut roles: Vec<Role> = Vec::new();
        for name in [&self.config.role, &self.config.daemon_role] {
            if roles.iter().any(|role| role.name == *name) {
                continue;
            }
            let settings = self.engine.role(&self.client()?, name).map_err(of_vault).advise()?;
            if let Some(settings) = settings {
                let given = settings.get("issuer_ref").and_then(|value| value.as_str());
                let issuer_ref = given.filter(|text| !text.is_empty()).unwrap_or("default").to_owned();
                roles.push(Role { name: name.clone(), issuer_ref });
            }
        }
        if roles.iter().any(|role| role.name == self.config.role) {
            return Ok(roles);
        }
        Err(Advice::new(
            format!("{} has no role {}", self.engine.mount, self.config.role),
            "see role in [vault]; slurm-pki vault setup makes it",
        )
        .into())
    }

    /// Who signs for each role, in the roles' order.
    fn signing(&self) -> anyhow::Result<Vec<(Role, Issuer)>> {
        let with = |role: Role| {
            let issuer = self.issuer_that_is_there(&role.issuer_ref)?;
            Ok((role, issuer))
        };
        self.roles()?.into_iter().map(with).collect()
    }

    /// Who signs for all roles.
    ///
    /// # Errors
    /// When it is not one and the same.
    pub(super) fn current(&self) -> anyhow::Result<(Issuer, X509)> {
        let mut all = self.signing()?.into_iter();
        let Some((first, issuer)) = all.next() else {
            return Err(Advice::new("no role of ours is in Vault", "slurm-pki vault setup makes them").into());
        };
        if let Some((other, _)) = all.find(|(_, other)| other.issuer_id != issuer.issuer_id) {
            return Err(Advice::new(
                format!("the roles {} and {} are signed by different issuers", first.name, other.name),
                "give both the same issuer_ref, then run this again",
            )
            .into());
        }
        let certificate = certificate(&issuer)?;
        Ok((issuer, certificate))
    }

    /// That the two issuers are those of this rollover. Its files are SlurmUser's, who has no CA key where the CA is in Vault,
    /// and must not bring a root of its own to every host through them: the new root is Vault's, and its cross certificate
    /// bears the old issuer's signature.
    ///
    /// # Errors
    /// When it is not so.
    pub(super) fn check(&self, issuers: &Issuers, new: &X509, cross: &X509) -> anyhow::Result<()> {
        let is_new = certificate(&self.issuer_that_is_there(&issuers.new)?)? == *new;
        let old = certificate(&self.issuer_that_is_there(&issuers.old)?)?;
        if is_new
            && cross.same_subject(new)
            && cross.facts().spki == new.facts().spki
            && cross.is_issued_by(&old)
        {
            return Ok(());
        }
        Err(Advice::new(
            "the files of this rollover do not belong to the issuers in Vault",
            "somebody changed them: bring <state_dir>/ca back from a backup, and find out who",
        )
        .into())
    }

    /// Whether whatever is signed from now on is signed by this one.
    pub(super) fn signs(&self, id: &str) -> anyhow::Result<bool> {
        Ok(self.signing()?.iter().all(|(_, issuer)| issuer.issuer_id == id))
    }

    /// Lets this one sign: by the mount's default issuer where a role follows that, by the role where it names its own.
    /// One write each; signatures before it are by the other, and both are good.
    pub(super) fn let_sign(&self, global: &Global, id: &str) -> anyhow::Result<()> {
        let mut follows_default = false;
        for (role, issuer) in self.signing()? {
            if issuer.issuer_id == id {
                continue;
            }
            if role.issuer_ref == "default" {
                follows_default = true;
                continue;
            }
            say(global, &format!("role {} at {}: issuer_ref = {id}", role.name, self.engine.mount));
            if !global.dry_run {
                let done = self.engine.set_issuer_of_role(&self.client()?, &role.name, id);
                done.map_err(of_vault).advise()?;
            }
        }
        if follows_default {
            say(global, &format!("default issuer at {}: {id}", self.engine.mount));
            if !global.dry_run {
                self.engine.set_default_issuer(&self.client()?, id).map_err(of_vault).advise()?;
            }
        }
        Ok(())
    }

    /// This one signs nothing any more. It stays in Vault with its key, for lists of revoked certificates.
    pub(super) fn retire(&self, global: &Global, id: &str) -> anyhow::Result<()> {
        self.retire_as(global, id, None)
    }

    /// The same, and its name is free for the next.
    pub(super) fn put_aside(&self, global: &Global, issuers: &Issuers, now: UnixTime) -> anyhow::Result<()> {
        let aside = format!("{}-aborted-{}", issuers.name, slug(&moment::for_file_name(now)));
        self.retire_as(global, &issuers.new, Some((&issuers.name, &aside)))
    }

    fn retire_as(&self, global: &Global, id: &str, name: Option<(&str, &str)>) -> anyhow::Result<()> {
        let Some(issuer) = self.issuer(id)? else { return Ok(()) };
        let name = name.filter(|(is, _)| issuer.issuer_name == *is).map(|(_, aside)| aside);
        if !may_sign(&issuer) && name.is_none() {
            return Ok(());
        }
        say(global, &format!("issuer {id} at {}: signs nothing any more", self.engine.mount));
        if global.dry_run {
            return Ok(());
        }
        let left: Vec<_> = usages(&issuer).filter(|usage| *usage != ISSUING).collect();
        let usage = if left.is_empty() { "read-only".to_owned() } else { left.join(",") };
        self.engine.change_issuer(&self.client()?, id, &usage, name).map_err(of_vault).advise()
    }

    /// The new root: the one of this name that a killed run left, else a new one.
    ///
    /// # Errors
    /// When it cannot be made, or something else has its name.
    pub(super) fn new_root(&self, wanted: &NewRoot<'_>) -> anyhow::Result<(Issuer, X509)> {
        self.refuse_followers()?;
        if self.issuer(wanted.issuer_name)?.is_none() {
            let made = self.engine.new_root(&self.client()?, wanted);
            // The answer may have been lost, and the issuer made.
            if let Err(e) = made
                && self.issuer(wanted.issuer_name)?.is_none()
            {
                return Err(of_vault(e)).advise();
            }
        }
        let issuer = self.issuer_that_is_there(wanted.issuer_name)?;
        let root = certificate(&issuer)?;
        let facts = root.facts();
        let named = facts.common_names.iter().any(|name| name == wanted.subject.common_name.as_bytes());
        if named && facts.ca && root.is_issued_by(&root) && !issuer.key_id.is_empty() && may_sign(&issuer) {
            return Ok((issuer, root));
        }
        Err(Advice::new(
            format!(
                "an issuer called {} is in Vault, and it is not the CA that was to be made",
                wanted.issuer_name
            ),
            "rename that issuer, or give the new CA another name with --common-name",
        )
        .into())
    }

    /// A mount whose default issuer is always the latest one would switch while hosts know nothing of it.
    fn refuse_followers(&self) -> anyhow::Result<()> {
        let default = self.engine.default_issuer(&self.client()?).map_err(of_vault).advise()?;
        if !default.default_follows_latest_issuer {
            return Ok(());
        }
        Err(Advice::new(
            format!("whatever issuer is made next signs at once at {}", self.engine.mount),
            format!(
                "vault write {}/config/issuers default={} default_follows_latest_issuer=false",
                self.engine.mount, default.default
            ),
        )
        .into())
    }

    /// The new root's cross certificate by the old issuer: its subject, its key and key identifier, no longer than both.
    ///
    /// # Errors
    /// When Vault does not make it, or makes another one.
    pub(super) fn cross_sign(
        &self,
        new: (&Issuer, &X509),
        wanted: &NewRoot<'_>,
        old: (&Issuer, &X509),
    ) -> anyhow::Result<X509> {
        let (root, by) = (new.1, old.1);
        let end = root.facts().not_after.min(by.facts().not_after);
        let life = (end.to_string(), wanted.not_before_duration.clone());
        let cross = self.engine.cross_sign(&self.client()?, new, &wanted.subject, &old.0.issuer_id, life);
        let cross = cross.map_err(of_vault).advise()?;
        let (is, wants) = (cross.facts(), root.facts());
        let same = cross.same_subject(root)
            && is.spki == wants.spki
            && is.subject_key_id == wants.subject_key_id
            && is.subject_key_id.is_some()
            && is.ca
            && is.key_usage.is_none_or(|(_, signs)| signs)
            && is.path_len.is_none_or(|length| length > 0 || is.path_len == wants.path_len)
            && is.name_constraints.is_none()
            && is.not_after <= end;
        if same && cross.is_issued_by(by) && !cross.is_self_issued() {
            return Ok(cross);
        }
        Err(Advice::new(
            "what Vault made is not the new CA's cross certificate",
            "see sign-intermediate in Vault's audit log; nothing was changed here",
        )
        .into())
    }

    /// A certificate by one issuer, whichever one the roles have now, for the name that rehearsals have: the role for nodes
    /// allows it, and it is nobody's.
    pub(super) fn sign(
        &self,
        issuer: &str,
        plan: &Plan,
        key: &PrivateKey,
    ) -> anyhow::Result<(X509, Vec<X509>)> {
        let csr = csr::write_plain(key, plan.common_name(), plan.dns()).advise()?;
        let wanted =
            Wanted { csr: &csr, common_name: plan.common_name(), dns: plan.dns(), ttl: plan.ttl().as_secs() };
        let signed = self.engine.sign_by(&self.client()?, issuer, &self.config.role, &wanted);
        let signed = signed.map_err(of_vault).advise()?;
        Ok((signed.leaf, signed.above))
    }

    /// All issuers there are, for `status`.
    pub(super) fn shown(&self) -> anyhow::Result<Vec<Shown>> {
        let signing = self.signing()?;
        let ids = self.engine.issuers(&self.client()?).map_err(of_vault).advise()?;
        let show = |id: String| {
            let issuer = self.issuer_that_is_there(&id)?;
            Ok(Shown {
                signs: signing.iter().any(|(_, signs)| signs.issuer_id == issuer.issuer_id),
                may_sign: may_sign(&issuer),
                subject: certificate(&issuer)?.facts().subject.clone(),
                name: issuer.issuer_name,
                id,
            })
        };
        ids.into_iter().map(show).collect()
    }
}

fn say(global: &Global, change: &str) {
    if global.dry_run {
        report::line(&format!("would set in Vault: {change}"));
    } else {
        report::done(global, &format!("Vault    {change}"));
    }
}

/// The name of trials and proofs.
pub(super) const TRIAL: &str = REHEARSAL;

/// What `[controller] subject` and its like are called here.
pub(super) fn subject<'a>(common_name: &'a str, attributes: &'a [(SubjectAttribute, String)]) -> Subject<'a> {
    let mut subject = Subject { common_name, ..Subject::default() };
    for (attribute, value) in attributes {
        let values = match attribute {
            SubjectAttribute::C => &mut subject.country,
            SubjectAttribute::ST => &mut subject.province,
            SubjectAttribute::L => &mut subject.locality,
            SubjectAttribute::O => &mut subject.organization,
            SubjectAttribute::OU => &mut subject.ou,
        };
        values.push(value);
    }
    subject
}

/// What a key is called there.
pub(super) fn key_bits(kind: KeyKind) -> u16 {
    match kind {
        KeyKind::P384 => 384,
        _ => 256,
    }
}

/// An issuer's name made of a CA's: "c1 Slurm CA G2" is `c1-slurm-ca-g2`. Vault takes letters, digits, `-`, `.`, `_`.
pub(super) fn slug(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let all: String = name.chars().map(plain).collect();
    all.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

fn usages(issuer: &Issuer) -> impl Iterator<Item = &str> {
    issuer.usage.split(',').map(str::trim).filter(|usage| !usage.is_empty())
}

fn may_sign(issuer: &Issuer) -> bool {
    usages(issuer).any(|usage| usage == ISSUING)
}

fn certificate(issuer: &Issuer) -> anyhow::Result<X509> {
    let all = X509::all_from_pem(issuer.certificate.as_bytes(), MAX_CHAIN_PEM);
    match all.as_deref() {
        Ok([one]) => Ok(one.clone()),
        _ => Err(Advice::new(
            format!("the certificate of the issuer {} in Vault cannot be used", issuer.issuer_id),
            "see slurm-pki vault check",
        )
        .into()),
    }
}

/// A trial's or proof's certificate, judged like anything that comes over a network.
pub(super) fn accepted(
    known: &pki::ca::CaCertificates,
    plan: &Plan,
    (leaf, above): (X509, Vec<X509>),
    now: UnixTime,
) -> anyhow::Result<Certificate> {
    known.accept(plan, leaf, &above, now).advise()
}

#[cfg(test)]
mod tests {
    use super::slug;

    #[test]
    fn an_issuers_name_has_only_what_vault_takes() {
        assert_eq!(slug("c1 Slurm CA G2"), "c1-slurm-ca-g2");
        assert_eq!(slug(" Zürich/HPC (new) "), "z-rich-hpc-new");
    }
}
