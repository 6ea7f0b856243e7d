//! One daemon's restart, its proof, and the way back.

use std::time::Duration;

use super::proof;
use super::restart::{self, How};
use super::{Ready, Scene, listener, order, staged};
use crate::advice::Advice;
use crate::cert::target::Place;
use crate::moment;
use crate::probe::Served;
use crate::report;

/// After a command that failed, a daemon that came up all the same is there soon.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

impl Scene<'_> {
    /// Restarts a daemon and sees that it serves its certificate; else the former pair is put back.
    ///
    /// # Errors
    /// When it does not serve the new certificate, whatever it does now.
    pub(super) fn turn(&self, ready: &Ready<'_>) -> anyhow::Result<()> {
        let Ready { target, wanted, .. } = ready;
        let primary = order::is_primary(self.admin.slurm.as_ref(), target);
        let how = if primary { self.wish.how } else { How::Restart };
        let words = restart::words(target, how).join(" ");
        if self.global.dry_run {
            report::line(&format!("{target}: would run {words}, and look at what it serves"));
            return Ok(());
        }
        let ran = restart::restart(self.global, &self.to_the_end, target, how);
        if ready.at.is_empty() {
            return match ran {
                Ok(()) => self.unseen(ready),
                Err(why) => Err(self.way_back(ready, &why)),
            };
        }
        let seen = proof::wait_for(&ready.at, wanted, patience(ready, &ran));
        match (ran, seen) {
            (Ok(()), Ok(served)) => {
                self.say(&format!("{target}: {}", self.proven(ready, &served)));
                Ok(())
            }
            (Err(why), Ok(served)) => Err(Advice::new(
                format!("{target}: {}; but {why}", self.proven(ready, &served)),
                format!("mend command in [daemons.{}]; nothing else is left to do", target.daemon.short()),
            )
            .into()),
            (Err(why), Err(_)) => Err(self.way_back(ready, &why)),
            (Ok(()), Err(answer)) => Err(self.way_back(ready, &answer.to_string())),
        }
    }

    fn proven(&self, ready: &Ready<'_>, served: &Served) -> String {
        let facts = ready.wanted.facts();
        format!(
            "serves its new certificate ({}, serial {}, until {})",
            proof::spoken(served),
            facts.serial,
            moment::shown(facts.not_after, self.now)
        )
    }

    fn unseen(&self, ready: &Ready<'_>) -> anyhow::Result<()> {
        self.marks.note(ready.target, &ready.wanted)?;
        let target = ready.target;
        self.say(&format!(
            "{target}: restarted; it has no port, so what it shows cannot be seen from outside"
        ));
        Ok(())
    }

    /// The former pair, one more restart, and a look whether that one is served.
    fn way_back(&self, ready: &Ready<'_>, why: &str) -> anyhow::Error {
        let target = ready.target;
        let failed = format!("{target} did not come to serve its new certificate: {why}");
        // While the daemon was down, its port was anybody's.
        let stranger = listener::stranger(self.admin, target, &ready.at);
        if let Err(e) = staged::put_back(self.global, &self.to_the_end, target) {
            return Advice::new(
                format!("{failed}; and the pair before it cannot be put back: {e}"),
                format!("it may be down: read its log ({}), and start it", self.log(ready)),
            )
            .into();
        }
        match (self.as_before(ready), stranger) {
            (Ok(()), _) => Advice::new(
                format!("{failed}; the former pair is back and it works with that one again"),
                format!("read why in its log ({}), then slurm-pki cert renew", self.log(ready)),
            ),
            (Err(now), Some(user)) => Advice::new(
                format!("{failed}; a program of {user}'s took its port, so that it cannot start: {now}"),
                format!(
                    "see whose it is (ss -ltnp) and end it; then slurm-pki cert activate {} (the former pair is back)",
                    target.daemon.short()
                ),
            ),
            (Err(now), None) => Advice::new(
                format!(
                    "{failed}; the former pair is back, and it does not work with that one either: {now}"
                ),
                format!("see to it now: its log ({}) says what is wrong", self.log(ready)),
            ),
        }
        .into()
    }

    fn as_before(&self, ready: &Ready<'_>) -> Result<(), String> {
        let former = staged::chain(self.global, &self.to_the_end, ready.target)?;
        let ran = restart::restart(self.global, &self.to_the_end, ready.target, How::Restart);
        let (Some(leaf), false) = (former.first(), ready.at.is_empty()) else { return ran };
        // What counts is what it serves: a command that fails may have left the old process alone.
        match (proof::wait_for(&ready.at, leaf, patience(ready, &ran)), ran) {
            (Ok(_), _) => Ok(()),
            (Err(answer), Ok(())) => Err(answer.to_string()),
            (Err(answer), Err(why)) => Err(format!("{why}; {answer}")),
        }
    }

    fn log(&self, ready: &Ready<'_>) -> String {
        let unit = ready.target.daemon.program();
        match &ready.target.place {
            Place::Here => format!("journalctl -u {unit}"),
            Place::On(host) => format!("journalctl -u {unit} on {host}"),
        }
    }
}

fn patience(ready: &Ready<'_>, ran: &Result<(), String>) -> Duration {
    let wait = ready.target.config.wait;
    if ran.is_ok() { wait } else { wait.min(AFTER_FAILURE) }
}
