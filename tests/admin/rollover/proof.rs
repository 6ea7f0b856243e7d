//! The proof before the old root goes: what a daemon has loaded, and what it serves.

use serde_json::Value;
use support::openssl;

use crate::cluster::Cluster;
use crate::server::{self, Server};

/// A rollover before its last step, with pairs of either CA for n1 and n2.
struct Switched {
    cluster: Cluster,
    old: [(String, String); 2],
    new: [(String, String); 2],
    both: String,
    _slurmctld: Server,
}

impl Switched {
    fn new() -> Self {
        Self::with("NodeHostname=localhost")
    }

    fn with(nodes: &str) -> Self {
        let cluster = Cluster::with(&[], nodes);
        let old = pairs(&cluster);
        cluster.rollover("begin");
        cluster.rollover("switch");
        let (both, new) = (cluster.site.read("ca_cert.pem"), pairs(&cluster));
        let (cert, key) = (cluster.site.read("ctld_cert.pem"), cluster.site.read("ctld_cert_key.pem"));
        let slurmctld = Server::start(cluster.ports[0], &cert, &key, &both);
        Self { cluster, old, new, both, _slurmctld: slurmctld }
    }

    fn n1(&self) -> Server {
        Server::start(self.cluster.ports[1], &self.new[0].0, &self.new[0].1, &self.both)
    }

    /// The command refuses because of n2 alone, with this reason, and the old root stays.
    #[track_caller]
    fn refused(&self, reason: &str) {
        let trusted = self.cluster.site.read("ca_cert.pem");
        let said = self.cluster.refused("finish --yes");
        assert!(said.contains("the old root stays: not shown by n2\n"), "{said}");
        assert!(said.contains(&format!("n2: {reason}")), "{said}");
        assert_eq!(self.cluster.site.read("ca_cert.pem"), trusted);
        assert_eq!(self.cluster.phase(), "switched");
    }
}

fn pairs(cluster: &Cluster) -> [(String, String); 2] {
    let out = cluster.site.text_path("pairs");
    cluster.site.done(&["cert", "issue", "slurmd", "n[1-2]", "--out", &out, "--force"]);
    ["n1", "n2"].map(|node| {
        let read = |name: &str| cluster.site.read(&format!("pairs/{node}/slurmd_{name}.pem"));
        (read("cert"), read("cert_key"))
    })
}

#[test]
fn whoever_has_the_new_root_only_on_its_disk_has_not_shown_it() {
    let site = Switched::new();
    let _n1 = site.n1();
    let [_, (cert, key)] = &site.new;
    let _n2 = Server::start(site.cluster.ports[2], cert, key, &site.cluster.old);
    site.refused("the new root is not loaded there");
}

#[test]
fn whoever_serves_the_old_cas_certificate_is_named() {
    let site = Switched::new();
    let _n1 = site.n1();
    let [_, (cert, key)] = &site.old;
    let _n2 = Server::start(site.cluster.ports[2], cert, key, &site.both);
    site.refused("a certificate of the old CA is served");
}

/// Root on n1, who takes n2's address too, speaks for n1 alone.
#[test]
fn nobody_shows_it_for_another() {
    let site = Switched::new();
    let _n1 = site.n1();
    let [(cert, key), _] = &site.new;
    let _n2 = Server::start(site.cluster.ports[2], cert, key, &site.both);
    site.refused("somebody else's certificate is served");
}

#[test]
fn silence_is_not_a_proof_and_other_words_than_tls_are_none() {
    let site = Switched::new();
    let _n1 = site.n1();
    server::answering(site.cluster.ports[2], "");
    site.refused("the new root is not loaded there");
    let site = Switched::new();
    let _n1 = site.n1();
    server::answering(site.cluster.ports[2], "HTTP/1.1 400 Bad Request\r\n\r\n");
    site.refused("the daemon's port does not speak TLS");
}

