//! What a key of Slurm's files is to say, whatever it said before.

use super::shell::{self, RESTD_ENVIRONMENT};
use super::subject::{
    ALT_PARAMETERS, ALT_TYPES, AUDIT, AUTH_JWT, AUTH_SLURM, AUTH_TYPE, CA_OPTION, CRED_SLURM, CRED_TYPE,
    DEBUG_FLAGS, Subject, list,
};

/// A key, and what it is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// This and nothing else.
    Is(&'static str, String),
    /// These parameters beside the others, and none of that name.
    Has(&'static str, Vec<String>, &'static [&'static str]),
    /// This flag beside the others.
    Flag(&'static str, &'static str),
    /// This option beside the others.
    Option(&'static str, &'static str, String),
}

impl Wish {
    /// A line that `conf show` prints, for a key that is ours.
    pub(super) fn of_line(line: &str) -> Option<Self> {
        let (key, value) = line.split_once('=')?;
        let key = Subject::Tls.keys().iter().copied().find(|known| *known == key)?;
        Some(if key.ends_with("Parameters") {
            Self::Has(key, value.split(',').map(str::to_owned).collect(), &[])
        } else {
            Self::Is(key, value.to_owned())
        })
    }

    /// auth/jwt beside other ways to authenticate.
    pub(super) fn jwt() -> Self {
        Self::Flag(ALT_TYPES, AUTH_JWT)
    }

    /// Its parameters; none that begins as `unwanted` says.
    pub(super) fn jwt_parameters(wanted: Vec<String>, unwanted: &'static [&'static str]) -> Self {
        Self::Has(ALT_PARAMETERS, wanted, unwanted)
    }

    /// slurmrestd speaks for those whose tokens it is given (docs/slurm-contract.md 6).
    pub(super) fn restd() -> Self {
        Self::Is(RESTD_ENVIRONMENT, "daemon".to_owned())
    }

    /// auth/slurm instead of munge.
    pub(super) fn auth_slurm() -> Self {
        Self::Is(AUTH_TYPE, AUTH_SLURM.to_owned())
    }

    /// Its credentials.
    pub(super) fn cred_slurm() -> Self {
        Self::Is(CRED_TYPE, CRED_SLURM.to_owned())
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
            Self::Is(key, _) | Self::Has(key, ..) | Self::Flag(key, _) | Self::Option(key, ..) => key,
        }
    }

    /// The line as a person types it, merged with what the file says.
    pub(super) fn line(&self, value: impl Fn(&str) -> Option<String>) -> String {
        format!("{}={}", self.key(), self.value(&value(self.key()).unwrap_or_default()))
    }

    /// What the key is to say, having said `old`.
    pub(super) fn value(&self, old: &str) -> String {
        match self {
            Self::Is(_, value) => value.clone(),
            Self::Has(_, wanted, unwanted) => with_parameters(old, wanted, unwanted),
            Self::Flag(_, flag) if list(old).any(|is| is.eq_ignore_ascii_case(flag)) => old.to_owned(),
            Self::Flag(_, flag) => list(old).chain([*flag]).collect::<Vec<_>>().join(","),
            Self::Option(_, name, value) => shell::with_option(old, name, value),
        }
    }
}

/// Slurm takes the first parameter of a name; case counts (docs/slurm-contract.md 1.1).
fn with_parameters(old: &str, wanted: &[String], unwanted: &[&str]) -> String {
    let is_unwanted = |is: &str| unwanted.iter().any(|name| is.starts_with(name));
    let mut all: Vec<String> = list(old).filter(|is| !is_unwanted(is)).map(str::to_owned).collect();
    for parameter in wanted {
        let name = parameter.split_inclusive('=').next().unwrap_or_default();
        match all.iter_mut().find(|is| is.starts_with(name)) {
            Some(is) => is.clone_from(parameter),
            None => all.push(parameter.clone()),
        }
    }
    if list(old).eq(&all) { old.to_owned() } else { all.join(",") }
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
    }

    #[test]
    fn a_parameter_goes_when_it_is_unwanted() {
        let wish = Wish::jwt_parameters(vec!["jwks=/x".into()], &["jwt_key="]);
        assert_eq!(wish.value("jwt_key=/k,a"), "a,jwks=/x");
        assert_eq!(wish.value("jwks=/x,,a"), "jwks=/x,,a");
        assert_eq!(Wish::jwt().value("auth/munge"), "auth/munge,auth/jwt");
    }
}
