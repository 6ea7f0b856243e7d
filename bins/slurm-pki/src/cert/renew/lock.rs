//! One renewal at a time: a timer and a person may start one in the same minute.

use std::fs::File;
use std::io::{Read as _, Write as _};

use site::file;
use site::lock;

use crate::admin::{Admin, refuse_links_of_others};
use crate::advice::{Advice, Advise as _};

/// More than a process id has.
const MAX_PID: u64 = 32;

/// Held as long as it lives; the kernel ends it with the process, however that ends.
#[derive(Debug)]
pub(super) struct RenewLock(#[expect(dead_code, reason = "open is locked")] File);

impl RenewLock {
    /// Takes it, or says who has it.
    ///
    /// # Errors
    /// When another renewal is under way, or the file cannot be used.
    pub(super) fn take(admin: &Admin) -> anyhow::Result<Self> {
        let folder = &admin.top().state_dir;
        refuse_links_of_others(folder)?;
        let path = folder.join("renew.lock");
        let mut lock = file::open_to_append(&path, 0o600).advise()?;
        if !lock::try_now(&lock, &path).advise()? {
            // On the handle: by its name it could be a pipe of SlurmUser's by now, which nobody writes into.
            let mut pid = String::new();
            let _ = (&lock).take(MAX_PID).read_to_string(&mut pid);
            let pid: String = pid.trim().chars().filter(char::is_ascii_digit).take(10).collect();
            return Err(Advice::new(
                format!("another renewal is under way (pid {pid})"),
                "wait for it to end and run this again",
            )
            .into());
        }
        // Whoever waits learns for whom; that it cannot be written keeps nobody from renewing.
        let _ = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
        Ok(Self(lock))
    }
}
