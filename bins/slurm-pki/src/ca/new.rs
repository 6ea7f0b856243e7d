//! Making a CA, or what a killed run left of it unmade: keys before certificates, and never a second
//! time.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use pki::ca::{CaCertificates, LocalCa, NewCa, new_root};
use pki::explain::Explain as _;
use pki::key::{PrivateKey, PublicKey};
use pki::loads_in_s2n::pad_bundle;
use pki::name::NodeName;
use pki::policy::{Plan, SubjectAttribute};
use pki::profile::Serial;
use pki::time::UnixTime;
use pki::x509::X509;
use site::config::Place;
use site::file::Owner;
use site::ledger::Ledger;
use site::random;
use site::signer;

use super::subject::{self, Subject};
use crate::admin::{Admin, STATE_DIR_MODE};
use crate::advice::{Advice, Advise as _};
use crate::key_type::KeyType;
use crate::making::Making;
use crate::moment;

pub(crate) const KEY_MODE: u32 = 0o400;
pub(crate) const CERTIFICATE_MODE: u32 = 0o644;

/// Room for " root" within the 64 characters of a common name.
const MAX_NAME: usize = 59;

/// What a new CA is to be.
#[derive(Args, Clone, Debug)]
pub(crate) struct CaOptions {
    /// Make a root and an intermediate; the root's key can then be taken offline
    #[arg(long)]
    intermediate: bool,
    #[command(flatten)]
    likeness: Likeness,
}

impl CaOptions {
    /// Whether anything was given that only a CA to be made here can heed.
    pub(crate) fn describes_a_ca(&self) -> bool {
        let Likeness { lifetime, key_type, subject, common_name } = &self.likeness;
        self.intermediate
            || lifetime.is_some()
            || key_type.is_some()
            || subject.is_some()
            || common_name.is_some()
    }
}

/// In seconds.
const DAY: i64 = 86_400;

/// Ten years of humantime's, the life of a CA unless another is given.
const LIFETIME: Duration = Duration::from_secs(10 * 31_557_600);

/// The kind of its key, unless another is given.
const KEY_TYPE: KeyType = KeyType::P256;

/// What a CA says of itself, and with which key. Whether a default was given in so many words counts where a CA is there
/// already.
#[derive(Args, Clone, Debug)]
pub(crate) struct Likeness {
    /// Life of the CA, as in 15y or 3650d; default: 10y
    #[arg(long, value_name = "TIME", value_parser = moment::parse_span)]
    lifetime: Option<Duration>,
    /// Kind of the CA's key; default: p256
    #[arg(long, value_name = "TYPE")]
    key_type: Option<KeyType>,
    /// What stands beside the CA's common name; default: `subject` of the config
    #[arg(long, value_name = "\"O=SITE, C=DE\"", value_parser = subject::parse)]
    subject: Option<Subject>,
    /// The CA's common name; default: "CLUSTER Slurm CA", with G2, G3 … after each rollover
    #[arg(long, value_name = "NAME")]
    common_name: Option<String>,
}

impl Likeness {
    /// The common name: as given, else the usual one.
    fn name(&self, admin: &Admin) -> anyhow::Result<String> {
        fits(self.common_name.clone().unwrap_or_else(|| default_name(admin)))
    }

    /// The name of the CA that follows `old`: as given, else the usual one with the number of the generation, as in
    /// "c1 Slurm CA G2". Two CAs of one name could not be told apart (slurm-contract.md 3.4), nor their certificates in the
    /// ledger: those of a CA that was given up live on.
    ///
    /// # Errors
    /// When it cannot be a CA's name, or is one that is there, or the ledger cannot be read.
    pub(super) fn next_name(
        &self,
        admin: &Admin,
        old: &X509,
        known: &CaCertificates,
        now: UnixTime,
    ) -> anyhow::Result<String> {
        let mut taken = known.common_names();
        taken.extend(issuers_of_living(admin, now)?);
        let is_taken = |name: &str| taken.iter().any(|is| is.eq_ignore_ascii_case(name.as_bytes()));
        if self.common_name.is_some() {
            let name = self.name(admin)?;
            if is_taken(&name) {
                return Err(Advice::new(
                    format!("there is a CA called {name:?} already"),
                    "give the new one another name with --common-name",
                )
                .into());
            }
            return Ok(name);
        }
        let base = default_name(admin);
        let own = old.facts().common_names.first().map(|name| String::from_utf8_lossy(name).into_owned());
        let next = own.and_then(|name| generation(&name)).unwrap_or(1).saturating_add(1);
        let names = (next..next.saturating_add(100)).map(|number| format!("{base} G{number}"));
        let free = names.into_iter().find(|name| !is_taken(name)).unwrap_or(base);
        fits(free)
    }

