//! `slurm-pki jwt jwks fetch`: an identity provider's keys, as Slurm can use them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use pki::jwk::{RsaKey, Sifted, sift};
use pki::time::UnixTime;
use site::clock;
use site::file::Owner;

use super::fetched::Fetched;
use super::place;
use super::provider::{self, Answer, Validators};
use crate::admin::Admin;
use crate::advice::Advice;
use crate::fleet::digest;
use crate::global::Global;
use crate::jwt::places::{Places, parse_grace};
use crate::{hooks, moment, report};

/// Fetch an identity provider's keys; keep the last good ones
#[derive(Args, Debug)]
#[command(
    after_help = "URL is what the provider's /.well-known/openid-configuration names as jwks_uri; without one it is [keys] \
    jwks_url. Only https is asked, and followed, for 20 seconds at most. From the list come the keys that every supported \
    Slurm loads and matches: RSA of 2048 bits or more with a kid, for RS256; alg is written where the provider leaves it \
    out (before 26.05.3 Slurm never matches a key without it). Others are named and left out.\n\n\
    Every token that one of these keys signs counts, for whatever application and by whatever organisation: Slurm looks \
    neither at iss nor at aud. So the keys have to sign for your own users alone (a realm of Keycloak, a user pool of \
    Cognito), and the claim that names the user must not be one that users set. Keys of providers that sign for everybody \
    (Entra ID, Google) are refused; with appid= in the address those that the list without it has too are left out.\n\n\
    On any trouble, and when no key in the answer is of use, the file that is here stays, and counts. A key that the \
    provider takes out of its list stays for [keys] jwks_grace, because tokens signed with it live on; the file that \
    --also names has keys of one's own, which are never taken out. ETag and Last-Modified spare the provider's time; a \
    file that was changed by hand is fetched anew.\n\n\
    Nothing is reloaded. When the file has changed, this says so, and tells the site's hooks (event jwks-changed, \
    SLURM_PKI_JWKS has the file), at the next fetch again if one failed: slurmctld reads it at scontrol reconfigure, slurmdbd at a restart. \
    slurm-pki-jwks.timer runs it every hour.\n\n\
    Exit codes: 0 the file is what the provider has, changed or not; 1 it could not be fetched, or a hook failed; 64 \
    wrong usage.\n\n\
    Examples:\n  \
    slurm-pki jwt jwks fetch https://sso.example.org/realms/hpc/protocol/openid-connect/certs --dry-run\n  \
    slurm-pki jwt jwks fetch\n  \
    slurm-pki jwt jwks fetch --ca /etc/ssl/site-ca.pem --also /etc/slurm/own-jwks.json\n  \
    systemctl enable --now slurm-pki-jwks.timer"
)]
pub(crate) struct Fetch {
    /// Where from; default: jwks_url of the config
    #[arg(value_name = "URL")]
    url: Option<String>,
    /// Where the list goes; default: where slurm.conf has jwks=
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// CA of the server's certificate, in place of the system's; default: jwks_ca of the config
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How long a key stays that the provider has no more; default: jwks_grace of the config, else 24h
    #[arg(long, value_name = "TIME", value_parser = parse_grace)]
    grace: Option<Duration>,
    /// A list of own keys, as jwks build makes it, that are in the file too
    #[arg(long, value_name = "FILE")]
    also: Option<PathBuf>,
    /// Fetch even keys that are known to sign for everybody: then anybody can be root on the cluster
    #[arg(long)]
    shared_keys: bool,
}

/// A fetch under way.
struct Work<'a> {
    admin: &'a Admin,
    url: String,
    out: PathBuf,
    grace: Duration,
    own: Vec<RsaKey>,
    /// Keys that sign for everybody, and stay out.
    shared: Vec<String>,
    owner: Owner,
    now: UnixTime,
    /// What is in the file now.
    here: Option<(String, Sifted)>,
    /// What is known of the last fetch, where it was of this address into this file.
    last: Option<Fetched>,
}

/// What the file is to be.
struct Wanted {
    keys: Vec<RsaKey>,
    kids: Vec<String>,
    gone: BTreeMap<String, UnixTime>,
}

