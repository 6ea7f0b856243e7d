//! What conf enable turns on, each by itself: TLS, JWT and auth/slurm. No key belongs to two of them, so that they stand
//! side by side in one file and go in any order.

use std::fmt;

use super::shell::{self, RESTD_ENVIRONMENT};
use crate::slurm_lines::is_no_tls;

/// The flags about TLS.
const FLAGS: [&str; 2] = ["TLS", AUDIT];

/// The flag that logs every certificate, and no secret (docs/slurm-contract.md 1.5).
pub(super) const AUDIT: &str = "AuditTLS";

/// slurm.conf's list of flags.
pub(super) const DEBUG_FLAGS: &str = "DebugFlags";

/// The key that turns TLS on.
const TLS_TYPE: &str = "TLSType";

/// The list of ways to authenticate beside AuthType, and their parameters.
pub(super) const ALT_TYPES: &str = "AuthAltTypes";
pub(super) const ALT_PARAMETERS: &str = "AuthAltParameters";

/// Slurm's name for JWT.
pub(super) const AUTH_JWT: &str = "auth/jwt";

/// The way that daemons authenticate, and how steps' credentials are signed.
pub(super) const AUTH_TYPE: &str = "AuthType";
pub(super) const CRED_TYPE: &str = "CredType";

/// Slurm's own way, and its credentials.
pub(super) const AUTH_SLURM: &str = "auth/slurm";
pub(super) const CRED_SLURM: &str = "cred/slurm";

/// The option that tells a configless daemon its CA.
pub(super) const CA_OPTION: &str = "--ca-cert-file";

/// The parameters of auth/jwt (docs/slurm-contract.md 6); what ends in `=` has a value.
const JWT_PARAMETERS: [&str; 7] = [
    "jwt_key=",
    "jwks=",
    "userclaimfield=",
    "max_token_lifespan=",
    "disable_token_creation",
    "use_jwt_client_ids_only",
    "use_jwt_client_ids",
];

const TLS_KEYS: [&str; 6] =
    [TLS_TYPE, "TLSParameters", "CertmgrType", "CertmgrParameters", "CertgenType", "CertgenParameters"];
const JWT_KEYS: [&str; 2] = [ALT_TYPES, ALT_PARAMETERS];
const AUTH_SLURM_KEYS: [&str; 2] = [AUTH_TYPE, CRED_TYPE];

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// TLS, certmgr and certgen.
    Tls,
    /// auth/jwt as an alternative.
    Jwt,
    /// auth/slurm in place of munge.
    AuthSlurm,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => "TLS",
            Self::Jwt => "JWT",
            Self::AuthSlurm => "auth/slurm",
        })
    }
}

impl Subject {
    /// The option of conf enable and disable, with a blank before it.
    pub(super) fn option(self) -> &'static str {
        match self {
            Self::Tls => "",
            Self::Jwt => " --jwt",
            Self::AuthSlurm => " --auth-slurm",
        }
    }

    /// Whose key this is; what nobody knows was written for TLS.
    pub(super) fn of(key: &str) -> Self {
        let is_of = |subject: &Self| subject.every_key().any(|own| own.eq_ignore_ascii_case(key));
        [Self::Jwt, Self::AuthSlurm].into_iter().find(is_of).unwrap_or(Self::Tls)
    }

    /// The keys of slurm.conf and slurmdbd.conf that are about it.
    pub(super) fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Tls => &TLS_KEYS,
            Self::Jwt => &JWT_KEYS,
            Self::AuthSlurm => &AUTH_SLURM_KEYS,
        }
    }

    /// Those, and the ones that have something else in them too.
    pub(super) fn every_key(self) -> impl Iterator<Item = &'static str> {
        let more: &[&str] = match self {
            Self::Tls => &[DEBUG_FLAGS, shell::SLURMD_OPTIONS, shell::SACKD_OPTIONS],
            Self::Jwt => &[RESTD_ENVIRONMENT],
            Self::AuthSlurm => &[],
        };
        self.keys().iter().chain(more).copied()
    }

    /// Whether it is on, by the values of these files' keys.
    pub(super) fn is_on(self, value: impl Fn(&str) -> Option<String>) -> bool {
        value(self.switch()).is_some_and(|value| self.is_turned_on_by(self.switch(), &value))
    }

    /// The key that turns it on.
    pub(super) fn switch(self) -> &'static str {
        match self {
            Self::Tls => TLS_TYPE,
            Self::Jwt => ALT_TYPES,
            Self::AuthSlurm => AUTH_TYPE,
        }
    }

    /// Whether this key, which is one of ours, means anything with this value.
    pub(super) fn is_turned_on_by(self, key: &str, value: &str) -> bool {
        let is_none = key.eq_ignore_ascii_case(TLS_TYPE) && is_no_tls(value);
        !is_none && self.without(key, value) != Remains::All
    }

    /// How a person is told that this is still there; of a list of flags only those that are meant.
    pub(super) fn left_of(self, key: &str, value: &str) -> Option<String> {
        let flags = || list(value).filter(|flag| is_flag(flag)).collect::<Vec<_>>().join(",");
        let is_list = key.eq_ignore_ascii_case(DEBUG_FLAGS);
        let shown = || if is_list { format!("{key}={}", flags()) } else { key.to_owned() };
        self.is_turned_on_by(key, value).then(shown)
    }

    /// What remains of a key without it; all of one that is not its own.
    pub(super) fn without(self, key: &str, value: &str) -> Remains {
        let is = |known: &str| key.eq_ignore_ascii_case(known);
        match self {
            Self::Tls => without_tls(key, value),
            Self::Jwt if is(ALT_TYPES) => less(value, |item| item.eq_ignore_ascii_case(AUTH_JWT)),
            Self::Jwt if is(ALT_PARAMETERS) => less(value, is_of_jwt),
            Self::Jwt if key == RESTD_ENVIRONMENT => Remains::Nothing,
            Self::AuthSlurm if is(AUTH_TYPE) && value.eq_ignore_ascii_case(AUTH_SLURM) => Remains::Nothing,
            Self::AuthSlurm if is(CRED_TYPE) && value.eq_ignore_ascii_case(CRED_SLURM) => Remains::Nothing,
            Self::Jwt | Self::AuthSlurm => Remains::All,
        }
    }
}

