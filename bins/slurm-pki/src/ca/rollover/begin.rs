//! `slurm-pki ca rollover begin`: the new CA, and both roots on every host.

use clap::Args;
use pki::ca::{CaCertificates, LocalCa, NewCa, new_root};
use pki::key::PrivateKey;
use pki::profile::Serial;
use pki::time::UnixTime;
use pki::x509::X509;
use site::clock;
use site::random;
use site::signer;
use vault::issuers::NewRoot;

use super::bundle::{self, Bundle};
use super::hosts::{self, Reach};
use super::in_vault::{self, InVault, Issuers};
use super::issuing::Issuing;
use super::site_files::{NewFiles, SiteFiles};
use super::state::{Phase, State};
use super::switch::both_ways;
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::ca::new::Likeness;
use crate::global::Global;
use crate::moment;
use crate::report;

/// Make the new CA, let the old one sign for it, and bring both roots to every host
#[derive(Args, Debug)]
#[command(
    after_help = "Nothing is issued under the new CA yet. Every host gets ca_cert with both roots in it, by the tools \
    that [fleet] names; what a daemon has loaded does not matter before finish. Run it again for hosts that it did \
    not reach.\n\n\
    Examples:\n  \
    slurm-pki ca rollover begin\n  \
    slurm-pki ca rollover begin --lifetime 15y --key-type p384\n  \
    slurm-pki ca rollover begin --no-push          the bundle comes with images or configuration management\n  \
    slurm-pki ca rollover begin --skip n[7,9]      these are dead; they are remembered\n  \
    slurm-pki ca rollover begin --dry-run"
)]
pub(super) struct Begin {
    #[command(flatten)]
    likeness: Likeness,
    #[command(flatten)]
    reach: Reach,
}

impl Begin {
    pub(super) fn run(&self, global: &Global, admin: &Admin) -> anyhow::Result<()> {
        let now = clock::now();
        let files = SiteFiles::to_change(global, admin)?;
        let new = match files.state()? {
            None if global.dry_run && files.vault.is_some() => return self.say_what_in_vault(&files, now),
            None => self.make(&files, now)?,
            Some(state) if state.phase == Phase::Begun => self.go_on(&files, &state)?,
            Some(state) => {
                return Err(Advice::new(
                    format!("a CA rollover is under way ({}, to {})", state.phase, state.new.subject),
                    "see slurm-pki ca rollover status",
                )
                .into());
            }
        };
        files.put_bundle(&Bundle::of(admin)?.with(&new)?.text)?;
        hosts::bring(&files, &self.reach, now)?;
        if global.dry_run {
            return Ok(());
        }
        report::done(global, &format!("The new CA: {}, {}", new.facts().subject, until(&new, now)));
        report::done(global, "Next: slurm-pki ca rollover switch");
        Ok(())
    }

    /// Vault has no dry run: what could be found out without making an issuer.
    fn say_what_in_vault(&self, files: &SiteFiles<'_>, now: UnixTime) -> anyhow::Result<()> {
        let Some(vault) = &files.vault else { return Ok(()) };
        let known = signer::ca_certificates(&files.admin.controller).advise()?;
        let (_, old) = vault.current()?;
        let name = self.likeness.next_name(files.admin, &old, &known, now)?;
        report::line(&format!("would make in Vault: issuer {}, CN={name}", in_vault::slug(&name)));
        report::line(&format!("would have it cross-signed by {}", old.facts().subject));
        report::line(&format!("would write {}", files.admin.controller.ca_cert.display()));
        Ok(())
    }

    /// A run before this one made it, and was killed or did not reach every host.
    fn go_on(&self, files: &SiteFiles<'_>, state: &State) -> anyhow::Result<X509> {
        let new = files.new_root(state)?;
        if self.likeness.is_another(&new, state.begun) {
            return Err(Advice::new(
                format!("a CA rollover is under way, to another new CA: {}", state.new.subject),
                "go on without --common-name, --key-type and --lifetime; slurm-pki ca rollover abort makes room for another",
            )
            .into());
        }
        report::done(files.global, &format!("there    {}", state.new.subject));
        Ok(new)
    }

    /// Makes the new CA, sees that peers of every kind accept what comes from it, and keeps it.
    fn make(&self, files: &SiteFiles<'_>, now: UnixTime) -> anyhow::Result<X509> {
        let made = match &files.vault {
            None => self.make_here(files.admin, now)?,
            Some(vault) => self.make_in_vault(vault, files.admin, now)?,
        };
        serves_all(files.admin, &made, now)?;
        if !made.old.is_self_issued() {
            report::warning(
                "the old CA is an intermediate; the new one is a root alone, whose key signs and lies where it lay",
            );
        }
        if made.new.facts().not_after < made.old.facts().not_after {
            report::warning("the new CA ends before the old one; a longer --lifetime is usual");
        }
        let key = match &made.new_ca {
            Issuing::Key(key) => Some(key.to_pem()),
            Issuing::Issuer(..) => None,
        };
        files.keep_new(&NewFiles { key: key.as_ref(), root: &made.new, cross: &made.cross })?;
        let leaving = bundle::above(&made.old, &made.known.chain, &made.known.anchors);
        files.write_state(&State::begun(&made.old, &made.new, leaving, made.issuers, now))?;
        Ok(made.new)
    }

