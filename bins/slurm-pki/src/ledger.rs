//! `slurm-pki ledger`: what was issued to whom until when.

use clap::{Args, Subcommand};
use pki::time::UnixTime;
use site::ledger::{Entry, Ledger};

use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::global::Global;
use crate::hostlist;
use crate::moment;
use crate::point::Point;
use crate::report;

/// What was issued to whom until when
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  slurm-pki ledger list --since 24h
  slurm-pki ledger show n7")]
pub(crate) enum LedgerCommand {
    /// List every certificate that was issued, oldest first
    List(List),
    /// Show one certificate that was issued, or all of one node
    Show(Show),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Read are the files of all controller hosts, rotated ones too (issued.HOST.jsonl.1, issued.HOST.jsonl-20261201); \
compressed ones are named in a warning and not read.

Examples:
  slurm-pki ledger list --since 24h
  slurm-pki ledger list --node 'n[001-128]' --since 2026-11-01
  slurm-pki ledger list --json")]
pub(crate) struct List {
    /// Only certificates of these nodes
    #[arg(long = "node", value_name = "HOSTLIST")]
    nodes: Vec<String>,
    /// Only certificates issued since: 24h ago, or a UTC time like 2026-12-01T00:00:00Z
    #[arg(long, value_name = "SPAN|TIME", value_parser = Point::parse)]
    since: Option<Point>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  slurm-pki ledger show n7
  slurm-pki ledger show slurmctld                  daemons have their names here
  slurm-pki ledger show 4a3f08c1d2e95b7700112233445566778899aabb
  openssl x509 -noout -serial -in cert.pem         says the serial of a certificate")]
pub(crate) struct Show {
    /// A serial number in hex, with or without colons, or a name
    #[arg(value_name = "SERIAL|NODE")]
    what: String,
}

impl LedgerCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// When the ledger cannot be read, or has nothing of what was asked for.
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let ledger = Ledger::of(&admin.controller);
        let now = site::clock::now();
        warn_of_compressed(&ledger);
        match self {
            Self::List(list) => list.run(global, &ledger, now),
            Self::Show(show) => show.run(global, &ledger, now),
        }
    }
}

/// What is in compressed files is not shown; that must not look like "nothing was issued".
fn warn_of_compressed(ledger: &Ledger) {
    // Whoever cannot read the folder is told so by the command itself.
    for path in ledger.extent().unwrap_or_default().compressed {
        let path = path.display();
        report::warning(&format!("{path} is compressed and not read; set nocompress, and decompress it"));
    }
}

impl List {
    fn run(&self, global: &Global, ledger: &Ledger, now: UnixTime) -> anyhow::Result<()> {
        let names = match self.nodes.as_slice() {
            [] => None,
            words => {
                let mut names = hostlist::nodes(words).advise()?;
                names.sort();
                Some(names)
            }
        };
        let since = self.since.map(|point| point.before(now));
        let entries = ledger.entries(|entry| {
            let of_these = names
                .as_ref()
                .is_none_or(|names| names.binary_search_by(|name| name.as_str().cmp(&entry.node)).is_ok());
            of_these && since.is_none_or(|since| entry.time >= since)
        });
        let entries = entries.advise()?;
        if global.json {
            return report::json("slurm-pki.ledger.list.v1", &entries);
        }
        let rows = entries.iter().map(|entry| row(entry, now)).collect();
        report::table(&["ISSUED", "NODE", "UNTIL", "SERIAL"], rows);
        Ok(())
    }
}

impl Show {
    fn run(&self, global: &Global, ledger: &Ledger, now: UnixTime) -> anyhow::Result<()> {
        let serial = self.what.replace(':', "").to_ascii_lowercase();
        let entries = ledger.entries(|entry| entry.serial == serial || entry.node == self.what).advise()?;
        if entries.is_empty() {
            return Err(Advice::new(
                format!("nothing was issued under the serial or name {}", self.what),
                "see ledger list; each controller host writes a file of its own, in one shared folder",
            )
            .into());
        }
        if global.json {
            return report::json("slurm-pki.ledger.show.v1", &entries);
        }
        for entry in &entries {
            print(entry, now);
        }
        Ok(())
    }
}

fn row(entry: &Entry, now: UnixTime) -> Vec<String> {
    vec![
        moment::shown(entry.time, now),
        entry.node.clone(),
        moment::shown(entry.not_after, now),
        entry.serial.clone(),
    ]
}

fn print(entry: &Entry, now: UnixTime) {
    let record = entry.record.as_ref().map_or("none (not bound, or issued by an admin)", |id| id.as_str());
    report::line(&format!("serial       {}", entry.serial));
    report::line(&format!("  node       {}", entry.node));
    report::line(&format!("  issued     {}", moment::shown(entry.time, now)));
    report::line(&format!("  from       {}", entry.not_before));
    report::line(&format!("  until      {}", moment::shown(entry.not_after, now)));
    report::line(&format!("  issuer     {}", entry.issuer));
    report::line(&format!("  key        {} (SHA-256 of its SubjectPublicKeyInfo)", entry.spki_sha256));
    report::line(&format!("  record     {record}"));
}
