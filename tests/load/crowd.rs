//! Thirty-two hands.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How many programs run at the same time.
pub(crate) const AT_ONCE: usize = 32;

/// Does each job once, 32 at a time; what came of them, in any order.
pub(crate) fn at_once<J: Sync, R: Send>(jobs: &[J], work: impl Fn(&J) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let hand = || {
        let mut done = Vec::new();
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push(work(job));
        }
        done
    };
    thread::scope(|scope| {
        let hands: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(hand)).collect();
        hands.into_iter().flat_map(|hand| hand.join().unwrap()).collect()
    })
}
