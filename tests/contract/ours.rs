//! What our programs do beyond the contract: the daemon's own key, the ledger, arguments that disappear.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use serde_json::Value;
use support::openssl;
use support::programs;
use support::site::{CA_NAME, Site, files_below, now};
use support::slurm::Slurm;

use crate::cluster::{Cluster, LineUp};
use crate::pem_text::one_block;

fn cluster() -> Cluster {
    Cluster::new(LineUp::ours(), &["n1", "n2"])
}

#[test]
fn two_daemons_on_one_host_get_each_its_own_key() {
    let cluster = cluster();
    let (mut slurmd, mut sackd) = (cluster.daemon(), cluster.daemon());
    let first = cluster.run_in(&mut slurmd, "generate_csr", &["n1"]).text();
    let second = cluster.run_in(&mut sackd, "generate_csr", &["n1"]).text();
    for (daemon, csr) in [(&mut slurmd, &first), (&mut sackd, &second)] {
        let key = cluster.run_in(daemon, "get_cert_key", &["n1"]).text();
        assert_eq!(openssl::public_of_key(&key), openssl::public_of_request(csr));
    }
    assert_ne!(openssl::public_of_request(&first), openssl::public_of_request(&second));
}

#[test]
fn a_request_made_by_hand_does_not_change_what_the_daemon_gets() {
    let cluster = cluster();
    let mut slurmd = cluster.daemon();
    let csr = cluster.run_in(&mut slurmd, "generate_csr", &["n1"]).text();
    // By hand: from this process, and from one that has ended before the daemon asks for its key.
    let _ = cluster.run("generate_csr", &["n1"]).text();
    let _ = cluster.run_in(&mut cluster.daemon(), "generate_csr", &["n1"]).text();
    let key = cluster.run_in(&mut slurmd, "get_cert_key", &["n1"]).text();
    assert_eq!(openssl::public_of_key(&key), openssl::public_of_request(&csr));
}

#[test]
fn a_daemon_that_never_asked_gets_no_key_of_a_living_one() {
    let cluster = cluster();
    let (mut slurmd, mut sackd) = (cluster.daemon(), cluster.daemon());
    let _ = cluster.run_in(&mut slurmd, "generate_csr", &["n1"]).text();
    assert!(cluster.run_in(&mut sackd, "get_cert_key", &["n1"]).answer().is_err());
    assert!(cluster.run_in(&mut slurmd, "get_cert_key", &["n2"]).answer().is_err());
}

