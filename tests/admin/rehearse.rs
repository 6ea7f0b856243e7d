//! `slurm-pki rehearse` on a scratch site: it says what the daemons would get, and leaves the live system
//! as it was.
#![expect(clippy::unwrap_used, reason = "test code: a broken premise stops the test")]

mod program_folder;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::PathBuf;
use std::time::Duration;

use pki::name::REHEARSAL;
use pki::record::{Record, RecordId};
use pki::token::NodeSecret;
use program_folder::{ProgramFolder, SOMEBODY, Said, is_root};
use serde_json::Value;
use support::openssl;
use support::site::{Site, files_below, now, random};

const SECRET: &str = "state/rehearsal/slurm-pki-rehearsal_token.txt";

/// A site with node n1 and the rehearsal node as `init` makes it; SlurmUser is whoever runs the test.
fn site() -> Site {
    prepared(Site::new())
}

fn prepared(mut site: Site) -> Site {
    site.set("", "slurm_user", rustix::process::geteuid().as_raw().to_string());
    site.enrol("n1");
    let secret = NodeSecret::new(random());
    site.store(REHEARSAL, &[Record::of(&secret, RecordId::new(random()), now())]);
    let folder = site.path("state/rehearsal");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    site.write(SECRET, secret.to_token_file().expose(), 0o400);
    site.write_config();
    site
}

/// The same with another SlurmUser than root, where the test can become one.
fn with_slurm_user() -> Site {
    let mut site = site();
    if is_root() {
        site.set("", "slurm_user", SOMEBODY.to_string());
        site.write_config();
        site.give_to(SOMEBODY, SOMEBODY);
        // The config and the node's own files are root's, as on a real host.
        for root_owned in ["slurm-pki.toml", "ca_cert.pem", "node", "node/n1_token.txt"] {
            chown(site.path(root_owned), Some(0), Some(0)).unwrap();
        }
    }
    site
}

#[track_caller]
fn rehearse(site: &Site, args: &[&str]) -> Said {
    rehearse_with(&ProgramFolder::as_built(), site, args)
}

#[track_caller]
fn rehearse_with(folder: &ProgramFolder, site: &Site, args: &[&str]) -> Said {
    let config = site.path("slurm-pki.toml");
    folder.slurm_pki(&[&["rehearse", "--config", config.to_str().unwrap()], args].concat())
}

/// Every file of the site but the mark beside the rehearsal node's record.
fn live(site: &Site) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = files_below(&site.path(""));
    let is_mark = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with(REHEARSAL) && name.ends_with(".used")
    };
    files.retain(|(path, _)| !is_mark(path));
    files
}

#[test]
fn a_sound_site_passes_and_stays_as_it_was() {
    let site = site();
    let before = live(&site);
    let said = rehearse(&site, &["n1"]);
    said.must_succeed();
    for seen in
        ["get_node_token n1", "get_cert_key n1", "validate_node_token slurm-pki-rehearsal", "sign_csr"]
    {
        assert!(said.stdout.contains(seen), "{seen}: {}", said.stdout);
    }
    assert!(said.stdout.contains("Not covered"), "{}", said.stdout);
    assert_eq!(live(&site), before);
    assert!(!site.path("node/keys").exists());
    assert!(site.ledger().is_empty());
    assert!(said.left_behind.is_empty(), "{:?}", said.left_behind);
}

#[test]
fn a_second_rehearsal_passes_like_the_first() {
    let site = site();
    rehearse(&site, &["n1"]).must_succeed();
    rehearse(&site, &["n1"]).must_succeed();
}

