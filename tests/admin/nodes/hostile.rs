//! What SlurmUser, who owns state_dir, could put in root's way.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{lchown, symlink};

use rustix::fs::{CWD, Mode, mkfifoat};
use serde_json::json;

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
    let mut file = fs::File::create(path).unwrap();
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
