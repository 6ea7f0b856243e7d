//! Bringing a daemon to load the pair that lies on disk, and proving that it did.
//!
//! A look at what it serves; where that is another certificate: the window, the gate, a restart of that daemon alone, and a
//! look again. A daemon that does not serve the new certificate gets the former pair back and one more restart.

pub(crate) mod gate;
mod late;
mod listener;
mod marks;
mod order;
mod port;
mod proof;
mod renewals;
mod restart;
mod staged;
mod turn;
mod window;

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use pki::time::UnixTime;
use pki::x509::X509;
use site::clock;
use site::config::Daemon;
use site::file::{self, make_folder};
use site::lock;

pub(crate) use self::late::{late, signs};
pub(crate) use self::listener::stranger;
use self::marks::Marks;
pub(crate) use self::port::{Port, by_slurm, given};
pub(crate) use self::proof::{Answer, look as look_at};
pub(crate) use self::restart::How;
use self::staged::Anchors;
pub(crate) use self::staged::chain as chain_on_disk;
use crate::admin::{Admin, refuse_links_of_others};
use crate::advice::{Advice, Advise as _};
use crate::cert::target::{Place, Target};
use crate::fleet::{Fleet, in_parallel};
use crate::global::Global;
use crate::members::Members;
use crate::probe::Address;
use crate::{hooks, interrupt, moment, report};

/// So many hosts are looked at at the same time.
const LOOKS: usize = 32;

/// Longer than an activation of all daemons takes, each with its wait and one that is taken back.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(600);

/// How far an activation may go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// How a daemon comes to load its files.
    pub(crate) how: How,
    /// Whether a closed window counts.
    pub(crate) in_window_only: bool,
    /// Whether a daemon that does not answer is started. A timer must not start what somebody has stopped.
    pub(crate) start_dead: bool,
}

/// What everything here works with.
struct Scene<'a> {
    global: &'a Global,
    admin: &'a Admin,
    fleet: Fleet,
    /// The same for a restart with all that belongs to it.
    to_the_end: Fleet,
    members: Members,
    anchors: Result<Anchors, String>,
    marks: Marks,
    wish: Wish,
    now: UnixTime,
}

/// What a look at a daemon comes to.
enum Looked<'a> {
    /// There is nothing to do: why.
    Nothing(String),
    /// The same, and somebody should know.
    Concern(String),
    /// It is to be restarted.
    Restart(Box<Ready<'a>>),
}

/// A daemon that is to be restarted.
struct Ready<'a> {
    target: &'a Target,
    /// What it is to serve.
    wanted: X509,
    /// Where it can be asked; empty: nowhere.
    at: Vec<Address>,
    /// Whether nobody answers there, or what is served there no peer accepts: then there is nothing to lose.
    useless: bool,
}

/// Brings each daemon to serve the pair that lies on disk for it. Those that serve it already, have no TLS, or must wait
/// for their window are left alone, which is no failure.
///
/// # Errors
/// When the gate is closed, or a daemon could not be looked at, or did not come to serve its pair; the others were tried.
pub(crate) fn activate(global: &Global, admin: &Admin, targets: &[Target], wish: Wish) -> anyhow::Result<()> {
    let _lock = (!global.dry_run).then(|| lock(global, admin)).transpose()?;
    let fleet = Fleet::of(admin)?;
    let scene = Scene {
        global,
        admin,
        to_the_end: fleet.to_the_end(),
        fleet,
        members: Members::of(admin)?,
        anchors: Anchors::of(admin),
        marks: Marks::load(admin)?,
        wish,
        now: clock::now(),
    };
    let mut failures = Vec::new();
    let ready = scene.look_at_all(targets, &mut failures);
    if !ready.is_empty() {
        let useless = ready.iter().any(|ready| ready.useless && ready.target.daemon == Daemon::Ctld);
        match gate::pass(global, admin, useless, scene.now) {
            Ok(()) => scene.restart_all(&ready, &mut failures),
            Err(closed) => failures.push(closed),
        }
    }
    verdict(failures)
}

/// One activation at a time: a second one waits, not for ever, and then finds its work done.
fn lock(global: &Global, admin: &Admin) -> anyhow::Result<File> {
    let folder = admin.controller.ca_cert.parent().unwrap_or(Path::new("/etc/slurm")).join(".slurm-pki");
    refuse_links_of_others(&folder)?;
    make_folder(&folder, 0o755, None).advise()?;
    let path = folder.join(".activation.lock");
    let lock = file::open_to_append(&path, 0o600).advise()?;
    if !lock::try_now(&lock, &path).advise()? {
        let minutes = MAX_WAIT.as_secs() / 60;
        let who = format!("it has the lock {}", path.display());
        report::done(
            global,
            &format!("another activation is at work: waiting for it, at most {minutes} min ({who})"),
        );
        lock::wait_for(&lock, &path, MAX_WAIT).advise()?;
    }
    Ok(lock)
}