impl Fetch {
    /// Runs the command.
    ///
    /// # Errors
    /// When nothing that counts came; the file is then as it was.
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let places = Places::of(&admin)?;
        let text = self.url.as_ref().or(places.jwks_url.as_ref()).ok_or_else(|| {
            Advice::new(
                "nobody says where the keys are fetched",
                "give URL, or set jwks_url in [keys] of the config",
            )
        })?;
        let url = provider::url(text)?;
        if !self.shared_keys {
            provider::refuse_shared(&url)?;
        }
        let mut work = self.work(&admin, &places, text)?;
        let ca = self.ca.as_deref().or(places.jwks_ca.as_deref());
        if !self.shared_keys {
            work.shared = provider::shared_kids(&url, ca)?;
        }
        let answer = provider::ask(&url, ca, &work.validators())?;
        work.finish(global, answer)
    }

    fn work<'a>(&self, admin: &'a Admin, places: &Places, url: &str) -> anyhow::Result<Work<'a>> {
        let owner = admin.slurm_user_to_write_for()?;
        let out = self.out.clone().or_else(|| places.jwks.clone()).ok_or_else(|| {
            Advice::new(
                "neither slurm.conf nor [keys] says where the list is",
                "write jwks=/etc/slurm/jwks.json into AuthAltParameters, set jwks in [keys], or give --out",
            )
        })?;
        let own = self.also.as_deref().map(own_keys).transpose()?.unwrap_or_default();
        // A file that is no list any more is what a fetch mends.
        let here = match place::read(&out) {
            Ok(here) => here,
            Err(e) => {
                report::warning(&format!("{e}: it is made anew"));
                None
            }
        };
        let last = match Fetched::read(&admin.top().state_dir) {
            Ok(last) => last.filter(|last| last.url == url && last.jwks == out),
            Err(e) => {
                report::warning(&format!("{e}: what it said of keys to be kept is lost"));
                None
            }
        };
        let grace = self.grace.unwrap_or(places.jwks_grace);
        Ok(Work {
            admin,
            url: url.to_owned(),
            out,
            grace,
            own,
            shared: Vec::new(),
            owner,
            now: clock::now(),
            here,
            last,
        })
    }
}

/// Keys of one's own, which the provider knows nothing of.
fn own_keys(path: &Path) -> anyhow::Result<Vec<RsaKey>> {
    let (_, own) = place::read(path)?.ok_or_else(|| {
        Advice::new(
            format!("there is no {}", path.display()),
            "make it: slurm-pki jwt jwks build KEY --out FILE",
        )
    })?;
    Ok(own.keys)
}

