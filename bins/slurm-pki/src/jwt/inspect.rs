//! `slurm-pki jwt inspect`: what is in a token, and which releases of Slurm would take it here.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use nix::unistd::User;
use pki::explain::Explain as _;
use pki::jwk::{MAX_LIST, Sifted, sift};
use pki::jws::{MAX_TOKEN, Token};
use pki::jwt::{self, Keys, MappedUser, Refusal, SignedBy};
use pki::secret::Secret;
use pki::slurm_release::SlurmRelease;
use pki::time::UnixTime;
use serde::Serialize;
use serde_json::{Map, Value};
use site::file::{self, Keep};

use super::places::Places;
use super::releases;
use super::token::MAX_JWT_KEY;
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::exit::Exit;
use crate::global::Global;
use crate::{moment, report};

/// Some release refuses it.
const REFUSED: Exit = Exit(1);

/// Nothing speaks against it, and the key that would tell could not be read.
const UNCHECKED: Exit = Exit(2);

/// Room for SLURM_JWT= and line ends.
const MAX_INPUT: usize = MAX_TOKEN + 1024;

/// As much of a claim as is shown.
const MAX_SHOWN: usize = 300;

/// See what is in a token, and which releases of Slurm take it
#[derive(Args, Debug)]
#[command(
    after_help = "The token comes from FILE or stdin, never as an argument, which everybody on the host could read; it is \
    not shown. Judged is what slurmctld judges: the signature against jwt_key or jwks, exp, and the user, who is named by \
    sun, else username, else the claim of userclaimfield=, and has to be known on this host. Slurm looks at none of iat, \
    nbf, aud and iss. Releases are named by the first that judges so.\n\n\
    Exit codes: 0 every release takes it, 1 one refuses it (or it is no token), 2 nothing speaks against it, but the key \
    could not be read and its signature was not looked at, 64 wrong usage.\n\n\
    Examples:\n  \
    slurm-pki jwt inspect token.txt\n  \
    scontrol token | slurm-pki jwt inspect\n  \
    slurm-pki jwt inspect sso-token.txt --jwks /etc/slurm/jwks.json --json"
)]
pub(crate) struct Inspect {
    /// The file it is in; none or `-`: stdin
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Another jwt_key than the site's
    #[arg(long, value_name = "FILE")]
    jwt_key: Option<PathBuf>,
    /// Another list of keys than the site's
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
}

/// A key, or why there is none to look with.
enum Held<T> {
    Here(T),
    /// slurmctld has none either.
    None,
    /// It could not be read.
    Unread(String),
}

/// The keys of this host's slurmctld.
struct SiteKeys {
    jwt_key: Held<Secret>,
    jwks: Held<Sifted>,
}

/// What is said of the token.
#[derive(Serialize)]
struct Finding<'a> {
    header: &'a Map<String, Value>,
    claims: &'a Map<String, Value>,
    signature: Signature,
    user: Option<Mapped>,
    ends: Option<UnixTime>,
    releases: Vec<Verdict>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Signature {
    checked: bool,
    /// The key that made it, or why it was not looked at.
    says: String,
}

#[derive(Serialize)]
struct Mapped {
    name: String,
    claim: String,
    known: bool,
}

#[derive(Serialize)]
struct Verdict {
    release: &'static str,
    accepted: bool,
    why: Option<String>,
    hint: Option<String>,
}

