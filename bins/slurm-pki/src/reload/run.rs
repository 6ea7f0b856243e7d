//! One reload, from the canary to the last node.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::host;
use super::nodes::Nodes;
use super::outcome::{Outcome, Reason};
use super::part::Part;
use super::step::Steps;
use super::{Scene, Task, controller};
use crate::advice::Advice;
use crate::fleet::in_parallel;
use crate::members::Role;
use crate::{hostlist, interrupt, moment, report};

/// How long slurmctld's own push may take until every slurmd has started anew, before those that have not are told one by
/// one.
const PUSH: Duration = Duration::from_secs(20);

/// Between two questions about all nodes.
const NAP: Duration = Duration::from_secs(1);

/// A file's time and a start are told in whole seconds.
const NEXT_SECOND: Duration = Duration::from_millis(1100);

/// Something before went wrong: nothing more is reloaded.
struct Stop;

/// Where it stands.
pub(super) struct Run<'a> {
    scene: &'a Scene<'a>,
    outcome: Outcome,
    tasks: Vec<Task<'a>>,
    /// The host of the slurmctld at work.
    active: Option<String>,
    /// Whether that one has to be started first.
    is_dead: bool,
    /// When it started.
    booted: Option<i64>,
    nodes: Nodes,
    parts: &'a [Part],
    /// Whether slurmctld has told every slurmd to start anew.
    pushed: bool,
}

impl<'a> Run<'a> {
    /// Looks at everybody.
    ///
    /// # Errors
    /// When slurmctld does not tell how its nodes are.
    pub(super) fn of(scene: &'a Scene<'a>, parts: &'a [Part]) -> anyhow::Result<Self> {
        let mut outcome = Outcome::default();
        let mut tasks = Vec::new();
        let all: Vec<&Part> = parts.iter().collect();
        for (part, seen) in host::look(scene.global, &scene.fleet, &scene.owners, &all) {
            match seen {
                Ok(seen) => tasks.push(Task { part, seen }),
                Err(why) => outcome.fail(&part.who, why),
            }
        }
        let has = |role| parts.iter().any(|part| part.who.role == role);
        let (active, is_dead) =
            if has(Role::Ctld) { at_work(scene, &mut tasks, &mut outcome)? } else { (None, false) };
        let booted = active.is_some().then(|| controller::boot_time().ok()).flatten();
        let nodes = if has(Role::Slurmd) && !is_dead {
            Nodes::ask().map_err(|why| untold(&why))?
        } else {
            Nodes::default()
        };
        Ok(Self { scene, outcome, tasks, active, is_dead, booted, nodes, parts, pushed: false })
    }

    /// Whether anybody has still to be told.
    pub(super) fn is_due(&self) -> bool {
        self.tasks.iter().any(|task| !self.is_anew(task))
    }

    /// Whoever was not reached stays behind.
    pub(super) fn into_outcome(mut self) -> Outcome {
        for part in self.parts {
            let is = |who: &super::Who| *who == part.who;
            let known =
                self.outcome.confirmed.iter().any(is) || self.outcome.behind.iter().any(|(who, _)| is(who));
            if !known {
                self.outcome.fail(&part.who, Reason::LeftAlone);
            }
        }
        self.outcome
    }

    fn is_active(&self, task: &Task<'_>) -> bool {
        let at_work = self.active.as_deref();
        task.part.who.role == Role::Ctld
            && at_work.is_some_and(|host| controller::is_same(host, &task.part.who.host))
    }

    /// Whether it shows that it started after the files had come.
    fn is_anew(&self, task: &Task<'_>) -> bool {
        if self.scene.global.dry_run {
            // The files are not there yet.
            return false;
        }
        match task.part.who.role {
            Role::Slurmd => is_node_anew(&self.nodes, task),
            _ if self.is_active(task) => self.booted.is_some_and(|booted| task.seen.is_before(booted)),
            _ => task.seen.newer_process_lives(),
        }
    }

