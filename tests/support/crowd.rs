//! Many hands.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Does each job once, so many at a time; what came of them, in any order.
///
/// # Panics
/// When a job does.
pub fn at_once<J: Sync, R: Send>(hands: usize, jobs: &[J], work: impl Fn(&J) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let hand = || {
        let mut done = Vec::new();
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push(work(job));
        }
        done
    };
    thread::scope(|scope| {
        let hands: Vec<_> = (0..hands).map(|_| scope.spawn(hand)).collect();
        hands.into_iter().flat_map(|hand| hand.join().unwrap()).collect()
    })
}
