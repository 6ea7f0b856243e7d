//! `slurm-pki ca rollover` with Slurm's own TLS library: daemons that load what lies on the disk after each step, in
//! every order of arrival, and the probe that `finish` relies on.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::Output;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use interop::handshake::{Side, VERSIONS, handshake};
use interop::making::{self, text_of};
use interop::wire::Daemon;
use pki::key::{KeyKind, PrivateKey};
use pki::name::NodeName;
use support::programs::program;
use support::site::{Site, now};

const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// Certificate with its chain, and key.
#[derive(Clone)]
struct Pair(String, String);

/// A controller of this host, whose SlurmUser runs the test.
struct Cluster {
    site: Site,
    ports: BTreeMap<&'static str, u16>,
    old: String,
}

impl Cluster {
    fn new() -> Self {
        let mut site = Site::new();
        site.set("", "slurm_user", rustix_euid());
        site.write_config();
        NODES.iter().for_each(|node| drop(site.enrol(node)));
        let names = ["slurmctld", "n1", "n2", "n3"];
        let listeners: Vec<_> = names.iter().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports = listeners.iter().map(|listener| listener.local_addr().unwrap().port());
        let ports: BTreeMap<_, _> = names.into_iter().zip(ports).collect();
        let conf = format!(
            "ClusterName=c1\nSlurmctldHost=localhost(127.0.0.1)\nSlurmctldPort={}\n\
             NodeName=n[1-3] NodeHostname=localhost NodeAddr=127.0.0.1 Port={},{},{}\n",
            ports["slurmctld"], ports["n1"], ports["n2"], ports["n3"]
        );
        site.write("slurm.conf", conf.as_bytes(), 0o644);
        let old = site.anchors();
        let cluster = Self { site, ports, old };
        cluster.run("cert issue ctld");
        cluster
    }

    fn output(&self, args: &str) -> Output {
        let slurm = self.site.slurm().with_env("SLURM_CONF", self.site.path("slurm.conf"));
        let slurm = slurm.with_env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        slurm.run_apart(&program("slurm-pki"), &args.split(' ').collect::<Vec<_>>())
    }

    #[track_caller]
    fn run(&self, args: &str) {
        let output = self.output(args);
        assert!(output.status.success(), "{args}: {}", String::from_utf8_lossy(&output.stderr));
    }