#[test]
fn every_request_has_a_fresh_key() {
    let cluster = cluster();
    let keys = [1, 2].map(|_| openssl::public_of_request(&cluster.run("generate_csr", &["n1"]).text()));
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn one_site_may_have_one_lasting_key_instead() {
    let mut cluster = cluster();
    let file = cluster.site.path("node/%n.key").to_str().unwrap().to_owned();
    cluster.site.set("node", "renew_key", false);
    cluster.site.set("node", "key_file", file);
    cluster.site.write_config();
    let keys = [1, 2].map(|_| openssl::public_of_request(&cluster.run("generate_csr", &["n1"]).text()));
    assert_eq!(keys[0], keys[1]);
    let key = cluster.run("get_cert_key", &["n1"]).text();
    assert_eq!(openssl::public_of_key(&key), keys[0]);
}

#[test]
fn every_certificate_is_in_the_ledger_before_it_is_printed() {
    let cluster = cluster();
    let csr = cluster.run("generate_csr", &["n1"]).text();
    let certificate = cluster.run("sign_csr", &[&csr]).text();
    let ledger = cluster.site.ledger();
    let [line] = ledger.as_slice() else { panic!("not one line: {ledger:?}") };
    let text = |key: &str| line[key].as_str().unwrap().to_owned();
    let serial = openssl::read(&["x509", "-noout", "-serial"], certificate.as_bytes());
    assert_eq!(format!("serial={}\n", text("serial").to_uppercase()), serial);
    assert_eq!((text("node"), line["v"].clone()), ("n1".into(), Value::from(1)));
    // SHA-256 over the SubjectPublicKeyInfo, by openssl.
    let public = openssl::public_of_certificate(&certificate);
    let spki = openssl::openssl(&["pkey", "-pubin", "-outform", "DER"], public.as_bytes()).stdout;
    let digest = openssl::read(&["dgst", "-sha256", "-r"], &spki);
    assert_eq!(digest.split(' ').next(), line["spki_sha256"].as_str());
    let record: Value = serde_json::from_str(&cluster.site.read("state/tokens/n1.json")).unwrap();
    assert_eq!(line["record"], record["records"][0]["id"]);
    let last: Value = serde_json::from_str(&cluster.site.read("state/ledger/last/n1.json")).unwrap();
    assert_eq!(&last, line);
}

#[test]
fn a_certificate_does_not_outlive_its_ca() {
    let ends = now().plus(Duration::from_secs(600));
    let mut site = Site::with_ca(CA_NAME, now().minus(Duration::from_secs(3600)), ends);
    let _ = site.enrol("n1");
    let cluster = Cluster { site, line_up: LineUp::ours() };
    let csr = cluster.run("generate_csr", &["n1"]).text();
    let certificate = cluster.run("sign_csr", &[&csr]).text();
    let end = |pem: &str| openssl::read(&["x509", "-noout", "-enddate"], pem.as_bytes());
    assert_eq!(end(&certificate), end(&cluster.site.anchors()));
}

#[test]
fn a_certificate_is_valid_for_nodes_whose_clock_is_behind() {
    let cluster = cluster();
    let csr = cluster.run("generate_csr", &["n1"]).text();
    let certificate = cluster.run("sign_csr", &[&csr]).text();
    let ledger = cluster.site.ledger();
    let time = |key: &str| ledger[0][key].as_i64().unwrap();
    assert_eq!(time("time") - time("not_before"), 300);
    assert_eq!(time("not_after") - time("time"), 168 * 3600);
    let dates =
        openssl::read(&["x509", "-noout", "-startdate", "-dateopt", "iso_8601"], certificate.as_bytes());
    let begins = pki::time::UnixTime(time("not_before")).to_string().replace('T', " ");
    assert_eq!(dates, format!("notBefore={begins}\n"));
}

#[test]
fn bare_tokens_in_a_list_serve_any_node() {
    let mut cluster = Cluster::new(LineUp::ours_on_schedmds_layout(), &[]);
    let _ = cluster.site.enrol_by_list("n1");
    cluster.site.write("node_token_list.txt", format!("{}\n", cluster.site.token("n1")).as_bytes(), 0o600);
    let token = cluster.run("get_node_token", &["n1"]).text();
    assert!(cluster.run("validate_node_token", &["n1", &token]).accepted());
    let csr = cluster.run("generate_csr", &["n1"]).text();
    assert!(cluster.run("sign_csr", &[&csr]).answer().is_ok());
}

/// sign_csr waits for the ledger's lock, which this test holds: long enough to look at it.
#[test]
fn the_arguments_disappear_from_the_process_list() {
    let cluster = cluster();
    let csr = cluster.run("generate_csr", &["n1"]).text();
    let _ = cluster.run("sign_csr", &[&csr]).text();
    let mut locks =
        fs::read_dir(cluster.site.path("state/ledger")).unwrap().map(|entry| entry.unwrap().path());
    let lock = locks.find(|path| path.extension().is_some_and(|end| end == "lock")).unwrap();
    let lock = File::open(lock).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let mut waiting = cluster.site.slurm().command(&programs::program("sign_csr"), &[&csr]);
    let mut waiting = waiting.stdout(Stdio::piped()).spawn().unwrap();
    while !is_concealed(waiting.id()) {
        assert!(waiting.try_wait().unwrap().is_none(), "it ended, and its arguments were there all the time");
        thread::yield_now();
    }
    drop(lock);
    assert!(waiting.wait_with_output().unwrap().status.success());
}

/// Nothing of a request among a process's arguments, and no core dumps.
fn is_concealed(pid: u32) -> bool {
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
    // Its own name stays; a process that has ended has no arguments at all.
    arguments.starts_with(b"/")
        && !arguments.windows(5).any(|window| window == b"BEGIN")
        && core.split_whitespace().filter(|word| *word == "0").count() == 2
}

#[test]
fn a_client_command_needs_no_folder_and_no_user_of_its_own() {
    let cluster = cluster();
    let root = rustix::process::geteuid().is_root();
    let slurm = Slurm::bare().in_folder("/proc");
    let slurm = if root { slurm.as_user(65534, 65534) } else { slurm };
    let key = slurm.run::<&str>(&cluster.copy_for_everybody("keygen"), &[]).text();
    let certificate = slurm.run(&cluster.copy_for_everybody("certgen"), &[&key]).text();
    assert_eq!(openssl::public_of_certificate(&certificate), openssl::public_of_key(&key));
}

#[test]
fn thirty_two_signatures_for_one_node_at_once_are_all_recorded_under_one_mark() {
    let cluster = cluster();
    let csr = cluster.run("generate_csr", &["n1"]).text();
    thread::scope(|scope| {
        let runs: Vec<_> = (0..32).map(|_| scope.spawn(|| cluster.run("sign_csr", &[&csr]).text())).collect();
        runs.into_iter().for_each(|run| drop(run.join().unwrap()));
    });
    let serials: BTreeSet<_> = cluster.site.ledger().iter().map(|line| line["serial"].to_string()).collect();
    assert_eq!((serials.len(), cluster.site.ledger().len()), (32, 32));
    let files = files_below(&cluster.site.path("state/tokens"));
    let marks = files.iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "used"));
    assert_eq!(marks.count(), 1);
}