impl Inspect {
    /// Runs the command.
    ///
    /// # Errors
    /// When there is no token to be read.
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let text = read(self.file.as_deref())?;
        let token = Token::parse(text.expose()).advise()?;
        let admin = Admin::load(global)?;
        let places = Places::of(&admin)?;
        let keys = self.keys(&places);
        let finding = Finding::of(&token, &places, &keys, site::clock::now());
        if global.json {
            report::json("slurm-pki.jwt.inspect.v1", &finding)?;
        } else {
            finding.show(site::clock::now());
        }
        Ok(finding.exit())
    }

    fn keys(&self, places: &Places) -> SiteKeys {
        let jwt_key = self.jwt_key.as_ref().or(places.jwt_key.as_ref());
        let jwks = self.jwks.as_ref().or(places.jwks.as_ref());
        SiteKeys {
            jwt_key: held(jwt_key.map(PathBuf::as_path), |path| {
                file::read(path, Keep::Secret, MAX_JWT_KEY).map_err(|e| e.to_string())
            }),
            jwks: held(jwks.map(PathBuf::as_path), |path| {
                let list = file::read(path, Keep::Intact, MAX_LIST).map_err(|e| e.to_string())?;
                sift(list.expose()).map_err(|e| format!("{}: {e}", path.display()))
            }),
        }
    }
}

fn held<T>(path: Option<&Path>, read: impl FnOnce(&Path) -> Result<T, String>) -> Held<T> {
    path.map_or(Held::None, |path| read(path).map_or_else(Held::Unread, Held::Here))
}

/// A bounded read of a file, a pipe or stdin. What does not fit is no token.
pub(super) fn read(path: Option<&Path>) -> anyhow::Result<Secret> {
    let unreadable = |e: std::io::Error| {
        Advice::new(format!("the token cannot be read: {e}"), "give a file, or the token on stdin")
    };
    let bound = u64::try_from(MAX_INPUT).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::with_capacity(MAX_INPUT + 1);
    let read = match path.filter(|path| *path != Path::new("-")) {
        Some(path) => return Ok(file::read_with_metadata(path, MAX_INPUT).advise()?.0),
        None => std::io::stdin().lock().take(bound).read_to_end(&mut bytes),
    };
    let text = Secret::new(bytes);
    read.map_err(unreadable)?;
    if text.expose().len() > MAX_INPUT {
        return Err(Advice::new("it is no token: too long", "give one token alone").into());
    }
    Ok(text)
}

impl SiteKeys {
    /// Whether what the token needs could not be read.
    fn unread(&self, token: &Token) -> Option<&str> {
        match (token.header().get("alg").and_then(Value::as_str), &self.jwt_key, &self.jwks) {
            (Some("HS256"), Held::Unread(why), _) | (Some("RS256"), _, Held::Unread(why)) => Some(why),
            _ => None,
        }
    }

    fn verify(&self, token: &Token, release: SlurmRelease) -> Result<SignedBy, Refusal> {
        let matched = match &self.jwks {
            Held::Here(list) => Some(releases::matched(release, list)),
            _ => None,
        };
        let candidates: Option<Vec<_>> =
            matched.map(|keys| keys.into_iter().map(|key| key.candidate()).collect());
        let hs256 = match &self.jwt_key {
            Held::Here(key) => Some(key),
            _ => None,
        };
        jwt::verify(token, &Keys { hs256, rs256: candidates.as_deref() })
    }
}

impl<'a> Finding<'a> {
    fn of(token: &'a Token, places: &Places, keys: &SiteKeys, now: UnixTime) -> Self {
        let user = jwt::mapped_user(token, places.userclaimfield());
        let unread = keys.unread(token);
        let judge = |release: SlurmRelease| -> Result<(), Refusal> {
            if unread.is_none() {
                keys.verify(token, release)?;
            }
            let _ = jwt::expiry(token, now)?;
            jwt::admit(
                token,
                user.as_ref().map_err(Clone::clone)?,
                releases::identity(release, places.client_ids()),
                is_known,
            )
        };
        let releases: Vec<_> =
            SlurmRelease::ALL.into_iter().map(|release| Verdict::of(release, judge(release))).collect();
        let newest = SlurmRelease::ALL.last().map(|release| keys.verify(token, *release));
        Self {
            header: token.header(),
            claims: token.claims(),
            signature: Signature::of(unread, newest),
            user: user.as_ref().ok().map(Mapped::of),
            ends: token.claims().get("exp").and_then(Value::as_i64).map(UnixTime),
            releases,
            notes: notes(token, keys),
        }
    }

