//! `slurm-pki jwt jwks check`: what each release makes of a list, and whether a token's key and user are found.

use std::path::{Path, PathBuf};

use clap::Args;
use pki::auth_jwt;
use pki::explain::Explain as _;
use pki::jwk::{MAX_LIST, RsaKey};
use pki::jws::Token;
use pki::jwt::{self, Keys};
use pki::loading::{Loaded, Verdicts};
use pki::slurm_release::SlurmRelease;
use serde::Serialize;
use serde_json::Value;
use site::file;

use super::place;
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::exit::Exit;
use crate::global::Global;
use crate::jwt::inspect;
use crate::jwt::places::Places;
use crate::jwt::releases;
use crate::key_files::facts;
use crate::report;

/// Something is wrong with it for some release.
const REFUSED: Exit = Exit(1);

/// See what each release of Slurm makes of a list of keys
#[derive(Args, Debug)]
#[command(
    after_help = "A key that is not matched leaves the tokens that are signed with it refused; some make slurmctld and \
    slurmdbd refuse to start. With --sample-token, a token that the provider really issued (an ended one is as good): \
    whether its key is in the list, and which claim of it names the user, by sun, username and userclaimfield=; where \
    none does, the claims that could are named.\n\n\
    Exit codes: 0 every release takes it, 1 one does not, or the sample's key or user is not found, 64 wrong usage.\n\n\
    Examples:\n  \
    slurm-pki jwt jwks check\n  \
    slurm-pki jwt jwks check /etc/slurm/jwks.json --sample-token token.txt\n  \
    slurm-pki jwt jwks check fetched-by-hand.json --json"
)]
pub(crate) struct Check {
    /// The list; default: where slurm.conf has jwks=
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// A token of the provider's, in a file
    #[arg(long, value_name = "FILE")]
    sample_token: Option<PathBuf>,
}

#[derive(Serialize)]
struct Finding {
    file: PathBuf,
    keys: Vec<Key>,
    releases: Vec<Verdict>,
    sample: Option<Sample>,
}

#[derive(Serialize)]
struct Key {
    kid: String,
    bits: Option<usize>,
    /// What is wrong with it.
    why: Option<String>,
}

#[derive(Serialize)]
struct Verdict {
    release: &'static str,
    /// Whether slurmctld and slurmdbd start with it.
    starts: bool,
    /// Why they do not.
    fatal: Option<String>,
    /// The kids that it matches.
    matched: Vec<String>,
    /// What stands in the list in vain, or worse.
    why: Vec<String>,
}

#[derive(Serialize)]
struct Sample {
    /// The key that signed it.
    key: Option<String>,
    user: Option<String>,
    claim: Option<String>,
    why: Vec<String>,
}

impl Check {
    /// Runs the command.
    ///
    /// # Errors
    /// When there is no list, or no token, to look at.
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let admin = Admin::load(global)?;
        let places = Places::of(&admin)?;
        let path = self.file.as_ref().or(places.jwks.as_ref()).ok_or_else(|| {
            Advice::new(
                "neither slurm.conf nor [keys] has a jwks",
                "give FILE, or write jwks= into AuthAltParameters",
            )
        })?;
        let finding = Finding::of(path, self.sample_token.as_deref(), &places)?;
        if global.json {
            report::json("slurm-pki.jwt.jwks.check.v1", &finding)?;
        } else {
            finding.show();
        }
        Ok(if finding.is_good() { Exit::DONE } else { REFUSED })
    }
}

