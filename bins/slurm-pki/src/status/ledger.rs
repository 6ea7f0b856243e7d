//! The ledger: when it last grew, how large it is, and how much room there is. Without room nothing is issued.

use std::path::PathBuf;

use pki::time::UnixTime;
use serde::Serialize;
use site::Error;
use site::ledger::{Extent, Ledger};

use crate::admin::Admin;
use crate::advice::Advise as _;

/// With less room than this, in bytes, a busy day could fill it.
pub(crate) const LITTLE_ROOM: u64 = 256 * 1024 * 1024;

/// How the ledger is.
#[derive(Debug, Serialize)]
pub(crate) struct LedgerState {
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// When the last certificate was recorded.
    pub(crate) last: Option<UnixTime>,
    /// Whose that was.
    pub(crate) last_node: Option<String>,
    /// Files and bytes.
    #[serde(flatten)]
    pub(crate) extent: Extent,
    /// Bytes that SlurmUser can still write on that file system.
    pub(crate) free_bytes: u64,
    /// Whether nothing is issued when it cannot be written.
    pub(crate) required: bool,
}

impl LedgerState {
    pub(super) fn of(admin: &Admin) -> anyhow::Result<Self> {
        let ledger = Ledger::of(&admin.controller);
        let last = ledger.newest().advise()?;
        let folder = ledger.folder().to_owned();
        let room = rustix::fs::statvfs(&folder).map_err(|e| Error::read(&folder)(e.into())).advise()?;
        Ok(Self {
            last: last.as_ref().map(|entry| entry.time),
            last_node: last.map(|entry| entry.node),
            extent: ledger.extent().advise()?,
            free_bytes: room.f_bavail.saturating_mul(room.f_frsize),
            required: admin.controller.ledger_required,
            folder,
        })
    }

    /// Whether little room is left.
    pub(crate) fn is_tight(&self) -> bool {
        self.free_bytes < LITTLE_ROOM
    }
}