    fn with(&self, is: impl Fn(&Task<'a>) -> bool) -> Vec<usize> {
        let all = self.tasks.iter().enumerate().filter(|(_, task)| is(task));
        all.map(|(at, _)| at).collect()
    }

    /// `--dry-run`.
    pub(super) fn say_what_would_be_done(&self) {
        let commands = &self.scene.commands;
        let due = |is: &dyn Fn(&Task<'_>) -> bool| {
            let due = self.tasks.iter().filter(|task| is(task) && !self.is_anew(task));
            due.map(|task| task.part.who.name()).collect::<Vec<_>>()
        };
        let is = |role| move |task: &Task<'_>| task.part.who.role == role;
        if let Some(canary) = self.canary() {
            let name = canary.part.who.name();
            report::line(&format!(
                "would reload slurmd {name} first ({}), and run a step there",
                commands.there(Role::Slurmd, name)
            ));
        }
        for (role, what) in [(Role::Ctld, "slurmctld that stands by"), (Role::Dbd, "slurmdbd")] {
            for name in due(&|task| is(role)(task) && !self.is_active(task)) {
                report::line(&format!("would restart the {what} on {name} ({})", commands.there(role, name)));
            }
        }
        if !due(&|task| self.is_active(task)).is_empty() {
            report::line(&format!(
                "would reload slurmctld ({}), and see that it started anew",
                commands.ctld.join(" ")
            ));
        }
        for (role, what) in [(Role::Sackd, "sackd"), (Role::Slurmd, "slurmd")] {
            let names = due(&is(role));
            if !names.is_empty() {
                report::line(&format!("would see that {what} starts anew: {}", hostlist::fold_texts(names)));
            }
        }
    }

    /// All of it, until something goes wrong that the rest must be spared.
    pub(super) fn all(&mut self) {
        let servers = [Role::Ctld, Role::Dbd];
        if self.outcome.behind.iter().any(|(who, _)| servers.contains(&who.role)) {
            return;
        }
        if self.tasks.iter().any(|task| !task.seen.is_settled()) {
            sleep(NEXT_SECOND);
        }
        let _: Result<(), Stop> = self.in_order();
    }

    fn in_order(&mut self) -> Result<(), Stop> {
        self.try_canaries()?;
        for at in self.with(|task| {
            matches!(task.part.who.role, Role::Ctld | Role::Dbd | Role::Restd) && !self.is_active(task)
        }) {
            self.server(at)?;
        }
        for at in self.with(|task| self.is_active(task)) {
            self.controller(at)?;
        }
        self.login_hosts()?;
        self.nodes();
        Ok(())
    }

    /// The slurmd that goes first: none where one has started anew already, and still is there.
    fn canary(&self) -> Option<&Task<'a>> {
        let has_failed = |who: &super::Who| self.outcome.behind.iter().any(|(behind, _)| behind == who);
        let up = |task: &&Task<'a>| {
            let node = self.nodes.get(task.part.who.name());
            task.part.who.role == Role::Slurmd
                && node.is_some_and(|node| !node.is_away() && !node.is_down())
                && !has_failed(&task.part.who)
        };
        if self.tasks.iter().filter(up).any(|task| self.is_anew(task)) {
            return None;
        }
        let busy =
            |task: &&Task<'a>| self.nodes.get(task.part.who.name()).is_some_and(super::nodes::Node::is_busy);
        self.tasks.iter().filter(up).min_by_key(busy)
    }

    /// One of the first few must start anew with the files: a node alone, whoever is root there, holds nothing up then.
    fn try_canaries(&mut self) -> Result<(), Stop> {
        let mut tried = 0;
        while self.try_canary().is_err() {
            tried += 1;
            if tried >= self.scene.wish.first_tries || self.canary().is_none() || interrupt::came() {
                return Err(Stop);
            }
        }
        Ok(())
    }

    fn try_canary(&mut self) -> Result<(), Stop> {
        let Some(task) = self.canary() else { return Ok(()) };
        let who = task.part.who.clone();
        report::done(self.scene.global, &format!("{who} goes first"));
        let told = self.scene.tell(task);
        let mut failed = self.wait_for_nodes(&[task], self.scene.commands.wait(Role::Slurmd));
        let result = match failed.pop() {
            Some((_, why)) => Err(with_command(why, told)),
            None => self.step(task),
        };
        match result {
            Ok(()) | Err(Reason::Busy(_)) => Ok(()),
            Err(why) => {
                self.outcome.fail(&who, why);
                Err(Stop)
            }
        }
    }

    fn step(&self, task: &Task<'_>) -> Result<(), Reason> {
        let nodes = Nodes::ask().map_err(Reason::StepFailed)?;
        let name = task.part.who.name();
        self.steps(Instant::now() + self.scene.wish.step.min(Duration::from_secs(10)))
            .on(name, nodes.get(name))
    }

    fn steps(&self, deadline: Instant) -> Steps<'_> {
        let scene = self.scene;
        Steps { words: &scene.commands.step, deadline, accept_busy: scene.wish.accept_busy }
    }

    /// A controller that stands by, or slurmdbd.
    fn server(&mut self, at: usize) -> Result<(), Stop> {
        let Some(task) = self.tasks.get(at) else { return Ok(()) };
        let who = &task.part.who;
        if !self.is_anew(task) {
            if who.role != Role::Ctld {
                self.outcome.begin();
            }
            if let Err(why) = self.scene.turn(task) {
                self.outcome.fail(who, why);
                return Err(Stop);
            }
        }
        self.done(at)
    }

    /// The one at work.
    fn controller(&mut self, at: usize) -> Result<(), Stop> {
        let Some(task) = self.tasks.get(at) else { return Ok(()) };
        if !self.is_anew(task) {
            self.outcome.begin();
            let commands = &self.scene.commands;
            let wait = commands.wait(Role::Ctld);
            let reloaded = if self.is_dead {
                let started = self.scene.turn(task);
                started.and_then(|()| {
                    controller::is_anew(&task.seen, wait).map_err(|_| Reason::Down("it was started".into()))
                })
            } else {
                controller::reload(&commands.ctld, &task.seen, wait)
            };
            self.pushed = !self.is_dead;
            if let Err(why) = reloaded {
                self.outcome.fail(&task.part.who, why);
                return Err(Stop);
            }
        }
        self.done(at)
    }

    fn done(&mut self, at: usize) -> Result<(), Stop> {
        if let Some(task) = self.tasks.get(at) {
            self.outcome.confirm(&task.part.who);
            report::done(self.scene.global, &format!("{} started anew", task.part.who));
        }
        if interrupt::came() { Err(Stop) } else { Ok(()) }
    }

    /// sackd on all of them, many at a time: one that fails does not keep the others.
    fn login_hosts(&mut self) -> Result<(), Stop> {
        let tasks: Vec<&Task<'a>> =
            self.tasks.iter().filter(|task| task.part.who.role == Role::Sackd).collect();
        let bar = report::progress(self.scene.global, tasks.len(), "reloading sackd");
        let results = in_parallel(self.scene.fleet.parallel(), &bar, tasks, |task| {
            (task, if task.seen.newer_process_lives() { Ok(()) } else { self.scene.turn(task) })
        });
        bar.finish_and_clear();
        for (task, result) in results {
            match result {
                Ok(()) => self.outcome.confirm(&task.part.who),
                Err(why) => self.outcome.fail(&task.part.who, why),
            }
        }
        if interrupt::came() { Err(Stop) } else { Ok(()) }
    }

    /// Every slurmd: those that slurmctld reached start anew by themselves.
    fn nodes(&mut self) {
        let tasks: Vec<&Task<'a>> =
            self.tasks.iter().filter(|task| task.part.who.role == Role::Slurmd).collect();
        if tasks.is_empty() {
            return;
        }
        // Those that were tried first, and failed, may have come since.
        self.outcome.behind.retain(|(who, _)| !tasks.iter().any(|task| task.part.who == *who));
        let mut behind = self.wait_for_nodes(&tasks, if self.pushed { PUSH } else { Duration::ZERO });
        let worth = |(_, why): &(&Task<'a>, Reason)| !matches!(why, Reason::Away(_));
        let (late, mut lost): (Vec<_>, Vec<_>) = behind.drain(..).partition(worth);
        lost.extend(self.reload_one_by_one(late.into_iter().map(|(task, _)| task).collect()));
        let is_lost = |task: &&Task<'a>| !lost.iter().any(|(of, _)| std::ptr::eq(*of, *task));
        let anew: Vec<&Task<'a>> = tasks.into_iter().filter(is_lost).collect();
        let results = self.all_steps(anew);
        for (task, result) in results.into_iter().chain(lost.into_iter().map(|(task, why)| (task, Err(why))))
        {
            match result {
                Ok(()) => self.outcome.confirmed.push(task.part.who.clone()),
                Err(why) => self.outcome.behind.push((task.part.who.clone(), why)),
            }
        }
    }

    /// Those that did not start anew by slurmctld's push: each by its own reload.
    fn reload_one_by_one<'t>(&self, tasks: Vec<&'t Task<'a>>) -> Vec<(&'t Task<'a>, Reason)> {
        if tasks.is_empty() || interrupt::came() {
            return tasks.into_iter().map(|task| (task, Reason::LeftAlone)).collect();
        }
        let bar = report::progress(self.scene.global, tasks.len(), "reloading slurmd");
        let told =
            in_parallel(self.scene.fleet.parallel(), &bar, tasks, |task| (task, self.scene.tell(task)));
        bar.finish_and_clear();
        let tasks: Vec<&Task<'a>> = told.iter().map(|(task, _)| *task).collect();
        let behind = self.wait_for_nodes(&tasks, self.scene.commands.wait(Role::Slurmd));
        let with_command = |(task, why): (&'t Task<'a>, Reason)| {
            let told = told.iter().find(|(of, _)| std::ptr::eq(*of, task));
            (task, with_command(why, told.map_or(Ok(()), |(_, told)| told.clone())))
        };
        behind.into_iter().map(with_command).collect()
    }

    /// Waits until these have started anew; who has not, and how it stands. Those that are away are not waited for.
    fn wait_for_nodes<'t>(&self, tasks: &[&'t Task<'a>], wait: Duration) -> Vec<(&'t Task<'a>, Reason)> {
        let deadline = Instant::now() + wait;
        let bar = report::progress(self.scene.global, tasks.len(), "waiting for slurmd");
        loop {
            let nodes = Nodes::ask();
            let behind: Vec<_> =
                tasks.iter().filter_map(|task| Some((*task, self.lag(&nodes, task)?))).collect();
            bar.set_position(u64::try_from(tasks.len() - behind.len()).unwrap_or_default());
            let hopeless = behind.iter().all(|(_, why)| matches!(why, Reason::Away(_)));
            if hopeless || Instant::now() >= deadline || interrupt::came() {
                bar.finish_and_clear();
                return behind;
            }
            sleep(NAP);
        }
    }

    /// How a node stands that has not started anew; `None`: it has.
    fn lag(&self, nodes: &Result<Nodes, String>, task: &Task<'_>) -> Option<Reason> {
        let nodes = match nodes {
            Ok(nodes) => nodes,
            Err(why) => return Some(Reason::Down(format!("slurmctld does not tell: {why}"))),
        };
        if is_node_anew(nodes, task) {
            return None;
        }
        let Some(node) = nodes.get(task.part.who.name()) else {
            return Some(Reason::Down("slurmctld does not know it".into()));
        };
        Some(match node.started() {
            _ if node.is_away() => Reason::Away(node.states()),
            _ if node.is_down() => Reason::Down(node.states()),
            Some(since) => Reason::Old(moment::relative(pki::time::UnixTime(since), self.scene.now)),
            None => Reason::Down("it has not registered".into()),
        })
    }

    /// A step on each, those first that have room.
    fn all_steps<'t>(&self, mut tasks: Vec<&'t Task<'a>>) -> Vec<(&'t Task<'a>, Result<(), Reason>)> {
        let nodes = match Nodes::ask() {
            Ok(nodes) => nodes,
            Err(why) => {
                return tasks.into_iter().map(|task| (task, Err(Reason::StepFailed(why.clone())))).collect();
            }
        };
        tasks.sort_by_key(|task| nodes.get(task.part.who.name()).is_some_and(super::nodes::Node::is_busy));
        let steps = self.steps(Instant::now() + self.scene.wish.step);
        let bar = report::progress(self.scene.global, tasks.len(), "a step on each node");
        let results = in_parallel(self.scene.fleet.parallel(), &bar, tasks, |task| {
            let name = task.part.who.name();
            let left_alone = interrupt::came().then_some(Err(Reason::LeftAlone));
            (task, left_alone.unwrap_or_else(|| steps.on(name, nodes.get(name))))
        });
        bar.finish_and_clear();
        self.judged(results)
    }

    /// A step that failed where somebody else's job came first failed for that reason.
    fn judged<'t>(
        &self,
        results: Vec<(&'t Task<'a>, Result<(), Reason>)>,
    ) -> Vec<(&'t Task<'a>, Result<(), Reason>)> {
        if !results.iter().any(|(_, result)| matches!(result, Err(Reason::StepFailed(_)))) {
            return results;
        }
        let nodes = Nodes::ask().unwrap_or_default();
        let judged = |(task, result): (&'t Task<'a>, Result<(), Reason>)| {
            let node = nodes.get(task.part.who.name()).filter(|node| node.is_busy());
            match (result, node) {
                (Err(Reason::StepFailed(_)), Some(_)) if self.scene.wish.accept_busy => (task, Ok(())),
                (Err(Reason::StepFailed(_)), Some(node)) => (task, Err(Reason::Busy(node.states()))),
                (result, _) => (task, result),
            }
        };
        results.into_iter().map(judged).collect()
    }
}