#[test]
fn a_handshake_without_a_question_for_a_certificate_shows_nothing() {
    let site = Switched::new();
    let _n1 = site.n1();
    let [_, (cert, key)] = &site.new;
    let _n2 = Server::that_does_not_ask(site.cluster.ports[2], cert, key);
    site.refused("what answers there asks for no certificate");
}

#[test]
fn the_dead_are_left_out_by_name_and_remembered() {
    let site = Switched::new();
    let _n1 = site.n1();
    site.refused("nobody answers");
    assert!(site.cluster.refused("finish --yes --skip n3").contains("--skip n3: no such host"));
    site.cluster.rollover("finish --yes --skip n2");
    assert_eq!(site.cluster.phase(), "none");
    let remembered: Value =
        serde_json::from_str(&site.cluster.site.read("state/fleet/skipped.json")).unwrap();
    let this = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let host = this.split('.').next().unwrap();
    let hosts: Vec<_> = remembered.as_object().unwrap().keys().collect();
    assert_eq!(hosts, [host], "where n2 is, as node push reaches it");
}

/// The program's name in a certificate is no host's, and a node is reached by its host's name.
#[test]
fn only_hosts_are_remembered_under_the_names_that_they_are_reached_by() {
    let cluster = Cluster::new();
    let fleet = "\n[fleet]\nrestd = \"rest1\"\n";
    cluster.site.write("slurm-pki.toml", &(cluster.site.read("slurm-pki.toml") + fleet), 0o644);
    let slurm_conf = cluster.site.read("slurm.conf");
    cluster.site.slurm_conf(&format!("{slurm_conf}NodeName=n7 NodeHostname=h7 NodeAddr=127.0.0.1 Port=1\n"));
    cluster.site.done(&["cert", "issue", "restd"]);
    cluster.rollover("begin --no-push");
    cluster.rollover("switch");
    let (cert, key) = (cluster.site.read("ctld_cert.pem"), cluster.site.read("ctld_cert_key.pem"));
    let _slurmctld = Server::start(cluster.ports[0], &cert, &key, &cluster.site.read("ca_cert.pem"));
    let said = cluster.refused("finish --no-push --yes");
    assert!(said.contains("the old root stays: not shown by n7,rest1,slurmrestd\n"), "{said}");
    let said = cluster.rollover("finish --no-push --yes --skip n7,rest1,slurmrestd");
    assert!(said.contains("left out: slurmrestd\n") && said.contains("remembered: h7,rest1;"), "{said}");
    let remembered: Value = serde_json::from_str(&cluster.site.read("state/fleet/skipped.json")).unwrap();
    assert_eq!(remembered.as_object().unwrap().keys().collect::<Vec<_>>(), ["h7", "rest1"]);
}

#[test]
fn nothing_goes_before_somebody_said_yes() {
    let site = Switched::new();
    let _n1 = site.n1();
    let [_, (cert, key)] = &site.new;
    let _n2 = Server::start(site.cluster.ports[2], cert, key, &site.both);
    let said = site.cluster.refused("finish");
    assert!(said.contains("shown    by 3 of 3") && said.contains("--yes"), "{said}");
    assert_eq!(site.cluster.phase(), "switched");
}

#[test]
fn a_name_that_cannot_be_asked_is_judged_by_the_ledger() {
    let cluster = Cluster::new();
    let out = cluster.site.text_path("pairs");
    let issue = |name: &str| cluster.site.done(&["cert", "issue", "sackd", name, "--out", &out, "--force"]);
    issue("login1");
    issue("login2");
    cluster.rollover("begin --no-push");
    cluster.rollover("switch");
    issue("login1");
    let (cert, key) = (cluster.site.read("ctld_cert.pem"), cluster.site.read("ctld_cert_key.pem"));
    let _slurmctld = Server::start(cluster.ports[0], &cert, &key, &cluster.site.read("ca_cert.pem"));
    let said = cluster.refused("finish --no-push --yes");
    assert!(
        said.contains("not shown by login2\n") && said.contains("the last certificate of this name"),
        "{said}"
    );
    let left = cluster.status()["left"].to_string();
    assert!(left.contains("wait for the renewal of login2"), "{left}");
    issue("login2");
    cluster.rollover("finish --no-push --yes");
}

