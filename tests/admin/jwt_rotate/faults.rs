//! The new key does not come to count: the former one does again.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::scene::Scene;

#[track_caller]
fn is_as_before(scene: &Scene, former: &[u8]) {
    assert_eq!(scene.key("jwt.key"), former);
    assert_eq!(scene.loaded_bytes("ctld"), former);
    if scene.site.path("dbd.key").exists() {
        assert_eq!((scene.key("dbd.key"), scene.loaded_bytes("dbd")), (former.to_vec(), former.to_vec()));
    }
    assert!(scene.left_over().is_empty(), "{:?}", scene.left_over());
}

#[test]
fn a_slurmctld_that_does_not_start_anew_is_not_believed_whatever_scontrol_ends_with() {
    let scene = Scene::new();
    let former = scene.key("jwt.key");
    scene.mood("ctld", "stays");
    let said = scene.refused(&["--yes"]);
    assert!(said.contains("the former one counts again") && said.contains("did not start anew"), "{said}");
    is_as_before(&scene, &former);
}

#[test]
fn a_slurmctld_that_died_at_the_reload_is_started_with_the_former_key() {
    let scene = Scene::new();
    let former = scene.key("jwt.key");
    scene.mood("ctld", "dies_once");
    let said = scene.refused(&["--yes"]);
    assert!(said.contains("the former one counts again") && said.contains("it is down"), "{said}");
    is_as_before(&scene, &former);
    assert_eq!(scene.events(), ["ctld", "start-ctld"]);
}

#[test]
fn a_slurmdbd_that_dies_of_the_new_key_is_started_with_the_former_one_and_slurmctld_is_spared() {
    let scene = Scene::with_dbd();
    let former = scene.key("jwt.key");
    scene.mood("dbd", "dies_of_a_new_key");
    let said = scene.refused(&["--yes"]);
    assert!(said.contains("slurmdbd") && said.contains("no new process of it stayed alive"), "{said}");
    scene.until(|| scene.loaded_bytes("dbd") == former);
    is_as_before(&scene, &former);
    assert_eq!(scene.events().first().unwrap(), "dbd");
}

#[test]
fn a_restart_that_fails_is_told_with_its_words() {
    let scene = Scene::with_dbd();
    let former = scene.key("jwt.key");
    scene.mood("dbd", "fails");
    let said = scene.refused(&["--yes"]);
    assert!(said.contains("is masked"), "{said}");
    assert_eq!(scene.key("jwt.key"), former);
    scene.site.write("dbd.mood", "", 0o644);
    let _ = scene.rotate(&["--abort", "--yes"]);
    is_as_before(&scene, &former);
}

#[test]
fn a_slurmctld_that_goes_on_taking_the_former_key_is_found_out_by_its_tokens() {
    let scene = Scene::new();
    let former = scene.key("jwt.key");
    scene.mood("ctld", "keeps_the_key");
    let said = scene.refused(&["--yes"]);
    assert!(said.contains("does not take a token of the key that it is to have"), "{said}");
    is_as_before(&scene, &former);
}

#[test]
fn copies_that_differ_from_the_start_are_named_and_nothing_is_touched() {
    let scene = Scene::with_dbd();
    scene.put_key("dbd.key", "another key than slurmctld has...");
    let before = scene.site.everything();
    let said = scene.refused(&["--yes"]);
    assert!(said.contains("is not the one at"), "{said}");
    assert_eq!(scene.events(), [""; 0]);
    let keys = |files: &[(std::path::PathBuf, Vec<u8>)]| {
        files
            .iter()
            .filter(|(path, _)| path.extension().is_some_and(|end| end == "key"))
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&scene.site.everything()), keys(&before));
}

#[test]
fn a_controller_that_does_not_answer_stops_it_before_anything_changes() {
    let scene = Scene::new();
    let former = scene.key("jwt.key");
    scene.site.write("ctld.down", "", 0o644);
    scene.refused(&["--yes"]);
    assert_eq!((scene.key("jwt.key"), scene.events()), (former, vec![]));
    assert!(scene.left_over().is_empty());
}

#[test]
fn there_is_nothing_to_go_back_from_when_none_is_under_way() {
    assert!(Scene::new().refused(&["--abort", "--yes"]).contains("no rotation is under way"));
}

