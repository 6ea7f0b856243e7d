//! The site of a case: good, then changed as the case says.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::PathBuf;
use std::process::{Command, Output};

use data_encoding::HEXLOWER;
use pki::record::{Record, RecordId};
use pki::token::NodeSecret;
use serde_json::Value;
use support::programs;
use support::site::{CA_NAME, Site, files_below, new_ca, now, random};
use support::slurm::Slurm;

use crate::case_file::{Case, FileChange, RecordSpec, SiteSpec};
use crate::case_input::time;
use crate::full_disk::FullDisk;

/// nobody: SlurmUser, when root runs the tests.
const SLURM_USER: u32 = 65534;

/// A site, what must not be seen of it, and a disk that may be full.
pub(crate) struct CaseSite {
    // Unmounted before the folder goes away.
    disk: Option<FullDisk>,
    pub(crate) site: Site,
    pub(crate) secrets: Vec<String>,
}

impl CaseSite {
    /// The site of this case.
    pub(crate) fn of(case: &Case) -> Self {
        let mut site = laid_out(&case.site);
        for (node, record) in &case.site.record {
            change_record(&site, node, record);
        }
        for (section, keys) in &case.config {
            let section = if section == "top" { "" } else { section };
            for (key, value) in keys {
                let value: Value = serde_json::to_value(value).unwrap();
                site.set(section, key, value);
            }
        }
        site.write_config();
        // Before the files change: a case may take keys away or cut them.
        let secrets = site.secret_texts();
        if case.site.as_slurm_user {
            site.give_to(SLURM_USER, SLURM_USER);
        }
        for change in &case.file {
            change_file(&site, change);
        }
        let disk = case.site.full_disk.as_ref().map(|folder| FullDisk::at(&site.path(folder)));
        Self { disk, site, secrets }
    }

    /// Runs a program with its stdout and stderr apart.
    pub(crate) fn run(&self, case: &Case, program: &str, argv: &[OsString]) -> Output {
        let mut slurm = Slurm::bare().with_env("SLURM_PKI_CONF", self.site.path(&case.site.config_file));
        let mut path = programs::program(program);
        if case.site.as_slurm_user {
            slurm = slurm.as_user(SLURM_USER, SLURM_USER);
            // SlurmUser may not get into the build's folder.
            path = programs::copy_for_everybody(&path, &self.site.path(""));
        }
        match &self.disk {
            Some(disk) => disk.run(&slurm, &path, argv),
            None => slurm.run_apart(&path, argv),
        }
    }

    /// Everything that says that a certificate was issued: ledger and marks. (A file that was made and
    /// stayed empty says nothing.)
    pub(crate) fn issued(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = files_below(&self.site.path("state"));
        files.retain(|(path, contents)| {
            let name = path.file_name().unwrap().to_string_lossy();
            !contents.is_empty() && !name.starts_with("refused.") && !name.ends_with(".lock")
        });
        files
    }

    /// What was noted of refusals.
    pub(crate) fn refusals(&self) -> Vec<Vec<u8>> {
        let files = files_below(&self.site.path("state/ledger"));
        let refused = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("refused.");
        files.into_iter().filter(|(path, _)| refused(path)).map(|(_, contents)| contents).collect()
    }
}

fn laid_out(spec: &SiteSpec) -> Site {
    if spec.token_list {
        let mut site = Site::foreign();
        for node in &spec.enrolled {
            let _ = site.enrol_by_list(node);
        }
        return site;
    }
    let mut site = Site::with_ca(&spec.ca_name, time(&spec.ca_begins), time(&spec.ca_ends));
    for node in spec.enrolled.iter().chain(spec.record.keys()) {
        let _ = site.enrol(node);
    }
    site
}

fn change_record(site: &Site, node: &str, spec: &RecordSpec) {
    let old = || site.secret(node);
    let mut record = Record::of(old(), RecordId::new(random()), now());
    record.enrols_until = spec.enrols_until.as_deref().map(time);
    record.single_use = spec.single_use;
    record.withdrawn = spec.withdrawn.as_deref().map(time);
    if let Some(used) = &spec.used {
        mark(site, node, &record, used);
    }
    let mut records = vec![record];
    if let Some(since) = &spec.superseded {
        let newer = Record::of(&NodeSecret::new(random()), RecordId::new(random()), now());
        mark(site, node, &newer, since);
        records.push(newer);
    }
    site.store(node, &records);
}

fn mark(site: &Site, node: &str, record: &Record, when: &str) {
    let mark = format!("{}\n", time(when).0);
    site.write(&format!("state/tokens/{node}.{}.used", record.id), mark.as_bytes(), 0o600);
}

fn change_file(site: &Site, change: &FileChange) {
    let path = site.path(&change.path);
    if change.linked {
        let target = path.with_extension("target");
        fs::rename(&path, &target).unwrap();
        symlink(&target, &path).unwrap();
    }
    if change.remove || change.folder || change.fifo {
        let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
    }
    if change.folder {
        fs::create_dir(&path).unwrap();
    }
    if change.fifo {
        assert!(Command::new("mkfifo").arg("-m600").arg(&path).status().unwrap().success());
    }
    if let Some(contents) = new_contents(site, change) {
        // The mode stays what it was; of a new file, what a careless editor leaves.
        let mode = fs::metadata(&path).map_or(0o644, |old| old.permissions().mode() & 0o7777);
        site.write(&change.path, &contents, mode);
    }
    if let Some(mode) = &change.mode {
        let mode = u32::from_str_radix(mode, 8).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    if let Some(owner) = change.owner {
        chown(&path, Some(owner), None).unwrap();
    }
}

fn new_contents(site: &Site, change: &FileChange) -> Option<Vec<u8>> {
    let old = || site.read(&change.path);
    if change.other_ca_key {
        return Some(new_ca(CA_NAME, now(), time("1d")).1);
    }
    if let Some(text) = &change.text {
        return Some(text.repeat(change.times.unwrap_or(1)).into_bytes());
    }
    if let Some(hex) = &change.hex {
        return Some(HEXLOWER.decode(hex.as_bytes()).unwrap());
    }
    if let Some(more) = &change.append {
        return Some((old() + more).into_bytes());
    }
    if let Some([from, to]) = &change.replace {
        assert!(old().contains(from.as_str()), "{} has no {from}", change.path);
        return Some(old().replace(from.as_str(), to).into_bytes());
    }
    let cut = change.cut?;
    let old = old();
    Some(old[..old.len() - cut].into())
}
