//! A rotation step by step: who has which key, and what else is in the list.

use serde_json::{Value, json};

use crate::cluster::{Cluster, default_kid, keys, wait_for_credentials};

#[test]
fn a_rotation_never_has_a_daemon_that_another_does_not_understand() {
    let cluster = Cluster::new();
    let old = default_kid(&cluster.here());
    cluster.done("add");
    cluster.all_have_it();
    let both = keys(&cluster.here());
    assert_eq!((both.len(), default_kid(&cluster.here())), (2, old.clone()));
    let status = cluster.status();
    assert_eq!((&status["phase"], &status["old"]), (&json!("add"), &json!(old)));
    assert_eq!(status["confirmed"].as_array().unwrap().len(), 3);
    assert_eq!(status["left"], json!(["slurm-pki auth-key use"]));
    cluster.done("use");
    cluster.all_have_it();
    let new = default_kid(&cluster.here());
    assert_ne!(new, old);
    assert_eq!(keys(&cluster.here()), both, "the same keys, another default");
    assert!(cluster.refused("drop").contains("are valid until"));
    wait_for_credentials();
    cluster.done("drop");
    cluster.all_have_it();
    assert_eq!(keys(&cluster.here()).into_keys().collect::<Vec<_>>(), [new]);
    assert_eq!(cluster.phase(), "none");
    cluster.never_an_outage();
}

#[test]
fn other_keys_and_unknown_members_stay_as_they_are() {
    let cluster = Cluster::new();
    let mut list: Value = serde_json::from_str(&cluster.here()).unwrap();
    list["note"] = json!("ours");
    list["keys"][0]["x-site"] = json!([1]);
    let other =
        json!({"kid":"other","kty":"OCT","alg":"hs256","k":"AAAAAAAAAAAAAAAAAAAAAA","exp":"4000000000"});
    list["keys"].as_array_mut().unwrap().insert(0, other.clone());
    let text = list.to_string();
    std::fs::write(cluster.site.path("slurm.jwks"), &text).unwrap();
    cluster.done("add");
    let now: Value = serde_json::from_str(&cluster.here()).unwrap();
    assert_eq!((&now["note"], &now["keys"][0], &now["keys"][1]), (&list["note"], &other, &list["keys"][1]));
    assert_eq!(now["keys"].as_array().unwrap().len(), 3);
    cluster.done("use");
    wait_for_credentials();
    cluster.done("drop");
    let now: Value = serde_json::from_str(&cluster.here()).unwrap();
    assert_eq!((&now["note"], &now["keys"][0]), (&list["note"], &other));
    assert_eq!((now["keys"].as_array().unwrap().len(), now["keys"][1].get("exp")), (2, None));
}

#[test]
fn whoever_has_the_list_and_runs_with_it_is_left_alone_by_the_same_command_again() {
    let cluster = Cluster::new();
    cluster.done("add");
    let events = || std::fs::read_dir(cluster.sim("events")).unwrap().count();
    let before = events();
    let said = cluster.done("add");
    assert!(!said.contains("brought"), "{said}");
    assert_eq!(events(), before, "nobody was reloaded");
}

#[test]
fn an_owner_and_a_mode_that_somebody_chose_are_kept_and_go_to_every_host() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let cluster = Cluster::new();
    let path = cluster.site.path("slurm.jwks");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o440)).unwrap();
    cluster.done("add");
    for path in [path, cluster.sim("there/n2/slurm.jwks")] {
        assert_eq!(std::fs::metadata(path).unwrap().mode() & 0o7777, 0o440);
    }
}

#[test]
fn a_dry_run_of_every_step_changes_nothing() {
    let cluster = Cluster::new();
    let all = |cluster: &Cluster| {
        (cluster.site.everything(), std::fs::read_dir(cluster.sim("events")).unwrap().count())
    };
    let check = |step: &str, says: &str| {
        let before = all(&cluster);
        let said = cluster.done(&format!("{step} --dry-run"));
        assert!(said.contains(says), "{step}: {said}");
        assert!(before == all(&cluster), "{step}");
    };
    check("add", "would write");
    check("rotate", "would bring");
    cluster.done("add");
    check("use", "would write");
    check("abort", "would write");
    cluster.done("use");
    wait_for_credentials();
    check("drop", "would bring");
    check("abort", "would write");
}