/// A program reads the bundle when it starts, sackd at each renewal too, and slurmrestd has a port.
#[test]
fn hosts_without_a_port_need_the_bundle_before_their_last_renewal() {
    let cluster = Cluster::new();
    let config = cluster.site.read("slurm-pki.toml");
    let fleet = "\n[fleet]\nsackd = \"login1\"\nalso = \"web1\"\nrestd = \"localhost\"\n";
    cluster.site.write("slurm-pki.toml", &(config.clone() + fleet), 0o644);
    let out = cluster.site.text_path("pairs");
    cluster.rollover("begin --no-push");
    cluster.rollover("switch");
    cluster.site.done(&["cert", "issue", "sackd", "login1", "--out", &out]);
    let (cert, key) = (cluster.site.read("ctld_cert.pem"), cluster.site.read("ctld_cert_key.pem"));
    let _slurmctld = Server::start(cluster.ports[0], &cert, &key, &cluster.site.read("ca_cert.pem"));
    let said = cluster.refused("finish --no-push --yes");
    assert!(said.contains("login1,web1: its programs cannot be asked"), "{said}");
    assert!(said.contains("nothing says where this daemon listens"), "{said}");

    let digest = openssl::read(&["dgst", "-sha256", "-r"], cluster.site.read("ca_cert.pem").as_bytes());
    let digest = digest.split(' ').next().unwrap();
    let given = |time: u64| format!("{{\"bundle\":\"{digest}\",\"time\":{time}}}");
    let give = |time: u64| {
        let hosts = format!("{{\"login1\":{},\"web1\":{}}}", given(time), given(time));
        cluster.site.write("state/ca/rollover/hosts.json", &hosts, 0o644);
    };
    cluster.site.write(
        "slurm-pki.toml",
        &(config.clone() + &fleet.replace("restd = \"localhost\"\n", "")),
        0o644,
    );
    give(9_000_000_000);
    let said = cluster.refused("finish --no-push --yes");
    assert!(said.contains("not shown by login1\n") && said.contains("before the bundle came"), "{said}");
    give(1);
    let fleet = fleet.replace("restd = \"localhost\"\n", "");
    let unheard = fleet.replace("login1", "login2").replace("web1", "login1");
    cluster.site.write("slurm-pki.toml", &(config.clone() + &unheard), 0o644);
    let hosts = format!("{{\"login1\":{},\"login2\":{}}}", given(1), given(1));
    cluster.site.write("state/ca/rollover/hosts.json", &hosts, 0o644);
    let said = cluster.refused("finish --no-push --yes");
    assert!(said.contains("login2: the ledger knows no certificate of this name"), "{said}");
    // sackd asks under the host's full name where it has one.
    cluster.site.done(&["cert", "issue", "sackd", "login2.example.org", "--out", &out]);
    cluster.rollover("finish --no-push --yes");
}

/// A clock that was fast when sackd renewed, and was set right before the bundle came.
#[test]
fn a_renewal_that_the_ledger_dates_after_now_shows_nothing() {
    let cluster = Cluster::new();
    let config = cluster.site.read("slurm-pki.toml") + "\n[fleet]\nsackd = \"login1\"\n";
    cluster.site.write("slurm-pki.toml", &config, 0o644);
    cluster.rollover("begin --no-push");
    cluster.rollover("switch");
    let out = cluster.site.text_path("pairs");
    let renew = || cluster.site.done(&["cert", "issue", "sackd", "login1", "--out", &out, "--force"]);
    renew();
    cluster.date_later("login1", 3600);
    let digest = openssl::read(&["dgst", "-sha256", "-r"], cluster.site.read("ca_cert.pem").as_bytes());
    let digest = digest.split(' ').next().unwrap();
    let hosts = format!("{{\"login1\":{{\"bundle\":\"{digest}\",\"time\":1}}}}");
    cluster.site.write("state/ca/rollover/hosts.json", &hosts, 0o644);
    let read = |name: &str| cluster.site.read(name);
    let (cert, key) = (read("ctld_cert.pem"), read("ctld_cert_key.pem"));
    let _slurmctld = Server::start(cluster.ports[0], &cert, &key, &read("ca_cert.pem"));
    let said = cluster.refused("finish --no-push --yes");
    assert!(said.contains("login1: its last renewal is dated by a clock that was fast"), "{said}");
    assert!(said.contains("the old root stays: not shown by login1\n"), "{said}");
    assert_eq!(cluster.phase(), "switched");
    // One by a clock that is right counts, though the ledger has it before that other.
    renew();
    cluster.rollover("finish --no-push --yes");
    assert_eq!(cluster.phase(), "none");
}

