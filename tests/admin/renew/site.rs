//! A controller whose slurm.conf names this very host, with a pair of slurmctld of any age.

use std::fs;

use crate::pairs::{DAY, aged, old_site, put};
use crate::scratch::Scratch;

/// One whose pair is new.
pub(crate) fn fresh() -> Scratch {
    here(old_site())
}

/// One whose pair has passed nine tenths of its life.
pub(crate) fn due() -> Scratch {
    let site = fresh();
    put(&site, &aged(&site, 90 * DAY));
    site
}

/// As it is, on this host alone.
pub(crate) fn here(site: Scratch) -> Scratch {
    site.slurm_conf("SlurmctldHost=localhost\n");
    site
}

/// Adds lines to the config.
pub(crate) fn configure(site: &Scratch, more: &str) {
    let config = format!("{}\n{more}", site.read("slurm-pki.toml"));
    site.write("slurm-pki.toml", &config, 0o644);
}

/// Certificate and key under Slurm's names load together, whoever signed them.
#[track_caller]
pub(crate) fn assert_loads(site: &Scratch) {
    let (cert, key) = (site.read("ctld_cert.pem"), site.read("ctld_cert_key.pem"));
    pki::loads_in_s2n::own_pair(cert.as_bytes(), key.as_bytes()).unwrap();
}

/// All files but those that say when something happened.
pub(crate) fn files(site: &Scratch) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let is_lock = |path: &std::path::Path| path.to_string_lossy().ends_with("lock");
    site.everything().into_iter().filter(|(path, _)| !is_lock(path)).collect()
}

/// Makes a hook of these lines of shell.
pub(crate) fn hook(site: &Scratch, name: &str, script: &str) {
    let folder = site.path("hooks");
    if !folder.exists() {
        fs::create_dir(&folder).unwrap();
        configure(site, &format!("[hooks]\ndir = \"{}\"\ntimeout = \"2s\"\n", folder.display()));
    }
    site.write(&format!("hooks/{name}"), &format!("#!/bin/sh\n{script}\n"), 0o755);
}
