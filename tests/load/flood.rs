//! 100,000 requests that are refused, with good ones in between.

use std::collections::BTreeSet;

use support::bound_request::bound_request;
use support::programs;
use support::request::Request;
use support::site::{Site, files_below};
use support::strace;

use crate::controller::{Controller, Issued};
use crate::crowd::at_once;

const REFUSALS: usize = 100_000;

/// After so many refusals comes a good request.
const GOOD_ONE_IN: usize = 1000;

/// Three times what is kept of refusals before the older half is forgotten.
const MOST_REFUSED: usize = 3 * 1024 * 1024;

struct Flood {
    site: Site,
    token: String,
    good: String,
    /// A node of the site that asks to be slurmctld, and text that is no request.
    bad: [String; 2],
}

pub(crate) fn run() {
    let flood = Flood::new();
    let before = flood.site.read(&flood.ledger_file());
    let work_before = flood.work_of_good_requests();
    let jobs: Vec<usize> = (0..REFUSALS).collect();
    let issued: Vec<Issued> = at_once(&jobs, |n| flood.wave(*n)).into_iter().flatten().collect();
    assert_eq!(issued.len(), REFUSALS / GOOD_ONE_IN);
    assert_eq!(
        flood.work_of_good_requests(),
        work_before,
        "a good request asks the kernel for as much as before"
    );
    flood.check_ledger(&before, &issued);
    flood.check_refused();
}

impl Flood {
    fn new() -> Self {
        let mut site = Site::new();
        let secret = site.enrol("n1");
        let token = site.token("n1");
        let good = bound_request(&secret, "n1");
        let bad = [Request::new().cn(b"slurmctld").pem(), "no request".to_owned()];
        let flood = Self { site, token, good, bad };
        // The first certificate makes files that later ones find.
        let _ = Controller::Here.signs(&flood.site, "n1", &flood.good);
        flood
    }

    /// One refusal, now and then followed by a good request.
    fn wave(&self, n: usize) -> Option<Issued> {
        let wrong = format!("{n}{}", self.token);
        let (program, argv) = match n % 4 {
            0 => ("validate_node_token", vec!["n1", wrong.as_str()]),
            1 => ("validate_node_token", vec!["n2", self.token.as_str()]),
            2 => ("sign_csr", vec![self.bad[0].as_str()]),
            _ => ("sign_csr", vec![self.bad[1].as_str()]),
        };
        let output = Controller::Here.run(&self.site, program, &argv);
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), b"".as_slice()));
        if !n.is_multiple_of(GOOD_ONE_IN) {
            return None;
        }
        assert!(Controller::Here.validates(&self.site, "n1", &self.token));
        Some(Controller::Here.signs(&self.site, "n1", &self.good))
    }

    /// The system calls of a good validation and of a good signature, by name and in order.
    fn work_of_good_requests(&self) -> [Vec<String>; 2] {
        [("validate_node_token", vec!["n1", &self.token]), ("sign_csr", vec![&self.good])].map(
            |(program, argv)| {
                let (calls, output) = strace::trace(&self.site.slurm(), &programs::program(program), &argv);
                assert!(output.status.success());
                calls.into_iter().map(|call| call.name).collect()
            },
        )
    }

    fn ledger_file(&self) -> String {
        let files = files_below(&self.site.path("state/ledger"));
        let mut names = files.iter().map(|(path, _)| path.file_name().unwrap().to_str().unwrap());
        let name = names.find(|name| name.starts_with("issued.") && name.ends_with(".jsonl")).unwrap();
        format!("state/ledger/{name}")
    }

    /// What was there is there, and nothing came but the good ones: these, and the two that were watched.
    fn check_ledger(&self, before: &str, issued: &[Issued]) {
        let after = self.site.read(&self.ledger_file());
        assert!(after.starts_with(before));
        let lines = self.site.ledger();
        assert_eq!(lines.len(), 1 + issued.len() + 2);
        let serials: BTreeSet<_> = lines.iter().map(|line| line["serial"].as_str().unwrap()).collect();
        assert_eq!(serials.len(), lines.len());
        assert!(issued.iter().all(|one| serials.contains(one.serial.as_str())));
    }

    fn check_refused(&self) {
        let files = files_below(&self.site.path("state/ledger"));
        let refused = files.iter().filter(|(path, _)| path.to_string_lossy().contains("/refused."));
        let sizes: Vec<usize> = refused.map(|(_, contents)| contents.len()).collect();
        let all: usize = sizes.iter().sum();
        assert!(all > 0 && all < MOST_REFUSED, "{sizes:?}");
    }
}