/// The slurmctld at work, and whether it is the first one, to be started. Where none answers and none is to be started,
/// none of them is touched: what looks like one that stands by may be the one at work, in trouble.
fn at_work(
    scene: &Scene<'_>,
    tasks: &mut Vec<Task<'_>>,
    outcome: &mut Outcome,
) -> anyhow::Result<(Option<String>, bool)> {
    let active = controller::active();
    if let Ok(Some(host)) = active {
        return Ok((Some(host), false));
    }
    let is_controller = |task: &Task<'_>| task.part.who.role == Role::Ctld;
    if scene.wish.start_dead {
        return Ok((scene.primary.clone(), true));
    }
    active.map_err(|why| untold(&why))?;
    for task in tasks.extract_if(.., |task| is_controller(task)) {
        outcome.fail(&task.part.who, Reason::Failed("no slurmctld answers scontrol ping".into()));
    }
    Ok((None, false))
}

fn is_node_anew(nodes: &Nodes, task: &Task<'_>) -> bool {
    let started = nodes.get(task.part.who.name()).and_then(super::nodes::Node::started);
    started.is_some_and(|started| task.seen.is_before(started))
}

fn with_command(why: Reason, told: Result<(), String>) -> Reason {
    match told {
        Ok(()) => why,
        Err(failed) => Reason::Failed(format!("its reload failed: {failed}")),
    }
}

fn untold(why: &str) -> anyhow::Error {
    Advice::new(
        format!("nothing is reloaded: how the daemons stand cannot be told: {why}"),
        "see that scontrol ping and scontrol show nodes --json work on this host as root or SlurmUser, and run this again",
    )
    .into()
}
