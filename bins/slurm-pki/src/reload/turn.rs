//! One daemon's reload on its own host, and the proof by its process: of controllers that stand by, slurmdbd and sackd.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::host::{self, Process, Seen};
use super::outcome::Reason;
use super::{Scene, Task};
use crate::fleet::Job;
use crate::interrupt;
use crate::members::Role;

const NAP: Duration = Duration::from_millis(300);

/// So long it is watched.
const LIVED: Duration = Duration::from_millis(host::LIVED.unsigned_abs() * 10);

impl Scene<'_> {
    /// Tells it, and waits until a process is there that began after that, and goes on living.
    ///
    /// # Errors
    /// How it stands when there is none.
    pub(super) fn turn(&self, task: &Task<'_>) -> Result<(), Reason> {
        let before = task.seen.process.as_ref();
        if before.is_none() && !self.wish.start_dead {
            return Err(Reason::NotRunning);
        }
        let role = task.part.who.role;
        let told = self.tell(task);
        let deadline = Instant::now() + self.commands.wait(role);
        let mut anew: Option<(Process, Instant)> = None;
        loop {
            let seen = self.look_again(task);
            match seen {
                Ok(Seen { process: Some(now), .. }) if self.is_another(task, before, &now) => match &anew {
                    Some((known, since)) if known.is(&now) && since.elapsed() >= LIVED => return Ok(()),
                    Some((known, _)) if known.is(&now) => {}
                    _ => anew = Some((now, Instant::now())),
                },
                Ok(_) => anew = None,
                Err(why) if Instant::now() >= deadline => return Err(why),
                Err(_) => {}
            }
            let over = Instant::now() >= deadline && anew.is_none();
            if over || interrupt::came() || Instant::now() >= deadline + LIVED * 3 {
                return Err(not_anew(role, told));
            }
            sleep(NAP);
        }
    }

    /// Runs its command on its host.
    pub(super) fn tell(&self, task: &Task<'_>) -> Result<(), String> {
        let who = &task.part.who;
        let job = Job { host: who.host.clone(), script: self.commands.there(who.role, who.name()) };
        let outcomes = self.fleet.run(self.global, "reloading", vec![job]);
        outcomes.of(&who.host).cloned().unwrap_or_else(|| Err("it was not asked".into())).map(drop)
    }

    fn look_again(&self, task: &Task<'_>) -> Result<Seen, Reason> {
        let looked = host::look(self.global, &self.fleet, &self.owners, &[task.part]);
        looked.into_iter().next().map_or(Err(Reason::NotRunning), |(_, seen)| seen)
    }

    /// A reload in place leaves the pid, and lies elsewhere in memory. A restart has a start of its own.
    fn is_another(&self, task: &Task<'_>, before: Option<&Process>, now: &Process) -> bool {
        let newer = Seen { process: Some(now.clone()), ..task.seen.clone() }.process_is_newer();
        let in_place = before.is_some_and(|before| now.pid == before.pid && now.image != before.image);
        newer || (task.part.who.role == Role::Sackd && in_place)
    }
}

fn not_anew(role: Role, told: Result<(), String>) -> Reason {
    let how = if role == Role::Sackd { "reload" } else { "restart" };
    Reason::Failed(match told {
        Ok(()) => format!("after its {how} no new process of it stayed alive: its log says why"),
        Err(why) => format!("its {how} failed, and no new process of it is there: {why}"),
    })
}
