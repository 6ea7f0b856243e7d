//! Many hosts at once, through the tools that the site has (`[fleet]`): a line of shell on each, files to each.
//!
//! One child per host and command, so that every tool is used in the same way and every host has its own result. A
//! tool's exit status is not believed alone: a script says on its last line that it came to its end. What belongs on this
//! very host is done here, without them.
//!
//! Interrupted, it ends the children, takes away what waits on their hosts, reaches no further ones, and leaves it to the
//! command to put on record what was done.
//!
//! No secret is in an argument, here or there: files go through a folder of this host that only the caller can read and
//! one in /run of the other that only root can.

mod delivery;
mod outcomes;
mod remembered;
mod script;
mod skips;
mod tool;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once};
use std::thread::{self, Thread};
use std::time::Duration;

use indicatif::ProgressBar;
use site::config::FleetConfig;

use crate::admin::Admin;
use crate::advice::Advise as _;
use crate::global::Global;
use crate::{interrupt, report};

pub(crate) use delivery::{Delivery, Placed, digest};
pub(crate) use outcomes::Outcomes;
pub(crate) use remembered::Remembered;
pub(crate) use script::quoted;
pub(crate) use skips::{Missed, Skips};
pub(crate) use tool::{INTERRUPTED, shown};

/// How often it is looked whether somebody pressed Ctrl-C.
const LOOK: Duration = Duration::from_millis(100);

/// Text of POSIX sh for one host. It runs as root there, with `set -eu`; `say WORDS` makes a line of the result.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// The host.
    pub(crate) host: String,
    /// What to run: no secrets in it.
    pub(crate) script: String,
}

/// The site's tools.
#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    copy: Vec<String>,
    run: Vec<String>,
    parallel: usize,
    timeout: Duration,
    /// Whether an interruption leaves its tools the rest of their time.
    goes_on: bool,
}

impl Fleet {
    /// As the config says.
    ///
    /// # Errors
    /// When `[fleet]` has no meaning.
    pub(crate) fn of(admin: &Admin) -> anyhow::Result<Self> {
        interrupt::watch();
        let FleetConfig { copy, run, parallel, timeout, .. } = FleetConfig::read(&admin.config).advise()?;
        Ok(Self { copy, run, parallel, timeout, goes_on: false })
    }

    /// The same tools for what must not be left half done: an interruption waits for them.
    pub(crate) fn to_the_end(&self) -> Self {
        Self { goes_on: true, ..self.clone() }
    }

    /// How many hosts are worked on at the same time.
    pub(crate) fn parallel(&self) -> usize {
        self.parallel
    }

    /// How long a script may run.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Runs each job on its host, many at once.
    pub(crate) fn run(&self, global: &Global, what: &str, jobs: Vec<Job>) -> Outcomes {
        self.each(global, what, jobs, |job| (job.host.clone(), self.run_on(&job.host, &job.script)))
    }

    /// Brings each its files, many hosts at once. A host's result are the digests of what lies there now.
    pub(crate) fn deliver(&self, global: &Global, what: &str, deliveries: Vec<Delivery>) -> Outcomes {
        delivery::sweep_here();
        self.each(global, what, deliveries, |delivery| {
            (delivery.host.clone(), delivery::bring(self, &delivery))
        })
    }

    /// Works on many hosts at once, in no order; the results are in the order of the hosts' names.
    fn each<T: Send>(
        &self,
        global: &Global,
        what: &str,
        work: Vec<T>,
        one: impl Fn(T) -> (String, Result<Vec<String>, String>) + Sync,
    ) -> Outcomes {
        let bar = report::progress(global, work.len(), what);
        let results = in_parallel(self.parallel, &bar, work, one);
        bar.finish_and_clear();
        Outcomes::new(results)
    }
}

/// Does the same with each piece of work, `parallel` at a time.
pub(crate) fn in_parallel<T: Send, R: Send>(
    parallel: usize,
    bar: &ProgressBar,
    work: Vec<T>,
    one: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let count = work.len();
    let work: Vec<_> = work.into_iter().map(|piece| Mutex::new(Some(piece))).collect();
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(count)));
    let workers = parallel.min(count);
    let (at_work, this) = (AtomicUsize::new(workers), thread::current());
    let worker = || {
        let _at_work = AtWork(&at_work, &this);
        while let Some(place) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
            let piece = place.lock().map_or(None, |mut place| place.take());
            if let Some(piece) = piece {
                let result = one(piece);
                if let Ok(mut results) = results.lock() {
                    results.push(result);
                }
                bar.inc(1);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(worker);
        }
        tell_of_interruption(bar, &at_work);
    });
    results.into_inner().unwrap_or_default()
}

/// A worker, until it ends, in whatever way: the one that waits for the last of them would wait for ever.
struct AtWork<'a>(&'a AtomicUsize, &'a Thread);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        if self.0.fetch_sub(1, Ordering::Release) == 1 {
            self.1.unpark();
        }
    }
}

/// Whoever pressed Ctrl-C hears at once that it was heard: pressed again, it would leave on hosts what is being taken away.
fn tell_of_interruption(bar: &ProgressBar, at_work: &AtomicUsize) {
    static TOLD: Once = Once::new();
    while at_work.load(Ordering::Acquire) > 0 {
        if interrupt::came() {
            let text = "interrupted: what is under way is brought to an end, which may take as long as a host is given";
            return TOLD.call_once(|| bar.suspend(|| report::warning(text)));
        }
        thread::park_timeout(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_of_work_is_done_once_however_many_do_it() {
        for parallel in [1, 3, 100] {
            let mut done = in_parallel(parallel, &ProgressBar::hidden(), (0..50).collect(), |n| n);
            done.sort_unstable();
            assert_eq!(done, (0..50).collect::<Vec<_>>());
        }
    }
}
