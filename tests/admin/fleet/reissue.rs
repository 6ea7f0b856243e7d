//! `node reissue`, with a slurmd that is a script: it writes `certmgr_state` when it starts without one, and another
//! controller's ledger has its certificate.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use pki::name::REHEARSAL;
use pki::record::{Record, RecordId};
use pki::token::NodeSecret;
use rustix::process::{Pid, Signal, kill_process};
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

/// Nothing has to stand in the ledger there, so nothing that is missing in it is against a host.
#[test]
fn a_hosts_own_word_is_enough_with_a_warning_where_the_ledger_need_not_have_its_certificate() {
    let mut hosts = running(1);
    fs::write(hosts.on("n1", &hosts.site.path("lies")), "").unwrap();
    let slurm_conf = fs::read_to_string(hosts.path("slurm.conf")).unwrap();
    let mut reissued = |sign_csr: &str, required: bool| {
        let parameters = format!("CertmgrParameters=sign_csr_script={sign_csr}\n");
        fs::write(hosts.path("slurm.conf"), format!("{slurm_conf}{parameters}")).unwrap();
        hosts.site.set("controller", "ledger_required", required);
        hosts.site.write_config();
        fs::write(state(&hosts, "n1"), "old\n").unwrap();
        let output = hosts.run(&["node", "reissue", "n1", "--yes"]);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let is_not_asked = "warning: the ledger is not asked";
    for (sign_csr, required, why) in [
        ("/opt/site/sign", true, "sign_csr_script in slurm.conf is another program"),
        ("/opt/site/sign_csr", false, "ledger_required is false"),
    ] {
        let (code, stderr) = reissued(sign_csr, required);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(stderr.contains(is_not_asked) && stderr.contains(why), "{stderr}");
        assert!(stderr.contains("have a new certificate: n1"), "{stderr}");
    }
    let (code, stderr) = reissued("/opt/site/sign_csr", true);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("the ledger has none for n1") && !stderr.contains(is_not_asked), "{stderr}");
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

/// `run` of [fleet]: ssh, which counts its calls. In "away": the call from which on the hosts are away, and whether that one
/// is still done there, so that only its answer is lost.
const GOES_AWAY: &str = r#"#!/bin/sh
folder=${0%/*}
echo >> "$folder/calls"
if [ -e "$folder/away" ]; then
    read -r first still_done < "$folder/away"
    call=$(wc -l < "$folder/calls")
    [ "$call" -ne "$first" ] || [ "$still_done" = no ] || "$folder/bin/ssh" "$1" "$2" > /dev/null
    [ "$call" -lt "$first" ] || { echo "connection to $1 closed" >&2; exit 255; }
fi
exec "$folder/bin/ssh" "$1" "$2"
"#;

/// Before a call it is away, or the call is done and nobody hears of it.
#[test]
fn a_host_that_goes_away_in_any_phase_is_named_and_its_slurmd_has_a_certificate_to_start_with() {
    let mut hosts = running(2);
    write_program(&hosts.path("run"), GOES_AWAY);
    let run = hosts.path("run");
    let words = [run.to_str().unwrap(), "{host}", "{command}"];
    hosts.set("run", words.map(str::to_owned).to_vec());
    fs::write(hosts.path("calls"), "").unwrap();
    hosts.ok(&["node", "reissue", "n1", "--yes"]);
    let calls = fs::read_to_string(hosts.path("calls")).unwrap().lines().count();
    assert_eq!(calls, 2, "a look, and the rest in one call");
    for (call, still_done, touched) in [(1, "no", 0), (1, "yes", 0), (2, "no", 0), (2, "yes", 1)] {
        let before = starts(&hosts, "n1");
        fs::write(state(&hosts, "n1"), "old\n").unwrap();
        fs::write(hosts.path("calls"), "").unwrap();
        fs::write(hosts.path("away"), format!("{call} {still_done}\n")).unwrap();
        let (_, stderr) = hosts.fails(&["node", "reissue", "n1", "--yes"]);
        assert!(stderr.contains("n1") && stderr.contains("connection to n1 closed"), "{stderr}");
        assert_eq!(starts(&hosts, "n1") - before, touched, "{call} {still_done}: {stderr}");
        let has = fs::read_to_string(state(&hosts, "n1")).unwrap();
        assert_eq!(has, if touched == 1 { "new\n" } else { "old\n" }, "{call} {still_done}");
        fs::remove_file(hosts.path("away")).unwrap();
        fs::write(state(&hosts, "n1"), "old\n").unwrap();
        hosts.ok(&["node", "reissue", "n1", "--yes"]);
        assert_eq!(fs::read_to_string(state(&hosts, "n1")).unwrap(), "new\n", "{call} {still_done}");
    }
}

/// A connection that is cut is a signal to the script. What one that was killed left aside is the former state still.
#[test]
fn a_script_that_ends_between_the_state_and_the_restart_leaves_the_former_certificate() {
    let hosts = running(1);
    let program = hosts.on("n1", &hosts.site.path("slurmd.sh"));
    let whole = fs::read_to_string(&program).unwrap();
    let aside = || state(&hosts, "n1").with_file_name("certmgr_state.slurm-pki");
    for signal in ["HUP", "TERM", "PIPE"] {
        // The restart's own command is the first that runs after the state was put aside.
        let once = whole.replacen(
            "echo x >> starts\n",
            &format!("echo x >> starts\nif [ ! -e cut ]; then touch cut; kill -{signal} $PPID; exit 1; fi\n"),
            1,
        );
        write_program(&program, &once);
        let (_, stderr) = hosts.fails(&["node", "reissue", "n1", "--yes"]);
        assert!(stderr.contains("n1"), "{stderr}");
        assert_eq!(fs::read_to_string(state(&hosts, "n1")).unwrap(), "old\n", "{signal}: {stderr}");
        assert!(!aside().exists(), "{signal}");
        fs::remove_file(hosts.on("n1", &hosts.site.path("cut"))).unwrap();
    }
    write_program(&program, &whole);
    fs::rename(state(&hosts, "n1"), aside()).unwrap();
    hosts.ok(&["node", "reissue", "n1", "--yes"]);
    assert_eq!(fs::read_to_string(state(&hosts, "n1")).unwrap(), "new\n");
    assert!(!aside().exists());
}

/// A slurmd of a script that waits, when it is started, until the test has done what it wants to do meanwhile.
fn made_to_wait(hosts: &Hosts, host: &str) {
    let program = hosts.on(host, &hosts.site.path("slurmd.sh"));
    let whole = fs::read_to_string(&program).unwrap();
    // What it says then may find nobody who reads.
    let waits = "echo x >> starts\nuntil [ -e go-on ]; do sleep 0.05; done\necho Starting slurmd\n";
    write_program(&program, &whole.replacen("echo x >> starts\n", waits, 1));
}

fn go_on(hosts: &Hosts, host: &str) {
    fs::write(hosts.on(host, &hosts.site.path("go-on")), "").unwrap();
}

/// Whatever it is, it comes on a busy machine too.
#[track_caller]
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        sleep(Duration::from_millis(20));
    }
}

/// The connection itself: the host's sshd is killed with all that it runs for ssh, and the shell is left to itself.
#[test]
fn a_connection_that_is_cut_at_the_restart_leaves_slurmd_with_a_certificate() {
    for (broken, has) in [(false, "new\n"), (true, "old\n")] {
        let mut hosts = running(1);
        // Half of it is how long a slurmd may take.
        hosts.set("timeout", "24s");
        made_to_wait(&hosts, "n1");
        if broken {
            fs::write(hosts.on("n1", &hosts.site.path("broken")), "").unwrap();
        }
        let reissue = hosts.begin(&["node", "reissue", "n1", "--yes"]);
        wait_until("slurmd is restarted", || starts(&hosts, "n1") == 1);
        assert!(!state(&hosts, "n1").exists());
        hosts.cut(1);
        let output = reissue.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("n1: ") && stderr.contains("closed by remote host"), "{stderr}");
        go_on(&hosts, "n1");
        let now = || fs::read_to_string(state(&hosts, "n1")).unwrap_or_default();
        wait_until("slurmd has a certificate", || now() == has);
        let alone = || fs::read_dir(state(&hosts, "n1").parent().unwrap()).unwrap().count() == 1;
        wait_until("nothing is left beside it", alone);
        wait_until("it runs with that one", || starts(&hosts, "n1") == if broken { 2 } else { 1 });
    }
}

#[test]
fn ctrl_c_waits_for_the_host_whose_slurmd_is_being_restarted_and_no_others_follow() {
    let hosts = running(3);
    made_to_wait(&hosts, "n1");
    let mut reissue = hosts.begin(&["node", "reissue", "n[1-3]", "--yes"]);
    wait_until("slurmd is restarted", || starts(&hosts, "n1") == 1);
    // As Ctrl-C, which what a shell runs in the background does not hear of.
    kill_process(Pid::from_child(&reissue), Signal::TERM).unwrap();
    let mut said = BufReader::new(reissue.stderr.take().unwrap());
    let mut stderr = String::new();
    while !stderr.contains("what is under way is brought to an end") {
        assert_ne!(said.read_line(&mut stderr).unwrap(), 0, "{stderr}");
    }
    assert!(reissue.try_wait().unwrap().is_none(), "{stderr}");
    go_on(&hosts, "n1");
    said.read_to_string(&mut stderr).unwrap();
    assert_eq!(reissue.wait().unwrap().code(), Some(1), "{stderr}");
    assert!(stderr.contains("have a new certificate: n1\n"), "{stderr}");
    assert!(stderr.contains("not tried after an interruption: n[2-3]"), "{stderr}");
    assert!(stderr.contains("node reissue was interrupted"), "{stderr}");
    assert_eq!(fs::read_to_string(state(&hosts, "n1")).unwrap(), "new\n");
    assert_eq!((starts(&hosts, "n2"), starts(&hosts, "n3")), (0, 0));
}
