//! Enrolments: validate the token, sign the request; each a real program.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use pki::key::PublicKey;
use pki::record::{Record, RecordId};
use pki::standing::Mark;
use serde_json::Value;
use support::bound_request::bound_request;
use support::site::{Site, files_below, now, random};

use crate::controller::{Controller, Issued};
use crate::crowd::{AT_ONCE, at_once};

const ENROLMENTS: usize = 10_000;

/// A node, and one request of it.
struct Enrolment {
    node: String,
    request: String,
}

pub(crate) fn one_controller() {
    let site = site_of(ENROLMENTS);
    let enrolments = enrolments(&site, &names(ENROLMENTS));
    let issued = at_once(&enrolments, |one| enrol(&Controller::Here, &site, one));
    check(&site, &issued, &enrolments);
}

/// Every node is served by both controllers, at about the same time.
pub(crate) fn two_controllers() {
    let nodes = ENROLMENTS / 2;
    let site = site_of(nodes);
    let twice: Vec<String> = names(nodes).into_iter().flat_map(|node| [node.clone(), node]).collect();
    let enrolments = enrolments(&site, &twice);
    let controllers = [Controller::named("ctl-a"), Controller::named("ctl-b")];
    let jobs: Vec<_> = enrolments.iter().enumerate().collect();
    let issued = at_once(&jobs, |(n, one)| enrol(&controllers[n % 2], &site, one));
    check(&site, &issued, &enrolments);
    for host in ["ctl-a", "ctl-b"] {
        let lines = site.read(&format!("state/ledger/issued.{host}.jsonl"));
        assert_eq!(lines.lines().count(), nodes, "{host}");
    }
}

pub(crate) fn one_node_many_times() {
    let site = site_of(1);
    let enrolments = enrolments(&site, &vec![names(1).remove(0); AT_ONCE]);
    let issued = at_once(&enrolments, |one| enrol(&Controller::Here, &site, one));
    check(&site, &issued, &enrolments);
}

fn enrol(controller: &Controller, site: &Site, one: &Enrolment) -> Issued {
    assert!(controller.validates(site, &one.node, &site.token(&one.node)), "{}", one.node);
    controller.signs(site, &one.node, &one.request)
}

fn names(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("n{n:05}")).collect()
}

/// A site whose nodes have tokens for a single use.
fn site_of(count: usize) -> Site {
    let mut site = Site::new();
    for node in names(count) {
        let secret = site.enrol(&node);
        let mut record = Record::of(&secret, RecordId::new(random()), now());
        record.single_use = true;
        site.store(&node, &[record]);
    }
    site
}

fn enrolments(site: &Site, nodes: &[String]) -> Vec<Enrolment> {
    at_once(nodes, |node| Enrolment { node: node.clone(), request: bound_request(site.secret(node), node) })
}

/// What was printed is what was asked for and what is in the ledger, no more and no less.
#[track_caller]
fn check(site: &Site, issued: &[Issued], enrolments: &[Enrolment]) {
    let asked: BTreeSet<_> = enrolments.iter().map(|one| key_of(&one.request)).collect();
    let printed: BTreeSet<_> = issued.iter().map(|one| one.spki.clone()).collect();
    assert_eq!(asked.len(), enrolments.len());
    assert!(asked == printed, "{} requests, {} certificates", asked.len(), printed.len());
    check_ledger(site, issued);
    check_marks(site, issued);
    let files = files_below(&site.path("state"));
    assert!(
        !files.iter().any(|(path, _)| path.extension().is_some_and(|end| end == "tmp")),
        "half-written files"
    );
}

#[track_caller]
fn check_ledger(site: &Site, issued: &[Issued]) {
    let lines = site.ledger();
    assert_eq!(lines.len(), issued.len());
    let by_serial: BTreeMap<_, _> =
        lines.iter().map(|line| (line["serial"].as_str().unwrap(), line)).collect();
    assert_eq!(by_serial.len(), lines.len(), "a serial number twice");
    for one in issued {
        let line = by_serial.get(one.serial.as_str()).unwrap_or_else(|| unrecorded(one));
        assert_eq!(line["node"], *one.node);
        assert_eq!(line["spki_sha256"], PublicKey::from_spki(&one.spki).unwrap().fingerprint());
        let last: Value =
            serde_json::from_str(&site.read(&format!("state/ledger/last/{}.json", one.node))).unwrap();
        assert!(lines.contains(&last) || last == **line, "last/{}.json", one.node);
    }
}

fn unrecorded(one: &Issued) -> ! {
    unreachable!("{} has certificate {}, which is not in the ledger", one.node, one.serial)
}

/// One whole mark for each node, however often it asked.
#[track_caller]
fn check_marks(site: &Site, issued: &[Issued]) {
    let nodes: BTreeSet<_> = issued.iter().map(|one| one.node.as_str()).collect();
    let mut marked = Vec::new();
    for entry in fs::read_dir(site.path("state/tokens")).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        if let Some(name) = file.strip_suffix(".used") {
            assert!(Mark::parse(&fs::read(&path).unwrap()).is_some(), "{file}");
            marked.push(name.split('.').next().unwrap().to_owned());
        }
    }
    marked.sort();
    assert!(marked.iter().eq(nodes.iter()), "{} marks for {} nodes", marked.len(), nodes.len());
}

fn key_of(request: &str) -> Vec<u8> {
    pki::csr::Csr::parse(request.as_bytes()).unwrap().key().spki().to_vec()
}
