//! Thirty-two hands.

/// How many programs run at the same time.
pub(crate) const AT_ONCE: usize = 32;

/// Does each job once, 32 at a time; what came of them, in any order.
pub(crate) fn at_once<J: Sync, R: Send>(jobs: &[J], work: impl Fn(&J) -> R + Sync) -> Vec<R> {
    support::crowd::at_once(AT_ONCE, jobs, work)
}