    fn show(&self, now: UnixTime) {
        for (what, members) in [("header", self.header), ("claim", self.claims)] {
            for (name, value) in members {
                let value: String = value.to_string().chars().take(MAX_SHOWN).collect();
                report::line(&format!(
                    "{what:10} {} = {}",
                    report::printable(name).replace('\n', "\\n"),
                    value
                ));
            }
        }
        let checked = if self.signature.checked { "" } else { "not looked at: " };
        report::line(&format!("{:10} {checked}{}", "signature", self.signature.says));
        if let Some(user) = &self.user {
            let known = if user.known { "known on this host" } else { "unknown on this host" };
            report::line(&format!("{:10} {:?} by {}, {known}", "user", user.name, user.claim));
        }
        if let Some(ends) = self.ends {
            report::line(&format!("{:10} {}", "ends", moment::shown(ends, now)));
        }
        for verdict in &self.releases {
            let says = verdict
                .why
                .as_deref()
                .map_or_else(|| "takes it".to_owned(), |why| format!("refuses it: {why}"));
            report::line(&format!("{:10} {says}", verdict.release));
        }
        for hint in self.hints() {
            report::line(&format!("{:10} {hint}", "hint"));
        }
        for note in &self.notes {
            report::line(&format!("{:10} {note}", "note"));
        }
    }

    /// Each once.
    fn hints(&self) -> Vec<&str> {
        let mut hints: Vec<&str> =
            self.releases.iter().filter_map(|verdict| verdict.hint.as_deref()).collect();
        hints.dedup();
        hints
    }

    fn exit(&self) -> Exit {
        if self.releases.iter().any(|verdict| !verdict.accepted) {
            REFUSED
        } else if self.signature.checked {
            Exit::DONE
        } else {
            UNCHECKED
        }
    }
}

impl Signature {
    fn of(unread: Option<&str>, newest: Option<Result<SignedBy, Refusal>>) -> Self {
        match (unread, newest) {
            (Some(why), _) => Self { checked: false, says: why.to_owned() },
            (None, Some(Ok(SignedBy::JwtKey))) => Self { checked: true, says: "by jwt_key".into() },
            (None, Some(Ok(SignedBy::Jwks(kid)))) => {
                Self { checked: true, says: format!("by the key {kid} of the jwks") }
            }
            (None, Some(Err(why))) => Self { checked: true, says: why.to_string() },
            (None, None) => Self { checked: false, says: "there is no release to judge for".into() },
        }
    }
}

impl Mapped {
    fn of(user: &MappedUser) -> Self {
        Self { name: user.name.clone(), claim: user.claim.clone(), known: is_known(&user.name) }
    }
}

impl Verdict {
    fn of(release: SlurmRelease, judged: Result<(), Refusal>) -> Self {
        let refusal = judged.err();
        Self {
            release: release.name(),
            accepted: refusal.is_none(),
            why: refusal.as_ref().map(ToString::to_string),
            hint: refusal.as_ref().map(pki::explain::Explain::hint),
        }
    }
}

pub(super) fn is_known(name: &str) -> bool {
    User::from_name(name).ok().flatten().is_some()
}

/// What a person should know and Slurm does not judge.
fn notes(token: &Token, keys: &SiteKeys) -> Vec<String> {
    let mut notes = Vec::new();
    let text = |name: &str| token.header().get(name).and_then(Value::as_str);
    if let Some(typ) = text("typ").filter(|typ| !typ.eq_ignore_ascii_case("JWT")) {
        notes.push(format!("its typ is {typ:?}: old releases of libjwt take none but JWT"));
    }
    if let (Held::Here(list), Some(kid)) = (&keys.jwks, text("kid"))
        && let Some((_, why)) = list.dropped.iter().find(|(named, _)| named == kid)
    {
        notes.push(format!("the key {kid:?} of the jwks is not judged here: {why}; {}", why.hint()));
    }
    notes
}
