//! A list on its way: to every host that has a daemon which reads it, compared there, loaded there, and proven.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::Args;
use pki::time::UnixTime;
use site::clock;

use super::away::{Absent, Away, has_node};
use super::files::Files;
use super::keyring::Keyring;
use super::state::{Phase, Rotation, State};
use crate::advice::{Advice, Advise as _};
use crate::fleet::{Delivery, Fleet, Job, Missed, Outcomes, Placed, Skips, digest, quoted};
use crate::hostlist;
use crate::members::{Member, Members, Role, is_this_host};
use crate::reload::{self, Lies, Outcome, Part, Reason, Who, Wish};
use crate::report;

/// Who reads slurm.jwks at its start (slurm-contract.md 5). Clients and slurmrestd ask the daemon of their host.
const READERS: [Role; 4] = [Role::Ctld, Role::Dbd, Role::Sackd, Role::Slurmd];

/// One node that is its thief's must not keep a key that others know; several that fail speak against the list.
const FIRST_TRIES: usize = 3;

/// How hosts come by the list, and what is asked of nodes.
#[derive(Args, Clone, Debug)]
pub(super) struct Reach {
    /// Copy nothing: images or configuration management bring the list; it is compared all the same
    #[arg(long)]
    no_push: bool,
    /// Leave these out, and remember them: dead hosts; nodes, images and ResumeProgram that may miss the new key
    #[arg(long, value_name = "HOSTLIST")]
    skip: Vec<String>,
    /// How long to wait for nodes whose CPUs are all taken, until a step runs there
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = wait)]
    wait: Duration,
    /// Ask no step of nodes that have no room: that they started anew and answer is enough
    #[arg(long)]
    accept_busy: bool,
}

fn wait(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text).map_err(|_| "not a time like 30s or 5m".to_owned())?;
    if span <= Duration::from_secs(7 * 86_400) { Ok(span) } else { Err("longer than 7d".into()) }
}

/// A command at work.
pub(super) struct Work<'a> {
    pub(super) files: Files<'a>,
    pub(super) state: State,
    pub(super) reach: Reach,
}

/// What `--skip` names, by what it is.
#[derive(Debug, Default)]
struct Named {
    hosts: BTreeSet<String>,
    nodes: BTreeSet<String>,
    all: BTreeSet<String>,
}

impl Named {
    /// A node that may miss a list at its next start, and is there now, gets every list all the same.
    fn without_those_there(mut self, members: &Members, absent: &Absent) -> Self {
        self.nodes.retain(|node| !absent.is_there(node));
        let is_there = |member: &Member| {
            !member.nodes.is_empty() && member.nodes.iter().all(|node| absent.is_there(node.name.as_str()))
        };
        let there =
            |host: &String| members.all().iter().any(|member| member.host == *host && is_there(member));
        self.hosts.retain(|host| !there(host));
        self
    }
}

/// What came of bringing the list.
struct Delivered {
    /// Hosts that could not be reached, and why; only where that holds nothing up.
    lost: BTreeMap<String, String>,
    /// Whether any host did not have it before.
    any: bool,
}

