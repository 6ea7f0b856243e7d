//! The new key counts everywhere.

use crate::scene::Scene;

#[test]
fn slurmctld_and_slurmdbd_have_the_new_key_and_the_gap_is_told() {
    let scene = Scene::with_dbd();
    let former = scene.key("jwt.key");
    let (said, _) = scene.rotated(&["--yes"]);
    assert!(said.contains("slurmctld and slurmdbd: tokens of the new key count"), "{said}");
    assert!(said.contains(" s from the first daemon's change to the last proof"), "{said}");
    let new = scene.key("jwt.key");
    assert!(new != former && new.len() == 32, "{new:?}");
    assert_eq!(
        (scene.key("dbd.key"), scene.loaded_bytes("ctld"), scene.loaded_bytes("dbd")),
        (new.clone(), new.clone(), new)
    );
    for name in ["jwt.key", "dbd.key"] {
        scene.site.assert_file(name, 0o400, scene.site.slurm_user.1);
    }
    assert_eq!(scene.events(), ["dbd", "ctld"]);
    assert_eq!(scene.left_over(), [""; 0].map(std::path::PathBuf::from));
}

#[test]
fn it_can_be_done_again_and_without_slurmdbd() {
    let scene = Scene::new();
    let mut known = vec![scene.key("jwt.key")];
    for _ in 0..2 {
        let (said, _) = scene.rotated(&["--yes"]);
        assert!(said.starts_with("slurmctld: tokens of the new key count"), "{said}");
        let new = scene.key("jwt.key");
        assert!(!known.contains(&new) && scene.loaded_bytes("ctld") == new);
        known.push(new);
    }
}

#[test]
fn a_dry_run_names_files_and_reloads_and_changes_nothing() {
    let scene = Scene::with_dbd();
    let before = scene.site.everything();
    let (said, _) = scene.rotated(&["--dry-run"]);
    for part in
        ["jwt.key (here)", "dbd.key (here)", "restart-dbd", "scontrol reconfigure", "scontrol and sacctmgr"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(scene.site.everything(), before);
}

#[test]
fn nothing_happens_without_a_yes() {
    let scene = Scene::new();
    let before = scene.key("jwt.key");
    assert!(scene.refused(&[]).contains("Nobody is there to ask"));
    assert_eq!((scene.key("jwt.key"), scene.events()), (before, vec![]));
    assert!(scene.left_over().is_empty());
}

#[test]
fn for_a_change_without_a_gap_it_shows_the_commands_of_this_site() {
    let scene = Scene::new();
    let (said, _) = scene.rotated(&["--rs256"]);
    assert!(
        said.contains("slurm-pki jwt jwks build NEW.pem --kid NEW --keep --out /etc/slurm/jwks.json"),
        "{said}"
    );
    assert!(said.contains("has no jwks= yet"), "{said}");
}