    #[track_caller]
    fn refused(&self, args: &str) -> String {
        let output = self.output(args);
        assert_eq!(output.status.code(), Some(1), "{args}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// A node's fresh pair: its certificate by the real sign_csr.
    #[track_caller]
    fn pair(&self, node: &str) -> Pair {
        let name = NodeName::parse(node.as_bytes()).unwrap();
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        let binding = self.site.secret(node).binding_key().bind(&name, now(), key.public().unwrap().spki());
        let request = pki::csr::write(&key, &name, Some(&binding)).unwrap();
        Pair(self.site.slurm().run(&program("sign_csr"), &[&request]).text(), text_of(&key))
    }

    fn slurmctlds_pair(&self) -> Pair {
        Pair(self.site.read("ctld_cert.pem"), self.site.read("ctld_cert_key.pem"))
    }

    fn bundle(&self) -> String {
        self.site.read("ca_cert.pem")
    }

    fn start(&self, name: &'static str, pair: &Pair, trust: &str) -> Daemon {
        Daemon::start(name, self.ports[name], &pair.0, &pair.1, trust)
    }
}

fn rustix_euid() -> String {
    use std::os::unix::fs::MetadataExt as _;
    let folder = tempfile::tempdir().unwrap();
    std::fs::metadata(folder.path()).unwrap().uid().to_string()
}

/// Whatever bundle and pair each of two peers has loaded of these, they shake hands.
#[track_caller]
fn all_shake_hands(step: &str, bundles: &[&String], pairs: &[&Pair]) {
    let sides: Vec<_> = bundles
        .iter()
        .flat_map(|trust| {
            pairs.iter().map(move |Pair(chain, key)| Side {
                pair: Some((chain.as_bytes(), key.as_bytes())),
                trust: trust.as_bytes(),
            })
        })
        .collect();
    for server in &sides {
        for client in &sides {
            for tls in VERSIONS {
                handshake(*server, *client, tls)
                    .unwrap_or_else(|no| panic!("{step}: {no:?}: {server:?} {client:?}"));
            }
        }
    }
}

/// Without it peers that know the old root alone refuse.
fn the_cross_certificate_is_what_they_need(old: &str, Pair(chain, key): &Pair) {
    let leaf = making::read(chain).remove(0).to_pem();
    let alone = Side { pair: Some((leaf.as_bytes(), key.as_bytes())), trust: old.as_bytes() };
    for tls in VERSIONS {
        handshake(alone, alone, tls).unwrap_err();
    }
}

#[test]
fn whoever_has_got_what_after_each_step_shakes_hands_with_all_others() {
    let cluster = Cluster::new();
    let old = &cluster.old;
    let before = cluster.pair("n1");
    cluster.run("ca rollover begin");
    let (both, begun) = (cluster.bundle(), cluster.pair("n1"));
    all_shake_hands("begun", &[old, &both], &[&before, &begun]);
    cluster.run("ca rollover switch");
    let (switched, ctld) = (cluster.pair("n1"), cluster.slurmctlds_pair());
    all_shake_hands("switched", &[old, &both], &[&before, &switched, &ctld]);
    the_cross_certificate_is_what_they_need(old, &switched);
    cluster.run("ca rollover abort");
    assert_eq!(cluster.bundle(), *old);
    let aborted = cluster.pair("n1");
    all_shake_hands("aborted", &[old, &both], &[&before, &switched, &ctld, &aborted]);
    all_shake_hands("aborted", &[old], &[&cluster.slurmctlds_pair(), &switched]);

    cluster.run("ca rollover begin");
    let both = cluster.bundle();
    cluster.run("ca rollover switch");
    let (switched, ctld) = (cluster.pair("n1"), cluster.slurmctlds_pair());
    all_shake_hands("switched again", &[old, &both], &[&aborted, &switched, &ctld]);
    let nodes = NODES.map(|node| (node, cluster.pair(node)));
    let _daemons: Vec<_> = [("slurmctld", &ctld)]
        .into_iter()
        .chain(nodes.iter().map(|(node, pair)| (*node, pair)))
        .map(|(name, pair)| cluster.start(name, pair, &both))
        .collect();
    cluster.run("ca rollover finish --yes");
    let (new, finished) = (cluster.bundle(), cluster.pair("n1"));
    assert_eq!(new.matches("BEGIN").count(), 1);
    all_shake_hands("finished", &[&both, &new], &[&switched, &ctld, &finished, &cluster.slurmctlds_pair()]);
}

/// The fact that `finish` stands on: s2n completes a TLS 1.2 handshake with a certificate of the new CA alone only
/// where the new root is loaded.
#[test]
fn the_proof_tells_who_has_the_new_root_loaded() {
    let cluster = Cluster::new();
    let old = NODES.map(|node| cluster.pair(node));
    cluster.run("ca rollover begin");
    let both = cluster.bundle();
    cluster.run("ca rollover switch");
    let new = NODES.map(|node| cluster.pair(node));
    let _slurmctld = cluster.start("slurmctld", &cluster.slurmctlds_pair(), &both);
    let _n1 = cluster.start("n1", &new[0], &both);
    let n2 = cluster.start("n2", &new[1], &cluster.old);
    let n3 = cluster.start("n3", &old[2], &both);
    let said = cluster.refused("ca rollover finish --yes");
    assert!(said.contains("n2: the new root is not loaded there"), "{said}");
    assert!(said.contains("n3: a certificate of the old CA is served"), "{said}");
    assert!(said.contains("not shown by n[2-3]"), "{said}");
    n2.load(&new[1].0, &new[1].1, &both);
    n3.load(&new[2].0, &new[2].1, &cluster.old);
    assert!(cluster.refused("ca rollover finish --yes").contains("not shown by n3\n"));
    n3.load(&new[2].0, &new[2].1, &both);
    cluster.run("ca rollover finish --yes");
}

/// Daemons that call each other without a pause, and what came of it.
struct Load {
    daemons: Vec<Daemon>,
    calls: AtomicUsize,
    failures: Mutex<Vec<String>>,
    over: AtomicBool,
}

impl Load {
    fn of(daemons: Vec<Daemon>) -> Self {
        Self {
            daemons,
            calls: AtomicUsize::new(0),
            failures: Mutex::new(Vec::new()),
            over: AtomicBool::new(false),
        }
    }

    /// Every daemon calls every other, under TLS 1.3 and 1.2.
    fn run(&self, first: usize) {
        let count = self.daemons.len();
        for turn in first.. {
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            let (from, to) = (&self.daemons[turn % count], &self.daemons[(turn / count) % count]);
            if let Err(why) = from.call(to, (turn / count / count).is_multiple_of(2)) {
                self.failures.lock().unwrap().push(why);
            }
            self.calls.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// As things are now, for some hundred more calls.
    fn go_on(&self) {
        let until = self.calls.load(Ordering::Relaxed) + 200;
        while self.calls.load(Ordering::Relaxed) < until {
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn restart(&self, name: &str, pair: &Pair, trust: &str) {
        let daemon = self.daemons.iter().find(|daemon| daemon.name == name).unwrap();
        daemon.load(&pair.0, &pair.1, trust);
        self.go_on();
    }
}

/// Files arrive in one order with n1, in another with n2, and late with n3; slurmctld is restarted in between.
fn roll_over(cluster: &Cluster, load: &Load, pairs: &[Pair; 3]) {
    let renew = |name: &str| load.restart(name, &cluster.pair(name), &cluster.bundle());
    let restart_slurmctld = || load.restart("slurmctld", &cluster.slurmctlds_pair(), &cluster.bundle());
    load.go_on();
    cluster.run("ca rollover begin");
    load.go_on();
    // n1 gets the bundle before anything is issued under the new CA.
    load.restart("n1", &pairs[0], &cluster.bundle());
    renew("n1");
    cluster.run("ca rollover switch");
    load.go_on();
    // n2 has the new pair before the new bundle; slurmctld and n3 know the old root alone.
    load.restart("n2", &cluster.pair("n2"), &cluster.old);
    restart_slurmctld();
    renew("n1");
    let said = cluster.refused("ca rollover finish --yes");
    assert!(said.contains("not shown by n[2-3]\n"), "{said}");
    renew("n2");
    load.restart("n3", &pairs[2], &cluster.bundle());
    assert!(
        cluster.refused("ca rollover finish --yes").contains("n3: a certificate of the old CA is served")
    );
    renew("n3");
    cluster.run("ca rollover finish --yes");
    load.go_on();
    renew("n2");
    renew("n1");
    restart_slurmctld();
    renew("n3");
}

#[test]
fn a_rollover_under_load_fails_no_handshake() {
    let cluster = Cluster::new();
    let pairs = NODES.map(|node| cluster.pair(node));
    let mut daemons = vec![cluster.start("slurmctld", &cluster.slurmctlds_pair(), &cluster.old)];
    daemons.extend(NODES.into_iter().zip(&pairs).map(|(node, pair)| cluster.start(node, pair, &cluster.old)));
    let load = Load::of(daemons);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|n| {
                scope.spawn({
                    let load = &load;
                    move || load.run(n * 5)
                })
            })
            .collect();
        let rolled =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| roll_over(&cluster, &load, &pairs)));
        load.over.store(true, Ordering::Relaxed);
        clients.into_iter().for_each(|client| client.join().unwrap());
        rolled.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    let (calls, failures) = (load.calls.into_inner(), load.failures.into_inner().unwrap());
    println!("a CA rollover under load: {calls} handshakes, {} failed", failures.len());
    assert_eq!(failures, Vec::<String>::new());
    assert!(calls > 2000, "{calls}");
}
