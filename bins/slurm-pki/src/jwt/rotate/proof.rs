//! Whether slurmctld and slurmdbd take a token: through slurmrestd where `[keys] restd_url` names one, else by Slurm's own
//! commands with the token in their environment, which only their user can read.

use std::thread::sleep;
use std::time::{Duration, Instant};

use pki::jws::sign_hs256;
use pki::jwt::claims;
use pki::secret::Secret;
use site::clock;

use super::restd::Restd;
use crate::advice::Advice;
use crate::interrupt;
use crate::{slurm_command, timed};

/// A token for one look, in seconds.
pub(super) const LIFESPAN: i64 = 120;

/// How long the daemons may take until they answer as they should.
const PATIENCE: Duration = Duration::from_secs(45);

const NAP: Duration = Duration::from_millis(300);

/// How long one command may take.
const ONE_COMMAND: Duration = Duration::from_secs(30);

/// Who judges a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judge {
    Slurmctld,
    Slurmdbd,
}

impl Judge {
    fn name(self) -> &'static str {
        match self {
            Self::Slurmctld => "slurmctld",
            Self::Slurmdbd => "slurmdbd",
        }
    }

    /// A question that every user may ask, and nobody without a token that counts.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Slurmctld => &["scontrol", "show", "config"],
            Self::Slurmdbd => &["sacctmgr", "--noheader", "--parsable2", "show", "cluster", "format=cluster"],
        }
    }
}

/// The way to ask.
#[derive(Debug)]
pub(super) enum Way {
    Restd(Restd),
    Commands,
}

/// What it takes to ask.
#[derive(Debug)]
pub(super) struct Proof {
    pub(super) way: Way,
    /// Whose the tokens are: somebody whom both daemons know.
    pub(super) user: String,
    /// Who is asked.
    pub(super) judges: Vec<Judge>,
}

impl Proof {
    /// Nothing when every daemon takes tokens of this key.
    ///
    /// # Errors
    /// Which does not, and what it says.
    pub(super) fn counts(&self, key: &Secret) -> anyhow::Result<()> {
        self.judges.iter().try_for_each(|judge| {
            self.ask(*judge, key).map_err(|why| {
                Advice::new(
                    format!("{} does not take a token of the key that it is to have: {why}", judge.name()),
                    format!("see its log; the tokens are {}'s", self.user),
                )
                .into()
            })
        })
    }

    /// Waits until tokens of `new` count everywhere, and those of `former` nowhere.
    ///
    /// # Errors
    /// Where that is not so.
    pub(super) fn changed(&self, new: &Secret, former: &Secret) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let result = self.is_changed(new, former);
            if result.is_ok() || Instant::now() >= deadline || interrupt::came() {
                return result;
            }
            sleep(NAP);
        }
    }

    /// A refusal counts only between two answers: else it might be a daemon that is away.
    fn is_changed(&self, new: &Secret, former: &Secret) -> anyhow::Result<()> {
        self.counts(new)?;
        for judge in &self.judges {
            if self.ask(*judge, former).is_ok() {
                return Err(Advice::new(
                    format!("{} still takes tokens of the former key", judge.name()),
                    "another process of it may run: see its log, and which file its jwt_key names",
                )
                .into());
            }
        }
        self.counts(new)
    }

    fn ask(&self, judge: Judge, key: &Secret) -> Result<(), String> {
        let claims = claims(&self.user, clock::now(), LIFESPAN, None).map_err(str::to_owned)?;
        let token = sign_hs256(key, &claims);
        match &self.way {
            Way::Restd(restd) => restd.ask(judge, &token),
            Way::Commands => by_command(judge.words(), &token),
        }
    }
}

fn by_command(words: &[&str], token: &Secret) -> Result<(), String> {
    let Some((program, arguments)) = words.split_first() else { return Err("no command".into()) };
    let text = std::str::from_utf8(token.expose()).map_err(|e| e.to_string())?;
    let mut command = slurm_command::new(program);
    command.args(arguments).env("SLURM_JWT", text);
    let ended = timed::run(&mut command, ONE_COMMAND, 16 * 1024)
        .map_err(|e| format!("{program} cannot be run: {e}"))?;
    if ended.succeeded() {
        return Ok(());
    }
    let said = crate::fleet::shown(&String::from_utf8_lossy(ended.output.expose())).replace(text, "(token)");
    Err(format!("{program} {}: {said}", ended.how(ONE_COMMAND)))
}
