//! What a host says of itself: since when the files lie there, and since when its daemons run.
//!
//! Both by its own clock, so that two hosts' clocks are never compared. A process's start comes from how much older it is
//! than a process that was started just now: uptimes are virtual in some containers.

use crate::fleet::{Fleet, Job, quoted};
use crate::global::Global;

use super::outcome::Reason;
use super::part::Part;

/// Hundredths of a second since 1970.
pub(super) type Centis = i64;

/// What measuring may be wrong by.
const SLACK: Centis = 5;

/// A process that is to end over a bad file has done so by then.
pub(super) const LIVED: Centis = 200;

/// A process of a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u32,
    /// When it began. A daemon that starts itself anew in place, as Slurm's do on SIGHUP under `-D`, keeps it.
    pub(super) started: Centis,
    /// Where its program and its stack lie: another place after each exec (proc_pid_stat(5), 26 and 28).
    pub(super) image: String,
}

impl Process {
    /// Whether it is the same process in the same image. Its start is measured, and differs from look to look.
    pub(super) fn is(&self, other: &Self) -> bool {
        (self.pid, &self.image) == (other.pid, &other.image)
    }
}

/// What a host says of one daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// When the last of the files came there, or changed its owner or mode.
    pub(super) arrived: Centis,
    /// The time there.
    pub(super) now: Centis,
    /// The oldest process of that name of root's or SlurmUser's: while the former one is still on its way down, that one.
    pub(super) process: Option<Process>,
}

impl Seen {
    /// Whether the process began after the files had come.
    pub(super) fn process_is_newer(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.started.saturating_sub(SLACK) > self.arrived)
    }

    /// Whether that process is past the time in which a bad file ends one: a daemon that dies and is started again and again
    /// is newer at every look.
    pub(super) fn newer_process_lives(&self) -> bool {
        let lived = |process: &Process| self.now.saturating_sub(process.started) >= LIVED;
        self.process_is_newer() && self.process.as_ref().is_some_and(lived)
    }

    /// Whether a start that a daemon tells in whole seconds of the same clock is after the files had come.
    pub(super) fn is_before(&self, second: i64) -> bool {
        second > self.arrived.div_euclid(100)
    }

    /// Whether whatever starts now can be told from what started in the second in which the files came.
    pub(super) fn is_settled(&self) -> bool {
        self.now.div_euclid(100) > self.arrived.div_euclid(100)
    }
}

/// Asks the hosts of these daemons, many at once.
pub(super) fn look<'a>(
    global: &Global,
    fleet: &Fleet,
    owners: &[u32],
    parts: &[&'a Part],
) -> Vec<(&'a Part, Result<Seen, Reason>)> {
    let mut hosts: Vec<&str> = parts.iter().map(|part| part.who.host.as_str()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let job = |host: &str| {
        let here = parts.iter().enumerate().filter(|(_, part)| part.who.host == host);
        Job { host: host.to_owned(), script: script(owners, here, global.dry_run) }
    };
    let outcomes = fleet.run(global, "looking", hosts.into_iter().map(job).collect());
    let seen = |(at, part): (usize, &&'a Part)| {
        let said = match outcomes.of(&part.who.host) {
            Some(Ok(said)) => read(at, said),
            Some(Err(why)) => Err(Reason::Unreachable(why.clone())),
            None => Err(Reason::Unreachable("it was not asked".into())),
        };
        (*part, said)
    };
    parts.iter().enumerate().map(seen).collect()
}

/// `--dry-run` brings no files, so none are looked for.
fn script<'a, 'b: 'a>(
    owners: &[u32],
    parts: impl Iterator<Item = (usize, &'a &'b Part)>,
    dry_run: bool,
) -> String {
    let owners: Vec<String> = owners.iter().map(ToString::to_string).collect();
    let mut script = format!("owners=' {} '\n{SCRIPT}", owners.join(" "));
    for (at, part) in parts {
        script.push_str(&format!("begin {at}\n"));
        for file in part.files.iter().filter(|_| !dry_run) {
            let path = quoted(&file.path.to_string_lossy());
            script.push_str(&format!("lies {path} {}\n", quoted(&file.digest)));
        }
        script.push_str(&format!("processes {}\n", part.who.program()));
    }
    script
}

