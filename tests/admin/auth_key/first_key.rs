//! The first key: made by `init`, or taken over from slurm.key by `import`.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use serde_json::{Value, json};

use crate::cluster::{Cluster, decoded, default_kid, keys};

#[test]
fn init_makes_one_key_of_256_bits_that_signs_and_says_how_others_get_it() {
    let cluster = Cluster::bare();
    let said = cluster.done("init");
    assert!(said.contains("mode 0600") && said.contains("SHA-256"), "{said}");
    cluster.site.assert_file("slurm.jwks", 0o600, cluster.site.slurm_user.1);
    let list: Value = serde_json::from_str(&cluster.here()).unwrap();
    let key = &list["keys"][0];
    let (kid, k) = (key["kid"].as_str().unwrap(), key["k"].as_str().unwrap());
    assert_eq!((kid.len(), kid.as_bytes()[14], decoded(k).len()), (36, b'4', 32));
    assert_eq!(list, json!({"keys":[{"kid":kid,"kty":"oct","alg":"HS256","use":"default","k":k}]}));
    assert!(!cluster.sim("there/n1/slurm.jwks").exists());
    let status = cluster.status();
    assert_eq!((&status["phase"], &status["keys"][0]["kid"]), (&json!("none"), &json!(kid)));
    assert!(status["keys"][0]["age_seconds"].as_i64().unwrap() < 600);
    assert!(cluster.refused("init").contains("is there already"));
    assert_ne!(keys(&Cluster::new().here()), keys(&cluster.here()), "chosen at random");
}

#[test]
fn before_the_clusters_init_state_dir_is_made_as_that_does() {
    let cluster = Cluster::bare();
    fs::remove_dir_all(cluster.site.path("state")).ok();
    cluster.done("init");
    cluster.site.assert_file("state", 0o755, cluster.site.slurm_user.1);
    cluster.site.assert_file("state/auth-key", 0o700, cluster.site.slurm_user.1);
}

#[test]
fn init_everywhere_brings_it_to_every_host_with_owner_and_mode() {
    let cluster = Cluster::bare();
    cluster.lose("n2");
    assert!(cluster.refused("init --everywhere").contains("n2"));
    assert!(!cluster.site.path("slurm.jwks").exists(), "nobody knows whether n2 has a key");
    cluster.find("n2");
    cluster.done("init --everywhere");
    for host in ["n1", "n2"] {
        let path = cluster.sim(&format!("there/{host}/slurm.jwks"));
        assert_eq!(fs::read_to_string(&path).unwrap(), cluster.here());
        let is = fs::metadata(&path).unwrap();
        assert_eq!((is.mode() & 0o7777, is.uid()), (0o600, cluster.site.slurm_user.1));
    }
    assert_eq!(cluster.phase(), "none");
}

#[test]
fn init_never_replaces_a_key_here_or_elsewhere() {
    let cluster = Cluster::bare();
    cluster.set("there/n1/slurm.key", "0123456789abcdef0123456789abcdef");
    let said = cluster.refused("init --everywhere");
    assert!(said.contains("hosts have a key already: n1"), "{said}");
    assert!(!cluster.site.path("slurm.jwks").exists());
    cluster.unset("there/n1/slurm.key");
    cluster.site.write("slurm.key", "0123456789abcdef0123456789abcdef", 0o600);
    assert!(cluster.refused("init").contains("import"));
    assert!(!cluster.site.path("slurm.jwks").exists());
}

/// A cluster whose daemons all run with a slurm.key.
fn with_slurm_key(bytes: &[u8]) -> Cluster {
    let cluster = Cluster::bare();
    fs::write(cluster.site.path("slurm.key"), bytes).unwrap();
    fs::set_permissions(cluster.site.path("slurm.key"), fs::Permissions::from_mode(0o600)).unwrap();
    for host in ["n1", "n2"] {
        fs::write(cluster.sim(&format!("there/{host}/slurm.key")), bytes).unwrap();
    }
    cluster.start();
    cluster
}

#[test]
fn import_keeps_the_very_bytes_and_nobody_is_misunderstood_on_the_way() {
    let bytes = b"\x00thirty-two bytes, one line end\n\xff";
    let cluster = with_slurm_key(bytes);
    assert!(cluster.status()["slurm_key_alone"].as_bool().unwrap());
    assert!(cluster.refused("rotate").contains("import"));
    cluster.set("frozen/n2", "");
    cluster.set("push/n2", "");
    assert!(cluster.refused("import").contains("n2"), "n2 runs with slurm.key still");
    assert_eq!(cluster.phase(), "import");
    cluster.never_an_outage();
    cluster.unset("frozen/n2");
    cluster.done("import");
    let kid = default_kid(&cluster.here());
    assert_eq!(decoded(&keys(&cluster.here())[&kid]), bytes);
    assert!(cluster.site.path("slurm.key").exists());
    assert_eq!(cluster.phase(), "none");
    cluster.all_have_it();
    cluster.never_an_outage();
    assert!(cluster.refused("import").contains("there already"));
}

#[test]
fn a_slurm_key_that_no_list_can_hold_is_refused_before_anything_is_written() {
    let cluster = with_slurm_key(b"short");
    assert!(cluster.refused("import").contains("16 bytes"));
    assert!(!cluster.site.path("slurm.jwks").exists());
    assert_eq!(cluster.phase(), "none");
}