    /// Whether a CA that was made at `begun` is another one than what is asked for now. What was not asked for does not
    /// count; nor does a day of the life, which not every CA counts alike.
    pub(super) fn is_another(&self, made: &X509, begun: UnixTime) -> bool {
        let facts = made.facts();
        let is = |name: &str| facts.common_names.iter().any(|is| is == name.as_bytes());
        let kind = PublicKey::from_spki(&facts.spki).map(|key| key.kind()).ok();
        let lasts = |life: Duration| facts.not_after.0.saturating_sub(begun.plus(life).0).abs() <= DAY;
        self.common_name.as_deref().is_some_and(|name| !is(name))
            || self.key_type.is_some_and(|given| kind != Some(given.into()))
            || self.lifetime.is_some_and(|given| !lasts(given))
    }

    /// What stands beside the common name.
    pub(super) fn subject<'a>(&'a self, admin: &'a Admin) -> &'a [(SubjectAttribute, String)] {
        self.subject.as_ref().map_or(&admin.controller.subject, |given| &given.0)
    }

    /// The CA's life.
    pub(super) fn lifetime(&self) -> Duration {
        self.lifetime.unwrap_or(LIFETIME)
    }

    /// The kind of its key.
    pub(super) fn key_kind(&self) -> pki::key::KeyKind {
        self.key_type.unwrap_or(KEY_TYPE).into()
    }
}

/// The common names of whoever issued what has not ended, by the ledger.
fn issuers_of_living(admin: &Admin, now: UnixTime) -> anyhow::Result<BTreeSet<Vec<u8>>> {
    let living = Ledger::of(&admin.controller).entries(|entry| entry.not_after > now).advise()?;
    let issuers: BTreeSet<String> = living.into_iter().map(|entry| entry.issuer).collect();
    let names =
        issuers.iter().flat_map(|issuer| issuer.split(", ")).filter_map(|part| part.strip_prefix("CN="));
    Ok(names.map(|name| name.as_bytes().to_vec()).collect())
}

/// 3 of "c1 Slurm CA G3".
fn generation(name: &str) -> Option<u32> {
    name.rsplit_once(" G")?.1.parse().ok().filter(|number| *number > 0)
}

/// The CA's files, and who makes them.
struct Maker<'a> {
    admin: &'a Admin,
    making: Making<'a>,
    options: &'a CaOptions,
    name: String,
    owner: Owner,
    now: UnixTime,
}

/// The key of a root that has an intermediate below it.
pub(crate) fn root_key_path(admin: &Admin) -> PathBuf {
    admin.top().state_dir.join("ca/root_key.pem")
}

/// The CA as it is there, or made where it is missing. With `--dry-run` it is made in memory.
///
/// # Errors
/// When the signer is not here, what is there does not belong together, or a file cannot be made.
pub(crate) fn complete(
    admin: &Admin,
    making: Making<'_>,
    options: &CaOptions,
    now: UnixTime,
) -> anyhow::Result<LocalCa> {
    if admin.controller.signer != Place::Local {
        return Err(Advice::new(
            "the config says that the CA is not in files here (signer)",
            "slurm-pki vault setup makes one in Vault; for one in files set signer = \"local\" in [controller]",
        )
        .into());
    }
    let owner = admin.slurm_user_to_write_for()?;
    let maker = Maker { admin, making, options, name: options.likeness.name(admin)?, owner, now };
    maker.folders()?;
    maker.complete()
}

