//! How many certificates a second: alone, and many at once, each with its ledger line on the disk before it is printed.

use std::fs::File;
use std::io::Write as _;
use std::time::Instant;

use support::bound_request::bound_request;
use support::crowd::at_once;
use support::programs::{program, reference};
use support::site::Site;

use crate::figures::Figures;
use crate::scale::Scale;
use crate::scene::our_site;
use crate::table::{Cell, Table};

const AT_ONCE: [usize; 3] = [1, 8, 32];

/// More than are at work at once: a node waits for no other.
const NODES: usize = 64;

pub(crate) fn measured(scale: Scale) -> Vec<Table> {
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let (durable, in_memory) =
        (Signer::ours(our_site(memory.path(), None)), Signer::ours(our_site(memory.path(), Some("ledger"))));
    let scripts = Signer::scripts();
    let row = |&hands: &usize| {
        let rate = |signer: &Signer, count| Cell::Number(signer.rate(hands, count), 0);
        vec![
            Cell::count(hands),
            rate(&durable, scale.signed),
            rate(&in_memory, scale.signed),
            // They take some twenty times as long.
            rate(&scripts, scale.signed.div_ceil(5)),
        ]
    };
    let rates = Table {
        name: "sign",
        caption: format!("Certificates per second, {} at each number of programs at once.", scale.signed),
        columns: vec!["sign_csr at once", "ledger on disk", "ledger in memory", "the script, no ledger"],
        rows: AT_ONCE.iter().map(row).collect(),
    };
    vec![rates, syncs(&durable.site, scale.few)]
}

/// A site, and a request of each node.
struct Signer {
    site: Site,
    program: std::path::PathBuf,
    requests: Vec<String>,
}

impl Signer {
    fn ours(mut site: Site) -> Self {
        let nodes = nodes().map(|node| bound_request(&site.enrol(&node), &node));
        let requests = nodes.collect();
        Self { site, program: program("sign_csr"), requests }
    }

    fn scripts() -> Self {
        let mut site = Site::foreign();
        let nodes: Vec<String> = nodes().collect();
        nodes.iter().for_each(|node| drop(site.enrol_by_list(node)));
        let request = |node: &String| site.slurm().run(&reference("generate_csr"), &[node]).text();
        let requests = nodes.iter().map(request).collect();
        Self { site, program: reference("sign_csr"), requests }
    }

    /// Certificates per second.
    fn rate(&self, hands: usize, count: usize) -> f64 {
        let jobs: Vec<&String> = self.requests.iter().cycle().take(count).collect();
        let slurm = self.site.slurm();
        let begun = Instant::now();
        at_once(hands, &jobs, |request| {
            let output = slurm.run_apart(&self.program, &[request.as_str()]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        });
        Cell::per(count, begun.elapsed().as_secs_f64())
    }
}

fn nodes() -> impl Iterator<Item = String> {
    (1..=NODES).map(|n| format!("n{n:02}"))
}

/// What it costs to have a line on the disk, without a program around it.
fn syncs(site: &Site, times: usize) -> Table {
    let mut file = File::create(site.path("state/ledger/bench.tmp")).unwrap();
    let line = [b'x'; 400];
    let mut append = || {
        let begun = Instant::now();
        file.write_all(&line).unwrap();
        file.sync_data().unwrap();
        begun.elapsed()
    };
    let times = Figures::of_times((0..times).map(|_| append()).collect::<Vec<_>>());
    Table {
        name: "sync",
        caption: "A line of 400 bytes appended to a file beside that ledger, and fdatasync; µs.".into(),
        columns: vec!["", "min", "median", "longest"],
        rows: vec![vec![
            Cell::text("write and fdatasync"),
            Cell::micros(times.min()),
            Cell::micros(times.median()),
            Cell::micros(times.max()),
        ]],
    }
}
