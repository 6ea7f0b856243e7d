//! What a key of Slurm's files is to say, whatever it said before; and what of it was ours.

use super::shell;

/// The flag that logs every certificate, and no secret (docs/slurm-contract.md 1.5).
const AUDIT: &str = "AuditTLS";

/// The flags about TLS.
const FLAGS: [&str; 2] = ["TLS", AUDIT];

/// slurm.conf's list of flags.
pub(super) const DEBUG_FLAGS: &str = "DebugFlags";

/// The key that turns it on.
pub(super) const TLS_TYPE: &str = "TLSType";

/// The keys that are about TLS and nothing else.
pub(super) const KEYS: [&str; 6] =
    [TLS_TYPE, "TLSParameters", "CertmgrType", "CertmgrParameters", "CertgenType", "CertgenParameters"];

/// Those, and the one that has our flags.
pub(super) const EVERY_KEY: [&str; 7] = [
    TLS_TYPE,
    "TLSParameters",
    "CertmgrType",
    "CertmgrParameters",
    "CertgenType",
    "CertgenParameters",
    DEBUG_FLAGS,
];

/// The option that tells a configless daemon its CA.
const CA_OPTION: &str = "--ca-cert-file";

/// A key, and what it is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// This and nothing else.
    Is(&'static str, String),
    /// These parameters beside the others.
    Has(&'static str, Vec<String>),
    /// This flag beside the others.
    Flag(&'static str, &'static str),
    /// This option beside the others.
    Option(&'static str, &'static str, String),
}

impl Wish {
    /// A line that `conf show` prints, for a key that is ours.
    pub(super) fn of_line(line: &str) -> Option<Self> {
        let (key, value) = line.split_once('=')?;
        let key = KEYS.into_iter().find(|known| *known == key)?;
        Some(if key.ends_with("Parameters") {
            Self::Has(key, value.split(',').map(str::to_owned).collect())
        } else {
            Self::Is(key, value.to_owned())
        })
    }

    /// Every certificate in the log.
    pub(super) fn audit() -> Self {
        Self::Flag(DEBUG_FLAGS, AUDIT)
    }

    /// slurmd's or sackd's option, as `conf show` prints it.
    pub(super) fn ca_option(variable: &'static str, option: &str) -> Self {
        Self::Option(variable, CA_OPTION, option.split_once('=').unwrap_or_default().1.to_owned())
    }

    /// The key.
    pub(super) fn key(&self) -> &'static str {
        match self {
            Self::Is(key, _) | Self::Has(key, _) | Self::Flag(key, _) | Self::Option(key, ..) => key,
        }
    }

    /// What the key is to say, having said `old`.
    pub(super) fn value(&self, old: &str) -> String {
        match self {
            Self::Is(_, value) => value.clone(),
            Self::Has(_, wanted) => with_parameters(old, wanted),
            Self::Flag(_, flag) if list(old).any(|is| is.eq_ignore_ascii_case(flag)) => old.to_owned(),
            Self::Flag(_, flag) => list(old).chain([*flag]).collect::<Vec<_>>().join(","),
            Self::Option(_, name, value) => shell::with_option(old, name, value),
        }
    }
}

/// Slurm takes the first parameter of a name; case counts (docs/slurm-contract.md 1.1).
fn with_parameters(old: &str, wanted: &[String]) -> String {
    let mut all: Vec<String> = list(old).map(str::to_owned).collect();
    for parameter in wanted {
        let name = parameter.split_inclusive('=').next().unwrap_or_default();
        match all.iter_mut().find(|is| is.starts_with(name)) {
            Some(is) => is.clone_from(parameter),
            None => all.push(parameter.clone()),
        }
    }
    all.join(",")
}

fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').filter(|item| !item.is_empty())
}

/// Whether a TLSType turns TLS on.
pub(super) fn is_on(value: &str) -> bool {
    !["", "none", "tls/none"].iter().any(|off| value.eq_ignore_ascii_case(off))
}

/// What remains of a key without TLS; all of one that is not ours.
pub(super) fn without_tls(key: &str, value: &str) -> Remains {
    let is = |known: &str| key.eq_ignore_ascii_case(known);
    let rest = if is(DEBUG_FLAGS) {
        let is_ours = |flag: &&str| FLAGS.iter().any(|ours| flag.trim().eq_ignore_ascii_case(ours));
        list(value).filter(|flag| !is_ours(flag)).collect::<Vec<_>>().join(",")
    } else if key == shell::SLURMD_OPTIONS || key == shell::SACKD_OPTIONS {
        shell::without_option(value, CA_OPTION)
    } else if KEYS.into_iter().any(is) || key == site::config::VARIABLE {
        return Remains::Nothing;
    } else {
        return Remains::All;
    };
    match rest {
        rest if rest == value => Remains::All,
        rest if rest.trim().is_empty() => Remains::Nothing,
        rest => Remains::This(rest),
    }
}

/// What remains of a key's value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Remains {
    /// It has nothing of ours.
    All,
    /// Less than before.
    This(String),
    /// The key goes.
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_others_stay_and_ours_take_their_place() {
        let wish = Wish::of_line("TLSParameters=ca_cert_file=/x,ctld_cert_file=/y").unwrap();
        assert_eq!(wish.value(""), "ca_cert_file=/x,ctld_cert_file=/y");
        assert_eq!(
            wish.value("load_system_certificates,ca_cert_file=/old,ca_cert_file=/older,dbd_cert_file=/z"),
            "load_system_certificates,ca_cert_file=/x,ca_cert_file=/older,dbd_cert_file=/z,ctld_cert_file=/y"
        );
    }

    #[test]
    fn flags_of_others_stay() {
        assert_eq!(Wish::audit().value("Backfill,audittls"), "Backfill,audittls");
        assert_eq!(Wish::audit().value("Backfill"), "Backfill,AuditTLS");
        assert_eq!(
            without_tls("debugflags", "Backfill,TLS,audittls,Gres"),
            Remains::This("Backfill,Gres".into())
        );
        assert_eq!(without_tls("DebugFlags", "AuditTLS"), Remains::Nothing);
        assert_eq!(without_tls("DebugFlags", "Backfill"), Remains::All);
        assert_eq!(without_tls("SlurmUser", "TLS"), Remains::All);
        assert_eq!(without_tls("tlstype", "tls/s2n"), Remains::Nothing);
    }
}
