//! A change of CA whose issuers are in Vault: what sign_csr issues after each step, and after a step that lost an answer or
//! was killed in the middle of a call, is accepted by whoever there may be.

use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pki::loads_in_s2n::{accepted_by_peers, own_chain, trust_bundle};
use pki::x509::X509;
use serde_json::{Value, json};
use support::bound_request::bound_request;
use support::openssl;
use support::programs::program;
use support::site::{Site, now};
use support::vaulted::role;
use vault_stand_in::Fault;

use crate::client::Hand;
use crate::server::Server;

/// A site in Vault with slurmctld on this host and the node n1.
struct Cluster {
    site: Site,
    /// What every host trusts before.
    old: String,
    ports: [u16; 2],
    /// What its token may do: the policy that `vault setup` writes for whoever changes the CA, and no other.
    policy: String,
}

impl Cluster {
    fn new() -> Self {
        let mut site = Site::in_vault();
        site.set("", "slurm_user", rustix::process::geteuid().as_raw().to_string());
        site.enrol("n1");
        let server = &site.vault().server;
        site.vault().write_role(&["n1".to_owned(), "slurm-pki-rehearsal".to_owned()]);
        let host = rustix::system::uname().nodename().to_str().unwrap().to_owned();
        let names = ["slurmctld", "localhost", "head", "n1", &host].map(str::to_owned);
        let mut daemons = role(&names);
        (daemons["ttl"], daemons["max_ttl"]) = (json!("8760h"), json!("8760h"));
        daemons["allow_localhost"] = json!(true);
        server.root("POST", "pki/roles/slurm-daemons", daemons);
        site.write(".vault-token", server.root_token().as_bytes(), 0o600);
        for (key, name) in [("cert", "ctld_cert.pem"), ("key", "ctld_cert_key.pem")] {
            let path = site.path(name).to_str().unwrap().to_owned();
            site.set("daemons.ctld", key, path);
        }
        site.write_config();
        let ports = [free_port(), free_port()];
        let slurm = format!(
            "ClusterName=c1\nSlurmUser=root\nSlurmctldHost=localhost(127.0.0.1)\nSlurmctldPort={}\n\
             NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={}\n",
            ports[0], ports[1]
        );
        site.write("slurm.conf", slurm.as_bytes(), 0o644);
        let old = site.anchors();
        let mut cluster = Self { site, old, ports, policy: String::new() };
        cluster.policy = cluster.printed_policy();
        cluster.set_policy(&cluster.policy);
        let token = json!({ "policies": ["slurm-rollover"], "no_default_policy": true, "ttl": "1h" });
        let token = cluster.site.vault().server.root("POST", "auth/token/create", token);
        let token = token["auth"]["client_token"].as_str().unwrap().to_owned();
        cluster.site.write(".vault-token", token.as_bytes(), 0o600);
        cluster.done(&["cert", "issue", "ctld", "--host", "head"]);
        cluster
    }

    /// The policy for a change of CA, as `vault setup --dry-run` prints it.
    fn printed_policy(&self) -> String {
        let said = self.done(&["vault", "setup", "--dry-run"]);
        let text = said.split("vault policy write slurm-rollover - <<'END_OF_INPUT'\n").nth(1).unwrap();
        text.split("END_OF_INPUT").next().unwrap().to_owned()
    }

    fn set_policy(&self, text: &str) {
        let server = &self.site.vault().server;
        server.root("POST", "sys/policies/acl/slurm-rollover", json!({ "policy": text }));
    }

