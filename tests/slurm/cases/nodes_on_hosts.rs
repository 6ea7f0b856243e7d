//! With a Slurm that has tls/s2n: what `check`, `node reissue`, `status`, `metrics` and `ca rollover status` say of nodes on
//! hosts of their own, held beside the ledger, `certmgr_state`, and what slurmd serves. Part of the cases of
//! [`super::tls_on_hosts`], while TLS is on.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::hosts::{Case, Hosts};
use super::nodes_seen::{Issued, Seen, agree, all_issued, check, data, issued, serves, spool, state};
use super::tls_on_hosts::{hand_out, start, steps, stop};
use crate::cluster::PATIENCE;
use crate::lab::User;
use crate::shell::{outcome, said, wait_until};

pub(super) const CASES: &[Case] = &[
    ("TLS on hosts: check on a node says that the next start takes certmgr_state, and it does", taken),
    (
        "TLS on hosts: node reissue brings new certificates while a step runs on both nodes, which goes on",
        reissued,
    ),
    ("TLS on hosts: status, metrics and check say when nodes renewed, and call none late", renewing),
    ("TLS on hosts: a node that does not renew is late, and its next start asks, as check says there", late),
    (
        "TLS on hosts: ca rollover status says what is left, from begin to finish, and check who issued",
        rolled_over,
    ),
];

const NODES: [&str; 2] = ["n1", "n2"];

/// From the second of these cases to the last, nodes renew every minute.
const THREE_PERIODS: Duration = Duration::from_secs(200);

fn taken(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    let (last, state) = (issued(hosts, "n1")?, state(hosts, "n1")?);
    let found = check(&hosts.n1)?;
    found.expect(&[("/host/controller", json!(false)), ("/host/node", json!("n1"))])?;
    found.says("state-age", "ok", "the next start of slurmd takes it and asks nobody")?;
    found.says("state-accepted", "ok", "peers accept this node's certificate")?;
    found.names(&last)?;
    hosts.n1.systemctl("restart", "slurmd")?;
    agree("slurmd serves what it had", || serves(hosts, &last))?;
    hosts.wait_idle()?;
    ensure!(issued(hosts, "n1")? == last, "it asked all the same");
    ensure!(self::state(hosts, "n1")? == state, "certmgr_state is another");
    Ok(Vec::new())
}

fn reissued(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    let before = NODES.map(|node| (issued(hosts, node), state(hosts, node)));
    let mut step = hosts.ctl1.command("srun", User::Alice);
    let step = step.args(["--nodes=2", "--ntasks=2", "sleep", "30"]).spawn().context("srun")?;
    hosts.wait("the step runs", "squeue -h -t running -o %u | grep -q alice")?;
    let said_of_it = data(hosts, &["node", "reissue", "n[1-2]", "--yes"])?;
    let all = json!({"reissued": NODES, "failed": [], "not_tried": [], "refused": []});
    ensure!(said_of_it == all, "{said_of_it}");
    for (node, (former, former_state)) in NODES.into_iter().zip(before) {
        let last = issued(hosts, node)?;
        ensure!(last.serial != former?.serial, "{node} got none: {last:?}");
        ensure!(state(hosts, node)? != former_state?, "certmgr_state of {node} is the former one");
        ensure!(!spool(hosts, node).join("certmgr_state.slurm-pki").exists(), "left behind on {node}");
        agree("slurmd serves its new certificate", || serves(hosts, &last))?;
        let found = check(if node == "n1" { &hosts.n1 } else { &hosts.n2 })?;
        found.says("state-age", "ok", "the next start of slurmd takes it and asks nobody")?;
        found.names(&last)?;
    }
    let step = step.wait_with_output()?;
    ensure!(step.status.success(), "the step that ran meanwhile: {}", said(&step));
    hosts.wait_idle()?;
    steps(hosts)?;
    Ok(Vec::new())
}