#[test]
fn a_refusal_is_noted_with_its_program_node_and_reason() {
    let cluster = cluster();
    assert!(!cluster.run("validate_node_token", &["n1", "wrong"]).accepted());
    let files = files_below(&cluster.site.path("state/ledger"));
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let (_, text) = files.iter().find(|(path, _)| name(path).starts_with("refused.")).unwrap();
    let line: Value = serde_json::from_slice(text).unwrap();
    assert_eq!((line["program"].as_str(), line["node"].as_str()), (Some("validate_node_token"), Some("n1")));
    assert!(line["reason"].as_str().unwrap().starts_with("token rejected"));
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let cluster = cluster();
    let csr = cluster.run("generate_csr", &["n1"]).text();
    for (program, argument) in [("get_node_token", "n1"), ("generate_csr", "n1"), ("sign_csr", &csr)] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut command = cluster.site.slurm().command(&programs::program(program), &[argument]);
        let output = command.stdout(full).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{program}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with(&format!("{program}: error: cannot write the answer")), "{said}");
    }
}

/// Sites put scripts of their own around the programs; then each program's parent is another process, which
/// has ended when the next one starts.
#[test]
fn a_wrapper_script_around_the_node_programs_does_no_harm() {
    let cluster = cluster();
    let wrapped = |program: &str| {
        let program = programs::program(program);
        let words = ["-c", "\"$0\" \"$@\"; exit $?", program.to_str().unwrap(), "n1"];
        cluster.site.slurm().run(Path::new("/bin/sh"), &words)
    };
    for _ in 0..2 {
        let csr = wrapped("generate_csr").text();
        let key = wrapped("get_cert_key").text();
        assert_eq!(openssl::public_of_key(&key), openssl::public_of_request(&csr));
    }
}

#[test]
fn keys_are_of_the_kind_that_the_config_names() {
    let mut cluster = cluster();
    cluster.site.set("node", "key_type", "p384");
    cluster.site.set("client", "key_type", "p384");
    cluster.site.write_config();
    let csr = cluster.run("generate_csr", &["n1"]).text();
    let key = cluster.run("get_cert_key", &["n1"]).text();
    let client = cluster.run::<&str>("keygen", &[]).text();
    for key in [&key, &client] {
        assert!(openssl::read(&["pkey", "-noout", "-text"], key.as_bytes()).contains("NIST CURVE: P-384"));
    }
    let certificate = cluster.run("sign_csr", &[&csr]).text();
    assert_eq!(openssl::public_of_certificate(&certificate), openssl::public_of_key(&key));
    assert!(cluster.run("certgen", &[&client]).answer().is_ok());
}

