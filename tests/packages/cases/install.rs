//! A fresh system.

use std::os::unix::fs::MetadataExt;

use anyhow::{Context, Result, ensure};
use suite::shell::said;

use super::Case;
use crate::packages::{ADMIN, ALL, Build, CLIENT, CONTROLLER, NODE};
use crate::site::CONFIG;
use crate::system::System;

pub(super) const CASES: &[Case] = &[
    ("all four are installed, in whatever order they are named, and are whole", all_are_whole),
    ("every file is root's, and none may be written by others", every_file_is_roots),
    ("slurm-pki and each of the seven run", the_programs_run),
    ("nothing is enabled and nothing is started", nothing_is_enabled),
    ("the files below /etc are the admin's", files_below_etc_are_the_admins),
    ("node, controller and slurm-pki are refused without client", refused_without_client),
    ("a client of another version is refused beside them", refused_beside_another_version),
];

const SEVEN: [&str; 7] = [
    "keygen",
    "certgen",
    "get_node_token",
    "generate_csr",
    "get_cert_key",
    "validate_node_token",
    "sign_csr",
];

/// A sample, to be copied.
const RESUME_PROGRAM: &str = "/usr/share/slurm-pki/resume/resume";

fn all_are_whole(system: &System<'_>) -> Result<()> {
    let mut names = ALL;
    names.reverse();
    system.install(Build::Release, &names)?;
    for name in ALL {
        let version = system.version(name)?;
        ensure!(version.is_some(), "{name} is not installed");
        let verdict = system.ask(system.manager.verify(), name)?;
        ensure!(verdict.trim().is_empty(), "{name}: {verdict}");
    }
    Ok(())
}

fn every_file_is_roots(system: &System<'_>) -> Result<()> {
    system.install(Build::Release, &ALL)?;
    let mut files = 0;
    for name in ALL {
        for path in system.ask(system.manager.list(), name)?.lines().filter(|path| *path != "/.") {
            let found = system.path(path).symlink_metadata().with_context(|| path.to_owned())?;
            ensure!((found.uid(), found.gid()) == (0, 0), "{path} is {}:{}'s", found.uid(), found.gid());
            let runs =
                found.is_dir() || path.starts_with("/usr/libexec/slurm-pki/") || path == RESUME_PROGRAM;
            let wanted = if runs { 0o755 } else { 0o644 };
            let mode = found.mode() & 0o7777;
            ensure!(found.is_symlink() || mode == wanted, "{path} has mode {mode:04o}");
            files += u32::from(found.is_file());
        }
    }
    ensure!(files > 20, "only {files} files");
    Ok(())
}

fn the_programs_run(system: &System<'_>) -> Result<()> {
    system.install(Build::Release, &ALL)?;
    let version = system.version(ADMIN)?.context("not installed")?;
    let version = version.split('-').next().unwrap_or_default();
    let said_version = system.sh("slurm-pki --version")?;
    ensure!(said_version.trim() == format!("slurm-pki {version}"), "{said_version}");
    let key = system.run(&["/usr/libexec/slurm-pki/keygen"])?;
    ensure!(key.contains("PRIVATE KEY"), "keygen printed no key");
    // Without what Slurm hands them, each says in its own two lines what it misses.
    for name in SEVEN.iter().filter(|name| **name != "keygen") {
        let program = format!("/usr/libexec/slurm-pki/{name}");
        let output = suite::shell::outcome(&mut system.command(&[&program]))?;
        let complaint = said(&output);
        ensure!(output.status.code() == Some(1), "{name}: {}: {complaint}", output.status);
        ensure!(complaint.starts_with(&format!("{name}: error: ")), "{name}: {complaint}");
    }
    // All of them, as Slurm runs them.
    system.sh("slurm-pki demo --nodes n1").map(drop)
}

fn nothing_is_enabled(system: &System<'_>) -> Result<()> {
    system.install(Build::Release, &ALL)?;
    let links = system.sh("find /etc/systemd /run/systemd -name '*slurm-pki*' 2>/dev/null || :")?;
    ensure!(links.trim().is_empty(), "{links}");
    for timer in ["slurm-pki-renew.timer", "slurm-pki-metrics.timer", "slurm-pki-jwks.timer"] {
        ensure!(system.has(&format!("/usr/lib/systemd/system/{timer}")), "no {timer}");
    }
    Ok(())
}

fn files_below_etc_are_the_admins(system: &System<'_>) -> Result<()> {
    system.install(Build::Release, &ALL)?;
    for (name, file) in [(CLIENT, CONFIG), (CONTROLLER, "/etc/logrotate.d/slurm-pki")] {
        let listed = system.ask(system.manager.config_files(), name)?;
        ensure!(listed.contains(file), "{name}: {listed}");
    }
    for name in ALL {
        let files = system.ask(system.manager.list(), name)?;
        let below_etc = files.lines().filter(|path| path.starts_with("/etc/") && system.path(path).is_file());
        let config = system.ask(system.manager.config_files(), name)?;
        for file in below_etc {
            ensure!(config.contains(file), "{name}: an upgrade would replace {file}");
        }
    }
    Ok(())
}

fn refused_without_client(system: &System<'_>) -> Result<()> {
    for name in [NODE, CONTROLLER, ADMIN] {
        let output = system.try_install(Build::Release, &[name])?;
        ensure!(!output.status.success() && said(&output).contains(CLIENT), "{name}: {}", said(&output));
        ensure!(system.version(name)?.is_none(), "{name} is installed all the same");
    }
    Ok(())
}

fn refused_beside_another_version(system: &System<'_>) -> Result<()> {
    system.install(Build::Release, &[CLIENT])?;
    let output = system.try_install(Build::Later, &[NODE])?;
    ensure!(!output.status.success() && said(&output).contains(CLIENT), "{}", said(&output));
    ensure!(system.version(NODE)?.is_none(), "{NODE} is installed all the same");
    Ok(())
}
