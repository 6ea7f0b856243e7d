//! What every host trusts, and what signs.

use std::fs;
use std::os::unix::fs::chown;

use support::site::{new_ca, now};

use crate::healthy::{DAY, Healthy, other_ca};
use crate::scratch::caller;

#[test]
fn a_bundle_that_would_crash_a_daemon_is_found() {
    let well = Healthy::new();
    let good = well.site.read("ca_cert.pem");
    let page = format!("{}{good}", "#".repeat(4096 - good.len() % 4096 - 1) + "\n");
    assert_eq!(page.len() % 4096, 0);
    for bad in [format!("{good}# the end\n"), page, format!("-- {good}"), "nothing".to_owned()] {
        well.site.write("ca_cert.pem", &bad, 0o644);
        let look = well.finds_among_others("ca-cert", "critical");
        assert!(look.bad().iter().any(|(_, _, what)| what.contains("crashes")), "{:?}", look.bad());
    }
    fs::remove_file(well.site.path("ca_cert.pem")).unwrap();
    well.finds_among_others("ca-cert", "critical");
    well.site.write("ca_cert.pem", &good, 0o644);
    well.is_well();
}

#[test]
fn a_bundle_that_users_cannot_read_or_others_can_change_is_found() {
    let well = Healthy::new();
    for bad in [0o640, 0o646, 0o645] {
        well.mode("ca_cert.pem", bad);
        well.finds_among_others("ca-cert-mode", "critical");
    }
    well.mode("ca_cert.pem", 0o644);
    well.is_well();
    if caller() == 0 {
        chown(well.site.path("ca_cert.pem"), Some(12_345), None).unwrap();
        well.finds_among_others("ca-cert-mode", "critical");
    }
}

#[test]
fn a_ca_that_this_host_trusts_for_everything_is_found() {
    let well = Healthy::new();
    let store = format!("{}# ours\n{}", other_ca(), well.site.read("ca_cert.pem"));
    well.site.write("host/etc/ssl/certs/ca-certificates.crt", &store, 0o644);
    well.finds("ca-public", "critical");
    fs::remove_file(well.site.path("host/etc/ssl/certs/ca-certificates.crt")).unwrap();
    let look = well.look(&[]);
    assert!(look.exit == 0 && look.unseen().contains("trust store"), "{}", look.data);
}