/// `read` is the shell's own: a host has thousands of processes, and a child for each would take seconds. Slurm's packages
/// of Debian call the programs `slurmctld-wlm`.
const SCRIPT: &str = r#"
now=$(date +%s%N)
now=${now%???????}
hz=$(getconf CLK_TCK)
own=$(cat /proc/self/stat)
set -- ${own##*) }
own=${20}
owners="$owners$(id -u) "
say "now $now"
begin() { part=$1; say "part $part"; }
lies() {
    [ -e "$1" ] || { say "$part missing $1"; return; }
    [ "$(sha256sum < "$1" | cut -d ' ' -f 1)" = "$2" ] || { say "$part differs $1"; return; }
    say "$part lies $(stat -L -c %.2Z "$1")"
}
processes() {
    for at in /proc/[0-9]*; do
        { read -r name < "$at/comm"; } 2>/dev/null || continue
        case $name in "$1"|"$1-wlm") ;; *) continue ;; esac
        real "$at" || continue
        case $owners in *" $uid "*) ;; *) continue ;; esac
        { read -r stat < "$at/stat"; } 2>/dev/null || continue
        one "${at#/proc/}" "$stat"
    done
}
# Whose it really is: a program of root's that anybody may start, under another name, has root's effective id alone.
real() {
    uid=
    while read -r key uid _; do
        if [ "$key" = Uid: ]; then return 0; fi
    done 2>/dev/null < "$1/status" || return 1
    return 1
}
one() {
    pid=$1
    set -- ${2##*) }
    [ "$1" != Z ] || return 0
    say "$part process $pid $((now - (own - ${20}) * 100 / hz)) ${24}-${26}"
}
"#;

fn read(at: usize, said: &[String]) -> Result<Seen, Reason> {
    let odd = || Reason::Unreachable("it said something else than it was asked".into());
    let now = said.iter().find_map(|line| line.strip_prefix("now ")).and_then(|now| now.parse().ok());
    let mut seen = Seen { arrived: 0, now: now.ok_or_else(odd)?, process: None };
    let begin = format!("part {at}");
    if !said.contains(&begin) {
        return Err(odd());
    }
    let prefix = format!("{at} ");
    for line in said.iter().filter_map(|line| line.strip_prefix(&prefix)) {
        let (word, rest) = line.split_once(' ').ok_or_else(odd)?;
        match word {
            "lies" => seen.arrived = seen.arrived.max(centis(rest).ok_or_else(odd)?),
            "missing" => return Err(Reason::OtherFile(format!("{rest} is missing there"))),
            "differs" => return Err(Reason::OtherFile(format!("{rest} there is not what was brought"))),
            "process" => {
                let process = process(rest).ok_or_else(odd)?;
                if seen.process.as_ref().is_none_or(|known| process.started < known.started) {
                    seen.process = Some(process);
                }
            }
            _ => return Err(odd()),
        }
    }
    Ok(seen)
}

/// `1795647256.07`.
fn centis(text: &str) -> Option<Centis> {
    let (whole, part) = text.split_once(['.', ','])?;
    let (whole, part): (Centis, Centis) = (whole.parse().ok()?, part.parse().ok()?);
    (0..100).contains(&part).then(|| whole.saturating_mul(100).saturating_add(part))
}

fn process(text: &str) -> Option<Process> {
    let mut words = text.split(' ');
    let (pid, started, image) = (words.next()?, words.next()?, words.next()?);
    Some(Process { pid: pid.parse().ok()?, started: started.parse().ok()?, image: image.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command};
    use std::thread::sleep;
    use std::time::Duration;

    use super::*;
    use crate::admin::caller;
    use crate::fleet::digest;
    use crate::members::Role;
    use crate::reload::part::{Lies, Who};

    /// A program's name that nobody else on this host has: the kernel keeps fifteen signs of it.
    fn name(folder: &Path) -> String {
        let random: String = folder.file_name().unwrap().to_str().unwrap().chars().rev().take(6).collect();
        format!("{}{random}", std::process::id())
    }

    /// A daemon that does nothing, and starts itself anew in place on SIGHUP.
    struct StandIn(Child);

    impl StandIn {
        fn start(folder: &Path) -> Self {
            let path = folder.join(name(folder));
            let script =
                format!("#!/bin/sh\ntrap 'exec {}' HUP\nwhile :; do sleep 0.1; done\n", path.display());
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            // A shell cannot trap what was ignored when it began, as under nohup.
            Self(Command::new("env").arg("--default-signal=HUP").arg(&path).spawn().unwrap())
        }
    }

    impl Drop for StandIn {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn part(path: PathBuf, contents: &[u8]) -> Part {
        let who = Who { role: Role::Also, host: "localhost".into(), node: None };
        Part { who, files: vec![Lies { path, digest: digest(contents) }] }
    }

    fn seen(part: &Part) -> Result<Seen, Reason> {
        let text = script(&[caller().uid], [(0, &part)].into_iter(), false);
        let folder = part.files.first().unwrap().path.parent().unwrap();
        let text = text.replace("processes clients", &format!("processes {}", name(folder)));
        let whole = format!("set -eu\nsay() {{ printf '%s\\n' \"$*\"; }}\n{text}");
        let output = Command::new("/bin/sh").args(["-c", &whole]).env("LC_ALL", "C").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let said: Vec<String> =
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        read(0, &said)
    }

    #[test]
    fn a_process_is_newer_than_a_file_only_when_it_began_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "old").unwrap();
        sleep(Duration::from_millis(200));
        let daemon = StandIn::start(folder.path());
        sleep(Duration::from_millis(200));
        let old = seen(&part(path.clone(), b"old")).unwrap();
        assert_eq!(old.process.as_ref().unwrap().pid, daemon.0.id());
        assert!(old.process_is_newer(), "{old:?}");
        fs::write(&path, "new").unwrap();
        let new = seen(&part(path.clone(), b"new")).unwrap();
        assert!(!new.process_is_newer() && new.arrived > old.arrived, "{new:?}");
        // Whatever its exact time: the process is none of another second.
        let apart = new.process.unwrap().started - old.process.unwrap().started;
        assert!(apart.abs() <= 100, "{apart}");
    }

    #[test]
    fn a_newer_process_that_is_young_may_still_die_of_the_file() {
        let process = Process { pid: 7, started: 1_000, image: "1-2".into() };
        let seen = |now| Seen { arrived: 900, now, process: Some(process.clone()) };
        assert!(seen(1_100).process_is_newer() && !seen(1_100).newer_process_lives());
        assert!(seen(1_200).newer_process_lives());
        let older = Seen { arrived: 1_100, ..seen(9_000) };
        assert!(!older.newer_process_lives());
    }

    #[test]
    fn a_start_in_place_leaves_the_start_time_and_is_seen_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "x").unwrap();
        let daemon = StandIn::start(folder.path());
        let part = part(path, b"x");
        let process = || seen(&part).unwrap().process.filter(|process| process.pid == daemon.0.id());
        let before = (0..100).find_map(|_| process()).unwrap();
        sleep(Duration::from_millis(300));
        assert_eq!(process().unwrap().image, before.image);
        let pid = rustix::process::Pid::from_child(&daemon.0);
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
        assert!((0..100).any(|_| {
            sleep(Duration::from_millis(100));
            process().is_some_and(|now| now.image != before.image)
        }));
    }

    #[test]
    fn a_file_that_is_missing_or_another_one_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it's a key");
        assert!(
            matches!(seen(&part(path.clone(), b"x")), Err(Reason::OtherFile(why)) if why.contains("missing"))
        );
        fs::write(&path, "y").unwrap();
        let why = seen(&part(path.clone(), b"x")).unwrap_err().to_string();
        assert!(why.contains("it's a key") && why.contains("not what was brought"), "{why}");
        assert!(seen(&part(path, b"y")).unwrap().process.is_none_or(|process| process.pid > 0));
    }

    #[test]
    fn what_a_host_says_is_read_to_the_letter_or_not_at_all() {
        let said = |lines: &[&str]| read(3, &lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>());
        let now = "now 179564725600";
        let both = ["3 process 7 179564725000 a-b", "3 process 9 179564724000 c-d"];
        let seen =
            said(&[now, "part 3", "3 lies 1795647246.07", "3 lies 1795647200.00", both[0], both[1]]).unwrap();
        assert_eq!((seen.arrived, seen.process.unwrap().pid), (179_564_724_607, 9));
        assert!(seen.now > seen.arrived);
        for bad in [&["part 3"][..], &[now], &[now, "part 3", "3 lies soon"], &[now, "part 3", "3 process 7"]]
        {
            assert!(matches!(said(bad), Err(Reason::Unreachable(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_second_in_which_the_file_came_proves_nothing() {
        let seen = Seen { arrived: 100_050, now: 100_090, process: None };
        assert!(!seen.is_before(1000) && seen.is_before(1001) && !seen.is_settled());
        assert!(Seen { now: 100_100, ..seen }.is_settled());
    }
}
