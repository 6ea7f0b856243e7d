//! What SlurmUser, who owns state_dir, could put in root's way.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown, lchown, symlink};
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{CWD, FlockOperation, Mode, flock, mkfifoat};
use serde_json::json;
use support::programs::program;
use support::site::files_below;

use crate::cluster::{Cluster, SOMEBODY, is_root};

fn make_fifo(cluster: &Cluster, relative: &str) {
    let path = cluster.site.path(relative);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
}

#[test]
fn a_fifo_in_the_ledger_is_refused_and_never_waited_for() {
    let cluster = Cluster::new();
    make_fifo(&cluster, "state/ledger/issued.other.jsonl");
    cluster.fails(&["ledger", "list"], "not a regular file");
}

#[test]
fn a_fifo_in_place_of_a_last_certificate_is_passed_over() {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "n1"]);
    make_fifo(&cluster, "state/ledger/last/n1.json");
    assert!(cluster.ok(&["node", "list"]).contains("n1"));
}

#[test]
fn a_ledger_line_without_an_end_is_read_in_pieces_and_the_next_line_counts() {
    let cluster = Cluster::new();
    let path = cluster.site.path("state/ledger/issued.other.jsonl");
    let mut file = File::create(path).unwrap();
    file.write_all(&vec![b'['; 300_000]).unwrap();
    writeln!(file, "\n{}", line_of("n1")).unwrap();
    assert_eq!(cluster.ok(&["ledger", "list"]).lines().count(), 2);
}

#[test]
fn escape_sequences_in_the_ledger_never_reach_a_terminal() {
    let cluster = Cluster::new();
    let path = cluster.site.path("state/ledger/issued.other.jsonl");
    fs::write(path, line_of("e\u{1b}[2J\nroot\u{9b}1m") + "\n").unwrap();
    for args in [&["ledger", "list"][..], &["ledger", "show", "a\u{1b}b"]] {
        let said = cluster.ok(args);
        assert!(said.chars().all(|c| c == '\n' || !c.is_control()), "{said:?}");
        assert!(said.contains("\\u{1b}[2J"), "{said:?}");
    }
    assert_eq!(cluster.ok(&["ledger", "list"]).lines().count(), 2, "a line break makes no row");
}

fn line_of(node: &str) -> String {
    json!({
        "v": 1, "time": i64::MAX, "node": node, "serial": "a\u{1b}b", "spki_sha256": "", "not_before": i64::MIN,
        "not_after": i64::MAX, "issuer": "\u{1b}]0;t\u{7}", "record": null,
    })
    .to_string()
}

#[test]
fn a_file_of_roots_that_is_linked_among_the_waiting_secrets_becomes_nobodys_secret() {
    let mut cluster = Cluster::new();
    cluster.set_scontrol(&format!("cat > {}", cluster.site.path("told").display()));
    cluster.ok(&["node", "add", "n[1-2]"]);
    cluster.site.write("roots", b"a-password-of-root\n", 0o600);
    for node in ["n1", "n2"] {
        let waiting = cluster.site.path(&format!("state/outgoing/{node}_token.txt"));
        fs::remove_file(&waiting).unwrap();
        symlink(cluster.site.path("roots"), &waiting).unwrap();
    }
    cluster.ok(&["node", "token", "n1", "--set-certtoken"]);
    let told = fs::read_to_string(cluster.site.path("told")).unwrap();
    assert!(told.contains("nodename=n1 certtoken=") && !told.contains("password"), "{told}");
    let out = cluster.site.path("bundles");
    cluster.fails(&["node", "bundle", "n2", "--out", out.to_str().unwrap()], "were not bundled");
    assert_eq!(fs::read(cluster.site.path("roots")).unwrap(), b"a-password-of-root\n");
}

#[test]
fn root_goes_through_no_link_of_slurm_users() {
    let cluster = Cluster::with_slurm_user();
    let (tokens, elsewhere) = (cluster.site.path("state/tokens"), cluster.site.path("elsewhere"));
    fs::rename(&tokens, cluster.site.path("state/moved")).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, &tokens).unwrap();
    if is_root() {
        lchown(&tokens, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
        cluster.fails(&["node", "add", "n1"], "a link that is not root's");
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
        lchown(&tokens, Some(0), Some(0)).unwrap();
    }
    cluster.ok(&["node", "add", "n1"]);
    assert!(elsewhere.join("n1.json").exists());
}

