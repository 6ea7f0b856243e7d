//! What is refused, and that nothing was changed then.

use std::fs;
use std::os::unix::fs::symlink;

use crate::cluster::{Cluster, keys, wait_for_credentials};
use crate::scratch::caller;

#[test]
fn each_phase_waits_for_the_one_before() {
    let cluster = Cluster::new();
    for step in ["use", "drop", "abort"] {
        assert!(cluster.refused(step).contains("no rotation is under way"), "{step}");
    }
    cluster.done("add");
    assert!(cluster.refused("drop").contains("under way: add"));
    assert!(cluster.refused("init").contains("under way: add"));
    assert!(cluster.refused("import").contains("under way: add"));
    cluster.done("use");
    assert!(cluster.refused("add").contains("under way: use"));
}

#[test]
fn what_may_come_back_with_the_old_key_alone_holds_up_drop_until_it_is_named() {
    let cluster = Cluster::new_with("ResumeProgram=/opt/resume\n");
    cluster.config("images = [\"/srv/node.img\"]\n");
    cluster.set("state/n2", "\"IDLE\",\"POWERED_DOWN\"\n");
    cluster.lose("n2");
    cluster.done("add");
    let said = cluster.done("use");
    for name in
        ["n2 may miss the new key: IDLE+POWERED_DOWN", "/srv/node.img may miss", "ResumeProgram may miss"]
    {
        assert!(said.contains(name), "{said}");
    }
    assert_eq!(cluster.status()["may_miss_it"].as_array().unwrap().len(), 3);
    wait_for_credentials();
    let said = cluster.refused("drop");
    assert!(
        said.contains("--skip ResumeProgram,n2 --skip /srv/node.img")
            || said.contains("--skip n2,ResumeProgram --skip /srv/node.img"),
        "{said}"
    );
    assert!(cluster.refused("drop --skip ResumeProgram --skip n2").contains("alone: /srv/node.img"));
    assert!(cluster.refused("drop --skip n3").contains("no such host or node"));
    cluster.done("drop --skip /srv/node.img --skip ResumeProgram --skip n2");
    assert_eq!(keys(&cluster.here()).len(), 1);
    assert_eq!(cluster.loaded("n1"), cluster.here());
    assert_ne!(cluster.loaded("n2"), cluster.here());
}

/// A running job with a step manager.
fn job(cluster: &Cluster, start: i64) {
    cluster.set(
        "jobs",
        &format!(
            "{{\"jobs\":[{{\"job_id\":17,\"flags\":[\"STEPMGR_ENABLED\"],\"job_state\":[\"RUNNING\"],\
             \"start_time\":{{\"set\":true,\"number\":{start}}}}}]}}"
        ),
    );
}

#[test]
fn a_step_manager_that_began_before_all_had_the_key_holds_up_use_and_drop_unless_yes() {
    let cluster = Cluster::new();
    job(&cluster, 1000);
    cluster.done("add");
    let said = cluster.refused("use");
    assert!(said.contains("step manager") && said.contains("17"), "{said}");
    assert_eq!(cluster.phase(), "add");
    assert!(cluster.done("use --yes").contains("their steps will fail"));
    wait_for_credentials();
    assert!(cluster.refused("drop").contains("17"));
    job(&cluster, 4_000_000_000);
    cluster.done("drop");
}

#[test]
fn a_list_that_daemons_do_not_load_goes_nowhere() {
    let cluster = Cluster::new();
    let good = cluster.here();
    for (bad, why) in [
        (good.replace("HS256", "HS512"), "HS256"),
        (good.replace("\"oct\"", "\"RSA\""), "oct"),
        (good.replace(&keys(&good).into_values().next().unwrap(), "AAAA"), "16 bytes"),
        (good.replace('}', ""), "line"),
    ] {
        assert_ne!(bad, good);
        fs::write(cluster.site.path("slurm.jwks"), &bad).unwrap();
        let said = cluster.refused("add");
        assert!(said.contains("daemons would not load it") && said.contains(why), "{said}");
        assert_eq!(cluster.loaded("n1"), good);
        assert_eq!(fs::read_to_string(cluster.sim("there/n1/slurm.jwks")).unwrap(), good);
    }
    fs::write(cluster.site.path("slurm.jwks"), &good).unwrap();
    cluster.done("add");
}

#[test]
fn root_is_led_nowhere_by_links_and_second_names() {
    let cluster = Cluster::new();
    let good = cluster.here();
    let (jwks, secret) = (cluster.site.path("slurm.jwks"), cluster.site.path("roots_own"));
    cluster.site.write("roots_own", &good, 0o600);
    fs::remove_file(&jwks).unwrap();
    fs::hard_link(&secret, &jwks).unwrap();
    assert!(cluster.refused("add").contains("another name"));
    fs::remove_file(&jwks).unwrap();
    symlink(&secret, &jwks).unwrap();
    if caller() == 0 {
        std::os::unix::fs::lchown(&jwks, Some(cluster.site.slurm_user.1), None).unwrap();
        assert!(cluster.refused("add").contains("link that is not root's"));
        // A link of root's is followed, and stays one.
        std::os::unix::fs::lchown(&jwks, Some(0), None).unwrap();
    }
    cluster.done("add");
    assert!(jwks.is_symlink());
    assert_eq!(keys(&fs::read_to_string(&secret).unwrap()).len(), 2);
}

#[test]
fn whoever_writes_into_the_state_has_nothing_brought_that_daemons_do_not_load() {
    let cluster = Cluster::new();
    cluster.done("add");
    let (here, path) = (cluster.here(), cluster.site.path("state/auth-key/state.json"));
    let state = fs::read_to_string(&path).unwrap();
    let status = cluster.status();
    let (old, new) = (status["old"].as_str().unwrap(), status["new"].as_str().unwrap());
    for (step, bad, why) in [
        ("use", state.replace(new, "no-uuid"), "no UUID"),
        (
            "use",
            state.replace(new, "00000000-0000-4000-8000-000000000000").replace("\"add\"", "\"use\""),
            "has no key 00000000",
        ),
        ("use", state.replace("\"phase\"", "\"faze\""), "line"),
        ("use", "{".to_owned(), "line"),
        // The key that signs never leaves, whatever the state says.
        ("drop", state.replace("\"add\"", "\"drop\""), "is the key that signs"),
    ] {
        assert_ne!(bad, state);
        fs::write(&path, &bad).unwrap();
        let said = cluster.refused(step);
        assert!(said.contains(why), "{why}: {said}");
        assert_eq!(cluster.here(), here);
    }
    assert!(state.contains(old));
}

#[test]
fn two_commands_at_once_are_one_too_many() {
    let cluster = Cluster::new();
    let lock = fs::File::open(cluster.site.path("state/auth-key/lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert!(cluster.refused("add").contains("another auth-key command is running"));
}

#[test]
fn a_slurmctld_that_nobody_reaches_stops_a_phase_before_anything_is_loaded() {
    let cluster = Cluster::new();
    cluster.set("up", "DOWN\n");
    cluster.set("bin/scontrol", "#!/bin/sh\necho 'Unable to contact slurm controller' >&2\nexit 1\n");
    assert!(cluster.refused("add").contains("scontrol"));
    assert_eq!(fs::read_dir(cluster.sim("events")).unwrap().count(), 0);
}
