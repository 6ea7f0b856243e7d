//! All phases in one command, for a person and for a timer.

use std::fs;

use crate::cluster::{Cluster, default_kid, keys};

#[test]
fn rotate_walks_through_all_phases_and_waits_for_the_last_credential() {
    let cluster = Cluster::new();
    let old = default_kid(&cluster.here());
    cluster.done("rotate");
    let new = default_kid(&cluster.here());
    assert_ne!(new, old);
    assert_eq!(keys(&cluster.here()).len(), 1);
    assert_eq!(cluster.phase(), "none");
    cluster.all_have_it();
    cluster.never_an_outage();
}

#[test]
fn rotate_goes_on_where_a_phase_stopped() {
    let cluster = Cluster::new();
    cluster.set("frozen/n1", "");
    cluster.refused("rotate");
    assert_eq!(cluster.phase(), "add");
    cluster.unset("frozen/n1");
    let new = cluster.status()["new"].as_str().unwrap().to_owned();
    cluster.done("rotate --if-older-than 10y");
    assert_eq!(default_kid(&cluster.here()), new);
    assert_eq!(cluster.phase(), "none");
    cluster.never_an_outage();
}

#[test]
fn a_timer_does_nothing_while_the_key_is_young_and_rotates_an_old_one() {
    let cluster = Cluster::new();
    let before = cluster.here();
    assert!(cluster.done("rotate --if-older-than 90d").contains("nothing to do"));
    assert_eq!(cluster.here(), before);
    let path = cluster.site.path("state/auth-key/state.json");
    let state = fs::read_to_string(&path).unwrap();
    let mut state: serde_json::Value = serde_json::from_str(&state).unwrap();
    state["keys"][default_kid(&before)]["created"] = 1_000_000_000.into();
    fs::write(&path, state.to_string()).unwrap();
    cluster.done("rotate --if-older-than 90d");
    assert_ne!(cluster.here(), before);
    assert!(cluster.done("rotate --if-older-than 90d").contains("nothing to do"));
}

#[test]
fn a_key_of_unknown_age_is_as_old_as_its_file() {
    let cluster = Cluster::new();
    fs::remove_file(cluster.site.path("state/auth-key/state.json")).unwrap();
    assert!(cluster.done("rotate --if-older-than 90d").contains("nothing to do"));
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(100 * 86_400);
    let file = fs::File::options().write(true).open(cluster.site.path("slurm.jwks")).unwrap();
    file.set_modified(old).unwrap();
    let before = cluster.here();
    cluster.done("rotate --if-older-than 90d");
    assert_ne!(cluster.here(), before);
}

#[test]
fn a_key_that_others_know_leaves_at_once_and_nobody_who_is_lost_holds_it_up() {
    let cluster = Cluster::new_with("ResumeProgram=/opt/resume\n");
    let old = default_kid(&cluster.here());
    cluster.lose("n2");
    cluster.set("state/n2", "\"DOWN\",\"NOT_RESPONDING\"\n");
    let said = cluster.refused("rotate --compromised");
    assert!(said.contains("--yes"), "nobody is there to ask: {said}");
    assert_eq!(cluster.phase(), "none");
    let said = cluster.done("rotate --compromised --yes");
    for word in ["is signed with the old key", "step manager", "not reached", "n2"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(!keys(&cluster.here()).contains_key(&old));
    for who in ["ctld", "n1"] {
        assert_eq!(cluster.loaded(who), cluster.here());
    }
    assert_ne!(cluster.loaded("n2"), cluster.here());
}

#[test]
fn a_key_that_others_know_waits_for_slurmctld_all_the_same() {
    let cluster = Cluster::new();
    cluster.set("frozen/ctld", "");
    cluster.refused("rotate --compromised --yes");
    assert_eq!((cluster.phase().as_str(), keys(&cluster.here()).len()), ("add", 2));
    cluster.unset("frozen/ctld");
    cluster.done("rotate --compromised --yes");
    assert_eq!(keys(&cluster.here()).len(), 1);
    cluster.all_have_it();
}

/// The node that lost the key may be the one that is tried first, and its thief wants the key to stay.
#[test]
fn one_node_that_fails_does_not_keep_a_key_that_others_know() {
    for (mood, healed) in [("badstep.n1", false), ("frozen/n1", true)] {
        let cluster = Cluster::new();
        let old = default_kid(&cluster.here());
        cluster.set(mood, "");
        let said = cluster.refused("rotate --wait 2s");
        assert!(said.contains("slurmd n2: left alone"), "a key that nobody knows can wait: {said}");
        if healed {
            cluster.unset(mood);
        }
        let said = cluster.done("rotate --compromised --yes --wait 2s");
        assert!(!keys(&cluster.here()).contains_key(&old));
        assert!(healed || said.contains("slurmd n1: "), "{mood}: {said}");
        for who in ["ctld", "n2"] {
            assert_eq!(cluster.loaded(who), cluster.here(), "{mood}");
        }
    }
}

/// When each of those that are tried first fails, the list is to blame, and slurmctld must not load it.
#[test]
fn a_list_that_every_node_fails_with_stays_away_from_slurmctld() {
    let cluster = Cluster::new();
    let before = cluster.loaded("ctld");
    cluster.set("frozen/n1", "");
    cluster.set("frozen/n2", "");
    cluster.refused("rotate --compromised --yes");
    assert_eq!((cluster.phase().as_str(), cluster.loaded("ctld")), ("add", before));
}
