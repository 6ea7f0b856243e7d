//! Files to a host: each arrives whole, in one rename, with its owner and mode, and its digest comes back.

use std::path::{Path, PathBuf};

use data_encoding::{BASE64, HEXLOWER};
use pki::secret::Secret;
use site::file::{NewFile, Owner};
use site::random;

use super::Fleet;
use super::script::{quoted, whole};
use crate::admin::caller;
use crate::members::is_this_host;

/// Where files wait on the other host: memory, and nobody but root can make a name there.
const WAITING: &str = "/run/slurm-pki";

/// A file as a host is to have it.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    /// Where; its folder is made with mode 0755 when it is missing.
    pub(crate) path: PathBuf,
    /// What is in it.
    pub(crate) contents: Secret,
    /// Permission bits.
    pub(crate) mode: u32,
    /// Whose it is.
    pub(crate) owner: Owner,
}

/// What one host gets.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// The host.
    pub(crate) host: String,
    /// Its files, in the order in which they take their places.
    pub(crate) files: Vec<Placed>,
    /// What runs there after all of them; empty: nothing.
    pub(crate) then: String,
}

/// Brings a host its files, and compares what lies there with what was sent. The script's own lines are the result.
pub(super) fn bring(fleet: &Fleet, delivery: &Delivery) -> Result<Vec<String>, String> {
    let random: [u8; 8] = random::bytes().map_err(|e| e.to_string())?;
    let there = format!("{WAITING}.{}", HEXLOWER.encode(&random));
    let script = whole(&installing(delivery, &there)?);
    let own =
        tempfile::Builder::new().prefix("slurm-pki.").tempdir_in(memory()).map_err(|e| e.to_string())?;
    let file = own.path().join("files");
    let here = NewFile::new(&file, 0o600).not_synced();
    here.replace(script.as_bytes()).map_err(|e| e.to_string())?;
    let said = if is_this_host(&delivery.host) {
        fleet.run_file_on(&delivery.host, file.to_str().ok_or("a file's name is not UTF-8")?)
    } else {
        send(fleet, &delivery.host, &file, &there)
    };
    compared(&delivery.files, said?)
}

fn send(fleet: &Fleet, host: &str, file: &Path, there: &str) -> Result<Vec<String>, String> {
    fleet.run_on(host, &format!("umask 077\nmkdir {there}"))?;
    let place = format!("{there}/files");
    let said = fleet.copy_to(host, file, &place).and_then(|()| fleet.run_file_on(host, &place));
    if said.is_err() {
        // The script removes its folder itself, unless it never ran.
        let _ = fleet.run_on(host, &format!("rm -rf {there}"));
    }
    said
}

/// A folder of this host in memory where there is one: what is written here need not reach a disk.
fn memory() -> PathBuf {
    let run = Path::new("/run");
    if caller().uid == 0 && run.is_dir() { run.into() } else { std::env::temp_dir() }
}

/// `put MODE OWNER FOLDER NAME`: stdin, in base64, becomes a file by one rename. Nobody else sees it before it has its owner
/// and mode.
const PUT: &str = r#"
umask 077
put() {
    [ -d "$3" ] || mkdir -p -m 0755 "$3"
    new="$3/.$4.$$.tmp"
    rm -f "$new"
    base64 -d > "$new"
    chown "$2" "$new"
    chmod "$1" "$new"
    sync "$new"
    mv -fT "$new" "$3/$4"
    sync "$3"
    say "file $(sha256sum < "$3/$4" | cut -d ' ' -f 1) $3/$4"
}
"#;

fn installing(delivery: &Delivery, there: &str) -> Result<String, String> {
    let mut script = format!("trap 'rm -rf {there}' EXIT\n{PUT}");
    for file in &delivery.files {
        let (Some(folder), Some(name)) = (file.path.parent(), file.path.file_name()) else {
            return Err(format!("{} is no place for a file", file.path.display()));
        };
        let (Some(folder), Some(name)) = (folder.to_str(), name.to_str()) else {
            return Err(format!("{} is not UTF-8", file.path.display()));
        };
        script.push_str(&format!(
            "put {:04o} {}:{} {} {} <<'END'\n{}\nEND\n",
            file.mode,
            file.owner.uid,
            file.owner.gid,
            quoted(folder),
            quoted(name),
            BASE64.encode(file.contents.expose())
        ));
    }
    script.push_str(&delivery.then);
    Ok(script)
}

/// What lies there must be what was sent; the other lines are the result.
fn compared(files: &[Placed], said: Vec<String>) -> Result<Vec<String>, String> {
    for file in files {
        let wanted = format!("file {} {}", digest(file.contents.expose()), file.path.display());
        if !said.contains(&wanted) {
            return Err(format!("{} does not lie there as it was sent", file.path.display()));
        }
    }
    Ok(said.into_iter().filter(|line| !line.starts_with("file ")).collect())
}

/// SHA-256, lower-case hex, as sha256sum has it.
pub(crate) fn digest(bytes: &[u8]) -> String {
    HEXLOWER.encode(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;
    use std::time::Duration;

    use super::*;

    fn here() -> Fleet {
        Fleet { copy: Vec::new(), run: Vec::new(), parallel: 1, timeout: Duration::from_secs(20) }
    }

    fn placed(path: PathBuf, contents: &[u8], mode: u32) -> Placed {
        Placed { path, contents: Secret::new(contents.to_vec()), mode, owner: caller() }
    }

    #[test]
    fn files_arrive_whole_with_owner_and_mode_in_folders_that_are_made() {
        let folder = tempfile::tempdir().unwrap();
        let (key, cert) = (folder.path().join("a b/it's.key"), folder.path().join("cert"));
        fs::write(&cert, "old").unwrap();
        let bytes: Vec<u8> = (0..=255).cycle().take(9999).collect();
        let files = vec![placed(key.clone(), &bytes, 0o400), placed(cert.clone(), b"", 0o644)];
        let then = format!("say there $(ls {})", quoted(folder.path().to_str().unwrap()));
        let said = bring(&here(), &Delivery { host: "localhost".into(), files, then }).unwrap();
        assert_eq!(said, ["there a b cert"]);
        assert_eq!(fs::read(&key).unwrap(), bytes);
        assert_eq!(fs::metadata(&key).unwrap().mode() & 0o7777, 0o400);
        assert_eq!(fs::metadata(folder.path().join("a b")).unwrap().mode() & 0o7777, 0o755);
        assert_eq!(
            (fs::read(&cert).unwrap().len(), fs::metadata(&cert).unwrap().mode() & 0o7777),
            (0, 0o644)
        );
    }

    #[test]
    fn a_file_that_cannot_take_its_place_is_a_failure_and_those_after_it_stay_away() {
        let folder = tempfile::tempdir().unwrap();
        let (taken, after) = (folder.path().join("taken"), folder.path().join("after"));
        fs::create_dir(&taken).unwrap();
        fs::write(taken.join("x"), "").unwrap();
        let files = vec![placed(taken, b"1", 0o600), placed(after.clone(), b"2", 0o600)];
        let delivery = Delivery { host: "localhost".into(), files, then: String::new() };
        bring(&here(), &delivery).unwrap_err();
        assert!(!after.exists());
    }

    #[test]
    fn what_lies_there_is_compared_with_what_was_sent() {
        let file = placed("/x".into(), b"1", 0o600);
        let line = |contents: &[u8]| vec![format!("file {} /x", digest(contents)), "own".to_owned()];
        assert_eq!(compared(std::slice::from_ref(&file), line(b"1")).unwrap(), ["own"]);
        assert!(compared(&[file], line(b"2")).is_err());
    }
}
