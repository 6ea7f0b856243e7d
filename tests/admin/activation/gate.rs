//! What keeps everything from being restarted.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::scene::Scene;

const CERTMGR: &str = "CertmgrType=certmgr/script\nCertmgrParameters=certificate_renewal_period=60\n";

/// scontrol that knows two nodes; the second renewed so many seconds ago.
fn nodes(seconds_ago: u64, state: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let node = |name: &str, state: &str, time: u64| {
        format!(
            r#"{{"name":"{name}","state":[{state}],"cert_flags":[],"tls_cert_last_renewal":{{"set":true,"infinite":false,"number":{time}}}}}"#
        )
    };
    let nodes = [node("n1", r#""IDLE""#, now - 60), node("n2", state, now - seconds_ago)];
    format!("test \"$*\" = 'show nodes --json' && echo '{{\"nodes\":[{}]}}'", nodes.join(","))
}

#[test]
fn a_node_that_answers_and_does_not_renew_keeps_the_gate_closed() {
    let scene = Scene::with(CERTMGR, "");
    let (old, new) = scene.stage("ctld");
    scene.scontrol(&nodes(5000, r#""MIXED""#));
    for args in [&[][..], &["--yes"], &["ctld"], &["--dry-run"]] {
        let said = scene.activate(args).failed("have not renewed within the period: n2");
        assert!(said.stderr.contains("nothing is restarted"), "{said:?}");
    }
    assert_eq!((scene.serves("ctld"), scene.restarts().len()), (Some(old), 0));
    scene.scontrol(&nodes(5000, r#""DOWN","NOT_RESPONDING""#));
    scene.activate(&[]).done("serves its new certificate");
    assert_eq!(scene.serves("ctld"), Some(new));
}

#[test]
fn a_gate_that_cannot_be_asked_is_closed() {
    let scene = Scene::with(CERTMGR, "");
    let (old, _) = scene.stage("ctld");
    scene.activate(&[]).failed("cannot be told");
    for script in
        ["echo 'slurm_load_node error: Unable to contact slurm controller' >&2; exit 1", "echo '{}'"]
    {
        scene.scontrol(script);
        scene.activate(&["ctld"]).failed("cannot be told");
    }
    assert_eq!((scene.serves("ctld"), scene.restarts().len()), (Some(old), 0));
}

/// What does not answer ends with the command that waits for it; and the answer is had all the same where there is one.
#[test]
fn an_interruption_ends_the_question_to_slurmctld_and_asks_once_more() {
    let scene = Scene::with(CERTMGR, "");
    let (old, _) = scene.stage("ctld");
    let asked = scene.site.text_path("asked");
    let hangs = format!("test -e {asked} || {{ echo $$ >{asked}; exec sleep 600; }}");
    for (then, what) in [
        (nodes(60, r#""IDLE""#), "not restarted, since this command was interrupted: slurmctld"),
        (
            "echo 'Unable to contact slurm controller' >&2; exit 1".into(),
            "Unable to contact slurm controller",
        ),
    ] {
        let _ = fs::remove_file(scene.site.path("asked"));
        scene.scontrol(&format!("{hangs}\n{then}"));
        let has_asked = || fs::metadata(scene.site.path("asked")).is_ok_and(|file| file.len() > 0);
        let said = scene.interrupted_when(&[], has_asked).failed(what);
        let pid = scene.site.read("asked");
        let state = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z "), "{said:?}");
    }
    assert_eq!((scene.serves("ctld"), scene.restarts().len()), (Some(old), 0));
}

#[test]
fn a_slurmctld_that_is_down_is_started_though_it_cannot_be_asked() {
    let scene = Scene::with(CERTMGR, "");
    let (_, new) = scene.stage("ctld");
    scene.stop("ctld");
    scene.scontrol("echo 'Unable to contact slurm controller' >&2; exit 1");
    scene.activate(&["ctld"]).done("slurmctld is out of reach, so nobody can tell");
    assert_eq!(scene.serves("ctld"), Some(new));
}

#[test]
fn a_slurmctld_whose_certificate_no_peer_accepts_waits_for_no_window_and_no_node() {
    let scene = Scene::with(CERTMGR, "window = \"Sun 02:00-02:01, Wed 02:00-02:01\"");
    scene.make_third();
    let new = scene.on_disk("ctld");
    for script in ["echo 'Unable to contact slurm controller' >&2; exit 1", &nodes(5000, r#""IDLE""#)] {
        scene.scontrol(script);
        scene.mood("ctld", "serves_a_third");
        scene.restart("ctld");
        assert_ne!(scene.serves("ctld"), Some(new.clone()));
        scene.mood("ctld", "");
        scene.activate(&[]).done("slurmctld is out of reach, so ");
        assert_eq!(scene.serves("ctld"), Some(new.clone()));
    }
}

#[test]
fn a_rehearsal_that_fails_keeps_the_gate_closed() {
    let scene = Scene::with(CERTMGR, "");
    let (old, _) = scene.stage("ctld");
    scene.scontrol(&nodes(60, r#""IDLE""#));
    let secret = scene.site.path("state/rehearsal/slurm-pki-rehearsal_token.txt");
    fs::rename(&secret, scene.site.path("kept")).unwrap();
    scene.activate(&[]).failed("the rehearsal failed");
    assert_eq!((scene.serves("ctld"), scene.restarts().len()), (Some(old), 0));
    fs::rename(scene.site.path("kept"), &secret).unwrap();
    scene.activate(&[]).done("serves its new certificate");
}

#[test]
fn slurmctld_is_reconfigured_only_for_who_asks_and_says_yes() {
    let scene = Scene::with(CERTMGR, "");
    let (old, new) = scene.stage("ctld");
    let reconfigure = format!("test \"$*\" = reconfigure && exec {} ctld", scene.site.text_path("restart"));
    scene.scontrol(&format!("{reconfigure}\n{}", nodes(60, r#""IDLE""#)));
    scene.activate(&["ctld", "--reconfigure"]).failed("re-execs every slurmd");
    assert_eq!(scene.serves("ctld"), Some(old));
    let said = scene.activate(&["ctld", "--reconfigure", "--dry-run"]).done("would run scontrol reconfigure");
    drop(said);
    scene.activate(&["ctld", "--reconfigure", "--yes"]).done("serves its new certificate");
    assert_eq!(scene.serves("ctld"), Some(new));
}

/// By the ledger n2 got its last certificate then, bound to its own secret.
fn issued(scene: &Scene, time: u64) {
    issued_by(scene, time, Some("0123456789abcdef"));
}

/// The same, bound by that record, or by none.
fn issued_by(scene: &Scene, time: u64, record: Option<&str>) {
    let entry = serde_json::json!({
        "v": 1, "time": time, "node": "n2", "serial": "01", "spki_sha256": "00", "not_before": time,
        "not_after": time + 100_000, "issuer": "CN=CA", "record": record,
    });
    fs::create_dir_all(scene.site.path("state/ledger/last")).unwrap();
    scene.site.write("state/ledger/last/n2.json", &format!("{entry}\n"), 0o644);
}

/// What it signs stands in no ledger: an old line there says nothing about what the node has.
#[test]
fn where_another_program_signs_slurmctld_alone_says_when_nodes_renewed() {
    let by = |sign_csr: &str| {
        let parameters =
            format!("CertmgrParameters=sign_csr_script={sign_csr},certificate_renewal_period=60\n");
        let scene = Scene::with(&format!("CertmgrType=certmgr/script\n{parameters}"), "");
        scene.stage("ctld");
        scene.scontrol(&nodes(60, r#""IDLE""#));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        issued(&scene, now - 5000);
        scene
    };
    by("/opt/site/sign_csr").activate(&[]).failed("have not renewed within the period: n2");
    let another = by("/opt/site/sign");
    another.activate(&[]).done("serves its new certificate");
    another.stage("ctld");
    another.scontrol(&nodes(5000, r#""IDLE""#));
    another.activate(&[]).failed("have not renewed within the period: n2");
}

/// It never asks for another one, whatever slurmctld was told in its name.
#[test]
fn a_node_with_a_static_pair_is_never_late() {
    let scene = Scene::with(CERTMGR, "");
    let (old, new) = scene.stage("ctld");
    scene.scontrol(&nodes(5000, r#""IDLE""#));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    issued_by(&scene, now - 5000, None);
    let config = scene.site.read("slurm-pki.toml");
    // One that only says how slurmd is restarted has no pairs kept.
    scene.section("slurmd", "");
    scene.activate(&["ctld"]).failed("have not renewed within the period: n2");
    assert_eq!(scene.serves("ctld"), Some(old));
    scene.site.write("slurm-pki.toml", &config, 0o644);
    scene.section("slurmd", "renew_at = 0.5");
    scene.activate(&["ctld"]).done("serves its new certificate");
    assert_eq!(scene.serves("ctld"), Some(new));
}

/// Over mTLS any node may renew in another's name: slurmctld notes it, and what was signed stands in the ledger.
#[test]
fn a_renewal_that_another_made_in_a_nodes_name_does_not_open_the_gate() {
    let scene = Scene::with(CERTMGR, "");
    let (old, new) = scene.stage("ctld");
    scene.scontrol(&nodes(60, r#""IDLE""#));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    issued(&scene, now - 5000);
    scene.activate(&[]).failed("have not renewed within the period: n2");
    assert_eq!((scene.serves("ctld"), scene.restarts().len()), (Some(old), 0));
    // A file of last certificates that a power failure took back says less than the ledger.
    let line = serde_json::json!({
        "v": 1, "time": now - 100, "node": "n2", "serial": "02", "spki_sha256": "00",
        "not_before": now - 100, "not_after": now + 100_000, "issuer": "CN=CA", "record": "0123456789abcdef",
    });
    scene.site.write("state/ledger/issued.other.jsonl", &format!("{line}\n"), 0o644);
    scene.activate(&[]).done("serves its new certificate");
    assert_eq!(scene.serves("ctld"), Some(new));
}
