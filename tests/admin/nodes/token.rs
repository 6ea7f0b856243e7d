//! `node token`.

use crate::cluster::Cluster;

/// A cluster with n1, whose secret has left, and that secret.
fn with_bundled_node() -> (Cluster, pki::token::NodeSecret) {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "n1"]);
    let secret = cluster.waiting("n1").unwrap();
    cluster.ok(&["node", "bundle", "n1", "--out", cluster.site.path("out").to_str().unwrap()]);
    (cluster, secret)
}

#[test]
fn the_old_secret_lasts_until_its_grace_after_the_first_use_of_the_new_one_is_over() {
    let (mut cluster, old) = with_bundled_node();
    cluster.set("controller", "secret_grace", "0s");
    cluster.ok(&["node", "token", "n1"]);
    let new = cluster.waiting("n1").unwrap();
    assert!(cluster.validates("n1", &old) && cluster.signs("n1", &old), "the new one was not used yet");
    assert!(cluster.validates("n1", &new) && cluster.signs("n1", &new));
    assert!(!cluster.validates("n1", &old) && !cluster.signs("n1", &old), "the new one was used");
    assert!(cluster.validates("n1", &new) && cluster.signs("n1", &new));
}

#[test]
fn with_a_grace_both_secrets_serve() {
    let (cluster, old) = with_bundled_node();
    cluster.ok(&["node", "token", "n1"]);
    let new = cluster.waiting("n1").unwrap();
    assert!(cluster.signs("n1", &new));
    assert!(cluster.validates("n1", &old) && cluster.signs("n1", &old));
}

#[test]
fn with_now_the_old_secret_ends_at_once() {
    let (cluster, old) = with_bundled_node();
    cluster.fails(&["node", "token", "n1", "--now"], "--yes");
    assert!(cluster.validates("n1", &old));
    cluster.ok(&["node", "token", "n1", "--now", "--yes"]);
    assert!(!cluster.validates("n1", &old) && !cluster.signs("n1", &old));
    assert!(cluster.validates("n1", &cluster.waiting("n1").unwrap()));
}

#[test]
fn a_node_that_is_not_enrolled_gets_none() {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "n1"]);
    cluster.ok(&["node", "remove", "n1", "--yes"]);
    let said = cluster.fails(&["node", "token", "n[1-2]"], "2 of 2 nodes");
    assert!(said.contains("node add"), "{said}");
}

#[test]
fn a_listed_node_keeps_its_lines_token_beside_the_new_secret() {
    let mut cluster = Cluster::new();
    cluster.set_list("n1 0123456789abcdef\n");
    let listed = pki::token::NodeSecret::foreign(b"0123456789abcdef").unwrap();
    assert!(cluster.validates("n1", &listed));
    cluster.fails(&["node", "add", "n1"], "token_list");
    cluster.ok(&["node", "token", "n1"]);
    assert!(cluster.validates("n1", &listed) && cluster.signs("n1", &listed));
    assert!(cluster.validates("n1", &cluster.waiting("n1").unwrap()));
}

#[test]
fn cert_tokens_go_to_scontrols_stdin_and_nowhere_else() {
    let (mut cluster, _) = with_bundled_node();
    let (stdin, argv) = (cluster.site.path("stdin"), cluster.site.path("argv"));
    cluster.set_scontrol(&format!("printf %s \"$*\" > {}; cat > {}", argv.display(), stdin.display()));
    let output = cluster.run(&["node", "token", "n1", "--set-certtoken"]);
    assert!(output.status.success());
    let secret = cluster.waiting("n1").unwrap();
    let token = String::from_utf8(secret.token().secret().expose().to_vec()).unwrap();
    assert_eq!(cluster.site.read("stdin"), format!("update nodename=n1 certtoken={token}\nquit\n"));
    assert_eq!(cluster.site.read("argv"), "");
    assert!(!String::from_utf8_lossy(&output.stderr).contains(&token));
}

#[test]
fn a_scontrol_that_fails_is_reported_without_the_token() {
    let (mut cluster, old) = with_bundled_node();
    cluster.set_scontrol("echo \"slurm_update error: Access denied: $(cat)\" >&2; exit 1");
    let said = cluster.fails(&["node", "token", "n1", "--set-certtoken"], "Access denied");
    let secret = cluster.waiting("n1").unwrap();
    let token = String::from_utf8(secret.token().secret().expose().to_vec()).unwrap();
    assert!(!said.contains(&token), "{said}");
    assert!(cluster.validates("n1", &old) && cluster.validates("n1", &secret));
}

#[test]
fn a_node_that_gets_a_secret_at_every_boot_keeps_a_file_of_bounded_length() {
    let (cluster, _) = with_bundled_node();
    for _ in 0..40 {
        cluster.ok(&["node", "token", "n1", "--now", "--yes"]);
    }
    let shown: serde_json::Value =
        serde_json::from_str(&cluster.ok(&["node", "list", "n1", "--json"])).unwrap();
    let records = shown["data"][0]["records"].as_array().unwrap().len();
    assert!((2..=33).contains(&records), "{records}");
    assert!(cluster.validates("n1", &cluster.waiting("n1").unwrap()));
}