impl Work<'_> {
    /// What to ask with: only where the file is still what the last fetch left.
    fn validators(&self) -> Validators {
        match (&self.last, &self.here) {
            (Some(last), Some((text, _))) if digest(text.as_bytes()) == last.sha256 => {
                Validators { etag: last.etag.clone(), last_modified: last.last_modified.clone() }
            }
            _ => Validators::default(),
        }
    }

    fn finish(&self, global: &Global, answer: Answer) -> anyhow::Result<()> {
        let current = self.current(answer.list.as_deref())?;
        let wanted = self.wanted(current);
        let text = place::text_of(&wanted.keys)?;
        let is_same = self.here.as_ref().is_some_and(|(here, _)| *here == text);
        self.tell(global, &wanted, is_same);
        if global.dry_run {
            return Ok(());
        }
        if !is_same {
            place::replace(&self.out, &text, self.owner)?;
        }
        let was_told = |last: &Fetched| last.told && last.sha256 == digest(text.as_bytes());
        let is_told = is_same && self.last.as_ref().is_some_and(was_told);
        let mut fetched = self.fetched(&wanted, answer.validators, &text, is_same);
        fetched.told = is_told;
        let state_dir = &self.admin.top().state_dir;
        fetched.write(state_dir, self.owner)?;
        if is_told {
            return Ok(());
        }
        let out = self.out.display().to_string();
        hooks::run(global, self.admin, "jwks-changed", &[("SLURM_PKI_JWKS", &out)])?;
        // Killed before this, it tells them once more.
        fetched.told = true;
        fetched.write(state_dir, self.owner)
    }

    /// The provider's keys of use: from its answer, or those of its last one.
    fn current(&self, list: Option<&[u8]>) -> anyhow::Result<Vec<RsaKey>> {
        let Some(list) = list else {
            let here = self.here.iter().flat_map(|(_, here)| &here.keys);
            let last = self.last.as_ref().map(|last| last.kids.as_slice()).unwrap_or_default();
            return Ok(here.filter(|key| last.iter().any(|kid| kid == key.kid())).cloned().collect());
        };
        let mut sifted = sift(list).map_err(|e| self.refused(&e.to_string()))?;
        let is_shared = |key: &RsaKey| self.shared.iter().any(|kid| kid == key.kid());
        for key in sifted.keys.iter().filter(|key| is_shared(key)) {
            report::warning(&format!("key {} is left out: it signs for everybody", key.kid()));
        }
        sifted.keys.retain(|key| !is_shared(key));
        for (kid, why) in &sifted.dropped {
            report::warning(&format!("key {kid} is left out: {why}"));
        }
        if sifted.keys.is_empty() {
            return Err(self.refused("no key in it is of use to Slurm"));
        }
        Ok(sifted.keys)
    }

    fn refused(&self, why: &str) -> anyhow::Error {
        Advice::new(
            format!("{}: {why}", self.url),
            "the keys that are here stay and count; URL has to be the provider's jwks_uri, with an RSA key for RS256",
        )
        .into()
    }

    /// One's own keys first, the provider's, and those that it had not long ago.
    fn wanted(&self, current: Vec<RsaKey>) -> Wanted {
        let kids = current.iter().map(|key| key.kid().to_owned()).collect();
        let mut keys = self.own.clone();
        for key in current {
            if keys.iter().any(|own| own.kid() == key.kid()) {
                report::warning(&format!("key {} is left out: a key of our own has that kid", key.kid()));
            } else {
                keys.push(key);
            }
        }
        let mut gone = BTreeMap::new();
        for key in self.here.iter().flat_map(|(_, here)| &here.keys) {
            if keys.iter().any(|other| other.kid() == key.kid()) {
                continue;
            }
            let since =
                self.last.as_ref().and_then(|last| last.gone.get(key.kid()).copied()).unwrap_or(self.now);
            if self.now < since.plus(self.grace) {
                gone.insert(key.kid().to_owned(), since);
                keys.push(key.clone());
            }
        }
        Wanted { keys, kids, gone }
    }

    fn tell(&self, global: &Global, wanted: &Wanted, is_same: bool) {
        for (kid, since) in &wanted.gone {
            let end = since.plus(self.grace);
            report::done(
                global,
                &format!(
                    "key {kid} is the provider's no more; it stays until {}",
                    moment::shown(end, self.now)
                ),
            );
        }
        for key in self.here.iter().flat_map(|(_, here)| &here.keys) {
            match wanted.keys.iter().find(|other| other.kid() == key.kid()) {
                None => report::done(global, &format!("key {} is taken out: its time is over", key.kid())),
                Some(other) if !other.is_same_key(key) => {
                    report::warning(&format!("key {} is another one now, under the same kid", key.kid()));
                }
                Some(_) => {}
            }
        }
        let (out, count) = (self.out.display(), wanted.keys.len());
        let names = wanted.keys.iter().map(RsaKey::kid).collect::<Vec<_>>().join(", ");
        match (is_same, global.dry_run) {
            (true, _) => report::done(global, &format!("{out} is up to date: {count} keys")),
            (false, true) => report::line(&format!("would write {out}: {names}")),
            (false, false) => report::line(&format!("changed {out}: {names}\n{}", place::NEXT)),
        }
    }

    fn fetched(&self, wanted: &Wanted, validators: Validators, text: &str, is_same: bool) -> Fetched {
        let mut fetched = Fetched::new(&self.url, &self.out, self.now);
        if let Some(last) = self.last.as_ref().filter(|_| is_same) {
            fetched.last_change = last.last_change;
        }
        fetched.sha256 = digest(text.as_bytes());
        fetched.etag = validators.etag;
        fetched.last_modified = validators.last_modified;
        fetched.kids.clone_from(&wanted.kids);
        fetched.gone.clone_from(&wanted.gone);
        fetched
    }
}