impl Work<'_> {
    /// What is under way.
    pub(super) fn rotation(&self) -> Option<&Rotation> {
        self.state.rotation.as_ref()
    }

    pub(super) fn write_state(&self) -> anyhow::Result<()> {
        self.files.write_state(&self.state)
    }

    /// Puts the list in place here and on every host, has the daemons load it, and remembers who did. The state that names
    /// this phase is on the disk already.
    ///
    /// # Errors
    /// When any of them has not shown it; the same again goes on with those.
    pub(super) fn bring(&mut self, keyring: &Keyring) -> anyhow::Result<()> {
        let (global, admin) = (self.files.global, self.files.admin);
        let members = Members::of(admin)?;
        let absent = Absent::of(admin, &members)?;
        let named = self.named(&members, &absent.all)?.without_those_there(&members, &absent);
        self.remember_named(&named)?;
        self.files.put(keyring)?;
        let placed = self.files.placed(&keyring.to_json())?;
        let hosts = self.hosts(&members, &absent, &named)?;
        if global.dry_run {
            say_what_would_be_done(&placed, &hosts);
            return Ok(());
        }
        let Delivered { lost, any } = self.deliver(&placed, hosts)?;
        let lies = || vec![Lies { path: placed.path.clone(), digest: digest(placed.contents.expose()) }];
        let mut parts = reload::all(&members, &READERS, |_, _| lies());
        let is_out = |part: &Part| {
            let node = part.who.node.as_ref().map(ToString::to_string);
            let out = |node: &String| absent.has(node) || named.nodes.contains(node);
            named.hosts.contains(&part.who.host)
                || lost.contains_key(&part.who.host)
                || node.is_some_and(|n| out(&n))
        };
        parts.retain(|part| !is_out(part));
        let wish = Wish {
            step: self.reach.wait,
            accept_busy: self.reach.accept_busy,
            first_tries: if self.is_compromised() { FIRST_TRIES } else { 1 },
            start_dead: false,
        };
        let outcome = reload::reload(global, admin, &parts, wish)?;
        self.note(outcome, &absent, lost, any)
    }

    /// Brings the list to these hosts and no further: nothing is loaded.
    ///
    /// # Errors
    /// When any of them does not have it then.
    pub(super) fn bring_only(&self, keyring: &Keyring, members: &Members) -> anyhow::Result<()> {
        let named = self.named(members, &[])?;
        let placed = self.files.placed(&keyring.to_json())?;
        let hosts = self.hosts(members, &Absent::default(), &named)?;
        if self.files.global.dry_run {
            say_what_would_be_done(&placed, &hosts);
            return Ok(());
        }
        self.deliver(&placed, hosts).map(drop)
    }

    /// Daemons that are there now and have not shown that they loaded this phase's list: nodes that came back since.
    ///
    /// # Errors
    /// When slurmctld does not tell.
    pub(super) fn stragglers(&self) -> anyhow::Result<Vec<String>> {
        let Some(rotation) = self.rotation() else { return Ok(Vec::new()) };
        let members = Members::of(self.files.admin)?;
        let absent = Absent::of(self.files.admin, &members)?;
        let named = self.all_named(&members, &absent.all)?;
        let parts = reload::all(&members, &READERS, |_, _| Vec::new());
        let is_out = |part: &&Part| {
            let node = part.who.node.as_ref().map(ToString::to_string);
            named.contains(&part.who.host)
                || node.is_some_and(|node| absent.has(&node) || named.contains(&node))
        };
        let names = parts.iter().filter(|part| !is_out(part)).map(|part| part.who.to_string());
        Ok(names.filter(|name| !rotation.confirmed.contains(name)).collect())
    }

    /// Every other host with a reader, without those that are named and those that are away.
    fn hosts(&self, members: &Members, absent: &Absent, named: &Named) -> anyhow::Result<Vec<String>> {
        let hosts = others(members).filter(|member| !absent.is_all_of(member));
        let hosts: Vec<String> = hosts.map(|member| member.host.clone()).collect();
        let skip: Vec<&String> = named.hosts.iter().filter(|host| hosts.contains(host)).collect();
        let mut skips = Skips::load(self.files.admin)?;
        skips.leave_out(self.files.global, hosts, &skip, Missed::Keys, clock::now())
    }

    /// Brings the list to those that do not have it; hosts that could not be reached, where that holds nothing up.
    fn deliver(&self, placed: &Placed, hosts: Vec<String>) -> anyhow::Result<Delivered> {
        let (global, admin) = (self.files.global, self.files.admin);
        let fleet = Fleet::of(admin)?;
        let looked = look(&fleet, global, placed, &hosts);
        let lacks = |host: &String| matches!(looked.of(host), Some(Ok(said)) if !has(said, placed));
        let lacking: Vec<String> = hosts.iter().filter(|host| lacks(host)).cloned().collect();
        if self.reach.no_push && !lacking.is_empty() {
            return Err(has_to_get_there(placed, &lacking));
        }
        let delivery = |host| Delivery { host, files: vec![placed.clone()], then: String::new() };
        let delivered = if lacking.is_empty() {
            Outcomes::default()
        } else {
            fleet.deliver(global, "bringing slurm.jwks", lacking.into_iter().map(delivery).collect())
        };
        let brought = delivered.reached().len();
        let outcomes = looked.and(delivered);
        Skips::load(admin)?.reached(global, &outcomes.reached(), &[Missed::Keys])?;
        let failed = outcomes.failed();
        if brought > 0 {
            report::done(global, &format!("brought  {} to {brought} hosts", placed.path.display()));
        }
        if failed.is_empty() || !self.is_compromised() {
            outcomes.into_result("bringing slurm.jwks")?;
            return Ok(Delivered { lost: BTreeMap::new(), any: brought > 0 });
        }
        outcomes.report();
        let why = |host: &String| match outcomes.of(host) {
            Some(Err(why)) => why.clone(),
            _ => "it was not reached".into(),
        };
        let lost = failed.iter().map(|host| (host.clone(), why(host))).collect();
        Ok(Delivered { lost, any: brought > 0 })
    }

    /// Remembers who has loaded the list.
    fn note(
        &mut self,
        outcome: Outcome,
        absent: &Absent,
        lost: BTreeMap<String, String>,
        any: bool,
    ) -> anyhow::Result<()> {
        let compromised = self.is_compromised();
        let Some(rotation) = self.state.rotation.as_mut() else { return Ok(()) };
        let is_new = |who: &Who| !rotation.confirmed.contains(&who.to_string());
        let told_anew = any || outcome.began.is_some() || outcome.confirmed.iter().any(is_new);
        rotation.confirmed = outcome.confirmed.iter().map(ToString::to_string).collect();
        rotation.behind =
            outcome.behind.iter().map(|(who, why)| (who.to_string(), why.to_string())).collect();
        rotation.behind.extend(lost);
        let away = absent.all.iter().filter(|away| absent.has(&away.name));
        rotation
            .behind
            .extend(away.map(|away| (format!("slurmd {}", away.name), format!("away ({})", away.why))));
        let Outcome { confirmed, behind, .. } = &outcome;
        let servers = |role| matches!(role, Role::Ctld | Role::Dbd);
        let holds_up =
            |why: &Reason, role| !matches!(why, Reason::Away(_)) && (!compromised || servers(role));
        let is_done = !behind.iter().any(|(who, why)| holds_up(why, who.role));
        // Who signed with another key until now did so until now.
        if is_done && (rotation.done.is_none() || told_anew) {
            let now = clock::now();
            rotation.done = Some(now);
            if rotation.phase == Phase::Add {
                rotation.added = Some(now);
            }
        }
        let count = confirmed.len();
        self.files.write_state(&self.state)?;
        if !is_done {
            return outcome.into_result();
        }
        outcome.reasons().iter().for_each(|line| report::warning(line));
        report::done(self.files.global, &format!("loaded   by {count} daemons, as each has shown"));
        Ok(())
    }

    fn is_compromised(&self) -> bool {
        self.rotation().is_some_and(|rotation| rotation.compromised)
    }

    fn remember_named(&mut self, named: &Named) -> anyhow::Result<()> {
        let Some(rotation) = self.state.rotation.as_mut() else { return Ok(()) };
        let before = rotation.named.len();
        rotation.named.extend(
            named.all.iter().filter(|name| !rotation.named.contains(name)).cloned().collect::<Vec<_>>(),
        );
        if rotation.named.len() == before { Ok(()) } else { self.write_state() }
    }

    /// Everything that somebody has said may miss the list, now or before.
    pub(super) fn all_named(&self, members: &Members, all: &[Away]) -> anyhow::Result<Vec<String>> {
        let before = self.rotation().map(|rotation| rotation.named.clone()).unwrap_or_default();
        Ok(before.into_iter().chain(self.named(members, all)?.all).collect())
    }

    /// What `--skip` names: a misspelt name would be waited for.
    fn named(&self, members: &Members, all: &[Away]) -> anyhow::Result<Named> {
        let mut named = Named::default();
        for word in &self.reach.skip {
            let may_miss_it = |name: &str| all.iter().any(|away| away.name == name);
            let is_node = |name: &str| members.all().iter().any(|member| has_node(member, name));
            if may_miss_it(word) && !is_node(word) {
                named.all.insert(word.clone());
                continue;
            }
            for name in hostlist::texts(word).usage()? {
                let is_host = members.all().iter().any(|member| member.host == name);
                let is_node = is_node(&name);
                if !is_host && !is_node && !may_miss_it(&name) {
                    return Err(Advice::new(
                        format!("--skip {name}: no such host or node has a part in this"),
                        "name hosts as slurm.conf and [fleet] name them, images as [keys] does",
                    )
                    .into());
                }
                if is_host {
                    named.hosts.insert(name.clone());
                }
                // A host that is nothing but this node is not reached either.
                let alone = |member: &&Member| {
                    has_node(member, &name) && member.nodes.len() == 1 && member.roles == [Role::Slurmd]
                };
                named.hosts.extend(members.all().iter().filter(alone).map(|member| member.host.clone()));
                if is_node {
                    named.nodes.insert(name.clone());
                }
                named.all.insert(name);
            }
        }
        Ok(named)
    }
}