fn default_name(admin: &Admin) -> String {
    format!("{} Slurm CA", admin.cluster())
}

fn fits(name: String) -> anyhow::Result<String> {
    let reserved = NodeName::parse(name.as_bytes()).is_ok_and(|name| name.is_reserved());
    if subject::is_name(&name, MAX_NAME) && !reserved {
        return Ok(name);
    }
    Err(Advice::new(
        format!("{name:?} cannot be the CA's common name"),
        format!("use 1 to {MAX_NAME} characters with --common-name, and no daemon's name"),
    )
    .into())
}

impl Maker<'_> {
    fn folders(&self) -> anyhow::Result<()> {
        let files = &self.admin.controller;
        let state_dir = &files.top.state_dir;
        self.making.folder(state_dir, STATE_DIR_MODE, self.owner)?;
        let ca = state_dir.join("ca");
        // Every user reads ca_cert: a site that keeps it here has the folder open.
        let mode = if files.ca_cert.starts_with(&ca) { 0o755 } else { 0o700 };
        self.making.folder(&ca, mode, self.owner)?;
        match files.ca_cert.parent() {
            Some(folder) if !folder.exists() => self.making.folder(folder, 0o755, crate::admin::caller()),
            _ => Ok(()),
        }
    }

    fn complete(&self) -> anyhow::Result<LocalCa> {
        let files = &self.admin.controller;
        let root_key = root_key_path(self.admin);
        let half_made = root_key.exists() && !files.ca_chain.exists();
        if !half_made && files.ca_cert.exists() && files.ca_key.exists() {
            return self.as_it_is();
        }
        if half_made || (self.options.intermediate && !files.ca_cert.exists()) {
            return self.with_intermediate(&root_key);
        }
        if files.ca_cert.exists() {
            let (cert, key) = (files.ca_cert.display(), files.ca_key.display());
            return Err(Advice::new(
                format!("{cert} is there, but its key {key} is not"),
                "bring that CA in with slurm-pki ca import, or move its certificate away",
            )
            .into());
        }
        self.root_alone()
    }

    fn as_it_is(&self) -> anyhow::Result<LocalCa> {
        let files = &self.admin.controller;
        let certificates = signer::ca_certificates(files).advise()?;
        let key = signer::ca_key(&files.ca_key).advise()?;
        let ca = LocalCa::new(certificates, key).advise()?;
        for path in [&files.ca_key, &files.ca_cert] {
            self.making.was_there(path);
        }
        if files.ca_chain.exists() {
            self.making.was_there(&files.ca_chain);
        }
        if self.options.intermediate && ca.issuer().is_self_issued() {
            crate::report::warning("the CA that is there is a root alone; --intermediate changes nothing");
        }
        Ok(ca)
    }

    fn root_alone(&self) -> anyhow::Result<LocalCa> {
        let files = &self.admin.controller;
        let key = self.key_at(&files.ca_key)?;
        let root = new_root(&key, &self.new_ca(&self.name)?, self.now).advise()?;
        let bundle = pad_bundle(root.to_pem());
        let certificates = CaCertificates::from_pem(bundle.as_bytes(), None).advise()?;
        let ca = LocalCa::new(certificates, key).advise()?;
        try_out(&ca, self.admin, self.now)?;
        self.making.file(&files.ca_cert, CERTIFICATE_MODE, None, bundle.as_bytes())?;
        Ok(ca)
    }

    fn with_intermediate(&self, root_key: &Path) -> anyhow::Result<LocalCa> {
        let files = &self.admin.controller;
        let key = self.key_at(root_key)?;
        let certificates = if files.ca_cert.exists() {
            self.making.was_there(&files.ca_cert);
            signer::ca_certificates(files).advise()?
        } else {
            let name = format!("{} root", self.name);
            let root = new_root(&key, &self.new_ca(&name)?, self.now).advise()?;
            let bundle = pad_bundle(root.to_pem());
            let certificates = CaCertificates::from_pem(bundle.as_bytes(), None).advise()?;
            self.making.file(&files.ca_cert, CERTIFICATE_MODE, None, bundle.as_bytes())?;
            certificates
        };
        let root = LocalCa::new(certificates.clone(), key).advise()?;
        let key = self.key_at(&files.ca_key)?;
        let intermediate = root.issue_intermediate(&key, &self.new_ca(&self.name)?, self.now).advise()?;
        let chain = intermediate.to_pem();
        let certificates = CaCertificates { chain: vec![intermediate], ..certificates };
        let ca = LocalCa::new(certificates, key).advise()?;
        try_out(&ca, self.admin, self.now)?;
        self.making.file(&files.ca_chain, CERTIFICATE_MODE, Some(self.owner), chain.as_bytes())?;
        Ok(ca)
    }

    /// The key that is there, else a new one. A certificate that is still missing is made for it.
    fn key_at(&self, path: &Path) -> anyhow::Result<PrivateKey> {
        if path.exists() {
            self.making.was_there(path);
            return signer::ca_key(path).advise();
        }
        let key = PrivateKey::generate(self.options.likeness.key_kind()).advise()?;
        if self.making.file(path, KEY_MODE, Some(self.owner), key.to_pem().expose())? {
            return Ok(key);
        }
        signer::ca_key(path).advise()
    }

    fn new_ca<'n>(&'n self, name: &'n str) -> anyhow::Result<NewCa<'n>> {
        Ok(NewCa {
            common_name: name,
            subject: self.options.likeness.subject(self.admin),
            serial: Serial::new(random::bytes().advise()?),
            validity: self.options.likeness.lifetime(),
            backdate: self.admin.controller.backdate,
        })
    }
}