#[test]
fn the_document_for_scripts_says_what_was_looked_at() {
    let said = rehearse(&site(), &["n1", "--json"]);
    said.must_succeed();
    let document: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(document["schema"], "slurm-pki.rehearse.v1");
    let outcome = &document["data"];
    assert_eq!((&outcome["passed"], &outcome["controller"]), (&true.into(), &true.into()));
    assert_eq!(outcome["node"], "n1");
    let checks = outcome["checks"].as_array().unwrap();
    let steps: Vec<_> = checks.iter().map(|check| check["step"].as_str().unwrap()).collect();
    assert_eq!(
        steps,
        ["token", "csr", "key", "token", "csr", "validate", "sign", "key", "certificate"],
        "{checks:?}"
    );
}

#[test]
fn the_controllers_programs_run_as_slurm_user() {
    let site = with_slurm_user();
    rehearse(&site, &["n1"]).must_succeed();
    let slurm_user = if is_root() { SOMEBODY } else { rustix::process::geteuid().as_raw() };
    let tokens = fs::read_dir(site.path("state/tokens")).unwrap().map(|entry| entry.unwrap());
    let mark = tokens.into_iter().find(|entry| entry.file_name().to_string_lossy().ends_with(".used"));
    assert_eq!(mark.expect("sign_csr marks the record").metadata().unwrap().uid(), slurm_user);
}