#[test]
fn a_ca_that_is_trusted_and_does_not_sign_is_found() {
    let well = Healthy::new();
    well.site.write("ca_cert.pem", &(well.site.read("ca_cert.pem") + &other_ca()), 0o644);
    let look = well.finds("ca-stranger", "warning");
    assert!(look.bad()[0].2.contains("Somebody Else"), "{:?}", look.bad());
    // By intention, for a while.
    let under_way = |since: i64| {
        let named = |name: &str| format!(r#"{{"subject":"CN={name}","sha256":"00","not_after":4000000000}}"#);
        let state = format!(
            r#"{{"v":1,"phase":"switched","since":{since},"begun":{since},"old":{},"new":{},"leaving":[]}}"#,
            named("old"),
            named("new")
        );
        well.site.write("state/ca/rollover.json", &state, 0o600);
        chown(well.site.path("state/ca/rollover.json"), Some(well.site.slurm_user.1), None).unwrap();
    };
    under_way(now().minus(DAY).0);
    well.is_well();
    under_way(now().minus(40 * DAY).0);
    well.finds("ca-rollover", "warning");
    well.site.write("state/ca/rollover.json", "{}", 0o600);
    well.finds("ca-rollover", "unknown");
}

#[test]
fn a_certificate_among_the_cas_that_is_none_is_found() {
    let well = Healthy::new();
    let bundle = well.site.read("ca_cert.pem") + &well.site.read("ctld_cert.pem");
    well.site.write("ca_cert.pem", &bundle, 0o644);
    let look = well.finds_among_others("ca-no-ca", "warning");
    assert!(look.bad().iter().any(|(_, _, what)| what.contains("CN=slurmctld")), "{:?}", look.bad());
}

#[test]
fn an_intermediate_is_no_stranger_and_its_roots_key_belongs_offline() {
    let well = Healthy::new();
    fs::remove_dir_all(well.site.path("state")).unwrap();
    for name in ["ca_cert.pem", "ctld_cert.pem", "ctld_cert_key.pem"] {
        fs::remove_file(well.site.path(name)).unwrap();
    }
    fs::remove_dir_all(well.site.path(".slurm-pki")).unwrap();
    well.site.init(&["--intermediate"]);
    well.finds("ca-root-key", "warning");
    fs::remove_file(well.site.path("state/ca/root_key.pem")).unwrap();
    well.is_well();
}

#[test]
fn a_key_that_does_not_sign_here_is_found() {
    let well = Healthy::new();
    let (uid, path) = (well.site.slurm_user.1, well.site.path("state/ca/ca_key.pem"));
    let key = fs::read(&path).unwrap();
    let put = |contents: &[u8], mode: u32| {
        let _ = fs::remove_file(&path);
        fs::write(&path, contents).unwrap();
        well.mode("state/ca/ca_key.pem", mode);
        chown(&path, Some(uid), None).unwrap();
    };
    let (_, other) = new_ca("Other", now().minus(DAY), now().plus(DAY));
    put(&other, 0o400);
    well.finds("ca-key", "critical");
    put(&key, 0o444);
    well.finds("ca-key", "critical");
    put(&key, 0o400);
    well.is_well();
    if caller() == 0 {
        chown(&path, Some(0), None).unwrap();
        well.finds("ca-key-mode", "critical");
    }
    fs::remove_file(&path).unwrap();
    well.finds("ca-key", "critical");
}

#[test]
fn what_is_over_cannot_be_rolled_over_and_is_told_so() {
    let well = Healthy::new();
    let fixes = || {
        let look = well.look(&["--only", "ca"]);
        assert_eq!(look.exit, 2);
        let findings = look.data["findings"].as_array().unwrap().clone();
        let of_the_end = findings.iter().filter(|finding| finding["code"] == "ca-expiry");
        of_the_end.map(|finding| finding["fix"].to_string()).collect::<String>()
    };
    let old = new_ca("Old", now().minus(80 * DAY), now().minus(DAY)).0;
    let own = well.site.read("ca_cert.pem");
    well.site.write("ca_cert.pem", &(own + &old), 0o644);
    assert!(fixes().contains("take it out of the file"));
    well.site.write("ca_cert.pem", &old, 0o644);
    assert!(fixes().contains("make or import a new CA"));
}

#[test]
fn an_end_that_comes_near_is_told_in_time_by_the_config_or_the_command_line() {
    let well = Healthy::new();
    // The CA lives ten years: both are below a tenth of that.
    let look = |args: &[&str]| {
        let look = well.look(args);
        let bad =
            look.bad().into_iter().find(|(code, ..)| *code == "ca-expiry").map(|(_, bad, _)| bad.to_owned());
        (look.exit, bad)
    };
    assert_eq!(look(&["--only", "ca"]), (0, None));
    assert_eq!(look(&["--only", "ca", "--warn", "9y"]).1, None, "a quarter of its life at most");
    let other = new_ca("Old", now().minus(80 * DAY), now().plus(10 * DAY)).0;
    well.site.write("ca_cert.pem", &(well.site.read("ca_cert.pem") + &other), 0o644);
    assert_eq!(look(&["--only", "ca"]), (1, Some("warning".into())));
    assert_eq!(look(&["--only", "ca", "--warn", "9d"]).1, None);
    let config = well.site.read("slurm-pki.toml");
    well.site.write("slurm-pki.toml", &format!("{config}\n[check]\nwarn = \"9d\"\n"), 0o644);
    assert_eq!(look(&["--only", "ca"]).1, None);
    let old = new_ca("Old", now().minus(80 * DAY), now().plus(DAY)).0;
    well.site.write("ca_cert.pem", &well.site.read("ca_cert.pem").replace(&other, &old), 0o644);
    assert_eq!(look(&["--only", "ca"]), (2, Some("critical".into())));
}