#[test]
fn subject_and_names_are_those_of_the_sites_profile() {
    let mut cluster = cluster();
    cluster.site.set("controller", "subject.O", "Example University");
    cluster.site.set("controller", "san", vec!["%n", "%n.cluster.example"]);
    cluster.site.write_config();
    let csr = cluster.run("generate_csr", &["n1"]).text();
    let certificate = cluster.run("sign_csr", &[&csr]).text();
    assert_eq!(openssl::subject_of_certificate(&certificate), "CN=n1,O=Example University");
    let text = openssl::certificate_text(&certificate);
    assert!(text.contains("DNS:n1, DNS:n1.cluster.example\n"), "{text}");
}

#[test]
fn an_intermediates_certificate_follows_the_leaf() {
    let cluster = cluster();
    let intermediate = cluster.site.sign_with_an_intermediate();
    let csr = cluster.run("generate_csr", &["n1"]).text();
    let answer = cluster.run("sign_csr", &[&csr]).text();
    assert!(answer.ends_with(&intermediate), "{answer}");
    let leaf = answer.strip_suffix(&intermediate).unwrap().to_owned();
    let leaf = one_block(leaf, "CERTIFICATE");
    assert_eq!(openssl::public_of_certificate(&leaf), openssl::public_of_request(&csr));
    // PARTIAL_CHAIN aside, a peer knows only the root.
    openssl::verify_chain(&leaf, &intermediate, &cluster.site.anchors(), "sslserver");
    openssl::verify_chain(&leaf, &intermediate, &cluster.site.anchors(), "sslclient");
}

#[test]
fn slurmctlds_programs_run_as_slurm_user() {
    let cluster = cluster();
    let (token, csr) = (cluster.site.token("n1"), cluster.run("generate_csr", &["n1"]).text());
    let copies = ["validate_node_token", "sign_csr"].map(|name| cluster.copy_for_everybody(name));
    let mut slurmctld = cluster.site.slurm();
    if rustix::process::geteuid().is_root() {
        cluster.site.give_to(65534, 65534);
        slurmctld = slurmctld.as_user(65534, 65534);
    }
    assert!(slurmctld.run(&copies[0], &["n1", &token]).accepted());
    let certificate = one_block(slurmctld.run(&copies[1], &[&csr]).text(), "CERTIFICATE");
    assert_eq!(openssl::public_of_certificate(&certificate), openssl::public_of_request(&csr));
}

#[test]
fn thirty_two_first_requests_at_once_agree_on_one_lasting_key() {
    let cluster = Cluster::new(LineUp::ours_on_schedmds_layout(), &["n1"]);
    let keys: BTreeSet<_> = thread::scope(|scope| {
        let one = || openssl::public_of_request(&cluster.run("generate_csr", &["n1"]).text());
        let runs: Vec<_> = (0..32).map(|_| scope.spawn(one)).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let kept = openssl::public_of_key(&cluster.run("get_cert_key", &["n1"]).text());
    assert_eq!(keys, BTreeSet::from([kept]));
}

#[test]
fn what_the_programs_write_is_closed_to_others_whatever_the_umask() {
    for umask in ["0000", "0077"] {
        let cluster = cluster();
        // exec: the program's parent stays this process.
        let order = format!("umask {umask}; exec \"$0\" \"$@\"");
        let run = |program: &str, argument: &str| {
            let program = programs::program(program);
            let words = ["-c", &order, program.to_str().unwrap(), argument];
            cluster.site.slurm().run(Path::new("/bin/sh"), &words).text()
        };
        let csr = run("generate_csr", "n1");
        let _ = run("sign_csr", &csr);
        let _ = run("get_cert_key", "n1");
        for folder in ["node/keys", "state/ledger", "state/tokens"] {
            let files = files_below(&cluster.site.path(folder));
            assert!(files.len() > 1 || folder == "node/keys", "{folder}: {}", files.len());
            for (path, _) in files {
                let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
                assert_eq!(mode & 0o137, 0, "umask {umask}: {} has mode {mode:o}", path.display());
                assert_eq!(mode & 0o600, 0o600, "umask {umask}: {} has mode {mode:o}", path.display());
            }
        }
        let folder = fs::metadata(cluster.site.path("node/keys")).unwrap().permissions().mode();
        assert_eq!(folder & 0o7777, 0o700);
    }
}
