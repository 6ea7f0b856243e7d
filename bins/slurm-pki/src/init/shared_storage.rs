//! Several controllers, one store: state_dir lies where StateSaveLocation lies.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use site::Error;

use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};

/// With more than one SlurmctldHost a backup controller must find the same CA, records and ledger, and
/// StateSaveLocation is the one place that Slurm already makes sites share.
///
/// # Errors
/// When state_dir is on another file system; the hint names a folder that is not.
pub(crate) fn check(admin: &Admin) -> anyhow::Result<()> {
    let Some(slurm) = admin.slurm.as_ref().filter(|slurm| slurm.controllers().len() > 1) else {
        return Ok(());
    };
    // Slurm's default (slurm.conf(5)).
    let shared = Path::new(slurm.get("StateSaveLocation").unwrap_or("/var/spool"));
    let state_dir = &admin.top().state_dir;
    if device_of(state_dir)? == device_of(shared)? {
        return Ok(());
    }
    Err(Advice::new(
        format!(
            "slurm.conf names {} controllers, and state_dir {} is not on the file system of \
             StateSaveLocation {}, which they share",
            slurm.controllers().len(),
            state_dir.display(),
            shared.display()
        ),
        format!(
            "set state_dir = \"{}\" in {} (init --state-dir while there is no config yet)",
            folder_to_name(shared)?.display(),
            admin.config.path().display()
        ),
    )
    .into())
}

/// Beside StateSaveLocation where that is the same file system, else below it.
fn folder_to_name(shared: &Path) -> anyhow::Result<std::path::PathBuf> {
    if let Some(above) = shared.parent()
        && device_of(above)? == device_of(shared)?
    {
        return Ok(above.join("slurm-pki"));
    }
    Ok(shared.join("slurm-pki"))
}

/// The file system that a path is on, or would be.
fn device_of(path: &Path) -> anyhow::Result<u64> {
    for folder in path.ancestors() {
        match fs::metadata(folder) {
            Ok(metadata) => return Ok(metadata.dev()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::read(folder)(e)).advise(),
        }
    }
    Err(Advice::new(format!("{} is nowhere", path.display()), "give absolute paths").into())
}
