//! `slurm-pki vault renew`: the tokens that lie in files are kept alive, and whoever looks after the timer hears in time of
//! one that cannot be.

use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use pki::time::UnixTime;
use signer::{Door, of_vault};
use site::clock;
use site::config::VaultConfig;
use site::config::vault::VaultAuth;
use vault::{auth, sys};

use super::life::{Latest, Life};
use super::policies::Names;
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::global::Global;
use crate::{moment, report};

/// The clocks, and the seconds between two questions.
const TOLERANCE: Duration = Duration::from_secs(60);

/// From so close to its last second on, a token that cannot be renewed further is an error, however short it lived.
const LAST_DAY: Duration = Duration::from_secs(24 * 3600);

/// The same as a part of its whole life.
const LAST_PART: u32 = 3;

/// Keep the Vault tokens in token_file and daemon_token_file alive; for a timer
#[derive(Args, Debug)]
#[command(
    after_help = "A token of Vault ends unless it is renewed, and most end some day nevertheless. This renews each \
    token that [vault] names a file for, and fails when one cannot be kept alive: it is not renewable, or its last day, \
    or the last third of its life, has come. Logins by AppRole or certificate get a new token at each run: nothing is \
    done for them. The timer slurm-pki-vault-renew.timer runs it every hour. With an agent's sink as token_file the agent \
    does all this.\n\n\
    Exit codes: 0 every token will live until the next run, or there is none; 1 one was not renewed, or cannot be for \
    long; 64 wrong usage.\n\n\
    Examples:\n  \
    slurm-pki vault renew --dry-run       how long each lives, and what would be done\n  \
    slurm-pki vault renew\n  \
    systemctl enable --now slurm-pki-vault-renew.timer"
)]
pub(crate) struct Renew {}

/// A token in a file.
struct Kept<'a> {
    door: Door,
    key: &'static str,
    file: &'a Path,
    /// The policy that a new one needs, as `vault setup` names it.
    policy: String,
}

impl Renew {
    /// Runs the command.
    ///
    /// # Errors
    /// When a token was not renewed, or cannot be for long. The others are renewed all the same.
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let config = VaultConfig::read(&admin.config).advise()?;
        let tokens = tokens(&config);
        if tokens.is_empty() {
            let how = match config.auth {
                VaultAuth::Cert => "by certificate",
                _ => "by AppRole",
            };
            report::done(global, &format!("nothing to renew: logins {how} get a new token at each run"));
            return Ok(());
        }
        let mut failures = Vec::new();
        for token in &tokens {
            if let Err(e) = token.renew(global, &config) {
                failures.push(e);
            }
        }
        let last = failures.pop();
        failures.iter().for_each(report::error);
        last.map_or(Ok(()), Err)
    }
}

fn tokens(config: &VaultConfig) -> Vec<Kept<'_>> {
    let programs = config.token_file.as_deref().filter(|_| config.auth == VaultAuth::TokenFile);
    let by_role = config.daemon_role_id_file.is_some() || config.daemon_secret_id_file.is_some();
    let daemons = config.daemon_token_file.as_deref().filter(|_| !by_role);
    let policies = Names::of(config);
    let kept = |door, key, policy, file| Kept { door, key, file, policy };
    let programs = programs.map(|file| kept(Door::Programs, "token_file", policies.signer, file));
    let daemons = daemons.map(|file| kept(Door::Daemons, "daemon_token_file", policies.daemons, file));
    programs.into_iter().chain(daemons).collect()
}

impl Kept<'_> {
    fn renew(&self, global: &Global, config: &VaultConfig) -> anyhow::Result<()> {
        let client = self.door.open(config, Instant::now() + config.deadline).advise()?;
        let facts = match auth::lookup_self(&client) {
            Ok(facts) => facts,
            Err(e) if e.is_denied() => return Err(self.ended()),
            Err(e) => return Err(of_vault(e)).advise(),
        };
        let theirs = sys::health(&client).map_err(of_vault).advise()?.server_time_utc;
        let now = clock::now();
        let before = Life::of(&facts, now, if theirs == 0 { 0 } else { theirs - now.0 });
        let Some(end) = before.ends else {
            report::done(global, &format!("{}: this token never ends", self.named()));
            return Ok(());
        };
        if !facts.renewable {
            return Err(self.not_renewable(end, now));
        }
        if global.dry_run {
            let text = format!("{}: would be renewed; it ends {}", self.named(), moment::shown(end, now));
            report::line(&text);
            return self.judge(&before, self.would_end(&before, now), now);
        }
        let (lifetime, _) = auth::renew_self(&client).map_err(of_vault).advise()?;
        let end = now.plus(lifetime.ttl);
        report::done(global, &format!("{}: renewed, until {}", self.named(), moment::shown(end, now)));
        self.judge(&before, end, now)
    }

    /// Where a renewal would lead to, as far as the token tells.
    fn would_end(&self, life: &Life, now: UnixTime) -> UnixTime {
        let wanted = now.plus(life.term);
        match life.latest {
            Latest::At(latest) => wanted.min(latest),
            Latest::NoLimit | Latest::Untold => wanted,
        }
    }

    /// Vault gives less than a whole term where the end of the token's life comes before it.
    fn judge(&self, life: &Life, end: UnixTime, now: UnixTime) -> anyhow::Result<()> {
        let is_capped = end < now.plus(life.term).minus(TOLERANCE);
        let whole = Duration::from_secs(u64::try_from(end.0 - life.made.0).unwrap_or_default());
        let is_near = end <= now.plus(LAST_DAY.max(whole / LAST_PART));
        if !is_capped || !is_near {
            return Ok(());
        }
        Err(Advice::new(
            format!(
                "{} ends for good {}: no renewal takes it further",
                self.named(),
                moment::shown(end, now)
            ),
            self.what_to_do(),
        )
        .into())
    }

    fn named(&self) -> String {
        format!("{} ({})", self.key, self.file.display())
    }

    fn ended(&self) -> anyhow::Error {
        Advice::new(
            format!("{} holds a token that has ended, was revoked, or may not look itself up", self.named()),
            self.what_to_do(),
        )
        .into()
    }

    fn not_renewable(&self, end: UnixTime, now: UnixTime) -> anyhow::Error {
        Advice::new(
            format!(
                "{} holds a token that cannot be renewed: it ends {}",
                self.named(),
                moment::shown(end, now)
            ),
            self.what_to_do(),
        )
        .into()
    }

    fn what_to_do(&self) -> String {
        format!(
            "write a new one into that file before: vault token create -orphan -period=24h -policy={} -field=token; a \
             periodic one lives as long as it is renewed. Or use AppRole: slurm-pki vault setup",
            self.policy
        )
    }
}
