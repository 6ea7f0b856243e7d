//! What slurmctld and slurmdbd make of a token (docs/slurm-contract.md 6): which key has to have signed it, until when it
//! counts, and whose it is. `iat`, `nbf`, `aud` and `iss` are nobody's business there.
//!
//! Releases differ in the identity that a token may carry, and in which keys of a list they match: both come in.

use std::fmt;

use serde_json::{Map, Value};

use crate::explain::Explain;
use crate::jws::Token;
use crate::secret::Secret;
use crate::time::UnixTime;

/// scontrol's lifespan unless one is asked for, in seconds.
pub const DEFAULT_LIFESPAN: i64 = 1800;

/// scontrol's "infinite", in seconds: INT_MAX less one.
pub const INFINITE_LIFESPAN: i64 = i32::MAX as i64 - 1;

/// An RSA key of a list, as a release of Slurm matches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Its name.
    pub kid: &'a str,
    /// Modulus, big-endian, without leading zeros.
    pub n: &'a [u8],
    /// Exponent, big-endian, without leading zeros.
    pub e: &'a [u8],
}

/// The keys of a daemon.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keys<'a> {
    /// jwt_key, where it has one.
    pub hs256: Option<&'a Secret>,
    /// The keys of its jwks in their order, where it has one.
    pub rs256: Option<&'a [Candidate<'a>]>,
}

/// What a daemon does with `uid`, `gid` and `id` in a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// It does not look at them: before 26.05, or without use_jwt_client_ids.
    Ignored,
    /// use_jwt_client_ids: they count when they are complete; with `only` they have to be.
    Counts {
        /// use_jwt_client_ids_only.
        only: bool,
        /// 26.05.0 to 26.05.2 refuse the token whose user *is* the identity's.
        inverted: bool,
    },
}

/// Which key made a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignedBy {
    /// jwt_key.
    JwtKey,
    /// The key of the jwks with this kid.
    Jwks(String),
}

/// Whose a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedUser {
    /// The name.
    pub name: String,
    /// The claim that says so.
    pub claim: String,
}

/// Why a daemon refuses a token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Refusal {
    /// Neither HS256 nor RS256.
    Algorithm(String),
    /// HS256, and the daemon has no jwt_key.
    NoJwtKey,
    /// RS256, and the daemon has no jwks.
    NoJwks,
    /// RS256 without a kid.
    NoKid,
    /// The jwks has no key of that kid that this release matches.
    OtherKid(String),
    /// The key did not make this signature.
    Signature,
    /// No exp, or one that is no whole number: for Slurm the token has ended.
    NoExpiry,
    /// It has ended.
    Expired(UnixTime),
    /// No claim names a user.
    NoUser,
    /// The host does not know the user.
    UnknownUser(String),
    /// use_jwt_client_ids_only, and a part of the identity is missing or of no use.
    NoIdentity(&'static str),
    /// The identity is another user's.
    OtherIdentity,
    /// The identity is the user's, which a release with the test upside down refuses.
    SameIdentity,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Algorithm(alg) => write!(f, "its alg is {alg}, neither HS256 nor RS256"),
            Self::NoJwtKey => f.write_str("it is signed with HS256, and there is no jwt_key"),
            Self::NoJwks => f.write_str("it is signed with RS256, and there is no jwks"),
            Self::NoKid => f.write_str("it is signed with RS256, and its header has no kid"),
            Self::OtherKid(kid) => write!(f, "the jwks has no key {kid} that is matched"),
            Self::Signature => f.write_str("its signature is not by the key"),
            Self::NoExpiry => {
                f.write_str("it has no exp, or one that is no whole number: it counts as ended")
            }
            Self::Expired(end) => write!(f, "it ended {end}"),
            Self::NoUser => f.write_str("no claim in it names a user"),
            Self::UnknownUser(user) => write!(f, "this host knows no user {user}"),
            Self::NoIdentity(part) => {
                write!(f, "use_jwt_client_ids_only is set, and its {part} is not complete")
            }
            Self::OtherIdentity => f.write_str("its id is another user's"),
            Self::SameIdentity => {
                f.write_str("this release refuses a token whose id is its user's own (mended in 26.05.3)")
            }
        }
    }
}