/// On this host the bundle lies since the first step, and sackd knows it when it has renewed since.
#[test]
fn a_sackd_of_this_host_has_to_renew_after_the_new_ca_issues() {
    let cluster = Cluster::new();
    let config = cluster.site.read("slurm-pki.toml") + "\n[fleet]\nsackd = \"localhost\"\n";
    cluster.site.write("slurm-pki.toml", &config, 0o644);
    let out = cluster.site.text_path("pairs");
    let host = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
    let renew = || cluster.site.done(&["cert", "issue", "sackd", &host, "--out", &out, "--force"]);
    renew();
    cluster.date_later(&host, -3600);
    cluster.rollover("begin --no-push");
    cluster.rollover("switch");
    let read = |name: &str| cluster.site.read(name);
    let (cert, key) = (read("ctld_cert.pem"), read("ctld_cert_key.pem"));
    let _slurmctld = Server::start(cluster.ports[0], &cert, &key, &read("ca_cert.pem"));
    let said = cluster.refused("finish --no-push --yes");
    assert!(said.contains("its last renewal was before the bundle came"), "{said}");
    // The switch was a minute ago.
    let mut state: Value = serde_json::from_str(&read("state/ca/rollover.json")).unwrap();
    state["since"] = (state["since"].as_i64().unwrap() - 60).into();
    cluster.site.write("state/ca/rollover.json", &state.to_string(), 0o644);
    renew();
    cluster.rollover("finish --no-push --yes");
    assert_eq!(cluster.phase(), "none");
}

#[test]
fn a_daemon_is_asked_where_the_config_says() {
    let cluster = Cluster::new();
    cluster.site.done(&["cert", "issue", "restd"]);
    cluster.rollover("begin --no-push");
    cluster.rollover("switch");
    let trust = cluster.site.read("ca_cert.pem");
    let start = |port, daemon: &str| {
        let read = |name: &str| cluster.site.read(&format!("{daemon}_{name}.pem"));
        Server::start(port, &read("cert"), &read("cert_key"), &trust)
    };
    let _slurmctld = start(cluster.ports[0], "ctld");
    let said = cluster.refused("finish --no-push --yes");
    assert!(said.contains("slurmrestd: nothing says where this daemon listens"), "{said}");
    let config = cluster.site.read("slurm-pki.toml");
    let probe = format!("\n[daemons.restd]\nprobe = \"127.0.0.1:{}\"\n", cluster.ports[1]);
    cluster.site.write("slurm-pki.toml", &(config + &probe), 0o644);
    assert!(cluster.refused("finish --no-push --yes").contains("slurmrestd: nobody answers"));
    let _slurmrestd = start(cluster.ports[1], "restd");
    let said = cluster.rollover("finish --no-push --yes");
    assert!(said.contains("shown    by 2 of 2 daemons"), "{said}");
}

