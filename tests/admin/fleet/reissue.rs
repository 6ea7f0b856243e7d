//! `node reissue`, with a slurmd that is a script: it writes `certmgr_state` when it starts without one, and another
//! controller's ledger has its certificate.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use pki::name::REHEARSAL;
use pki::record::{Record, RecordId};
use pki::token::NodeSecret;
use serde_json::Value;
use support::site::{now, random};

use crate::hosts::{Hosts, write_program};

/// Hosts whose nodes have all that they need and a slurmd that runs, on a controller that can sign.
fn running(count: u8) -> Hosts {
    let mut hosts = Hosts::new(count);
    let site = &mut hosts.site;
    let secret = NodeSecret::new(random());
    site.store(REHEARSAL, &[Record::of(&secret, RecordId::new(random()), now())]);
    let folder = site.path("state/rehearsal");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let file = format!("state/rehearsal/{REHEARSAL}_token.txt");
    site.write(&file, secret.to_token_file().expose(), 0o400);
    let program = site.path("slurmd.sh");
    let command = vec![program.to_str().unwrap().to_owned(), "%n".to_owned()];
    site.set("daemons.slurmd", "command", command);
    // Where the hosts' scripts see it too.
    let ledger = hosts.path("ledger");
    fs::create_dir(&ledger).unwrap();
    fs::set_permissions(&ledger, fs::Permissions::from_mode(0o700)).unwrap();
    hosts.site.set("controller", "ledger", ledger.to_str().unwrap());
    hosts.site.write_config();
    let spool = hosts.site.path("spool/%n");
    hosts.slurm_conf(&format!("CertmgrType=certmgr/script\nSlurmdSpoolDir={}\n", spool.display()));
    write_program(&hosts.path("bin/scontrol"), "#!/bin/sh\necho '{\"nodes\":[]}'\n");
    hosts.ok(&["node", "push", &format!("n[1-{count}]")]);
    for number in 1..=count {
        let host = format!("n{number}");
        let script = format!(
            "#!/bin/sh\ncd {}\necho x >> starts\nif [ -e broken ]; then exit 0; fi\n\
             [ ! -e spool/$1/certmgr_state ] || exit 0\necho new > spool/$1/certmgr_state\n\
             if [ -e lies ]; then exit 0; fi\nnow=$(date +%s)\numask 077\n\
             echo '{{\"v\":1,\"time\":'$now',\"node\":\"'$1'\",\"serial\":\"40\",\"spki_sha256\":\"00\",\
             \"not_before\":'$now',\"not_after\":'$((now + 60))',\"issuer\":\"CN=ca\",\"record\":null}}' \
             >> {}/issued.other.jsonl\n",
            hosts.site.path("").display(),
            ledger.display()
        );
        write_program(&hosts.on(&host, &program), &script);
        fs::create_dir_all(hosts.on(&host, &hosts.site.path(&format!("spool/{host}")))).unwrap();
        fs::write(state(&hosts, &host), "old\n").unwrap();
    }
    hosts
}

fn state(hosts: &Hosts, host: &str) -> std::path::PathBuf {
    hosts.on(host, &hosts.site.path(&format!("spool/{host}/certmgr_state")))
}

/// How often a host's slurmd was started.
fn starts(hosts: &Hosts, host: &str) -> usize {
    fs::read_to_string(hosts.on(host, &hosts.site.path("starts"))).unwrap_or_default().lines().count()
}

#[test]
fn slurmd_asks_anew_on_every_host() {
    let hosts = running(3);
    hosts.ok(&["node", "reissue", "n[1-3]", "--yes"]);
    for host in ["n1", "n2", "n3"] {
        assert_eq!(fs::read_to_string(state(&hosts, host)).unwrap(), "new\n");
        assert!(!state(&hosts, host).with_extension("slurm-pki").exists());
        assert_eq!(fs::read_dir(state(&hosts, host).parent().unwrap()).unwrap().count(), 1, "{host}");
        assert_eq!(starts(&hosts, host), 1);
    }
}

#[test]
fn the_first_host_that_gets_nothing_is_the_last_and_has_its_former_certificate_again() {
    let mut hosts = running(3);
    // Half of it is how long a slurmd may take.
    hosts.set("timeout", "24s");
    fs::write(hosts.on("n1", &hosts.site.path("broken")), "").unwrap();
    let output = hosts.run(&["node", "reissue", "n[1-3]", "--yes", "--json"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("has its former one again"), "{stderr}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["schema"], "slurm-pki.node.reissue.v1");
    assert_eq!(document["data"]["failed"][0]["node"], "n1");
    assert_eq!(document["data"]["not_tried"], serde_json::json!(["n2", "n3"]));
    assert_eq!(
        (fs::read_to_string(state(&hosts, "n1")).unwrap().as_str(), starts(&hosts, "n1")),
        ("old\n", 2)
    );
    assert_eq!((starts(&hosts, "n2"), starts(&hosts, "n3")), (0, 0));
}

#[test]
fn a_host_that_says_that_it_has_a_certificate_which_nobody_issued_is_a_failure_with_its_name() {
    let hosts = running(3);
    fs::write(hosts.on("n2", &hosts.site.path("lies")), "").unwrap();
    let output = hosts.run(&["node", "reissue", "n[1-3]", "--yes", "--json"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("the ledger has none for n2"), "{stderr}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["data"]["reissued"], serde_json::json!(["n1", "n3"]));
    assert_eq!(document["data"]["failed"][0]["node"], "n2");
}

#[test]
fn a_node_that_would_get_nothing_is_not_touched() {
    let hosts = running(4);
    hosts.ok(&["node", "token", "n1", "--now", "--yes"]);
    fs::remove_file(hosts.on("n2", &hosts.token_path("n2"))).unwrap();
    fs::write(hosts.on("n3", &hosts.site.path("ca_cert.pem")), "another").unwrap();
    let (_, stderr) = hosts.fails(&["node", "reissue", "n[1-4]", "--yes"]);
    assert!(stderr.contains("3 of 4 nodes were not touched"), "{stderr}");
    assert_eq!(["n1", "n2", "n3", "n4"].map(|host| starts(&hosts, host)), [0, 0, 0, 1]);
}

#[test]
fn nothing_is_restarted_unasked_or_before_the_gate_was_passed() {
    let hosts = running(1);
    let late = |node: &str| {
        let json = format!(r#"{{"nodes":[{{"name":"{node}","state":["IDLE"],"tls_cert_last_renewal":1}}]}}"#);
        write_program(&hosts.path("bin/scontrol"), &format!("#!/bin/sh\necho '{json}'\n"));
    };
    late("n7");
    let (_, stderr) = hosts.fails(&["node", "reissue", "n1", "--yes"]);
    assert!(stderr.contains("n7"), "{stderr}");
    // It is the remedy for a node that does not renew.
    late("n1");
    let (_, stderr) = hosts.fails(&["node", "reissue", "n1"]);
    assert!(stderr.contains("--yes"), "{stderr}");
    fs::remove_file(hosts.site.path("state/ca/ca_key.pem")).unwrap();
    let (_, stderr) = hosts.fails(&["node", "reissue", "n1", "--yes"]);
    assert!(stderr.contains("rehearsal failed"), "{stderr}");
    hosts.slurm_conf("");
    let (_, stderr) = hosts.fails(&["node", "reissue", "n1", "--yes"]);
    assert!(stderr.contains("CertmgrType"), "{stderr}");
    assert_eq!(
        (starts(&hosts, "n1"), fs::read_to_string(state(&hosts, "n1")).unwrap().as_str()),
        (0, "old\n")
    );
}
