//! `node bundle`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use pki::token::NodeSecret;
use support::programs::program;
use support::site::files_below;

use crate::cluster::{Cluster, SOMEBODY, has_record, is_root, mode_and_owner};

/// A site with n[1-2], bundled in `out`.
fn bundled() -> Cluster {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "n[1-2]"]);
    bundle(&cluster, "n[1-2]", &[]);
    cluster
}

#[track_caller]
fn bundle(cluster: &Cluster, nodes: &str, more: &[&str]) {
    let out = cluster.site.path("out");
    cluster.ok(&[&["node", "bundle", nodes, "--out", out.to_str().unwrap()], more].concat());
}

/// Where a node's bundle has what the node has at `path`.
fn inside(cluster: &Cluster, node: &str, path: &Path) -> PathBuf {
    cluster.site.path("out").join(node).join(path.strip_prefix("/").unwrap())
}

fn token_in_bundle(cluster: &Cluster, node: &str) -> NodeSecret {
    let path = cluster.site.path(&format!("node/{node}_token.txt"));
    NodeSecret::from_token_file(&fs::read(inside(cluster, node, &path)).unwrap()).unwrap()
}

fn folders_below(folder: &Path) -> Vec<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            folders.extend(folders_below(&path));
        }
    }
    folders
}

#[test]
fn a_bundle_holds_each_file_where_the_config_says() {
    let cluster = bundled();
    let own = rustix::process::geteuid().as_raw();
    for node in ["n1", "n2"] {
        let files = [
            (cluster.site.path("ca_cert.pem"), 0o644),
            (cluster.site.path("slurm-pki.toml"), 0o644),
            (cluster.site.path(&format!("node/{node}_token.txt")), 0o400),
        ];
        for (path, mode) in &files {
            assert_eq!(mode_and_owner(&inside(&cluster, node, path)), (*mode, own), "{}", path.display());
        }
        for (path, _) in &files[..2] {
            assert_eq!(fs::read(inside(&cluster, node, path)).unwrap(), fs::read(path).unwrap());
        }
        let tree = cluster.site.path("out").join(node);
        assert_eq!(files_below(&tree).len(), files.len(), "and nothing else");
        for folder in folders_below(&tree) {
            assert_eq!(mode_and_owner(&folder), (0o755, own), "{}", folder.display());
        }
    }
    assert_eq!(mode_and_owner(&cluster.site.path("out")), (0o700, own));
}

#[test]
fn the_token_of_a_bundle_is_taken_and_get_node_token_prints_it() {
    let cluster = bundled();
    let secret = token_in_bundle(&cluster, "n1");
    assert!(cluster.validates("n1", &secret) && cluster.signs("n1", &secret));
    // The scratch site is its own node: the bundle's place for the token is in it.
    let path = cluster.site.path("node/n1_token.txt");
    fs::copy(inside(&cluster, "n1", &path), &path).unwrap();
    let token = cluster.slurm().run(&program("get_node_token"), &["n1"]).text();
    assert!(cluster.slurm().run(&program("validate_node_token"), &["n1", &token]).accepted());
}

#[test]
fn the_secret_has_left_the_controller() {
    let cluster = bundled();
    assert!(cluster.waiting("n1").is_none());
    let secret = token_in_bundle(&cluster, "n1");
    let text = String::from_utf8(secret.to_token_file().expose().to_vec()).unwrap();
    let base64 = text.rsplit(':').next().unwrap();
    for (path, contents) in cluster.state() {
        assert!(!String::from_utf8_lossy(&contents).contains(base64), "{}", path.display());
    }
}

