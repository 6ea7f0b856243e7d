//! Back to the old key, from wherever a rotation stands.

use crate::cluster::{Cluster, default_kid, keys, wait_for_credentials};

/// Only the old key is left, everywhere, and nobody was misunderstood.
#[track_caller]
fn is_as_before(cluster: &Cluster, old: &str) {
    assert_eq!(keys(&cluster.here()).into_keys().collect::<Vec<_>>(), [old]);
    assert_eq!((cluster.phase().as_str(), default_kid(&cluster.here()).as_str()), ("none", old));
    cluster.all_have_it();
    cluster.never_an_outage();
}

#[test]
fn after_add_the_new_key_leaves_at_once() {
    let cluster = Cluster::new();
    let old = default_kid(&cluster.here());
    cluster.done("add");
    cluster.done("abort");
    is_as_before(&cluster, &old);
}

#[test]
fn half_way_through_add_too() {
    let cluster = Cluster::new();
    let old = default_kid(&cluster.here());
    cluster.set("frozen/n2", "");
    cluster.refused("add");
    cluster.unset("frozen/n2");
    cluster.done("abort");
    is_as_before(&cluster, &old);
}

#[test]
fn after_use_all_sign_with_the_old_key_again_before_the_new_one_leaves() {
    let cluster = Cluster::new();
    let old = default_kid(&cluster.here());
    cluster.done("add");
    cluster.done("use");
    let begun = std::time::Instant::now();
    cluster.done("abort");
    assert!(begun.elapsed().as_secs() >= 2, "the last credential of the new key has ended first");
    is_as_before(&cluster, &old);
}

#[test]
fn half_way_through_use_and_with_a_host_that_is_lost_on_the_way_back() {
    let cluster = Cluster::new();
    let old = default_kid(&cluster.here());
    cluster.done("add");
    cluster.set("frozen/n2", "");
    cluster.refused("use");
    cluster.unset("frozen/n2");
    cluster.lose("n1");
    assert!(cluster.refused("abort").contains("n1"));
    assert_eq!(cluster.phase(), "return");
    assert!(cluster.refused("use").contains("under way: return"));
    assert!(cluster.refused("rotate").contains("under way: return"));
    cluster.find("n1");
    cluster.done("abort");
    is_as_before(&cluster, &old);
}

#[test]
fn once_drop_has_begun_it_is_too_late() {
    let cluster = Cluster::new();
    cluster.done("add");
    cluster.done("use");
    wait_for_credentials();
    cluster.lose("n1");
    cluster.refused("drop");
    assert!(cluster.refused("abort").contains("drop has begun"));
    cluster.find("n1");
    cluster.done("drop");
    cluster.all_have_it();
}