/// What is powered down gets everything when it comes; what only cannot be reached may run with the old root.
#[test]
fn a_cloud_node_that_does_not_answer_counts_as_away_only_where_slurmctld_says_so() {
    let site = Switched::with("NodeHostname=localhost State=CLOUD");
    let _n1 = site.n1();
    let node = |state: &str| format!(r#"{{"name":"n2","state":[{state}],"address":"127.0.0.1","port":1}}"#);
    let up = node(r#""IDLE","CLOUD""#);
    let lost = node(r#""DOWN","CLOUD","NOT_RESPONDING""#);
    let coming = node(r#""IDLE","CLOUD","POWERING_UP""#);
    let going = node(r#""IDLE","CLOUD","POWERING_DOWN""#);
    let unknown = r#"{"name":"n3","state":["IDLE","CLOUD","POWERED_DOWN"]}"#;
    for known in [Some(up.as_str()), Some(&lost), Some(&coming), Some(&going), Some(unknown), None] {
        let (done, said) = site.cluster.knowing(known, "finish --yes");
        assert!(!done && said.contains("n2: nobody answers there, and slurmctld does not say"), "{said}");
        assert_eq!(said.contains("does not tell who is powered down"), known.is_none(), "{said}");
        assert_eq!(site.cluster.phase(), "switched");
    }
    let off = node(r#""IDLE","CLOUD","POWERED_DOWN""#);
    let (done, said) = site.cluster.knowing(Some(&off), "finish --yes");
    assert!(done, "{said}");
    assert_eq!(site.cluster.phase(), "none");
}

#[test]
fn a_future_node_is_away() {
    let site = Switched::with("NodeHostname=localhost State=FUTURE");
    let _n1 = site.n1();
    let (done, said) = site.cluster.knowing(Some(r#"{"name":"n2","state":["FUTURE"]}"#), "finish --yes");
    assert!(done, "{said}");
}

/// Nodes that came by `slurmd -Z` are in no file, and trust the old root like all others.
#[test]
fn dynamic_nodes_are_asked_where_slurmctld_knows_them() {
    let site = Switched::new();
    let [_, n1, n2] = site.cluster.ports;
    site.cluster.site.slurm_conf(&format!(
        "SlurmctldHost=localhost(127.0.0.1)\nSlurmctldPort={}\nMaxNodeCount=9\n\
         NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={n1}\n",
        site.cluster.ports[0]
    ));
    let _n1 = site.n1();
    let known = format!(
        r#"{{"name":"n1","state":["IDLE"],"address":"127.0.0.1","port":{n1}}},
           {{"name":"n2","state":["IDLE","DYNAMIC_NORM"],"address":"127.0.0.1","port":{n2}}}"#
    );
    let (done, said) = site.cluster.knowing(None, "finish --yes");
    assert!(!done && said.contains("which dynamic nodes there are cannot be told"), "{said}");
    let [_, (cert, key)] = &site.new;
    let with_old_root = Server::start(n2, cert, key, &site.cluster.old);
    let (done, said) = site.cluster.knowing(Some(&known), "finish --yes");
    assert!(!done && said.contains("n2: the new root is not loaded there"), "{said}");
    drop(with_old_root);
    let _n2 = Server::start(n2, cert, key, &site.both);
    // Whoever has the key of auth/slurm can register these; they do not keep the old root.
    let invented = r#"{"name":"d1","state":["IDLE","DYNAMIC_NORM"],"address":"127.0.0.1","port":1},
           {"name":"n1.d2","state":["IDLE","DYNAMIC_NORM"],"address":"127.0.0.1","port":1}"#;
    let known = format!("{known},{invented}");
    let (done, said) = site.cluster.knowing(Some(&known), "finish --yes");
    assert!(done && said.contains("shown    by 3 of 3 daemons"), "{said}");
    assert!(said.contains("without a certificate in the ledger here are not asked: d1,n1.d2"), "{said}");
}

/// What is shown to daemons is in the ledger, as every certificate is.
#[test]
fn the_certificate_of_a_proof_is_recorded() {
    let site = Switched::new();
    let _n1 = site.n1();
    site.refused("nobody answers");
    let shown: Vec<_> =
        site.cluster.site.issued().into_iter().filter(|name| name == "slurm-pki-rollover").collect();
    assert_eq!(shown.len(), 1);
    site.cluster.rollover("abort");
    assert_eq!(site.cluster.phase(), "none");
}