/// Hosts but this one that have a daemon which reads the list.
fn others(members: &Members) -> impl Iterator<Item = &Member> {
    let reads = |member: &&Member| READERS.iter().any(|role| member.roles.contains(role));
    members.all().iter().filter(reads).filter(|member| !is_this_host(&member.host))
}

/// What lies there now: a host that has it is given nothing, or its daemons would have to load it again.
fn look(fleet: &Fleet, global: &crate::global::Global, placed: &Placed, hosts: &[String]) -> Outcomes {
    let path = quoted(&placed.path.to_string_lossy());
    let script = format!(
        "if [ -f {path} ]; then say \"lies $(sha256sum < {path} | cut -d ' ' -f 1) $(stat -L -c '%a %u' {path})\"\nelse say lacks\nfi"
    );
    let jobs = hosts.iter().map(|host| Job { host: host.clone(), script: script.clone() });
    fleet.run(global, "comparing slurm.jwks", jobs.collect())
}

fn has(said: &[String], placed: &Placed) -> bool {
    let wanted = format!("lies {} {:o} {}", digest(placed.contents.expose()), placed.mode, placed.owner.uid);
    said.contains(&wanted)
}

/// The other hosts that have a list or a slurm.key which is not this one.
///
/// # Errors
/// When one of them does not tell.
pub(super) fn refuse_other_keys(
    files: &Files<'_>,
    members: &Members,
    own: Option<&Keyring>,
    skip: &Reach,
) -> anyhow::Result<()> {
    let hosts: Vec<String> = others(members).map(|member| member.host.clone()).collect();
    let skipped = hostlist::hosts(&skip.skip).usage()?;
    let own = own.map(|keyring| digest(keyring.to_json().expose())).unwrap_or_default();
    let (jwks, key) = (quoted(&files.jwks.to_string_lossy()), quoted(&files.key.to_string_lossy()));
    let script = format!(
        "if [ -e {key} ]; then say other\nelif [ -e {jwks} ] && [ \"$(sha256sum < {jwks} | cut -d ' ' -f 1)\" != '{own}' ]; \
         then say other\nfi"
    );
    let jobs = hosts.into_iter().filter(|host| !skipped.contains(host));
    let jobs = jobs.map(|host| Job { host, script: script.clone() }).collect();
    let outcomes = Fleet::of(files.admin)?.run(files.global, "looking for keys", jobs);
    let others: Vec<String> = outcomes
        .iter()
        .filter(|(_, said)| said.as_ref().is_ok_and(|said| said.iter().any(|line| line == "other")))
        .map(|(host, _)| host.to_owned())
        .collect();
    if others.is_empty() {
        return outcomes.into_result("looking for keys");
    }
    Err(Advice::new(
        format!("hosts have a key already: {}", hostlist::fold_texts(others.iter().map(String::as_str))),
        "copy theirs to this host and use slurm-pki auth-key import; or remove what is left over from another cluster",
    )
    .into())
}

