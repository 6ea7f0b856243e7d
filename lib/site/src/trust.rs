//! Whose files are used: root's, one's own, and for the admin command SlurmUser's.

use std::sync::OnceLock;

/// Set once, by the admin command alone.
static SLURM_USER: OnceLock<u32> = OnceLock::new();

/// From now on SlurmUser's files are used too: root runs the admin command, and everything below
/// `state_dir` is SlurmUser's. The seven never call this, because they never look users up (ARCHITECTURE.md). The first call counts.
pub fn slurm_user(uid: u32) {
    let _ = SLURM_USER.set(uid);
}

/// Whether a file of this owner is used.
pub(crate) fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw() || SLURM_USER.get() == Some(&uid)
}