fn is_of_jwt(parameter: &str) -> bool {
    JWT_PARAMETERS
        .iter()
        .any(|known| if known.ends_with('=') { parameter.starts_with(known) } else { parameter == *known })
}

fn is_flag(flag: &str) -> bool {
    FLAGS.iter().any(|ours| flag.trim().eq_ignore_ascii_case(ours))
}

fn without_tls(key: &str, value: &str) -> Remains {
    let is = |known: &str| key.eq_ignore_ascii_case(known);
    if is(DEBUG_FLAGS) {
        less(value, is_flag)
    } else if key == shell::SLURMD_OPTIONS || key == shell::SACKD_OPTIONS {
        Remains::of(value, shell::without_option(value, CA_OPTION))
    } else if TLS_KEYS.into_iter().any(is) || key == site::config::VARIABLE {
        Remains::Nothing
    } else {
        Remains::All
    }
}

/// A list without some of its items.
fn less(value: &str, is_ours: impl Fn(&str) -> bool) -> Remains {
    if !list(value).any(|item| is_ours(item.trim())) {
        return Remains::All;
    }
    Remains::of(value, list(value).filter(|item| !is_ours(item.trim())).collect::<Vec<_>>().join(","))
}

/// The items of a list, without empty ones.
pub(super) fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').filter(|item| !item.is_empty())
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

impl Remains {
    fn of(value: &str, rest: String) -> Self {
        match rest {
            rest if rest == value => Self::All,
            rest if rest.trim().is_empty() => Self::Nothing,
            rest => Self::This(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_others_stay() {
        let without = |key, value| Subject::Tls.without(key, value);
        assert_eq!(
            without("debugflags", "Backfill,TLS,audittls,Gres"),
            Remains::This("Backfill,Gres".into())
        );
        assert_eq!(without("DebugFlags", "AuditTLS"), Remains::Nothing);
        assert_eq!(without("DebugFlags", "Backfill"), Remains::All);
        assert_eq!(without("SlurmUser", "TLS"), Remains::All);
        assert_eq!(without("tlstype", "tls/s2n"), Remains::Nothing);
    }

    #[test]
    fn of_a_list_only_our_flags_are_named_as_left() {
        let left = |key, value| Subject::Tls.left_of(key, value);
        assert_eq!(left("DebugFlags", "Gres,audittls,TLS").unwrap(), "DebugFlags=audittls,TLS");
        assert_eq!(left("DebugFlags", "Gres"), None);
        assert_eq!(left("TLSType", "tls/s2n").unwrap(), "TLSType");
        assert_eq!(left("TLSType", "none"), None);
    }

    #[test]
    fn parameters_of_other_ways_to_authenticate_stay() {
        let without = |key, value| Subject::Jwt.without(key, value);
        assert_eq!(without("authalttypes", "auth/jwt,auth/munge"), Remains::This("auth/munge".into()));
        assert_eq!(without("AuthAltTypes", "auth/jwt"), Remains::Nothing);
        assert_eq!(without("AuthAltTypes", "auth/munge"), Remains::All);
        assert_eq!(
            without("AuthAltParameters", "jwks=/a,x=1,disable_token_creation,jwt_key=/k,jwksx=2"),
            Remains::This("x=1,jwksx=2".into())
        );
        assert_eq!(without("AuthType", "auth/jwt"), Remains::All);
    }

    #[test]
    fn only_auth_slurm_itself_goes_with_auth_slurm() {
        let without = |key, value| Subject::AuthSlurm.without(key, value);
        assert_eq!(without("authtype", "auth/slurm"), Remains::Nothing);
        assert_eq!(without("CredType", "cred/slurm"), Remains::Nothing);
        assert_eq!(without("AuthType", "auth/munge"), Remains::All);
        assert_eq!(without("AuthAltTypes", "auth/slurm"), Remains::All);
    }

    #[test]
    fn no_key_is_of_two() {
        for subject in [Subject::Tls, Subject::Jwt, Subject::AuthSlurm] {
            for key in subject.every_key() {
                assert_eq!(Subject::of(&key.to_lowercase()), subject, "{key}");
            }
        }
        assert_eq!(Subject::of("SLURM_PKI_CONF"), Subject::Tls);
    }
}