/// The tools of `[fleet]`: all hosts are this one, and from the call on that `lost` counts down to, none answers.
const ON: &str = r#"#!/bin/sh
cd "${0%/*}/.." || exit 1
left=$(cat lost 2>/dev/null || echo 1000)
[ "$left" -gt 0 ] || { echo "no route to $1" >&2; exit 255; }
echo $((left - 1)) > lost
cd / && exec sh -c "$2"
"#;

/// A rotation that lost slurmdbd's host before anything changed there, and could not go back everywhere; the key that is
/// still everybody's.
fn lost_in_the_middle() -> (Scene, Vec<u8>) {
    let scene = Scene::with_dbd();
    let former = scene.key("jwt.key");
    scene.site.write("bin/on", ON, 0o755);
    scene.site.write("bin/copy", "#!/bin/sh\nexec cp \"$1\" \"$2\"\n", 0o755);
    let conf = scene.site.read("slurmdbd.conf").replace("localhost", "elsewhere");
    scene.site.write("slurmdbd.conf", &conf, 0o600);
    let fleet = format!(
        "{}[fleet]\nrun = [\"{}\", \"{{host}}\", \"{{command}}\"]\ncopy = [\"{}\", \"{{from}}\", \"{{to}}\", \"{{host}}\"]\n",
        scene.site.read("slurm-pki.toml"),
        scene.site.text_path("bin/on"),
        scene.site.text_path("bin/copy")
    );
    scene.site.write("slurm-pki.toml", &fleet, 0o644);
    // Where the key is, and whether it is the same: two answers, and then none.
    scene.site.write("lost", "2", 0o644);
    let said = scene.refused(&["--yes"]);
    assert!(said.contains("no route to elsewhere") && said.contains("not back everywhere"), "{said}");
    assert_eq!((scene.key("jwt.key"), scene.key("dbd.key")), (former.clone(), former.clone()));
    assert_eq!(scene.events(), [""; 0]);
    scene.site.write("lost", "1000", 0o644);
    (scene, former)
}

#[test]
fn a_host_that_is_lost_in_the_middle_does_not_keep_the_former_key_from_this_one() {
    let (scene, former) = lost_in_the_middle();
    scene.rotated(&["--abort", "--yes"]);
    is_as_before(&scene, &former);
}

#[test]
fn the_right_bytes_that_others_may_read_are_put_anew_here_and_elsewhere() {
    let (scene, former) = lost_in_the_middle();
    for name in ["jwt.key", "dbd.key"] {
        fs::set_permissions(scene.site.path(name), fs::Permissions::from_mode(0o644)).unwrap();
    }
    scene.rotated(&["--abort", "--yes"]);
    is_as_before(&scene, &former);
    for name in ["jwt.key", "dbd.key"] {
        scene.site.assert_file(name, 0o400, scene.site.slurm_user.1);
    }
}

#[test]
fn a_state_that_names_a_place_where_slurm_has_no_key_is_not_followed() {
    let scene = Scene::new();
    let former = scene.key("jwt.key");
    let (host, victim) = (crate::scene::host(), scene.site.text_path("ld.so.preload"));
    let digest = "0".repeat(64);
    for (reader, host, path) in
        [("slurmctld", host.as_str(), victim.as_str()), ("slurmdbd", "elsewhere", "/etc/x.key")]
    {
        fs::create_dir_all(scene.site.path("state/jwt-key")).unwrap();
        let state = format!(
            "{{\"v\":1,\"phase\":\"changing\",\"begun\":1,\"former\":\"{digest}\",\"new\":\"{digest}\",\
             \"copies\":[{{\"reader\":\"{reader}\",\"host\":\"{host}\",\"path\":\"{path}\"}}],\"reloaded\":false}}"
        );
        scene.site.write("state/jwt-key/rotation.json", &state, 0o600);
        for args in [&["--yes"][..], &["--abort", "--yes"]] {
            let said = scene.refused(args);
            assert!(said.contains("where slurm.conf has no key"), "{said}");
        }
        assert!(!scene.site.path("ld.so.preload").exists());
    }
    assert_eq!(scene.key("jwt.key"), former);
}