fn renewing(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    every_minute(hosts)?;
    each_renews(hosts)?;
    each_renews(hosts)?;
    agree("status says what the ledger has", || {
        expect_status(&data(hosts, &["status"])?, &all_issued(hosts)?)
    })?;
    agree("metrics says what the ledger has", || {
        expect_metrics(&hosts.slurm_pki(&["metrics", "--per-node"])?, &all_issued(hosts)?)
    })?;
    let table = hosts.slurm_pki(&["status"])?;
    ensure!(table.contains("last issued") && !table.contains("missed renewals"), "{table}");
    let not_late = "no node that answers is late with its renewal (1 min)";
    wait_until(not_late, THREE_PERIODS, || Ok(check(&hosts.ctl1)?.has("nodes-late", "ok", not_late)))?;
    steps(hosts)?;
    Ok(Vec::new())
}

/// slurmctld takes it for one that answers until SlurmdTimeout is over.
fn late(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    hosts.n2.systemctl("stop", "slurmd")?;
    let last = issued(hosts, "n2")?;
    let named = "answer and have not renewed for over 1 min: n2";
    wait_until(named, THREE_PERIODS, || Ok(check(&hosts.ctl1)?.has("nodes-late", "warning", named)))?;
    let refused = outcome(&mut hosts.slurm_pki_command(&["node", "reissue", "n1", "--yes"]))?;
    let why = "nothing is restarted: nodes answer, but have not renewed within the period: n2";
    ensure!(refused.status.code() == Some(1) && said(&refused).contains(why), "{}", said(&refused));
    let asks = "the next start of slurmd asks slurmctld with its token";
    let found = check(&hosts.n2)?;
    ensure!(found.has("state-age", "ok", asks) || found.has("state-age", "warning", asks), "{found:?}");
    ensure!(issued(hosts, "n2")? == last, "something was issued to {last:?}");
    hosts.n2.systemctl("start", "slurmd")?;
    wait_until("n2 has asked", PATIENCE, || Ok(issued(hosts, "n2")?.serial != last.serial))?;
    hosts.wait_idle()?;
    agree("n2 serves what it asked for", || serves(hosts, &issued(hosts, "n2")?))?;
    steps(hosts)?;
    Ok(Vec::new())
}

fn rolled_over(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    ensure!(rollover(hosts)?.of("/phase")? == "none", "one is under way");
    let old = issued(hosts, "n1")?.issuer;
    hosts.slurm_pki(&["ca", "rollover", "begin"])?;
    let begun = rollover(hosts)?;
    begun.expect(&[("/phase", json!("begun")), ("/signs", json!("old")), ("/hosts_given", json!(4))])?;
    begun.expect(&[("/hosts_lacking", json!([])), ("/left", json!(["slurm-pki ca rollover switch"]))])?;
    ensure!(begun.of("/old/subject")? == old.as_str(), "{begun:?}");
    let new = begun.of("/new/subject")?.as_str().unwrap_or_default().to_owned();
    Seen(data(hosts, &["status"])?).expect(&[("/rollover/phase", json!("begun"))])?;
    each_renews(hosts)?;
    hosts.slurm_pki(&["ca", "rollover", "switch", "--yes"])?;
    let switched = rollover(hosts)?;
    switched.expect(&[("/phase", json!("switched")), ("/signs", json!("new"))])?;
    let holds_old = |node| {
        switched.list("/old_certificates").iter().any(|holder| holder.get("name") == Some(&json!(node)))
    };
    ensure!(NODES.into_iter().all(holds_old), "{switched:?}");
    hosts.slurm_pki(&["cert", "renew", "--activate"])?;
    hosts.wait_idle()?;
    let waits = |shown: &Seen| shown.list("/left").iter().any(|step| step.to_string().contains("wait for"));
    wait_until("nobody waits for a renewal", THREE_PERIODS, || Ok(!waits(&rollover(hosts)?)))?;
    each_is_of(hosts, &new)?;
    // Its slurmrestd has no port that speaks TLS, and was restarted.
    let refused = outcome(&mut hosts.slurm_pki_command(&["ca", "rollover", "finish", "--yes"]))?;
    let why = "the old root stays: not shown by rest1,slurmrestd\n";
    ensure!(refused.status.code() == Some(1) && said(&refused).contains(why), "{}", said(&refused));
    hosts.slurm_pki(&["ca", "rollover", "finish", "--skip", "rest1,slurmrestd", "--yes"])?;
    ensure!(rollover(hosts)?.of("/phase")? == "none", "it is not finished");
    each_renews(hosts)?;
    each_is_of(hosts, &new)?;
    let status = Seen(data(hosts, &["status"])?);
    status.expect(&[("/rollover", json!(null)), ("/skipped/0/hosts", json!("rest1"))])?;
    status
        .expect(&[("/ca/certificates/0/subject", json!(new)), ("/ca/certificates/0/signs", json!(true))])?;
    ensure!(status.of("/ca/certificates/1").is_err(), "the old root is there: {status:?}");
    hosts.slurm_pki(&["node", "push", "rest1", "--ca-only"])?;
    Seen(data(hosts, &["status"])?).expect(&[("/skipped", json!([]))])?;
    steps(hosts)?;
    Ok(Vec::new())
}

