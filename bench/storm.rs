//! A whole cluster boots at once: each node's token is validated and its request signed, by the rules of Slurm's script
//! runner, so many at a time as slurmctld has workers. And a cluster whose signer refuses, where every node comes again.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pki::csr;
use pki::key::{KeyKind, PrivateKey};
use pki::name::NodeName;
use pki::x509::X509;
use support::bound_request::bound_request;
use support::crowd::at_once;
use support::programs::{program, reference};
use support::site::Site;
use support::slurm::{Run, Slurm};

use crate::figures::Figures;
use crate::scale::Scale;
use crate::table::{Cell, Table};

/// slurmctld's workers: 32 at most unless an admin says otherwise (slurm-contract.md 2).
const WORKERS: usize = 32;

/// How long a node waits for slurmctld before it gives up, and then before it comes again (slurm.conf).
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) fn measured(scale: Scale) -> Vec<Table> {
    let sides = [Side::ours(scale.nodes), Side::scripts(scale.nodes)];
    let storms = sides.iter().map(Side::storm).collect();
    sides.iter().for_each(Side::lose_the_key);
    let refusals = sides.iter().map(|side| side.refuse(scale)).collect();
    vec![
        Table {
            name: "storm",
            caption: format!(
                "{} nodes ask at once, {WORKERS} are served at a time: validate, sign, and Slurm's own naps. Slurm ends a script after 5 s, and a node gives up after 10 s. A wait is from the start of the first script to the certificate.",
                scale.nodes
            ),
            columns: vec![
                "with",
                "certificates",
                "seconds",
                "CPU seconds",
                "median wait ms",
                "longest wait ms",
                "longest script ms",
                "served in the first 10 s",
            ],
            rows: storms,
        },
        Table {
            name: "refusals",
            caption: format!(
                "The CA key is away: {} nodes come again every {} s, for {} s. The answer time is that of anything else which waits for a worker.",
                scale.nodes,
                MESSAGE_TIMEOUT.as_secs(),
                scale.seconds
            ),
            columns: vec![
                "with",
                "asked per second",
                "refused per second",
                "CPU seconds per second",
                "median answer time ms",
                "longest answer time ms",
            ],
            rows: refusals,
        },
    ]
}

/// A controller with one kind of programs.
struct Side {
    name: &'static str,
    site: Site,
    slurm: Slurm,
    validate: PathBuf,
    sign: PathBuf,
    ca_key: &'static str,
    nodes: Vec<Node>,
}

/// Who asks, and with what.
struct Node {
    name: String,
    token: String,
    request: String,
}

/// What one node saw.
struct Served {
    node: String,
    certificate: String,
    scripts: [Duration; 2],
    /// Since everybody asked.
    at: Duration,
}

impl Side {
    /// Records, and bound requests.
    fn ours(count: usize) -> Self {
        let mut site = Site::new();
        names(count).iter().for_each(|name| drop(site.enrol(name)));
        let asks = |name: &String| Node {
            name: name.clone(),
            token: site.token(name),
            request: bound_request(site.secret(name), name),
        };
        let nodes = at_once(2, &names(count), asks);
        Self {
            name: "slurm-pki",
            slurm: site.slurm(),
            site,
            validate: program("validate_node_token"),
            sign: program("sign_csr"),
            ca_key: "state/ca/ca_key.pem",
            nodes,
        }
    }

    /// A list, and plain requests.
    fn scripts(count: usize) -> Self {
        let site = Site::foreign();
        let asks = |name: &String| {
            let key = PrivateKey::generate(KeyKind::P256).unwrap();
            let request = csr::write(&key, &NodeName::parse(name.as_bytes()).unwrap(), None).unwrap();
            Node { name: name.clone(), token: format!("token-of-{name}"), request }
        };
        let nodes = at_once(2, &names(count), asks);
        let list: String = nodes.iter().map(|node| format!("{} {}\n", node.name, node.token)).collect();
        site.write("node_token_list.txt", list.as_bytes(), 0o600);
        Self {
            name: "the scripts",
            slurm: site.slurm(),
            site,
            validate: reference("validate_node_token"),
            sign: reference("sign_csr"),
            ca_key: "root_key.pem",
            nodes,
        }
    }

    /// Everybody once.
    fn storm(&self) -> Vec<Cell> {
        let (begun, cpu) = (Instant::now(), cpu_of_children());
        let served = at_once(WORKERS, &self.nodes, |node| {
            let (validated, first) = timed(|| self.slurm.run(&self.validate, &[&node.name, &node.token]));
            assert!(validated.accepted(), "{}: {}", node.name, validated.output.escape_ascii());
            let (signed, second) = timed(|| self.slurm.run(&self.sign, &[&node.request]));
            let certificate = signed.text();
            Served { node: node.name.clone(), certificate, scripts: [first, second], at: begun.elapsed() }
        });
        let (seconds, cpu) = (begun.elapsed().as_secs_f64(), cpu_of_children() - cpu);
        self.nothing_is_lost(&served);
        let waits = Figures::of_times(served.iter().map(|one| one.scripts.iter().sum()));
        let scripts = Figures::of_times(served.iter().flat_map(|one| one.scripts));
        vec![
            Cell::text(self.name),
            Cell::count(served.len()),
            Cell::seconds(seconds),
            Cell::seconds(cpu),
            Cell::millis(waits.median()),
            Cell::millis(waits.max()),
            Cell::millis(scripts.max()),
            Cell::count(served.iter().filter(|one| one.at <= MESSAGE_TIMEOUT).count()),
        ]
    }