impl Explain for Refusal {
    fn hint(&self) -> String {
        match self {
            Self::Algorithm(_) => "have it signed with RS256 (jwks=) or HS256 (jwt_key=)".into(),
            Self::NoJwtKey => {
                "with jwks= alone HS256 is off: write jwt_key= into AuthAltParameters too, or use RS256".into()
            }
            Self::NoJwks => "write jwks= into AuthAltParameters of slurm.conf and slurmdbd.conf".into(),
            Self::NoKid => "have the issuer name its key: Slurm finds it by the kid alone".into(),
            Self::OtherKid(_) => {
                "fetch the issuer's keys again: slurm-pki jwt jwks fetch; then slurm-pki jwt jwks check".into()
            }
            Self::Signature => "it was changed, or made with another key: take a new one".into(),
            Self::NoExpiry => "have the issuer write exp in unix seconds".into(),
            Self::Expired(_) => "take a new one; if it is fresh, compare the clocks".into(),
            Self::NoUser => {
                "map the user's name to sun, or name the claim that has it: userclaimfield= in AuthAltParameters".into()
            }
            Self::UnknownUser(_) => {
                "the name must be the user's on this host: see what the issuer writes there, and getent passwd".into()
            }
            Self::NoIdentity(_) => {
                "uid, gid, and id with name, gecos, dir and shell; dir and shell begin with a slash".into()
            }
            Self::OtherIdentity => "sun and the name in id must be the same".into(),
            Self::SameIdentity => "leave the identity out, or use_jwt_client_ids off, or update Slurm".into(),
        }
    }
}

/// Which of the daemon's keys made the signature.
///
/// # Errors
/// When none did that counts.
pub fn verify(token: &Token, keys: &Keys<'_>) -> Result<SignedBy, Refusal> {
    let text = |name: &str| token.header().get(name).and_then(Value::as_str);
    match text("alg") {
        Some("HS256") => {
            let key = keys.hs256.ok_or(Refusal::NoJwtKey)?;
            if token.is_by_hs256(key) { Ok(SignedBy::JwtKey) } else { Err(Refusal::Signature) }
        }
        Some("RS256") => {
            let list = keys.rs256.ok_or(Refusal::NoJwks)?;
            let kid = text("kid").ok_or(Refusal::NoKid)?;
            // The first of that name decides.
            let key = list.iter().find(|key| key.kid == kid);
            let key = key.ok_or_else(|| Refusal::OtherKid(kid.to_owned()))?;
            if token.is_by_rs256(key.n, key.e) {
                Ok(SignedBy::Jwks(kid.to_owned()))
            } else {
                Err(Refusal::Signature)
            }
        }
        other => Err(Refusal::Algorithm(other.unwrap_or("missing").to_owned())),
    }
}

/// Until when it counts.
///
/// # Errors
/// When it has ended, or does not say. There is no leeway.
pub fn expiry(token: &Token, now: UnixTime) -> Result<UnixTime, Refusal> {
    let end = token.claims().get("exp").and_then(Value::as_i64).map(UnixTime).ok_or(Refusal::NoExpiry)?;
    if end <= now { Err(Refusal::Expired(end)) } else { Ok(end) }
}

/// Whose it is: `sun`, else `username`, else the claim that userclaimfield names.
///
/// # Errors
/// When none of them is a text with something in it.
pub fn mapped_user(token: &Token, userclaimfield: Option<&str>) -> Result<MappedUser, Refusal> {
    let claims = ["sun", "username"].into_iter().chain(userclaimfield);
    let named = claims.filter_map(|claim| Some((claim, token.claims().get(claim)?.as_str()?)));
    let mut named = named.filter(|(_, name)| !name.is_empty());
    let (claim, name) = named.next().ok_or(Refusal::NoUser)?;
    Ok(MappedUser { name: name.to_owned(), claim: claim.to_owned() })
}

/// Whether the daemon takes the user: the host knows the name, or the token brings all of it along.
///
/// # Errors
/// When it does not.
pub fn admit(
    token: &Token,
    user: &MappedUser,
    identity: Identity,
    is_known: impl FnOnce(&str) -> bool,
) -> Result<(), Refusal> {
    let by_name = || if is_known(&user.name) { Ok(()) } else { Err(Refusal::UnknownUser(user.name.clone())) };
    let Identity::Counts { only, inverted } = identity else { return by_name() };
    match brought(token.claims()) {
        Err(part) if only => Err(Refusal::NoIdentity(part)),
        Err(_) => by_name(),
        Ok(name) if inverted && name == user.name => Err(Refusal::SameIdentity),
        Ok(name) if !inverted && name != user.name => Err(Refusal::OtherIdentity),
        Ok(_) => Ok(()),
    }
}

