//! A compute node: what its slurmd keeps, and what its next start will do.

use std::fs;
use std::time::Duration;

use pki::ca::{NewCa, new_root};
use pki::key::{KeyKind, PrivateKey};
use pki::profile::Serial;
use pki::time::UnixTime;
use pki::token::NodeSecret;
use support::site::{key_lines, now, random};

use crate::healthy::{DAY, Healthy, Look, OldCa};
use crate::scratch::text;

const HOUR: Duration = Duration::from_secs(3600);

/// A site whose controller is also node n1; `check` is asked for the node alone. Hosts trust a CA that is older than
/// any certificate here.
struct Node(Healthy, OldCa);

impl Node {
    fn new() -> Self {
        let node = Self(Healthy::new(), OldCa::new());
        node.0.site.write("ca_cert.pem", &node.1.pem, 0o644);
        node.0.folder("spool");
        let spool = format!("SlurmdSpoolDir={}/%n\nSlurmctldHost", node.0.site.text_path("spool"));
        node.0.folder("spool/n1");
        node.0.slurm_conf(&[("SlurmctldHost", &spool)]);
        node.0.scontrol("", 0);
        let config = node.0.site.read("slurm-pki.toml");
        let token = node.0.site.text_path("%n_token.txt");
        node.0.site.write("slurm-pki.toml", &format!("{config}\n[node]\ntoken_file = \"{token}\"\n"), 0o644);
        node.token(NodeSecret::new(random()).to_token_file().expose(), 0o400);
        node
    }

    fn token(&self, contents: &[u8], mode: u32) {
        let _ = fs::remove_file(self.0.site.path("n1_token.txt"));
        fs::write(self.0.site.path("n1_token.txt"), contents).unwrap();
        self.0.mode("n1_token.txt", mode);
    }

    /// What slurmd keeps.
    fn state(&self, renewed: UnixTime, chain: &str, key: &PrivateKey) {
        let packed = |text: &[u8]| {
            let length = u32::try_from(text.len() + 1).unwrap().to_be_bytes();
            [&length, text, b"\0"].concat()
        };
        let time = u64::try_from(renewed.0).unwrap().to_be_bytes();
        let key = key.to_pem();
        let all = [&11_008_u16.to_be_bytes()[..], &time, &packed(chain.as_bytes()), &packed(key.expose())];
        self.0.site.write("spool/n1/certmgr_state", "", 0o600);
        fs::write(self.0.site.path("spool/n1/certmgr_state"), all.concat()).unwrap();
    }

    /// A certificate by the CA that hosts trust.
    fn issue(&self, begins: UnixTime, life: Duration) -> (String, PrivateKey) {
        self.1.issue("n1", begins, life)
    }

    fn look(&self, args: &[&str]) -> Look {
        self.0.look(&[&["--only", "node", "--node", "n1"], args].concat())
    }

    #[track_caller]
    fn finds(&self, code: &str, severity: &str) -> Look {
        let look = self.look(&[]);
        let is = look.bad().iter().any(|(is, bad, _)| *is == code && *bad == severity);
        assert!(is, "wanted {code} {severity}, found {:?} in {}", look.bad(), look.data);
        look
    }

    /// What is said of the next start.
    fn age(&self) -> String {
        let look = self.look(&[]);
        let all = look.data["findings"].as_array().unwrap().clone();
        let age = all.iter().find(|finding| finding["code"] == "state-age").unwrap();
        age["what"].as_str().unwrap().to_owned()
    }
}