impl<'a> Scene<'a> {
    /// Those that are to be restarted, in the order of the restarts; what is to be said of the others is said.
    fn look_at_all(&self, targets: &'a [Target], failures: &mut Vec<anyhow::Error>) -> Vec<Ready<'a>> {
        let bar = report::progress(self.global, targets.len(), "looking");
        let mut looked =
            in_parallel(LOOKS, &bar, targets.iter().collect(), |target| (target, self.look_at(target)));
        bar.finish_and_clear();
        looked
            .sort_by_key(|(target, _)| (order::rank(self.admin.slurm.as_ref(), target), target.to_string()));
        let mut ready = Vec::new();
        for (target, looked) in looked {
            match looked {
                Ok(Looked::Restart(one)) => ready.push(*one),
                Ok(Looked::Nothing(why)) => self.say(&format!("{target}: {why}")),
                Ok(Looked::Concern(why)) => report::warning(&format!("{target}: {why}")),
                Err(e) => failures.push(e),
            }
        }
        ready
    }

    /// With `--dry-run` it is the result that was asked for.
    fn say(&self, text: &str) {
        if self.global.dry_run { report::line(text) } else { report::done(self.global, text) }
    }

    fn look_at(&self, target: &'a Target) -> anyhow::Result<Looked<'a>> {
        // A restart would start a second one.
        if let Some(hosts) = target.belongs_elsewhere(&self.members) {
            return Ok(Looked::Nothing(format!("runs on {hosts} and not on this host: left alone here")));
        }
        let at = match Port::of(self.admin, &self.members, target)? {
            Port::NoTls => {
                let why = "TLS is off for it (TLSType), so there is nothing to activate; the pair is on disk";
                return Ok(Looked::Nothing(why.into()));
            }
            Port::Unknown => Vec::new(),
            Port::At(addresses) => addresses,
        };
        let anchors = self.anchors.as_ref().map_err(|why| unusable(target, why))?;
        let wanted = staged::leaf(self.global, &self.fleet, target, anchors, self.now);
        let wanted = wanted.map_err(|why| unusable(target, &why))?;
        let ready = Ready { target, wanted, at, useless: false };
        if ready.at.is_empty() {
            return Ok(self.not_provable(ready));
        }
        let answer = proof::look(&ready.at, &ready.wanted);
        if matches!(answer, Answer::ServesAnother(_) | Answer::NotTls(_) | Answer::Unclear(_))
            && let Some(user) = stranger(self.admin, target, &ready.at)
        {
            return Err(answered_by(target, &user));
        }
        match answer {
            Answer::ServesIt(served) => Ok(Looked::Nothing(format!(
                "serves its certificate already ({}, until {})",
                proof::spoken(&served),
                moment::shown(ready.wanted.facts().not_after, self.now)
            ))),
            // An outage already: it waits for no window.
            Answer::ServesAnother(served) if !anchors.accept(&served.chain, self.now) => {
                Ok(Looked::Restart(Ready { useless: true, ..ready }.into()))
            }
            Answer::ServesAnother(served) => {
                let ends = served.leaf().map(|leaf| leaf.facts().not_after);
                Ok(self.waits(target, ends).unwrap_or_else(|| Looked::Restart(ready.into())))
            }
            Answer::Down(_) if self.wish.start_dead => {
                Ok(Looked::Restart(Ready { useless: true, ..ready }.into()))
            }
            Answer::Down(why) => Err(down(target, &why)),
            // A restart of this one alone would cut it off from all that do not speak TLS yet.
            Answer::NotTls(why) => Ok(Looked::Concern(format!(
                "{why}, though Slurm's files turn TLS on: nothing is restarted here; all daemons take that step \
                 together, see slurm-pki conf enable --help"
            ))),
            Answer::Unclear(why) => Err(Advice::new(
                format!("what {target} serves cannot be told, so it is not restarted: {why}"),
                "run this again; if it goes on, look into its log",
            )
            .into()),
        }
    }

    fn not_provable(&self, ready: Ready<'a>) -> Looked<'a> {
        if self.marks.has(ready.target, &ready.wanted) {
            return Looked::Nothing(
                "was restarted with this certificate before (it has no port to ask)".into(),
            );
        }
        self.waits(ready.target, None).unwrap_or_else(|| Looked::Restart(ready.into()))
    }

    /// Nothing to do now, if its window is closed. `ends`: when what it serves now does.
    fn waits(&self, target: &Target, ends: Option<UnixTime>) -> Option<Looked<'a>> {
        let window = target.config.window.as_ref().filter(|_| self.wish.in_window_only)?;
        if window::is_open(window, self.now) {
            return None;
        }
        let opens = window::next_opening(window, self.now);
        let when = opens.map_or("never".into(), |opens| moment::shown(opens, self.now));
        let pending = format!("a new certificate waits for its window ({window}), which opens {when}");
        match ends {
            Some(ends) if opens.is_none_or(|opens| ends <= opens) => Some(Looked::Concern(format!(
                "{pending}; but the one that it serves ends {}: slurm-pki cert activate {} --now",
                moment::shown(ends, self.now),
                target.daemon.short()
            ))),
            _ => Some(Looked::Nothing(pending)),
        }
    }

    /// Batch after batch; none after one that [`order::ends_it`].
    fn restart_all(&self, ready: &[Ready<'a>], failures: &mut Vec<anyhow::Error>) {
        let batches = order::batches(ready, |ready| ready.target);
        let bar = report::progress(self.global, ready.len(), "restarting");
        let mut went_wrong = false;
        for batch in batches {
            if went_wrong || interrupt::came() {
                let names = batch.iter().map(|ready| ready.target.to_string()).collect::<Vec<_>>().join(", ");
                if went_wrong {
                    self.say(&format!("not restarted, since one before went wrong: {names}"));
                } else {
                    failures.push(interrupted(&names));
                }
                continue;
            }
            let results =
                in_parallel(batch.len(), &bar, batch.iter().collect(), |ready| (ready, self.turn(ready)));
            let wrong = results.iter().filter(|(_, result)| result.is_err()).count();
            let targets: Vec<&Target> = batch.iter().map(|ready| ready.target).collect();
            went_wrong = order::ends_it(&targets, wrong);
            for (ready, result) in results {
                let event = if result.is_ok() { "activated" } else { "failed" };
                let ends = ready.wanted.facts().not_after;
                failures.extend(hooks::tell(self.global, self.admin, event, ready.target, Some(ends)).err());
                failures.extend(result.err());
            }
        }
        bar.finish_and_clear();
    }
}

fn interrupted(names: &str) -> anyhow::Error {
    let what = format!("not restarted, since this command was interrupted: {names}");
    Advice::new(what, "run the same again: those that serve their certificates are left alone").into()
}

fn unusable(target: &Target, why: &str) -> anyhow::Error {
    let anew = format!("slurm-pki cert renew --force --only {} makes a new pair", target.daemon.short());
    let hint = match &target.place {
        Place::Here => format!("see slurm-pki cert list; {anew}"),
        Place::On(host) => format!("if {host} was not reached, run this again when it is; else {anew} there"),
    };
    Advice::new(format!("{target} is not restarted: {why}"), hint).into()
}

fn answered_by(target: &Target, user: &str) -> anyhow::Error {
    Advice::new(
        format!(
            "{target} is not restarted: who answers at its port is not the daemon, but a program of {user}'s"
        ),
        "see whose it is (ss -ltnp) and end it; then start the daemon",
    )
    .into()
}

fn down(target: &Target, why: &str) -> anyhow::Error {
    let short = target.daemon.short();
    Advice::new(
        format!("{target} is down, so it is not restarted: {why}"),
        format!(
            "it loads the new pair when it starts; slurm-pki cert activate {short} starts it and looks; if it runs, \
             mend Slurm's files or probe in [daemons.{short}]"
        ),
    )
    .into()
}

/// One failure is the error; several are told one by one.
fn verdict(mut failures: Vec<anyhow::Error>) -> anyhow::Result<()> {
    if failures.len() <= 1 {
        return failures.pop().map_or(Ok(()), Err);
    }
    for failure in &failures {
        let hint = failure.downcast_ref::<Advice>().map(|advice| format!("; {}", advice.hint));
        report::warning(&format!("{failure}{}", hint.unwrap_or_default()));
    }
    Err(Advice::new(
        format!("{} daemons do not serve their new certificates", failures.len()),
        "each one's reason stands above; mend it and run the same again",
    )
    .into())
}