fn has_to_get_there(placed: &Placed, lacking: &[String]) -> anyhow::Error {
    Advice::new(
        format!(
            "{} is not yet as it is here on {}",
            placed.path.display(),
            hostlist::fold_texts(lacking.iter().map(String::as_str))
        ),
        format!("{}; then run the same again", how_to_bring(placed)),
    )
    .into()
}

/// For whoever brings it otherwise.
pub(super) fn how_to_bring(placed: &Placed) -> String {
    format!(
        "bring {} there, and into images: mode {:04o}, owner {}, SHA-256 {}",
        placed.path.display(),
        placed.mode,
        crate::admin::owner_name(placed.owner),
        digest(placed.contents.expose())
    )
}

fn say_what_would_be_done(placed: &Placed, hosts: &[String]) {
    let names = hostlist::fold_texts(hosts.iter().map(String::as_str));
    let hosts = if names.is_empty() { "no other host" } else { &names };
    report::line(&format!("would bring {} to {hosts}", placed.path.display()));
}

/// When a phase was reached.
pub(super) fn done_of(rotation: &Rotation) -> anyhow::Result<UnixTime> {
    rotation.done.ok_or_else(|| {
        Advice::new(
            format!("not every daemon has shown that it loaded the list of {}", rotation.phase),
            format!("complete that: {}", rotation.phase.command()),
        )
        .into()
    })
}

/// For a command that is not this phase's turn.
pub(super) fn under_way(rotation: &Rotation) -> anyhow::Error {
    Advice::new(
        format!("a change of the auth/slurm key is under way: {}, since {}", rotation.phase, rotation.since),
        format!("see slurm-pki auth-key status; complete it: {}", rotation.phase.command()),
    )
    .into()
}