/// The name in a complete identity, else the part that is missing or of no use.
fn brought(claims: &Map<String, Value>) -> Result<&str, &'static str> {
    for part in ["uid", "gid"] {
        claims.get(part).and_then(Value::as_i64).ok_or(part)?;
    }
    let id = claims.get("id").and_then(Value::as_object).ok_or("id")?;
    let text = |name: &str| id.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let is_path = |text: &&str| text.starts_with('/');
    text("gecos").ok_or("id.gecos")?;
    text("dir").filter(is_path).ok_or("id.dir")?;
    text("shell").filter(is_path).ok_or("id.shell")?;
    text("name").ok_or("id.name")
}

/// A user as the host knows them, for a token that brings them along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passwd {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Whole name; Slurm wants something there.
    pub gecos: String,
    /// Home.
    pub dir: String,
    /// Shell.
    pub shell: String,
    /// All groups by number.
    pub gids: Vec<u32>,
}

/// The claims of a token of ours: those of scontrol, and with `identity` those of 26.05.
///
/// # Errors
/// Which part of the identity Slurm would not take.
pub fn claims(
    user: &str,
    now: UnixTime,
    lifespan: i64,
    identity: Option<&Passwd>,
) -> Result<Map<String, Value>, &'static str> {
    let mut claims = Map::new();
    claims.insert("exp".into(), now.0.saturating_add(lifespan).into());
    claims.insert("iat".into(), now.0.into());
    claims.insert("sun".into(), user.into());
    let Some(passwd) = identity else { return Ok(claims) };
    claims.insert("uid".into(), passwd.uid.into());
    claims.insert("gid".into(), passwd.gid.into());
    let id = serde_json::json!({
        "name": user, "gecos": passwd.gecos, "dir": passwd.dir, "shell": passwd.shell, "gids": passwd.gids,
    });
    claims.insert("id".into(), id);
    brought(&claims)?;
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jws::sign_hs256;

    const NOW: UnixTime = UnixTime(1_700_000_000);

    fn key() -> Secret {
        Secret::new(vec![7; 32])
    }

    fn token(claims: &Value) -> Token {
        let Value::Object(claims) = claims else { unreachable!() };
        Token::parse(sign_hs256(&key(), claims).expose()).unwrap()
    }

    fn with_header(header: &Value) -> Token {
        let part = |value: &Value| data_encoding::BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        Token::parse(format!("{}.{}.AAAA", part(header), part(&json!({}))).as_bytes()).unwrap()
    }

    #[test]
    fn the_header_says_which_key_has_to_have_signed() {
        let (hs256, list) = (key(), [Candidate { kid: "a", n: &[1; 256], e: &[1, 0, 1] }]);
        let keys = Keys { hs256: Some(&hs256), rs256: Some(&list) };
        let refused = |header: Value, keys: &Keys<'_>| verify(&with_header(&header), keys).unwrap_err();
        let rs = |kid: &str| json!({"alg": "RS256", "kid": kid});
        assert_eq!(verify(&token(&json!({})), &keys), Ok(SignedBy::JwtKey));
        assert_eq!(verify(&token(&json!({})), &Keys::default()), Err(Refusal::NoJwtKey));
        assert_eq!(refused(json!({"alg": "HS256"}), &keys), Refusal::Signature);
        assert_eq!(refused(json!({"alg": "none"}), &keys), Refusal::Algorithm("none".into()));
        assert_eq!(refused(json!({"alg": "HS512"}), &keys), Refusal::Algorithm("HS512".into()));
        assert_eq!(refused(json!({}), &keys), Refusal::Algorithm("missing".into()));
        assert_eq!(refused(rs("a"), &Keys::default()), Refusal::NoJwks);
        assert_eq!(refused(json!({"alg": "RS256"}), &keys), Refusal::NoKid);
        assert_eq!(refused(json!({"alg": "RS256", "kid": 1}), &keys), Refusal::NoKid);
        assert_eq!(refused(rs("b"), &keys), Refusal::OtherKid("b".into()));
        assert_eq!(refused(rs("a"), &keys), Refusal::Signature);
    }

    #[test]
    fn only_a_whole_number_in_the_future_is_an_end() {
        let of = |exp: Value| expiry(&token(&json!({"exp": exp})), NOW);
        assert_eq!(of(json!(NOW.0 + 1)), Ok(UnixTime(NOW.0 + 1)));
        assert_eq!(of(json!(NOW.0)), Err(Refusal::Expired(NOW)));
        assert_eq!(of(json!(0)), Err(Refusal::Expired(UnixTime(0))));
        for bad in [json!("1800000000"), json!(1.8e9), json!(null), json!(u64::MAX)] {
            assert_eq!(of(bad), Err(Refusal::NoExpiry));
        }
        assert_eq!(expiry(&token(&json!({"nbf": 1})), NOW), Err(Refusal::NoExpiry));
    }

    #[test]
    fn the_first_claim_that_names_a_user_counts() {
        let of =
            |claims: Value, field| mapped_user(&token(&claims), field).map(|user| (user.claim, user.name));
        let is = |claim: &str, name: &str| Ok((claim.to_owned(), name.to_owned()));
        let all = json!({"sun": "a", "username": "b", "preferred_username": "c"});
        assert_eq!(of(all.clone(), Some("preferred_username")), is("sun", "a"));
        assert_eq!(of(json!({"username": "b", "x": "c"}), Some("x")), is("username", "b"));
        assert_eq!(of(json!({"sun": 5, "x": "c"}), Some("x")), is("x", "c"));
        assert_eq!(of(json!({"x": "c"}), None), Err(Refusal::NoUser));
        assert_eq!(of(json!({"sun": ""}), None), Err(Refusal::NoUser));
    }

    /// token × what a release does with an identity × verdict.
    #[test]
    fn an_identity_counts_where_the_release_and_the_config_say_so() {
        let whole = json!({"sun": "alice", "uid": 1000, "gid": 1000,
            "id": {"name": "alice", "gecos": "A", "dir": "/home/alice", "shell": "/bin/sh"}});
        let mut other = whole.clone();
        other["id"]["name"] = json!("bob");
        let mut part = whole.clone();
        part["id"]["gecos"] = json!("");
        let counts = |only, inverted| Identity::Counts { only, inverted };
        let unknown = || Err(Refusal::UnknownUser("alice".into()));
        for (claims, identity, is_known, verdict) in [
            (&whole, Identity::Ignored, true, Ok(())),
            (&whole, Identity::Ignored, false, unknown()),
            (&whole, counts(false, false), false, Ok(())),
            (&whole, counts(true, false), false, Ok(())),
            (&whole, counts(false, true), true, Err(Refusal::SameIdentity)),
            (&other, counts(false, true), false, Ok(())),
            (&other, counts(false, false), true, Err(Refusal::OtherIdentity)),
            (&part, counts(false, false), true, Ok(())),
            (&part, counts(false, false), false, unknown()),
            (&part, counts(true, false), true, Err(Refusal::NoIdentity("id.gecos"))),
        ] {
            let token = token(claims);
            let user = mapped_user(&token, None).unwrap();
            assert_eq!(
                admit(&token, &user, identity, |_| is_known),
                verdict,
                "{claims} {identity:?} {is_known}"
            );
        }
    }

    #[test]
    fn a_token_of_ours_claims_what_scontrol_claims_and_brings_only_a_whole_identity() {
        let plain = claims("alice", NOW, DEFAULT_LIFESPAN, None).unwrap();
        assert_eq!(Value::Object(plain), json!({"exp": NOW.0 + 1800, "iat": NOW.0, "sun": "alice"}));
        let mut passwd = Passwd {
            uid: 1000,
            gid: 100,
            gecos: "Alice".into(),
            dir: "/home/alice".into(),
            shell: "/bin/sh".into(),
            gids: vec![100, 4],
        };
        let with = claims("alice", NOW, 60, Some(&passwd)).unwrap();
        assert_eq!(with["id"]["gids"], json!([100, 4]));
        passwd.gecos = String::new();
        assert_eq!(claims("alice", NOW, 60, Some(&passwd)), Err("id.gecos"));
    }
}