impl Finding {
    fn of(path: &Path, sample: Option<&Path>, places: &Places) -> anyhow::Result<Self> {
        let (_, list) = place::read(path)?.ok_or_else(|| {
            Advice::new(
                format!("there is no {}: with jwks= naming it slurmctld does not start", path.display()),
                "fetch it: slurm-pki jwt jwks fetch; or make it: slurm-pki jwt jwks build KEY --out FILE",
            )
        })?;
        let sample = sample.map(|sample| Sample::of(sample, &list.keys, places)).transpose()?;
        let kids = |keys: &[&RsaKey]| keys.iter().map(|key| key.kid().to_owned()).collect();
        let verdicts = Self::load(path)?;
        let releases = SlurmRelease::ALL.into_iter().map(|release| {
            let matched = releases::matched(release, &list);
            let unmatched = list.keys.iter().filter(|key| !matched.contains(key));
            let mut why: Vec<String> =
                unmatched.map(|key| format!("{} has no alg, and is never matched", key.kid())).collect();
            why.extend(list.dropped.iter().map(|(kid, why)| format!("{kid}: {why}")));
            let starts = match verdicts.of(release) {
                Loaded::Dies(fatal) => Err(fatal),
                Loaded::Accepts | Loaded::Warns(_) => Ok(()),
            };
            Verdict {
                release: release.name(),
                starts: starts.is_ok(),
                fatal: starts.err(),
                matched: kids(&matched),
                why,
            }
        });
        let releases = releases.collect();
        let good =
            list.keys.iter().map(|key| Key { kid: key.kid().to_owned(), bits: Some(key.bits()), why: None });
        let bad = list.dropped.iter().map(|(kid, why)| Key {
            kid: kid.clone(),
            bits: None,
            why: Some(why.to_string()),
        });
        Ok(Self { file: path.to_owned(), keys: good.chain(bad).collect(), releases, sample })
    }

    /// What the loaders of each release make of it.
    fn load(path: &Path) -> anyhow::Result<Verdicts> {
        let (bytes, is) = file::read_with_metadata(path, MAX_LIST).advise()?;
        // Whose it is, is worth a warning of Slurm's and none here.
        let facts = facts(&is);
        Ok(auth_jwt::judge_jwks(bytes.expose(), facts, facts.owner))
    }

    fn is_good(&self) -> bool {
        self.releases
            .iter()
            .all(|verdict| verdict.starts && verdict.why.is_empty() && !verdict.matched.is_empty())
            && self.sample.as_ref().is_none_or(|sample| sample.why.is_empty())
    }

    fn show(&self) {
        let rows = self.keys.iter().map(|key| {
            let bits = key.bits.map(|bits| bits.to_string()).unwrap_or_default();
            vec![key.kid.clone(), bits, key.why.clone().unwrap_or_else(|| "of use".into())]
        });
        report::table(&["KID", "BITS", "KEY"], rows.collect());
        for verdict in &self.releases {
            let count = verdict.matched.len();
            let why = verdict.why.join("; ");
            let says = if let Some(fatal) = &verdict.fatal {
                format!("does not start with it: {fatal}")
            } else if why.is_empty() {
                format!("matches all {count}")
            } else {
                format!("matches {count}: {why}")
            };
            report::line(&format!("{:8} {says}", verdict.release));
        }
        let Some(sample) = &self.sample else { return };
        let or_none = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".into());
        report::line(&format!(
            "sample   key {}, user {} by {}",
            or_none(&sample.key),
            or_none(&sample.user),
            or_none(&sample.claim)
        ));
        sample.why.iter().for_each(|why| report::line(&format!("sample   {why}")));
    }
}

impl Sample {
    fn of(path: &Path, keys: &[RsaKey], places: &Places) -> anyhow::Result<Self> {
        let text = inspect::read(Some(path))?;
        let token = Token::parse(text.expose()).advise()?;
        let candidates: Vec<_> = keys.iter().map(RsaKey::candidate).collect();
        let signed = jwt::verify(&token, &Keys { hs256: None, rs256: Some(&candidates) });
        let user = jwt::mapped_user(&token, places.userclaimfield());
        let mut why: Vec<String> =
            signed.as_ref().err().map(|why| format!("{why}; {}", why.hint())).into_iter().collect();
        match &user {
            Ok(user) if !inspect::is_known(&user.name) => {
                why.push(format!("this host knows no user {:?}{}", user.name, others(&token)));
            }
            Ok(_) => {}
            Err(none) => why.push(format!("{none}{}", others(&token))),
        }
        let kid = || token.header().get("kid").and_then(Value::as_str).map(str::to_owned);
        let key = signed.is_ok().then(kid).flatten();
        let (user, claim) = user.map_or((None, None), |user| (Some(user.name), Some(user.claim)));
        Ok(Self { key, user, claim, why })
    }
}

/// The claims that name a user of this host.
fn others(token: &Token) -> String {
    let names_one = |(_, value): &(&String, &Value)| value.as_str().is_some_and(inspect::is_known);
    let found: Vec<_> =
        token.claims().iter().filter(names_one).map(|(claim, _)| format!("{claim:?}")).collect();
    match found.as_slice() {
        [] => "; and no claim in it names a user of this host".into(),
        found => format!("; these claims name users of this host: {} (userclaimfield=)", found.join(", ")),
    }
}