    /// Each node has a certificate of its own name, and ours has a line for each.
    fn nothing_is_lost(&self, served: &[Served]) {
        let mut serials = BTreeSet::new();
        for one in served {
            let chain = X509::all_from_pem(one.certificate.as_bytes(), one.certificate.len()).unwrap();
            let facts = chain.first().unwrap().facts();
            assert_eq!(facts.common_names, [one.node.as_bytes()]);
            serials.insert(facts.serial.clone());
        }
        assert_eq!(serials.len(), self.nodes.len());
        if self.site.path("state/ca").exists() {
            assert_eq!(self.site.ledger().len(), self.nodes.len());
        }
    }

    fn lose_the_key(&self) {
        fs::remove_file(self.site.path(self.ca_key)).unwrap();
    }

    /// Every node comes every [`MESSAGE_TIMEOUT`], and is told no. An empty job stands for whatever else slurmctld is asked.
    /// Who has not been served at the end has waited until then.
    fn refuse(&self, scale: Scale) -> Vec<Cell> {
        let length = Duration::from_secs(scale.seconds);
        let queue = Queue::default();
        let (begun, cpu) = (Instant::now(), cpu_of_children());
        let (mut asked, mut done) = (0, Vec::new());
        thread::scope(|scope| {
            let worker = || queue.work(|job| self.serve(job));
            let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(worker)).collect();
            let pause = MESSAGE_TIMEOUT / u32::try_from(self.nodes.len()).unwrap();
            let mut next_ping = Duration::ZERO;
            for (n, node) in self.nodes.iter().cycle().enumerate() {
                let due = pause * u32::try_from(n).unwrap();
                if due >= length {
                    break;
                }
                thread::sleep(due.saturating_sub(begun.elapsed()));
                if due >= next_ping {
                    next_ping += Duration::from_millis(100);
                    queue.push(None);
                }
                queue.push(Some(node));
                asked += 1;
            }
            queue.close();
            done = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
        });
        let (seconds, cpu) = (begun.elapsed().as_secs_f64(), cpu_of_children() - cpu);
        let refused = done.iter().filter(|job| job.is_node).count();
        let answered = done.iter().filter(|job| !job.is_node).map(|job| job.waited);
        let answers = Figures::of_times(answered.chain(queue.still_waiting()));
        vec![
            Cell::text(self.name),
            Cell::Number(Cell::per(asked, length.as_secs_f64()), 0),
            Cell::Number(Cell::per(refused, seconds), 0),
            Cell::Number(cpu / seconds, 2),
            Cell::millis(answers.median()),
            Cell::millis(answers.max()),
        ]
    }

    fn serve(&self, node: &Node) {
        assert!(self.slurm.run(&self.validate, &[&node.name, &node.token]).accepted(), "{}", node.name);
        let refused: Run = self.slurm.run(&self.sign, &[&node.request]);
        assert!(refused.answer().is_err(), "{} got a certificate", node.name);
    }
}

fn names(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("n{n:05}")).collect()
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let done = work();
    (done, begun.elapsed())
}

/// What waits for a worker, the first first.
#[derive(Default)]
struct Queue<'a> {
    waiting: Mutex<Waiting<'a>>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting<'a> {
    jobs: VecDeque<(Option<&'a Node>, Instant)>,
    closed: bool,
}

/// A job that a worker took up.
struct TakenUp {
    is_node: bool,
    waited: Duration,
}

impl<'a> Queue<'a> {
    fn push(&self, node: Option<&'a Node>) {
        self.waiting.lock().unwrap().jobs.push_back((node, Instant::now()));
        self.changed.notify_one();
    }

    /// How long whoever is no node and still waits has done so.
    fn still_waiting(&self) -> Vec<Duration> {
        let waiting = self.waiting.lock().unwrap();
        waiting.jobs.iter().filter(|(node, _)| node.is_none()).map(|(_, since)| since.elapsed()).collect()
    }

    fn close(&self) {
        self.waiting.lock().unwrap().closed = true;
        self.changed.notify_all();
    }

    /// Until it is closed.
    fn work(&self, serve: impl Fn(&Node)) -> Vec<TakenUp> {
        let mut done = Vec::new();
        loop {
            let mut waiting = self.waiting.lock().unwrap();
            let (node, since) = loop {
                if waiting.closed {
                    return done;
                }
                match waiting.jobs.pop_front() {
                    Some(job) => break job,
                    None => waiting = self.changed.wait(waiting).unwrap(),
                }
            };
            drop(waiting);
            done.push(TakenUp { is_node: node.is_some(), waited: since.elapsed() });
            if let Some(node) = node {
                serve(node);
            }
        }
    }
}

/// Seconds of all children that have ended, and of theirs (proc_pid_stat(5): 16 and 17, in hundredths).
fn cpu_of_children() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, after) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks: f64 = fields[13..=14].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    ticks / 100.0
}