/// By the ledger, by what slurmd serves, and by `check` on its host.
fn each_is_of(hosts: &Hosts<'_>, issuer: &str) -> Result<()> {
    for node in [&hosts.n1, &hosts.n2] {
        agree("the node's certificate is everywhere the same", || {
            let (found, last) = (check(node)?, issued(hosts, node.name)?);
            ensure!(last.issuer == issuer, "{last:?}");
            found.names(&last)?;
            found.says("state-accepted", "ok", "peers accept this node's certificate")?;
            serves(hosts, &last)
        })?;
    }
    Ok(())
}

fn expect_status(status: &Value, last: &[Issued; 2]) -> Result<()> {
    let time = |of: fn(&Issued) -> i64| last.each_ref().map(of);
    let ([one, other], ends) = (time(|last| last.time), time(|last| last.ends));
    Seen(status.clone()).expect(&[
        ("/nodes/total", json!(2)),
        ("/nodes/certificates", json!({"ok": 2})),
        ("/nodes/late", json!("")),
        ("/nodes/expired", json!("")),
        ("/nodes/never", json!("")),
        ("/nodes/last_renewal/time", json!(one.max(other))),
        ("/nodes/oldest_renewal/time", json!(one.min(other))),
        ("/nodes/first_end/time", json!(ends.into_iter().min())),
    ])
}

fn expect_metrics(text: &str, last: &[Issued; 2]) -> Result<()> {
    let newest = last.iter().map(|last| last.time).max().unwrap_or_default();
    let mut lines = vec![
        "slurm_pki_node_certificates{state=\"ok\"} 2".to_owned(),
        "slurm_pki_node_certificates{state=\"late\"} 0".to_owned(),
        "slurm_pki_node_certificates{state=\"expired\"} 0".to_owned(),
        "slurm_pki_node_certificates{state=\"never\"} 0".to_owned(),
        format!("slurm_pki_node_last_issued_seconds {newest}"),
    ];
    let end =
        |last: &Issued| format!("slurm_pki_node_not_after_seconds{{node=\"{}\"}} {}", last.node, last.ends);
    lines.extend(last.iter().map(end));
    for line in lines {
        ensure!(text.lines().any(|said| said == line), "no {line} in:\n{text}");
    }
    Ok(())
}

/// What `ca rollover status` says.
fn rollover(hosts: &Hosts<'_>) -> Result<Seen> {
    Ok(Seen(data(hosts, &["ca", "rollover", "status"])?))
}

/// The shortest period of renewals that Slurm has, on every host.
fn every_minute(hosts: &Hosts<'_>) -> Result<()> {
    stop(hosts)?;
    let path = hosts.lab.path("/hosts/ctl1/slurm.conf");
    let text = fs::read_to_string(&path)?;
    let usual = "certificate_renewal_period=1440";
    ensure!(text.contains(usual), "{text}");
    fs::write(&path, text.replace(usual, "certificate_renewal_period=1"))?;
    hand_out(hosts)?;
    start(hosts)
}

/// Waits until each node has one more certificate than now.
fn each_renews(hosts: &Hosts<'_>) -> Result<()> {
    for node in NODES {
        let before = hosts.lab.ledger(node)?.len();
        let renewed = || Ok(hosts.lab.ledger(node)?.len() > before);
        if let Err(failure) = wait_until(&format!("{node} renews"), THREE_PERIODS, renewed) {
            bail!("{failure:#}\n{}\n{}", hosts.n1.logs(), hosts.n2.logs());
        }
    }
    Ok(())
}