#[test]
fn a_sackd_hosts_token_is_used_by_its_owner() {
    let site = with_slurm_user();
    if is_root() {
        for owned in ["node", "node/n1_token.txt"] {
            chown(site.path(owned), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
        }
    }
    rehearse(&site, &["n1"]).must_succeed();
}

#[test]
fn who_is_neither_root_nor_slurm_user_is_told_so() {
    let mut site = site();
    site.set("", "slurm_user", "0");
    site.write_config();
    if is_root() {
        site.give_to(SOMEBODY, SOMEBODY);
    }
    let said = rehearse_with(&ProgramFolder::as_built().somebody_else(), &site, &["n1"]);
    said.must_fail("is played as SlurmUser");
}

#[test]
fn a_node_alone_rehearses_its_own_programs() {
    let mut site = site();
    site.set("", "state_dir", "/nonexistent/state");
    site.set("controller", "ca_cert", "/nonexistent/ca_cert.pem");
    site.write_config();
    let said = rehearse(&site, &["n1"]);
    said.must_succeed();
    assert!(said.stdout.contains("on a controller too"), "{}", said.stdout);
    assert!(!said.stdout.contains("validate_node_token"), "{}", said.stdout);
}

#[test]
fn a_controller_alone_rehearses_the_reserved_node() {
    let said = rehearse(&site(), &["n9"]);
    said.must_succeed();
    assert!(said.stdout.contains("n9_token.txt on this host"), "{}", said.stdout);
    assert!(said.stdout.contains("sign_csr"), "{}", said.stdout);
}

#[test]
fn programs_of_others_in_slurm_conf_are_named_as_not_covered() {
    let folder = ProgramFolder::as_built();
    let ours = folder.path().join("sign_csr");
    folder.write_slurm_conf(&format!(
        "CertmgrParameters=sign_csr_script={},validate_node_script=/opt/site/validate.sh\n",
        ours.display()
    ));
    let said = rehearse_with(&folder, &site(), &["n1"]);
    said.must_succeed();
    assert!(said.stdout.contains("Not covered: /opt/site/validate.sh"), "{}", said.stdout);
    assert!(!said.stdout.contains("sign_csr_script="), "{}", said.stdout);
}

#[test]
fn neither_node_nor_controller_is_an_error() {
    let mut site = site();
    site.set("", "state_dir", "/nonexistent/state");
    site.write_config();
    rehearse(&site, &["n9"]).must_fail("neither node nor controller");
}

#[test]
fn a_dry_run_runs_nothing() {
    let site = site();
    let before = files_below(&site.path(""));
    let said = rehearse(&site, &["n1", "--dry-run"]);
    said.must_succeed();
    assert!(said.stdout.contains("would run the programs of node n1"), "{}", said.stdout);
    assert_eq!(files_below(&site.path("")), before);
}

#[test]
fn a_ca_key_that_slurm_user_cannot_read_is_found() {
    let site = with_slurm_user();
    if is_root() {
        chown(site.path("state/ca/ca_key.pem"), Some(0), Some(0)).unwrap();
    } else {
        fs::set_permissions(site.path("state/ca/ca_key.pem"), fs::Permissions::from_mode(0o000)).unwrap();
    }
    let said = rehearse(&site, &["n1"]);
    said.must_fail("sign_csr");
    assert!(
        said.stdout.contains("sign_csr: error: cannot read") && said.stdout.contains("ca_key.pem"),
        "{said:?}"
    );
    assert!(said.stdout.contains("sign_csr: hint: "), "{}", said.stdout);
}

#[test]
fn an_expired_ca_is_found() {
    let day = Duration::from_secs(86_400);
    let site = prepared(Site::with_ca("Old CA", now().minus(9 * day), now().minus(day)));
    let said = rehearse(&site, &["n1"]);
    said.must_fail("sign_csr");
    assert!(said.stdout.contains("expired"), "{}", said.stdout);
    assert!(said.left_behind.is_empty(), "{:?}", said.left_behind);
}

#[test]
fn a_ca_that_hosts_do_not_trust_is_found() {
    let site = site();
    let (other, _) = support::site::new_ca("Other CA", now(), now().plus(Duration::from_secs(86_400)));
    site.write("ca_cert.pem", other.as_bytes(), 0o644);
    rehearse(&site, &["n1"]).must_fail("sign_csr");
}

#[test]
fn the_live_ledger_plays_no_part() {
    let site = site();
    fs::remove_dir(site.path("state/ledger")).unwrap();
    site.write("state/ledger", b"not a folder", 0o600);
    rehearse(&site, &["n1"]).must_succeed();
}

#[test]
fn a_missing_secret_of_the_rehearsal_node_leads_to_init() {
    let site = site();
    fs::remove_file(site.path(SECRET)).unwrap();
    let said = rehearse(&site, &["n1"]);
    said.must_fail("is missing");
    assert!(said.stdout.contains("slurm-pki init makes it"), "{}", said.stdout);
}

#[test]
fn a_rehearsal_node_that_was_removed_is_refused_like_any_other() {
    let site = site();
    fs::remove_file(site.path(&format!("state/tokens/{REHEARSAL}.json"))).unwrap();
    let said = rehearse(&site, &["n1"]);
    said.must_fail("validate_node_token");
    assert!(said.stdout.contains("token rejected"), "{}", said.stdout);
}

#[test]
fn a_key_that_is_not_the_requests_is_found() {
    let folder = ProgramFolder::as_built();
    folder.replace_by_text("get_cert_key", &openssl::new_key("EC", &["ec_paramgen_curve:P-256"]));
    let said = rehearse_with(&folder, &site(), &["n1"]);
    said.must_fail("not the key of the request");
    assert!(!said.stdout.contains("PRIVATE KEY") && !said.stderr.contains("PRIVATE KEY"));
}

#[test]
fn a_lasting_key_is_used_when_it_is_there_and_not_made_when_it_is_not() {
    let mut site = site();
    site.set("node", "renew_key", false);
    site.set("node", "key_file", site.path("node/%n.key").to_str().unwrap());
    site.write_config();
    rehearse(&site, &["n1"]).must_succeed();
    assert!(!site.path("node/n1.key").exists());
    site.write("node/n1.key", b"not a key", 0o600);
    rehearse(&site, &["n1"]).must_fail("generate_csr");
}

#[test]
fn an_unknown_key_anywhere_in_the_config_is_refused() {
    for (section, key) in [("node", "colour"), ("nodes", "x"), ("vault", "adress"), ("", "statedir")] {
        let mut site = site();
        site.set(section, key, "x");
        site.write_config();
        let said = rehearse(&site, &["n1"]);
        said.must_fail(if section == "nodes" { "nodes" } else { key });
        assert!(said.stdout.is_empty(), "{}", said.stdout);
    }
}