#[test]
fn a_node_says_how_old_its_certificate_is_and_what_its_next_start_will_do() {
    let node = Node::new();
    let look = node.look(&[]);
    assert!(
        look.bad().is_empty() && look.data.to_string().contains("asks slurmctld at its next start"),
        "{}",
        look.data
    );
    let (cert, key) = node.issue(now().minus(2 * HOUR), 7 * DAY);
    node.state(now().minus(2 * HOUR), &cert, &key);
    let output = node.0.run(&["--no-rehearsal", "--only", "node", "--node", "n1", "--all"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("node n1") && said.contains("CN=n1 by CN="), "{said}");
    assert!(said.contains("2h") && said.contains("takes it and asks nobody"), "{said}");
    let pem = text(key.to_pem().expose());
    assert!(key_lines(&pem).all(|line| !said.contains(&line)), "{said}");
    let (cert, key) = node.issue(now().minus(30 * HOUR), 7 * DAY);
    node.state(now().minus(30 * HOUR), &cert, &key);
    assert!(node.age().contains("asks slurmctld with its token"), "{}", node.age());
    assert!(node.look(&[]).bad().is_empty());
    node.state(now().minus(48 * HOUR), &cert, &key);
    node.finds("state-age", "warning");
    node.state(now().plus(HOUR), &cert, &key);
    node.finds("state-age", "warning");
}

#[test]
fn an_expired_certificate_that_would_be_taken_again_is_found() {
    let node = Node::new();
    let (cert, key) = node.issue(now().minus(20 * HOUR), 10 * HOUR);
    node.state(now().minus(20 * HOUR), &cert, &key);
    let look = node.finds("state-age", "critical");
    assert!(look.bad()[0].2.contains("has expired"), "{:?}", look.bad());
    let rm = format!("rm {} && ", node.0.site.text_path("spool/n1/certmgr_state"));
    let said = look.data.to_string();
    assert!(said.contains("slurm-pki node reissue n1;") && said.contains(&rm), "{said}");
    node.finds("state-expiry", "critical");
}

#[test]
fn a_certificate_that_outlives_too_few_renewals_is_found_whatever_this_hosts_config_says() {
    let node = Node::new();
    let (cert, key) = node.issue(now().minus(HOUR), 7 * DAY);
    node.state(now().minus(HOUR), &cert, &key);
    assert!(node.look(&[]).bad().is_empty());
    let (cert, key) = node.issue(now().minus(HOUR), 4 * DAY);
    node.state(now().minus(HOUR), &cert, &key);
    node.finds("period-validity", "warning");
}

#[test]
fn a_certificate_that_peers_refuse_or_that_lost_its_key_is_found() {
    let node = Node::new();
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let new = NewCa {
        common_name: "n1",
        subject: &[],
        serial: Serial::new(random()),
        validity: 7 * DAY,
        backdate: HOUR,
    };
    let stranger = new_root(&key, &new, now()).unwrap().to_pem();
    node.state(now().minus(HOUR), &stranger, &key);
    node.finds("state-accepted", "critical");
    let (cert, _) = node.issue(now().minus(HOUR), 7 * DAY);
    node.state(now().minus(HOUR), &cert, &key);
    node.finds("state-loads", "critical");
}

#[test]
fn a_state_that_is_none_or_that_others_can_read_is_found() {
    let node = Node::new();
    node.0.site.write("spool/n1/certmgr_state", "anything", 0o600);
    node.finds("state", "warning");
    let (cert, key) = node.issue(now().minus(HOUR), 7 * DAY);
    node.state(now().minus(HOUR), &cert, &key);
    node.0.mode("spool/n1/certmgr_state", 0o644);
    node.finds("state-mode", "critical");
}

#[test]
fn a_token_that_is_missing_open_or_of_others_is_found() {
    let node = Node::new();
    node.token(NodeSecret::new(random()).to_token_file().expose(), 0o444);
    node.finds("token-file", "critical");
    node.token(b"0123456789abcdef0123456789abcdef\n", 0o400);
    node.finds("token-file", "warning");
    fs::remove_file(node.0.site.path("n1_token.txt")).unwrap();
    node.finds("token-file", "critical");
}

#[test]
fn single_use_tokens_and_a_spool_folder_in_memory_are_found() {
    let node = Node::new();
    let single_use = ("certificate_renewal_period=1440", "certificate_renewal_period=1440,single_use_tokens");
    let with = |spool: &str| {
        let spool = format!("SlurmdSpoolDir={spool}\nSlurmctldHost");
        node.0.slurm_conf(&[single_use, ("SlurmctldHost", &spool)]);
        let look = node.0.look(&["--only", "conf", "--node", "n1"]);
        look.bad().iter().any(|(code, ..)| *code == "single-use-tmpfs")
    };
    assert!(!with(&node.0.site.text_path("spool/n1")), "the scratch folder is on a disk");
    // A tmpfs on every Linux host.
    assert!(with("/dev/shm"));
}

#[test]
fn a_node_without_certmgr_and_without_a_pair_does_not_start() {
    let node = Node::new();
    node.0.slurm_conf(&[("CertmgrType=certmgr/script\n", "")]);
    let look = node.0.look(&["--only", "conf", "--node", "n1"]);
    assert!(look.bad().iter().any(|(code, ..)| *code == "certmgr-type"), "{:?}", look.bad());
    let look = node.0.look(&["--only", "conf"]);
    assert!(!look.bad().iter().any(|(code, ..)| *code == "certmgr-type"), "{:?}", look.bad());
}

#[test]
fn nodes_that_answer_and_do_not_renew_are_found_on_a_controller() {
    let well = Healthy::new();
    let at = |name: &str, state: &str, renewed: i64| {
        format!(
            r#"{{"name":"{name}","state":["{state}"],"tls_cert_last_renewal":{{"set":true,"number":{renewed}}}}}"#
        )
    };
    let nodes = |list: &[String]| {
        well.site.write("nodes", &format!(r#"{{"nodes":[{}]}}"#, list.join(",")), 0o644);
        let script = format!(
            "#!/bin/sh\n[ \"$*\" = 'show nodes --json' ] || exec cat /dev/null\necho 'scontrol: a warning' >&2\nexec cat {}\n",
            well.site.text_path("nodes")
        );
        well.site.write("bin/scontrol", &script, 0o755);
    };
    let (fresh, old) = (now().minus(HOUR).0, now().minus(2 * DAY).0);
    nodes(&[at("n1", "IDLE", fresh), at("n2", "DOWN", old)]);
    well.is_well();
    nodes(&[at("n1", "IDLE", fresh), at("n2", "IDLE", old), at("n3", "ALLOCATED", old)]);
    let look = well.finds("nodes-late", "warning");
    assert!(
        look.bad()[0].2.starts_with("2 nodes answer") && look.bad()[0].2.contains("n[2-3]"),
        "{:?}",
        look.bad()
    );
}

#[test]
fn an_empty_spool_folder_makes_no_node_of_a_head_node() {
    let well = Healthy::new();
    well.folder("spool");
    well.is_well();
    well.site.write("spool/certmgr_state", "anything", 0o600);
    let look = well.finds_among_others("token-file", "critical");
    assert!(look.data["host"]["node"].is_string(), "{}", look.data);
}