/// The file is SlurmUser's, and so is the lock as long as he likes.
#[test]
fn a_lock_that_somebody_keeps_for_ever_is_an_error_that_names_it() {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "n1"]);
    let path = cluster.site.path("state/tokens/.lock");
    let lock = File::open(&path).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    cluster.fails(&["node", "add", "n2"], &format!("waited too long for the lock {}", path.display()));
    assert!(!cluster.site.path("state/tokens/n2.json").exists());
    drop(lock);
    cluster.ok(&["node", "add", "n2"]);
}

/// Runs a command, and has SlurmUser exchange a folder for a link to `to` after the command has judged the way there: once
/// it has begun to wait for the store's lock, which is held until then.
fn run_while_exchanged(cluster: &Cluster, args: &[&str], folder: &Path, to: &Path) -> Output {
    let path = cluster.site.path("state/tokens/.lock").canonicalize().unwrap();
    let lock = File::open(&path).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let mut command = cluster.slurm().command(&program("slurm-pki"), args);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !has_open(&mut child, &path) {
        sleep(Duration::from_millis(2));
    }
    fs::rename(folder, folder.with_file_name("moved")).unwrap();
    symlink(to, folder).unwrap();
    lchown(folder, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    drop(lock);
    child.wait_with_output().unwrap()
}

#[track_caller]
fn has_open(child: &mut Child, path: &Path) -> bool {
    if child.try_wait().unwrap().is_some() {
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        panic!("it ended before it came to the lock: {said}");
    }
    let Ok(files) = fs::read_dir(format!("/proc/{}/fd", child.id())) else { return false };
    files.filter_map(|file| fs::read_link(file.ok()?.path()).ok()).any(|file| file == path)
}

#[test]
fn a_folder_that_becomes_a_link_after_it_was_judged_leads_root_nowhere() {
    // Nobody but root has files that another could want.
    if !is_root() {
        return;
    }
    for (args, folder) in [
        (&["node", "add", "n2"][..], "outgoing"),
        (&["node", "add", "n2"], "tokens"),
        (&["node", "token", "n1"], "outgoing"),
        (&["node", "token", "n1"], "tokens"),
        (&["node", "remove", "n1", "--yes"], "outgoing"),
        (&["node", "remove", "n1", "--yes"], "tokens"),
        (&["node", "bundle", "n1", "--out", "OUT"], "outgoing"),
        (&["node", "bundle", "n1", "--out", "OUT"], "out"),
        (&["node", "bundle", "n1", "--out", "OUT", "--format", "tar"], "out"),
        (&["node", "bundle", "n1", "--out", "OUT", "--format", "ansible"], "out"),
        (&["node", "bundle", "n1", "--out", "OUT", "--format", "warewulf"], "out"),
    ] {
        let cluster = Cluster::with_slurm_user();
        cluster.ok(&["node", "add", "n1"]);
        let [state, roots] = ["state", "roots"].map(|name| cluster.site.path(name));
        fs::create_dir_all(state.join("out/bundles")).unwrap();
        fs::create_dir_all(roots.join("bundles/n1")).unwrap();
        chown(state.join("out"), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
        for out in [state.join("out/bundles"), roots.join("bundles")] {
            fs::set_permissions(out, fs::Permissions::from_mode(0o700)).unwrap();
        }
        for name in ["n1_token.txt", "n1.json", "bundles/hosts.yml", "bundles/n1.tar", "bundles/n1/file"] {
            cluster.site.write(&format!("roots/{name}"), b"root's\n", 0o600);
        }
        let before = files_below(&roots);
        let out = state.join("out/bundles");
        let args = args.iter().map(|arg| if *arg == "OUT" { out.to_str().unwrap() } else { arg });
        let args: Vec<_> = args.collect();
        let output = run_while_exchanged(&cluster, &args, &state.join(folder), &roots);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{args:?} {folder}: {stderr}");
        assert!(stderr.contains("a link that is not root's"), "{args:?} {folder}: {stderr}");
        assert!(files_below(&roots) == before, "{args:?} {folder}: something of root's was changed");
    }
}
