//! `--jwt` and `--auth-slurm`: the same way through Slurm's files as TLS, with other keys and other things that must hold.

use std::path::Path;

use clap::Args;
use site::config::KeysConfig;

use super::auth_slurm;
use super::editing::Editing;
use super::enable::{has_dbd, missing};
use super::jwt::{Jwt, JwtOptions};
use super::plan::{Plan, Wishes};
use super::plugin::Slurmctld;
use super::restarts::{self, Turn};
use super::subject::Subject;
use super::turning::{ALL_STOPPED, Turning};
use super::{plugin, still};
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::check::must_load;
use crate::global::Global;
use crate::key_files::KeyFile;
use crate::report;
use crate::slurm_conf::SlurmConf;
use crate::slurm_plugins::{AUTH_JWT, AUTH_SLURM};

/// What slurmrestd's environment has to say, and where that is put.
pub(super) const RESTD_LINE: &str = "SLURM_JWT=daemon";
pub(super) const RESTD_DROP_IN: &str = "/etc/systemd/system/slurmrestd.service.d/slurm-pki-jwt.conf";

/// What makes both plugins: they need the same library.
const BUILD: &str = "build Slurm where libjwt's development files are installed (--with-jwt)";

/// Which of them.
#[derive(Args, Debug)]
pub(super) struct Which {
    /// JWT (auth/jwt beside AuthType) instead of TLS
    #[arg(long, conflicts_with = "auth_slurm")]
    jwt: bool,
    /// auth/slurm in place of munge, instead of TLS
    #[arg(long)]
    auth_slurm: bool,
}

impl Which {
    /// The subject of the command.
    pub(super) fn subject(&self) -> Subject {
        match (self.jwt, self.auth_slurm) {
            (true, _) => Subject::Jwt,
            (_, true) => Subject::AuthSlurm,
            _ => Subject::Tls,
        }
    }
}

/// How the change is made.
#[derive(Debug)]
pub(super) struct Manner<'a> {
    pub(super) prepare: bool,
    pub(super) offline: bool,
    pub(super) skip: &'a [String],
}

/// What is wanted of one of them.
#[derive(Debug)]
enum Wanted {
    Jwt(Jwt),
    AuthSlurm(Wishes),
}

impl Wanted {
    fn of(
        subject: Subject,
        options: &JwtOptions,
        admin: &Admin,
        slurm: impl Fn(&str) -> Option<String>,
        dbd: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Self> {
        match subject {
            Subject::Jwt => {
                let config = KeysConfig::read(&admin.config).advise()?;
                options.wanted(slurm, dbd, &config).map(Self::Jwt)
            }
            Subject::Tls | Subject::AuthSlurm => Ok(Self::AuthSlurm(auth_slurm::wishes())),
        }
    }

    fn wishes(&self) -> &Wishes {
        match self {
            Self::Jwt(jwt) => &jwt.wishes,
            Self::AuthSlurm(wishes) => wishes,
        }
    }

    fn warnings(&self) -> &[String] {
        match self {
            Self::Jwt(jwt) => &jwt.warnings,
            Self::AuthSlurm(_) => &[],
        }
    }
}

/// What goes where, merged with what is there.
#[derive(Debug, serde::Serialize)]
pub(super) struct Shown {
    slurm_conf: Vec<String>,
    slurmdbd_conf: Vec<String>,
    /// For slurmrestd's environment.
    slurmrestd_environment: Option<&'static str>,
    warnings: Vec<String>,
}

/// Prints the lines.
///
/// # Errors
/// When a file cannot be read, or the options mean nothing.
pub(super) fn show(global: &Global, subject: Subject, options: &JwtOptions) -> anyhow::Result<()> {
    let admin = Admin::load(global)?;
    let path = SlurmConf::path_here();
    let dbd = SlurmConf::load_from(&path.with_file_name("slurmdbd.conf"))?;
    let value = |conf: &Option<SlurmConf>, key: &str| conf.as_ref()?.get(key).map(str::to_owned);
    let (in_slurm, in_dbd) = (|key: &str| value(&admin.slurm, key), |key: &str| value(&dbd, key));
    let wanted = Wanted::of(subject, options, &admin, in_slurm, in_dbd)?;
    let Wishes { slurm, dbd } = wanted.wishes();
    let shown = Shown {
        slurm_conf: slurm.iter().map(|wish| wish.line(in_slurm)).collect(),
        slurmdbd_conf: dbd.iter().map(|wish| wish.line(in_dbd)).collect(),
        slurmrestd_environment: (subject == Subject::Jwt).then_some(RESTD_LINE),
        warnings: wanted.warnings().to_vec(),
    };
    if global.json {
        return report::json("slurm-pki.conf.show.auth.v1", &shown);
    }
    report::line("# slurm.conf, on every host");
    shown.slurm_conf.iter().for_each(|line| report::line(line));
    report::line("");
    report::line("# slurmdbd.conf");
    shown.slurmdbd_conf.iter().for_each(|line| report::line(line));
    if subject == Subject::Jwt {
        report::line("");
        print_drop_in();
    }
    shown.warnings.iter().for_each(|warning| report::warning(warning));
    Ok(())
}

/// slurmrestd passes tokens on, and must not speak for itself.
fn print_drop_in() {
    report::line(&format!("# {RESTD_DROP_IN}, on slurmrestd's host"));
    report::line("[Service]");
    report::line(&format!("Environment={RESTD_LINE}"));
}

/// Changes the files.
///
/// # Errors
/// When a file cannot be changed, or something does not hold.
pub(super) fn enable(
    global: &Global,
    subject: Subject,
    options: &JwtOptions,
    manner: &Manner<'_>,
) -> anyhow::Result<()> {
    let admin = Admin::load(global)?;
    let path = SlurmConf::path_here();
    let slurm = Editing::slurm(&path)?.ok_or_else(|| missing(&path))?;
    let dbd = Editing::slurm(&path.with_file_name("slurmdbd.conf"))?;
    let has_dbd_here = dbd.is_some();
    let without_dbd = dbd.is_none() && has_dbd(&slurm);
    let wanted = Wanted::of(
        subject,
        options,
        &admin,
        |key| slurm.value(key),
        |key| dbd.as_ref().and_then(|dbd| dbd.value(key)),
    )?;
    wanted.warnings().iter().for_each(|warning| report::warning(warning));
    let plan = Plan::new(slurm, dbd, wanted.wishes())?;
    let question = match subject {
        Subject::Jwt => "Make these changes, and take tokens from the next reload of Slurm on?",
        _ => "Make these changes, and turn auth/slurm on at the next start of Slurm?",
    };
    let turning = Turning {
        global,
        changes: plan.changes()?,
        prepare: manner.prepare,
        when: when(subject),
        by_hand: plan.by_hand,
        question,
    };
    if turning.carry_out(|| must_hold(global, &admin, &wanted, &path, has_dbd_here, manner))? {
        if without_dbd {
            report::line("slurmdbd.conf is not here. On slurmdbd's host:");
            report::line(&format!("  run slurm-pki conf enable{} there too, or add:", subject.option()));
            let lines = wanted.wishes().dbd.iter().map(|wish| wish.line(|_| None));
            lines.for_each(|line| report::line(&format!("  {line}")));
        }
        if subject == Subject::Jwt {
            print_drop_in();
        }
        restarts::print(subject, Turn::On);
    }
    Ok(())
}

/// When the prepared files of a subject may be put in place.
pub(super) fn when(subject: Subject) -> &'static str {
    if subject == Subject::Jwt { "When they are to count" } else { ALL_STOPPED }
}

