//! A change of CA that is under way, by the file that `ca rollover` keeps.

use pki::time::UnixTime;
use serde::{Deserialize, Serialize};
use site::file::{self, Keep};

use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};

/// Far longer than what stands in it.
const MAX_FILE: usize = 1024 * 1024;

/// What its file says of it, as far as it matters here.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Rollover {
    /// How far it is.
    pub(crate) phase: String,
    /// When it began.
    #[serde(default)]
    pub(crate) begun: Option<UnixTime>,
}

impl Rollover {
    pub(super) fn of(admin: &Admin) -> anyhow::Result<Option<Self>> {
        let path = admin.top().state_dir.join("ca/rollover.json");
        let Some(text) = file::read_if_there(&path, Keep::Intact, MAX_FILE).advise()? else {
            return Ok(None);
        };
        let rollover = serde_json::from_slice(text.expose());
        rollover.map(Some).map_err(|e| {
            Advice::new(format!("{}: {e}", path.display()), "see slurm-pki ca rollover status").into()
        })
    }
}
