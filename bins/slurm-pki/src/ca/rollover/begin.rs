//! `slurm-pki ca rollover begin`: the new CA, and both roots on every host.

use clap::Args;
use pki::ca::{LocalCa, NewCa, new_root};
use pki::key::PrivateKey;
use pki::profile::Serial;
use pki::time::UnixTime;
use pki::x509::X509;
use site::clock;
use site::random;
use site::signer;

use super::bundle::{self, Bundle};
use super::hosts::{self, Reach};
use super::site_files::{NewFiles, SiteFiles, ca_of};
use super::state::{Phase, State};
use super::switch::both_ways;
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::ca::new::{Likeness, try_out};
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
        hosts::bring(&files, &self.reach, "the new root of a CA rollover", now)?;
        if global.dry_run {
            return Ok(());
        }
        report::done(global, &format!("The new CA: {}, {}", new.facts().subject, until(&new, now)));
        report::done(global, "Next: slurm-pki ca rollover switch");
        Ok(())
    }

    /// A run before this one made it, and was killed or did not reach every host.
    fn go_on(&self, files: &SiteFiles<'_>, state: &State) -> anyhow::Result<X509> {
        let new = files.new_root(state)?;
        let is = |name: &str| new.facts().common_names.iter().any(|is| is == name.as_bytes());
        let another = self.likeness.given_name().is_some_and(|name| !is(name));
        if another {
            return Err(Advice::new(
                format!("a CA rollover is under way, to {}", state.new.subject),
                "slurm-pki ca rollover abort makes room for another",
            )
            .into());
        }
        report::done(files.global, &format!("there    {}", state.new.subject));
        Ok(new)
    }

    /// Makes the new CA in memory, sees that peers of every kind accept what comes from it, and keeps it.
    fn make(&self, files: &SiteFiles<'_>, now: UnixTime) -> anyhow::Result<X509> {
        let admin = files.admin;
        let certificates = signer::ca_certificates(&admin.controller).advise()?;
        let old = LocalCa::new(certificates, signer::ca_key(&admin.controller.ca_key).advise()?).advise()?;
        let name = self.likeness.next_name(admin, &old)?;
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
        serves_all(admin, &old, &key, &new, &cross, now)?;
        if !old.issuer().is_self_issued() {
            report::warning(
                "the old CA is an intermediate; the new one is a root alone, whose key signs and lies here",
            );
        }
        if new.facts().not_after < old.issuer().facts().not_after {
            report::warning("the new CA ends before the old one; a longer --lifetime is usual");
        }
        files.keep_new(&NewFiles { key: &key.to_pem(), root: &new, cross: &cross })?;
        let known = old.certificates();
        let leaving = bundle::above(old.issuer(), &known.chain, &known.anchors);
        files.write_state(&State::begun(old.issuer(), &new, leaving, now))?;
        Ok(new)
    }
}

/// What will be issued is accepted by peers that know the old root, the new, or both: before and after the
/// change of keys, with what will lie on the disk then.
fn serves_all(
    admin: &Admin,
    old: &LocalCa,
    key: &PrivateKey,
    new: &X509,
    cross: &X509,
    now: UnixTime,
) -> anyhow::Result<()> {
    let known = old.certificates();
    let way = both_ways(cross, &known.chain);
    let both = [known.anchors.as_slice(), std::slice::from_ref(new)].concat();
    for anchors in [known.anchors.clone(), vec![new.clone()], both.clone()] {
        try_out(&ca_of(anchors, way.clone(), key)?, admin, now)?;
    }
    let old_key = signer::ca_key(&admin.controller.ca_key).advise()?;
    try_out(&ca_of(both.clone(), known.chain.clone(), &old_key)?, admin, now)?;
    try_out(&ca_of(both, way, &old_key)?, admin, now)
}

fn until(ca: &X509, now: UnixTime) -> String {
    format!("valid until {}", moment::shown(ca.facts().not_after, now))
}
