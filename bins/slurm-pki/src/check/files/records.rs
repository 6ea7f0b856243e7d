//! Each file that SlurmUser's programs read: a restore or a copy by root leaves files that only root can read, and the
//! node whose record it is gets no certificate.

use std::collections::BTreeSet;
use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use pki::name::REHEARSAL;
use site::config::Place;

use super::super::access::{READ, Who};
use super::super::finding::Findings;
use super::super::scene::Scene;
use crate::admin::owner_name;

/// So many files are looked at in one folder: a look costs no more than a second where the folder is far away.
const MOST: usize = 50_000;

/// So many are named.
const NAMED: usize = 5;

/// What is wrong, and with which files.
#[derive(Default)]
struct Wrong {
    /// SlurmUser cannot read them, or somebody else can change them: the programs refuse them.
    refused: BTreeSet<PathBuf>,
    /// More than [`MOST`] are in one folder.
    too_many: Vec<PathBuf>,
    /// This user may not look there, and why.
    unseen: Option<String>,
}

/// Looks at the records, the marks, the chain, and the rehearsal's token.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    let Some(user) = scene.slurm_user else { return };
    let files = &scene.admin.controller;
    let (mut wrong, who) = (Wrong::default(), Who::user(user));
    if files.store == Place::Local {
        wrong.in_folder(&who, &files.tokens);
    }
    if files.signer == Place::Local {
        wrong.file(&who, &files.ca_chain);
    }
    let rehearsal = files.top.state_dir.join("rehearsal");
    wrong.file(&who, &rehearsal.join(format!("{REHEARSAL}_token.txt")));
    for folder in &wrong.too_many {
        found.not_looked_at(format!(
            "owner and mode of all files in {}: the first {MOST} alone",
            folder.display()
        ));
    }
    if let Some(why) = wrong.unseen {
        return found.unknown("state-files", why, "run this as root or as SlurmUser");
    }
    let name = owner_name(user);
    let Some(first) = wrong.refused.first() else {
        return found.ok("state-files", format!("{name} can read every record, and nobody else changes one"));
    };
    let shown: Vec<String> =
        wrong.refused.iter().take(NAMED).map(|path| path.display().to_string()).collect();
    let more = wrong.refused.len().saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    found.critical(
        "state-files",
        format!(
            "{name} cannot read {}{more}, or others can change that: its programs refuse what needs it",
            shown.join(", ")
        ),
        fix(&name, first, [&files.tokens, &rehearsal]),
    );
}

/// A folder that is all SlurmUser's is given to him whole; of any other one file alone.
fn fix(name: &str, first: &Path, his: [&Path; 2]) -> String {
    match first.parent().filter(|folder| his.contains(folder)) {
        Some(folder) => format!("chown -hR {name} {0} && chmod -R go-w {0}", folder.display()),
        None => format!("chown -h {name} {0} && chmod go-w {0}", first.display()),
    }
}

impl Wrong {
    /// A folder that is not there is told elsewhere.
    fn in_folder(&mut self, who: &Who, folder: &Path) {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(e) => return self.not_seen(folder, &e),
        };
        let mut files = entries.flatten().filter(is_read);
        for entry in files.by_ref().take(MOST) {
            if let Ok(seen) = entry.metadata() {
                self.judge(who, entry.path(), &seen);
            }
        }
        if files.next().is_some() {
            self.too_many.push(folder.to_owned());
        }
    }

    /// One that need not be there.
    fn file(&mut self, who: &Who, path: &Path) {
        match fs::metadata(path) {
            Ok(seen) => self.judge(who, path.to_owned(), &seen),
            Err(e) => self.not_seen(path, &e),
        }
    }

    fn not_seen(&mut self, path: &Path, e: &io::Error) {
        if e.kind() != io::ErrorKind::NotFound {
            self.unseen = Some(format!("{}: {e}", path.display()));
        }
    }

    fn judge(&mut self, who: &Who, path: PathBuf, seen: &Metadata) {
        let theirs = matches!(who, Who::User(user, _) if seen.uid() == user.uid) || seen.uid() == 0;
        if !theirs || !who.may(seen, READ) || seen.mode() & 0o022 != 0 {
            self.refused.insert(path);
        }
    }
}

/// Records and marks; not what a killed program left behind, nor the lock.
fn is_read(entry: &DirEntry) -> bool {
    let path = entry.path();
    path.extension().is_some_and(|ending| ending == "json" || ending == "used")
}