    fn make_here<'v>(&self, admin: &Admin, now: UnixTime) -> anyhow::Result<Made<'v>> {
        let certificates = signer::ca_certificates(&admin.controller).advise()?;
        let old = LocalCa::new(certificates, signer::ca_key(&admin.controller.ca_key).advise()?).advise()?;
        let name = self.likeness.next_name(admin, old.issuer(), old.certificates(), now)?;
        let subject = self.likeness.subject(admin);
        let describe = || {
            anyhow::Ok(NewCa {
                common_name: &name,
                subject,
                serial: Serial::new(random::bytes().advise()?),
                validity: self.likeness.lifetime(),
                backdate: admin.controller.backdate,
            })
        };
        let key = PrivateKey::generate(self.likeness.key_kind()).advise()?;
        let new = new_root(&key, &describe()?, now).advise()?;
        let cross = old.cross_sign(&new, &describe()?, now).advise()?;
        let old_ca = Issuing::Key(Box::new(signer::ca_key(&admin.controller.ca_key).advise()?));
        let (known, old) = (old.certificates().clone(), old.issuer().clone());
        Ok(Made { known, old, old_ca, new, new_ca: Issuing::Key(Box::new(key)), cross, issuers: None })
    }

    /// The issuer first, which signs nothing yet; a run after this one finds it by its name.
    fn make_in_vault<'v>(
        &self,
        vault: &'v InVault,
        admin: &Admin,
        now: UnixTime,
    ) -> anyhow::Result<Made<'v>> {
        let known = signer::ca_certificates(&admin.controller).advise()?;
        let (old_issuer, old) = vault.current()?;
        if !known.all().any(|ca| *ca == old) {
            return Err(Advice::new(
                format!("the issuer in Vault, {}, is neither in ca_cert nor in ca_chain", old.facts().subject),
                "see that [vault] names the right engine and role, or bring ca_cert and ca_chain up to date first",
            )
            .into());
        }
        let name = self.likeness.next_name(admin, &old, &known, now)?;
        let wanted = NewRoot {
            issuer_name: &in_vault::slug(&name),
            subject: in_vault::subject(&name, self.likeness.subject(admin)),
            key_type: "ec",
            key_bits: in_vault::key_bits(self.likeness.key_kind()),
            not_after: now.plus(self.likeness.lifetime()).to_string(),
            not_before_duration: format!("{}s", admin.controller.backdate.as_secs()),
        };
        let (new_issuer, new) = vault.new_root(&wanted)?;
        let cross = vault.cross_sign((&new_issuer, &new), &wanted, (&old_issuer, &old))?;
        let issuers = Issuers {
            old: old_issuer.issuer_id.clone(),
            new: new_issuer.issuer_id.clone(),
            name: wanted.issuer_name.to_owned(),
        };
        Ok(Made {
            known,
            old,
            old_ca: Issuing::Issuer(vault, old_issuer.issuer_id),
            new,
            new_ca: Issuing::Issuer(vault, new_issuer.issuer_id),
            cross,
            issuers: Some(issuers),
        })
    }
}

/// Two CAs, and how one stands under the other.
struct Made<'v> {
    /// What lies on the disk.
    known: CaCertificates,
    old: X509,
    old_ca: Issuing<'v>,
    new: X509,
    new_ca: Issuing<'v>,
    cross: X509,
    issuers: Option<Issuers>,
}

/// What will be issued is accepted by peers that know the old root, the new, or both: before and after the
/// change of keys, with what will lie on the disk then.
fn serves_all(admin: &Admin, made: &Made<'_>, now: UnixTime) -> anyhow::Result<()> {
    let known = &made.known;
    let way = both_ways(&made.cross, &known.chain);
    let both = [known.anchors.as_slice(), std::slice::from_ref(&made.new)].concat();
    let peers = vec![known.anchors.clone(), vec![made.new.clone()], both.clone()];
    made.new_ca.try_out_all(admin, peers, &way, now)?;
    made.old_ca.try_out(admin, both.clone(), known.chain.clone(), now)?;
    made.old_ca.try_out(admin, both, way, now)
}

fn until(ca: &X509, now: UnixTime) -> String {
    format!("valid until {}", moment::shown(ca.facts().not_after, now))
}