#[test]
fn copying_a_bundle_over_a_root_changes_no_folders_mode() {
    let cluster = bundled();
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let tree = cluster.site.path("out/n1");
    // Half of the folders are there already, as /etc is.
    let there = root.path().join(cluster.site.path("").strip_prefix("/").unwrap());
    fs::create_dir_all(&there).unwrap();
    for folder in folders_below(root.path()) {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let before: Vec<_> =
        folders_below(root.path()).into_iter().map(|folder| (mode_and_owner(&folder), folder)).collect();
    let source = tree.join(".");
    assert!(Command::new("cp").arg("-a").arg(source).arg(root.path()).status().unwrap().success());
    for (had, folder) in before {
        assert_eq!(mode_and_owner(&folder), had, "{}", folder.display());
    }
    let token = root.path().join(cluster.site.path("node/n1_token.txt").strip_prefix("/").unwrap());
    assert_eq!(mode_and_owner(&token).0, 0o400);
}

#[test]
fn options_are_a_line_to_merge() {
    let cluster = bundled();
    let text = cluster.site.read("out/n1.options");
    let ca = cluster.site.path("ca_cert.pem");
    assert!(text.contains(&format!("SLURMD_OPTIONS=\"--ca-cert-file={}\"\n", ca.display())), "{text}");
    // The config lies elsewhere than by default: the daemon must be told.
    let config = cluster.site.path("slurm-pki.toml");
    assert!(text.contains(&format!("SLURM_PKI_CONF={}\n", config.display())), "{text}");
}

#[test]
fn a_login_hosts_token_is_slurm_users() {
    let cluster = Cluster::with_slurm_user();
    cluster.ok(&["node", "add", "login1.x", "--login"]);
    bundle(&cluster, "login1.x", &["--login"]);
    assert!(cluster.site.read("out/login1.x.options").contains("SACKD_OPTIONS="));
    let owner = if is_root() { SOMEBODY } else { rustix::process::geteuid().as_raw() };
    let token = inside(&cluster, "login1.x", &cluster.site.path("node/login1.x_token.txt"));
    assert_eq!(mode_and_owner(&token), (0o400, owner));
}

#[test]
fn bundling_again_makes_a_new_secret_beside_the_old_one() {
    let cluster = bundled();
    let old = token_in_bundle(&cluster, "n1");
    let out = cluster.site.path("out");
    cluster.fails(&["node", "bundle", "n1", "--out", out.to_str().unwrap()], "--force");
    assert_eq!(token_in_bundle(&cluster, "n1").token().digest(), old.token().digest());
    bundle(&cluster, "n1", &["--force"]);
    let new = token_in_bundle(&cluster, "n1");
    assert_ne!(new.token().digest(), old.token().digest());
    assert_eq!(cluster.records("n1").records.len(), 2);
    assert!(cluster.validates("n1", &old) && cluster.validates("n1", &new));
}

#[test]
fn a_folder_that_others_can_enter_is_no_place_for_secrets() {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "n1"]);
    let out = cluster.site.path("out");
    fs::create_dir(&out).unwrap();
    fs::set_permissions(&out, fs::Permissions::from_mode(0o755)).unwrap();
    cluster.fails(&["node", "bundle", "n1", "--out", out.to_str().unwrap()], "0700");
    assert!(cluster.waiting("n1").is_some());
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
}

#[test]
fn a_ca_bundle_that_s2n_would_refuse_is_not_handed_out() {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "n1"]);
    let trailing = cluster.site.read("ca_cert.pem") + "-- trailing\n";
    cluster.site.write("ca_cert.pem", trailing.as_bytes(), 0o644);
    let out = cluster.site.path("out");
    cluster.fails(&["node", "bundle", "n1", "--out", out.to_str().unwrap()], "ca_cert.pem");
    assert!(cluster.waiting("n1").is_some() && !out.exists());
}

#[test]
fn no_private_key_is_bundled() {
    let cluster = bundled();
    for (path, contents) in files_below(&cluster.site.path("out")) {
        assert!(!String::from_utf8_lossy(&contents).contains("PRIVATE KEY"), "{}", path.display());
    }
}

#[test]
fn a_static_bundle_holds_a_pair_that_loads_instead_of_a_token() {
    let cluster = Cluster::new();
    if !is_root() {
        // slurmd's key is root's, and only root can make it so.
        let out = cluster.site.path("out");
        cluster.fails(&["node", "bundle", "n9", "--static", "--out", out.to_str().unwrap()], "root");
        assert!(cluster.site.ledger().is_empty());
        return;
    }
    bundle(&cluster, "n9", &["--static"]);
    let (cert, key) = (cluster.site.path("slurmd_cert.pem"), cluster.site.path("slurmd_cert_key.pem"));
    let (cert, key) = (inside(&cluster, "n9", &cert), inside(&cluster, "n9", &key));
    assert_eq!((mode_and_owner(&cert), mode_and_owner(&key)), ((0o644, 0), (0o600, 0)));
    let (cert, key) = (fs::read_to_string(cert).unwrap(), fs::read_to_string(key).unwrap());
    pki::loads_in_s2n::own_pair(cert.as_bytes(), key.as_bytes()).unwrap();
    support::openssl::verify(&cert, &cluster.site.anchors(), "sslserver");
    support::openssl::verify(&cert, &cluster.site.anchors(), "sslclient");
    assert_eq!(files_below(&cluster.site.path("out/n9")).len(), 4, "no token, and nothing else");
    assert_eq!(cluster.site.ledger().len(), 1);
    assert_eq!(cluster.site.ledger()[0]["node"], "n9");
}

#[test]
fn a_waiting_secret_without_a_record_gets_one() {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "n1"]);
    let record = cluster.records("n1");
    // As if node token had been killed between secret and record.
    cluster.ok(&["node", "token", "n1"]);
    cluster.site.write("state/tokens/n1.json", record.to_json().as_bytes(), 0o600);
    let waiting = cluster.waiting("n1").unwrap();
    bundle(&cluster, "n1", &[]);
    let bundled = token_in_bundle(&cluster, "n1");
    assert_eq!(bundled.token().digest(), waiting.token().digest());
    assert!(has_record(&cluster.records("n1"), &bundled) && cluster.validates("n1", &bundled));
}

#[test]
fn a_removed_node_gets_no_bundle() {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "n1"]);
    cluster.ok(&["node", "remove", "n1", "--yes"]);
    let out = cluster.site.path("out");
    cluster.fails(&["node", "bundle", "n1", "--out", out.to_str().unwrap()], "not enrolled");
    assert!(!out.join("n1").exists());
}