    /// After these steps.
    fn after(steps: &[&str]) -> Self {
        let cluster = Self::new();
        steps.iter().for_each(|step| drop(cluster.rollover(step)));
        cluster
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("slurm-pki"));
        command
            .args(arguments)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.env("HOME", self.site.path("")).env("PATH", std::env::var_os("PATH").unwrap());
        command.env("SLURM_PKI_CONF", self.site.path("slurm-pki.toml"));
        command.env("SLURM_CONF", self.site.path("slurm.conf"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = text(&output);
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    }

    #[track_caller]
    fn rollover(&self, step: &str) -> String {
        self.done(&words(step))
    }

    #[track_caller]
    fn refused(&self, step: &str) -> String {
        let output = self.run(&words(step));
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{step}: {said}");
        assert!(said.contains("slurm-pki: hint: "), "{said}");
        said
    }

    fn status(&self) -> Value {
        let said = self.run(&["ca", "rollover", "status", "--json"]).stdout;
        serde_json::from_slice::<Value>(&said).unwrap()["data"].clone()
    }

    fn phase(&self) -> String {
        self.status()["phase"].as_str().unwrap().to_owned()
    }

    /// What the real sign_csr answers n1.
    #[track_caller]
    fn sign(&self) -> String {
        let request = bound_request(self.site.secret("n1"), "n1");
        self.site.slurm().run(&program("sign_csr"), &[&request]).text()
    }

    fn new_root(&self) -> String {
        self.site.read("state/ca/rollover/new_root.pem")
    }

    /// Names of the issuers in Vault, and whether they may sign.
    fn issuers(&self) -> Vec<(String, bool)> {
        let server = &self.site.vault().server;
        let ids = server.root("LIST", "pki/issuers", json!({}));
        let ids = ids["data"]["keys"].as_array().unwrap().clone();
        let one = |id: &Value| {
            let issuer = server.root("GET", &format!("pki/issuer/{}", id.as_str().unwrap()), json!({}));
            let of = |name: &str| issuer["data"][name].as_str().unwrap().to_owned();
            (of("issuer_name"), of("usage").contains("issuing-certificates"))
        };
        ids.iter().map(one).collect()
    }

    fn daemons(&self) -> [Server; 2] {
        let out = self.site.path("pairs").to_str().unwrap().to_owned();
        self.done(&["cert", "issue", "slurmd", "n1", "--out", &out, "--force"]);
        let (read, trust) = (|name: &str| self.site.read(name), self.site.anchors());
        let ctld = (read("ctld_cert.pem"), read("ctld_cert_key.pem"));
        let n1 = (read("pairs/n1/slurmd_cert.pem"), read("pairs/n1/slurmd_cert_key.pem"));
        [
            Server::start(self.ports[0], &ctld.0, &ctld.1, &trust),
            Server::start(self.ports[1], &n1.0, &n1.1, &trust),
        ]
    }
}

fn words(step: &str) -> Vec<&str> {
    ["ca", "rollover"].into_iter().chain(step.split(' ')).collect()
}

fn text(output: &Output) -> String {
    String::from_utf8([output.stdout.clone(), output.stderr.clone()].concat()).unwrap()
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn count(pem: &str) -> usize {
    pem.matches("BEGIN CERTIFICATE").count()
}

/// Both of ours and openssl say that a peer with this bundle accepts the chain, as server and as client.
#[track_caller]
fn accepted(chain: &str, bundle: &str) {
    let sent = own_chain(chain.as_bytes()).unwrap();
    let anchors = trust_bundle(bundle.as_bytes()).unwrap();
    accepted_by_peers(&sent, &anchors, now()).unwrap_or_else(|e| panic!("{e:?}: {chain}{bundle}"));
    for purpose in ["sslserver", "sslclient"] {
        openssl::verify_chain(chain, chain, bundle, purpose);
    }
}

/// Peers with both roots accept it; until all have the new root, those with the old one too; and what the new CA issued is
/// accepted with its root alone.
#[track_caller]
fn accepted_by_all(cluster: &Cluster, phase: &str) {
    let chain = cluster.sign();
    let Ok(new) = std::fs::read_to_string(cluster.site.path("state/ca/rollover/new_root.pem")) else {
        return accepted(&chain, &cluster.site.anchors());
    };
    accepted(&chain, &format!("{}{new}", cluster.old));
    let root = X509::all_from_pem(new.as_bytes(), 9999).unwrap().remove(0);
    let by_new = X509::all_from_pem(chain.as_bytes(), 65_536).unwrap()[0].is_issued_by(&root);
    if phase != "finish" {
        accepted(&chain, &cluster.old);
    }
    if by_new || phase == "finish" {
        accepted(&chain, &new);
    }
}

#[test]
fn a_whole_rollover_ends_with_the_new_issuer_alone_and_no_key_here() {
    let cluster = Cluster::new();
    cluster.rollover("begin");
    assert_eq!(cluster.phase(), "begun");
    let new = cluster.new_root();
    assert_eq!(openssl::subject_of_certificate(&new), "CN=c1 Slurm CA G2");
    assert_eq!(cluster.issuers(), [(String::new(), true), ("c1-slurm-ca-g2".into(), true)]);
    let chain = cluster.sign();
    assert_eq!(count(&chain), 1, "the old CA issues");
    accepted(&chain, &cluster.old);

    cluster.rollover("switch");
    let chain = cluster.sign();
    assert_eq!(count(&chain), 2, "leaf and cross certificate");
    for bundle in [&cluster.old, &new, &cluster.site.anchors()] {
        accepted(&chain, bundle);
        accepted(&cluster.site.read("ctld_cert.pem"), bundle);
    }
    let status = cluster.status();
    assert_eq!((&status["phase"], &status["signs"]), (&json!("switched"), &json!("new")));
    assert_eq!(status["issuers"][1]["signs"], json!(true), "{status}");

    let _daemons = cluster.daemons();
    let said = cluster.rollover("finish --yes");
    assert!(said.contains("shown    by 2 of 2 daemons"), "{said}");
    assert_eq!((cluster.phase().as_str(), cluster.site.anchors()), ("none", new.clone()));
    assert!(!cluster.site.path("state/ca/chain.pem").exists());
    let chain = cluster.sign();
    assert_eq!(count(&chain), 1);
    accepted(&chain, &new);
    assert_eq!(cluster.issuers(), [(String::new(), false), ("c1-slurm-ca-g2".into(), true)]);
    let keys = cluster.site.vault().server.root("LIST", "pki/keys", json!({}));
    assert_eq!(keys["data"]["keys"].as_array().unwrap().len(), 2, "no key is deleted");
    let here = support::site::files_below(&cluster.site.path("state/ca"));
    assert!(here.iter().all(|(_, text)| !String::from_utf8_lossy(text).contains("PRIVATE KEY")), "{here:?}");
}

#[test]
fn abort_goes_back_from_either_phase_and_the_next_begin_makes_another_issuer() {
    for steps in [&["begin"][..], &["begin", "switch"]] {
        let cluster = Cluster::after(steps);
        let under_new = cluster.sign();
        cluster.rollover("abort");
        assert_eq!((cluster.phase().as_str(), cluster.site.anchors()), ("none", cluster.old.clone()));
        for chain in [cluster.sign(), under_new, cluster.site.read("ctld_cert.pem")] {
            accepted(&chain, &cluster.old);
        }
        let issuers = cluster.issuers();
        assert!(issuers[1].0.starts_with("c1-slurm-ca-g2-aborted-") && !issuers[1].1, "{issuers:?}");
        cluster.rollover("begin");
        // A CA that has issued keeps its name for itself.
        let next = if steps.len() == 1 { "c1-slurm-ca-g2" } else { "c1-slurm-ca-g3" };
        assert_eq!(cluster.issuers()[2], (next.to_owned(), true));
    }
}

#[test]
fn a_role_that_names_its_issuer_is_changed_and_nothing_else_of_it() {
    let cluster = Cluster::new();
    let server = &cluster.site.vault().server;
    let old = server.root("GET", "pki/issuer/default", json!({}))["data"]["issuer_id"].clone();
    for name in ["slurm", "slurm-daemons"] {
        let mut role = server.root("GET", &format!("pki/roles/{name}"), json!({}))["data"].clone();
        role["issuer_ref"] = old.clone();
        server.root("POST", &format!("pki/roles/{name}"), role);
    }
    let before = server.root("GET", "pki/roles/slurm", json!({}))["data"].clone();
    cluster.rollover("begin");
    cluster.rollover("switch");
    let mut after = server.root("GET", "pki/roles/slurm", json!({}))["data"].clone();
    assert_ne!(after["issuer_ref"], old);
    after["issuer_ref"] = old.clone();
    assert_eq!(after, before);
    assert_eq!(server.root("GET", "pki/issuer/default", json!({}))["data"]["issuer_id"], old);
    assert_eq!(count(&cluster.sign()), 2);
    cluster.rollover("abort");
    accepted(&cluster.sign(), &cluster.old);
}

#[test]
fn what_would_go_wrong_later_is_refused_before_anything_is_made() {
    let cluster = Cluster::new();
    let server = &cluster.site.vault().server;
    let old = server.root("GET", "pki/issuer/default", json!({}))["data"]["issuer_id"].clone();
    server.root(
        "POST",
        "pki/config/issuers",
        json!({ "default": old, "default_follows_latest_issuer": true }),
    );
    assert!(cluster.refused("begin").contains("whatever issuer is made next signs at once"));
    server.root("POST", "pki/config/issuers", json!({ "default": old }));
    let another =
        json!({ "common_name": "Another CA", "issuer_name": "another", "key_type": "ec", "ttl": "9000h" });
    server.root("POST", "pki/root/generate/internal", another.clone());
    let mut role = server.root("GET", "pki/roles/slurm-daemons", json!({}))["data"].clone();
    role["issuer_ref"] = json!("another");
    server.root("POST", "pki/roles/slurm-daemons", role.clone());
    assert!(cluster.refused("begin").contains("are signed by different issuers"));
    role["issuer_ref"] = json!("default");
    server.root("POST", "pki/roles/slurm-daemons", role);
    server.root("POST", "pki/config/issuers", json!({ "default": "another" }));
    assert!(cluster.refused("begin").contains("is neither in ca_cert nor in ca_chain"));
    server.root("POST", "pki/config/issuers", json!({ "default": old }));
    let taken = json!({ "common_name": "Somebody", "issuer_name": "c1-slurm-ca-g2", "key_type": "ec" });
    server.root("POST", "pki/root/generate/internal", taken);
    assert!(cluster.refused("begin").contains("is not the CA that was to be made"));
    assert_eq!((cluster.phase().as_str(), cluster.site.anchors()), ("none", cluster.old.clone()));
    cluster.site.write(".vault-token", cluster.site.vault().token.as_bytes(), 0o600);
    let said = cluster.refused("begin");
    assert!(
        said.contains("does not allow this token") && !said.contains(&cluster.site.vault().token),
        "{said}"
    );
}

#[test]
fn a_dry_run_makes_nothing_in_vault() {
    let cluster = Cluster::new();
    for step in ["begin", "switch", "abort"] {
        let before = (cluster.issuers(), cluster.site.anchors(), cluster.phase());
        let default = cluster.site.vault().server.root("GET", "pki/config/issuers", json!({}));
        let said = cluster.rollover(&format!("{step} --dry-run"));
        assert!(said.contains("would "), "{said}");
        assert_eq!((cluster.issuers(), cluster.site.anchors(), cluster.phase()), before, "{step}");
        assert_eq!(cluster.site.vault().server.root("GET", "pki/config/issuers", json!({})), default);
        if step != "abort" {
            cluster.rollover(step);
        }
    }
}

/// A step, what came before it, and the calls by which it changes something in Vault.
const STEPS: [(&str, &[&str], &[&str]); 4] = [
    (
        "begin",
        &[],
        &["POST pki/issuers/generate/root/internal", "POST pki/intermediate/cross-sign", "POST pki/issuer/"],
    ),
    ("switch", &["begin"], &["POST pki/issuer/", "POST pki/config/issuers"]),
    ("abort", &["begin", "switch"], &["POST pki/config/issuers", "PATCH pki/issuer/"]),
    ("finish --yes", &["begin", "switch"], &["POST pki/issuer/", "PATCH pki/issuer/"]),
];

#[track_caller]
fn goes_on(cluster: &Cluster, step: &str, call: &str) {
    let first = step.split(' ').next().unwrap();
    accepted_by_all(cluster, first);
    let again = cluster.run(&words(step));
    let said = text(&again);
    assert!(again.status.success() || said.contains("no CA rollover is under way"), "{call}: {said}");
    let phase = match first {
        "begin" => "begun",
        "switch" => "switched",
        _ => "none",
    };
    assert_eq!(cluster.phase(), phase, "{call}");
    accepted_by_all(cluster, first);
    assert_eq!(cluster.issuers().len(), 2, "{call}: one new issuer and no more");
}

#[test]
fn an_answer_that_is_lost_after_the_change_was_made_is_made_up_for() {
    for (step, before, calls) in STEPS {
        for call in calls {
            let cluster = Cluster::after(before);
            let _daemons = step.starts_with("finish").then(|| cluster.daemons());
            let server = &cluster.site.vault().server;
            // Once: the command tries again by itself.
            server.fail(call, Fault::Lost, 1);
            let once = cluster.run(&words(step));
            assert!(once.status.success(), "{step}, {call}: {}", text(&once));
            goes_on(&cluster, step, call);
        }
    }
}

#[test]
fn answers_that_stay_lost_stop_the_step_and_the_same_command_completes_it() {
    for (step, before, calls) in STEPS {
        for call in calls {
            let cluster = Cluster::after(before);
            let _daemons = step.starts_with("finish").then(|| cluster.daemons());
            let server = &cluster.site.vault().server;
            server.fail(call, Fault::Lost, 1000);
            let _ = cluster.run(&words(step));
            server.recover();
            goes_on(&cluster, step, call);
        }
    }
}

#[test]
fn killed_in_the_middle_of_a_call_the_same_command_completes_the_step() {
    for (step, before, calls) in STEPS {
        for call in calls {
            let cluster = Cluster::after(before);
            let _daemons = step.starts_with("finish").then(|| cluster.daemons());
            let server = &cluster.site.vault().server;
            let seen = |call: &str| server.requests().iter().filter(|one| one.starts_with(call)).count();
            let so_far = seen(call);
            server.fail(call, Fault::Slow(Duration::from_millis(700)), 1);
            let mut child = cluster.command(&words(step)).spawn().unwrap();
            let begun = Instant::now();
            while seen(call) == so_far && begun.elapsed() < Duration::from_secs(30) {
                sleep(Duration::from_millis(5));
            }
            assert!(seen(call) > so_far, "{step}: {call} was never asked");
            child.kill().unwrap();
            child.wait().unwrap();
            accepted_by_all(&cluster, step.split(' ').next().unwrap());
            // By then the server has done what it was asked.
            sleep(Duration::from_millis(800));
            goes_on(&cluster, step, call);
        }
    }
}

/// The state folder is SlurmUser's, and the CA key is not, where it is in Vault.
#[test]
fn slurm_user_brings_no_root_of_its_own_to_the_hosts_through_the_files_of_a_rollover() {
    let cluster = Cluster::after(&["begin"]);
    let so_far = cluster.site.vault().server.requests().len();
    let read = |name: &str| cluster.site.read(&format!("state/ca/rollover{name}"));
    let (state, root, cross) = (read(".json"), read("/new_root.pem"), read("/cross.pem"));
    let write = |name: &str, text: &str| {
        cluster.site.write(&format!("state/ca/rollover{name}"), text.as_bytes(), 0o644);
    };
    let fingerprint = |pem: &str| X509::all_from_pem(pem.as_bytes(), 65_536).unwrap().remove(0).fingerprint();
    let trusted = cluster.site.anchors();
    // A root of SlurmUser's own, with the name that is awaited, and a cross certificate that it signed itself.
    let own = Site::with_ca(
        "c1 Slurm CA G2",
        now().minus(Duration::from_secs(60)),
        now().plus(Duration::from_secs(9_000_000)),
    );
    let own = own.anchors();
    write("/new_root.pem", &own);
    write("/cross.pem", &own);
    write(".json", &state.replace(&fingerprint(&root), &fingerprint(&own)));
    for step in ["begin", "switch", "abort"] {
        let said = cluster.refused(step);
        assert!(said.contains("do not belong to the issuers in Vault"), "{step}: {said}");
        assert_eq!(cluster.site.anchors(), trusted);
    }
    write("/new_root.pem", &root);
    write("/cross.pem", &cross);
    // Another issuer of the same engine, and ids that are paths.
    let server = &cluster.site.vault().server;
    let other =
        json!({ "common_name": "Other CA", "key_type": "ec", "issuer_name": "other", "ttl": "8760h" });
    server.root("POST", "pki/issuers/generate/root/internal", other);
    let document: Value = serde_json::from_str(&state).unwrap();
    for (which, is, words) in [
        ("new", "other", "do not belong to the issuers in Vault"),
        ("old", "other", "do not belong to the issuers in Vault"),
        ("new", "../../sys/policies/acl/x", "is no path in Vault"),
        ("old", "x/../../../sys/seal", "is no path in Vault"),
    ] {
        let mut changed = document.clone();
        changed["vault"][which] = json!(is);
        write(".json", &changed.to_string());
        for step in ["switch", "abort"] {
            let said = cluster.refused(step);
            assert!(said.contains(words), "{which} {is}, {step}: {said}");
        }
    }
    let asked = server.requests().split_off(so_far);
    assert!(asked.iter().all(|request| !request.contains("sys/")), "{asked:?}");
    write(".json", &state);
    cluster.rollover("switch");
}

/// sign_csr has read ca_chain, and while Vault has its question the new CA comes, or goes.
#[test]
fn what_vault_signs_in_the_very_moment_of_the_change_has_its_way_with_it() {
    for (before, step) in [(&["begin"][..], "switch"), (&["begin", "switch"], "abort --no-push")] {
        let cluster = Cluster::after(before);
        let server = &cluster.site.vault().server;
        let asked = || server.requests().iter().filter(|one| *one == "POST pki/sign/slurm").count();
        let so_far = asked();
        server.fail("POST pki/sign/slurm", Fault::Slow(Duration::from_millis(1800)), 1);
        let chain = std::thread::scope(|scope| {
            let signing = scope.spawn(|| cluster.sign());
            while asked() == so_far {
                sleep(Duration::from_millis(2));
            }
            cluster.rollover(step);
            signing.join().unwrap()
        });
        accepted(&chain, &cluster.old);
        if step == "switch" {
            assert_eq!(count(&chain), 2, "the new CA signed");
            accepted(&chain, &cluster.new_root());
        }
    }
}

#[test]
fn daemons_anywhere_are_due_once_the_new_ca_signs() {
    let cluster = Cluster::after(&["begin"]);
    let old = (cluster.site.read("ctld_cert.pem"), cluster.site.read("ctld_cert_key.pem"));
    let due = |said: &str| said.contains("not with the key that is the CA's now");
    cluster.rollover("switch");
    // As on a host that switch does not reach.
    cluster.done(&["cert", "issue", "ctld", "--host", "head"]);
    let said = text(&cluster.run(&["cert", "renew", "--dry-run"]));
    assert!(!due(&said), "{said}");
    for (name, contents) in [("ctld_cert.pem", &old.0), ("ctld_cert_key.pem", &old.1)] {
        std::fs::write(cluster.site.path(name), contents).unwrap();
    }
    let said = text(&cluster.run(&["cert", "renew", "--dry-run"]));
    assert!(due(&said), "{said}");
}

#[test]
fn the_policy_for_it_lets_its_owner_do_nothing_else() {
    let cluster = Cluster::after(&["begin", "switch"]);
    let server = &cluster.site.vault().server;
    let token = cluster.site.read(".vault-token");
    let hand = Hand::at(server, &cluster.site.path("vault_ca.pem"), &token);
    let key = openssl::new_key("EC", &["ec_paramgen_curve:P-256"]);
    let csr = json!({ "csr": openssl::request(&key, "/CN=n1", &[]), "common_name": "n1" });
    let nothing = json!({});
    for (method, path, body) in [
        ("GET", "node-tokens/data/n1", None),
        ("POST", "node-tokens/data/n1", Some(&nothing)),
        ("GET", "node-tokens/metadata?list=true", None),
        ("DELETE", "node-tokens/metadata/n1", None),
        ("POST", "pki/roles/slurm", Some(&nothing)),
        ("DELETE", "pki/roles/slurm", None),
        ("POST", "pki/sign/slurm", Some(&csr)),
        ("POST", "pki/issue/slurm", Some(&csr)),
        ("POST", "pki/sign-verbatim", Some(&csr)),
        ("POST", "pki/issuer/default", Some(&nothing)),
        ("DELETE", "pki/issuer/default", None),
        ("POST", "pki/issuer/default/sign/slurm-daemons", Some(&csr)),
        ("POST", "pki/issuers/generate/root/exported", Some(&nothing)),
        ("POST", "pki/root/generate/internal", Some(&nothing)),
        ("POST", "sys/policies/acl/slurm-rollover", Some(&nothing)),
        ("POST", "auth/token/create", Some(&nothing)),
        ("GET", "sys/mounts", None),
    ] {
        let answer = hand.ask(method, path, body);
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.body);
    }
    for arguments in [&["node", "add", "n2"][..], &["node", "remove", "n1", "--yes"], &["vault", "setup"]] {
        let output = cluster.run(arguments);
        assert!(
            !output.status.success() && text(&output).contains("does not allow this token"),
            "{arguments:?}"
        );
    }
    let check = cluster.run(&["vault", "check", "--all"]);
    assert!(text(&check).contains("your token has the rights it needs"), "{}", text(&check));
}

#[test]
fn each_line_of_the_policy_for_it_is_needed() {
    let whole = Cluster::new().policy;
    let lines: Vec<&str> = whole.lines().filter(|line| line.starts_with("path \"pki/")).collect();
    assert_eq!(lines.len(), 10, "{whole}");
    for line in lines {
        let cluster = Cluster::new();
        cluster.set_policy(&whole.replace(line, ""));
        let done = |step: &str| cluster.run(&words(step)).status.success();
        // Without the list `status` says less, and fails not.
        let all = done("begin") && cluster.status()["issuers"].is_array() && done("switch") && done("abort");
        assert!(!all, "without {line}");
    }
}

#[test]
fn vault_check_finds_too_few_and_too_many_rights_of_who_changes_the_ca() {
    let cluster = Cluster::new();
    let whole = cluster.site.vault().server.root("GET", "sys/policies/acl/slurm-rollover", json!({}));
    let whole = whole["data"]["policy"].as_str().unwrap().to_owned();
    let line = "path \"pki/config/issuers\" { capabilities = [\"read\", \"update\"] }";
    assert!(whole.contains(line), "{whole}");
    cluster.set_policy(&whole.replace(line, "path \"pki/config/issuers\" { capabilities = [\"read\"] }"));
    let said = text(&cluster.run(&["vault", "check"]));
    assert!(said.contains("your token lacks update at pki/config/issuers"), "{said}");
    cluster
        .set_policy(&format!("{whole}path \"pki/roles/slurm-daemons\" {{ capabilities = [\"update\"] }}\n"));
    let said = text(&cluster.run(&["vault", "check"]));
    assert!(said.contains("your token has more than it needs: update at pki/roles/slurm-daemons"), "{said}");
    // Whoever may read policies sees the same without having it.
    let root = cluster.site.vault().server.root_token();
    cluster.site.write(".vault-token", root.as_bytes(), 0o600);
    let said = text(&cluster.run(&["vault", "check"]));
    assert!(said.contains("the policy slurm-rollover is not as slurm-pki vault setup writes it"), "{said}");
    cluster.set_policy(&whole);
    let said = text(&cluster.run(&["vault", "check", "--all"]));
    assert!(said.contains("the policy slurm-rollover gives what it takes and no more"), "{said}");
}