/// Issues a certificate nobody will ever see, so that a CA whose certificates peers would refuse is
/// found out before it is installed.
///
/// # Errors
/// Why a node could not use what this CA issues.
pub(crate) fn try_out(ca: &LocalCa, admin: &Admin, now: UnixTime) -> anyhow::Result<()> {
    const NAME: &str = "slurm-pki-trial";
    let files = &admin.controller;
    let key = PrivateKey::generate(pki::key::KeyKind::P256).advise()?;
    let plan = Plan::for_daemon(
        NAME,
        vec![NAME.into()],
        key.public().advise()?,
        &files.subject,
        files.validity,
        files.backdate,
        now,
    );
    let issued = ca.issue(&plan, Serial::new(random::bytes().advise()?), now);
    let issued = issued.map_err(|e| Advice::new(format!("this CA cannot serve Slurm: {e}"), e.hint()))?;
    let pair = (issued.to_pem().as_bytes(), key.to_pem());
    pki::loads_in_s2n::own_pair(pair.0, pair.1.expose()).advise().map(drop)
}

#[cfg(test)]
mod tests {
    use clap::builder::StyledStr;
    use clap::{FromArgMatches as _, ValueEnum as _};

    use super::*;

    #[test]
    fn the_defaults_that_help_names_are_those_that_count() {
        let command = Likeness::augment_args(clap::Command::new("ca"));
        let named = |id: &str| {
            let argument = command.get_arguments().find(|argument| argument.get_id() == id).unwrap();
            let help = argument.get_help().map(StyledStr::to_string).unwrap();
            help.rsplit_once("default: ").unwrap().1.to_owned()
        };
        let given = command.clone().try_get_matches_from(["ca"]).unwrap();
        let given = Likeness::from_arg_matches(&given).unwrap();
        assert_eq!(moment::parse_span(&named("lifetime")), Ok(given.lifetime()));
        let kind = KeyType::from_str(&named("key_type"), false).unwrap();
        assert_eq!(pki::key::KeyKind::from(kind), given.key_kind());
    }

    #[test]
    fn the_generation_is_the_number_at_the_end_of_the_name() {
        assert_eq!(generation("c1 Slurm CA G3"), Some(3));
        for none in
            ["c1 Slurm CA", "c1 Slurm CAG3", "c1 Slurm CA G", "c1 Slurm CA G0", "c1 Slurm CA G-1", "G2"]
        {
            assert_eq!(generation(none), None, "{none}");
        }
    }
}