fn must_hold(
    global: &Global,
    admin: &Admin,
    wanted: &Wanted,
    slurm_conf: &Path,
    has_dbd: bool,
    manner: &Manner<'_>,
) -> anyhow::Result<()> {
    match wanted {
        Wanted::Jwt(jwt) => {
            let dbd = jwt.dbd.files().filter(|_| has_dbd);
            jwt.ctld
                .files()
                .chain(dbd)
                .try_for_each(|(kind, path)| key_must_load(admin, kind, path, manner.offline))?;
            if manner.offline {
                report::warning("not checked (--offline): auth_jwt.so");
                return Ok(());
            }
            plugin::all_must_be_there(admin.slurm.as_ref(), Slurmctld::MayBeUp, [AUTH_JWT], BUILD)
        }
        Wanted::AuthSlurm(_) => {
            if !manner.prepare {
                still::must_stand_still(global, Subject::AuthSlurm)?;
            }
            auth_slurm::must_have_key(admin, slurm_conf)?;
            if manner.offline {
                report::warning(
                    "not checked (--offline): auth_slurm.so, and on the other hosts the key and that no daemon runs",
                );
                return Ok(());
            }
            let slurmctld = Slurmctld::that(manner.prepare);
            plugin::all_must_be_there(admin.slurm.as_ref(), slurmctld, [AUTH_SLURM], BUILD)?;
            auth_slurm::must_be_everywhere(global, admin, slurm_conf, manner.skip, manner.prepare)
        }
    }
}

/// An image may be built before its keys are there; a bad key is bad there too.
fn key_must_load(admin: &Admin, kind: KeyFile, path: &Path, offline: bool) -> anyhow::Result<()> {
    let made = match kind {
        KeyFile::JwtKey => "slurm-pki jwt key init",
        KeyFile::Jwks => "slurm-pki jwt jwks fetch, or slurm-pki jwt jwks build",
        KeyFile::AuthKey | KeyFile::AuthJwks => "slurm-pki auth-key init",
    };
    let is_missing = std::fs::metadata(path).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound);
    let shown = path.display();
    if is_missing && offline {
        report::warning(&format!("{shown} is not there; daemons that are told of it die without it: {made}"));
        return Ok(());
    }
    if is_missing {
        return Err(Advice::new(
            format!("there is no {shown}: daemons that are told of it die without it"),
            format!("make it first: {made}"),
        )
        .into());
    }
    must_load(admin.slurm_user().ok(), kind, path)
}
