//! `slurm-pki metrics`: what `status` shows, as numbers for Prometheus.

mod exposition;
mod keys;

use std::path::{Path, PathBuf};

use clap::Args;
use pki::time::UnixTime;
use site::config::MetricsConfig;
use site::file::NewFile;

use self::exposition::Exposition;
use crate::admin::{Admin, refuse_links_of_others};
use crate::advice::{Advice, Advise as _};
use crate::cert::facts::{DaemonFacts, State};
use crate::cert::target::is_static;
use crate::global::Global;
use crate::making::Making;
use crate::node::view::State as Standing;
use crate::report;
use crate::status::{Ca, CertificateState, LedgerState, Nodes, Overview, Tokens};

/// node_exporter is another user.
const MODE: u32 = 0o644;

/// What status shows, in numbers for Prometheus
#[derive(Args, Debug)]
#[command(
    after_help = "The file is for the textfile collector of node_exporter: its name ends in .prom, and it is \
    replaced as a whole. Times are seconds since 1970 (UTC). Alerts and a dashboard for these names come with the \
    package (prometheus/slurm-pki.rules.yml, grafana/slurm-pki.json).\n\n\
    Exit codes: 0 written; 1 a part could not be read (the others are written, and \
    slurm_pki_part_readable says which), or the file could not be written; 64 wrong usage.\n\n\
    Examples:\n  \
    slurm-pki metrics\n  \
    slurm-pki metrics --textfile /var/lib/prometheus/node-exporter/slurm-pki.prom"
)]
pub(crate) struct Metrics {
    /// Write this file; - for stdout. Else textfile of the config, under metrics; else stdout
    #[arg(long, value_name = "FILE")]
    textfile: Option<PathBuf>,
    /// A sample for each node too: at thousands of nodes, thousands of series
    #[arg(long)]
    per_node: bool,
}

impl Metrics {
    /// Runs the command.
    ///
    /// # Errors
    /// When a part of the site cannot be read, or the file not be written.
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        if global.json {
            let advice = Advice::new("metrics has a format of its own", "for JSON: slurm-pki status --json");
            return Err(Advice { usage: true, ..advice }.into());
        }
        let admin = Admin::load(global)?;
        let overview = Overview::of(global, &admin)?;
        let text = self.text(&overview);
        match self.file(&admin)? {
            Some(path) => write(global, &path, &text)?,
            None => report::raw_line(text.trim_end()),
        }
        overview.whole()
    }

    fn file(&self, admin: &Admin) -> anyhow::Result<Option<PathBuf>> {
        match &self.textfile {
            Some(stdout) if stdout == Path::new("-") => Ok(None),
            Some(path) => Ok(Some(std::path::absolute(path)?)),
            None => Ok(MetricsConfig::read(&admin.config).advise()?.textfile),
        }
    }

    fn text(&self, overview: &Overview) -> String {
        let mut text = Exposition::default();
        of_run(&mut text, overview);
        if let Some(ca) = overview.ca.known() {
            of_ca(&mut text, ca);
        }
        of_daemons(&mut text, &overview.daemons);
        if let Some(nodes) = overview.nodes.known() {
            of_nodes(&mut text, nodes, self.per_node);
        }
        if let Some(tokens) = overview.tokens.known() {
            of_tokens(&mut text, tokens);
        }
        if let Some(ledger) = overview.ledger.known() {
            of_ledger(&mut text, ledger);
        }
        if let Some(keys) = overview.keys.known() {
            keys::write(&mut text, keys);
        }
        text.into_text()
    }
}

fn write(global: &Global, path: &Path, text: &str) -> anyhow::Result<()> {
    if path.extension().is_none_or(|ending| ending != "prom") {
        report::warning(&format!("node_exporter reads *.prom only, and not {}", path.display()));
    }
    // The folder is often node_exporter's own.
    if let Some(folder) = path.parent() {
        refuse_links_of_others(folder)?;
    }
    let making = Making::new(global);
    if making.only_says() {
        making.says(path, MODE, None, "");
        return Ok(());
    }
    NewFile::new(path, MODE).replace(text.as_bytes()).advise()
}

fn of_run(text: &mut Exposition, overview: &Overview) {
    let version = env!("CARGO_PKG_VERSION");
    text.gauge("slurm_pki_build_info", "The slurm-pki that wrote this.", [(vec![("version", version)], 1)]);
    text.one(
        "slurm_pki_last_run_timestamp_seconds",
        "When this was written: an old time is a run that failed.",
        Some(overview.time.0),
    );
    text.gauge(
        "slurm_pki_part_readable",
        "Whether this part of the site could be read; what could not is missing below.",
        overview.parts().into_iter().map(|(part, readable)| (vec![("part", part)], readable.into())),
    );
    let modes = ["required", "warn", "off"];
    text.gauge(
        "slurm_pki_bind",
        "Whether requests must be bound by the node's secret (1 for what the config says).",
        modes.map(|mode| (vec![("mode", mode)], (mode == overview.bind).into())),
    );
    text.one(
        "slurm_pki_rollover_under_way",
        "Whether a change of CA has begun and is not finished.",
        overview.rollover.known().map(|rollover| rollover.is_some().into()),
    );
    let skipped = overview.skipped.known();
    text.one(
        "slurm_pki_skipped_hosts",
        "Hosts that a command left out and that were not reached since.",
        skipped.map(|skipped| count(skipped.iter().map(|skipped| skipped.count).sum())),
    );
}

fn of_ca(text: &mut Exposition, ca: &Ca) {
    let samples = ca.certificates.iter().map(|ca| {
        let labels = vec![
            ("subject", ca.subject.as_str()),
            ("serial", ca.serial.as_str()),
            ("kind", ca.kind),
            ("trusted", word(Some(ca.trusted))),
            ("signs", word(ca.signs)),
            ("in_use", word(Some(ca.in_use))),
        ];
        (labels, ca.not_after.0)
    });
    text.gauge(
        "slurm_pki_ca_not_after_seconds",
        "When a CA certificate ends; what is issued ends with the first one that is in use.",
        samples,
    );
}

/// A host may have several static pairs.
fn labels(facts: &DaemonFacts) -> Vec<(&'static str, &str)> {
    let cert = facts.cert.to_str().filter(|_| is_static(facts.daemon));
    [("daemon", facts.program)].into_iter().chain(cert.map(|cert| ("cert", cert))).collect()
}

fn of_daemons(text: &mut Exposition, daemons: &[DaemonFacts]) {
    let states = daemons.iter().flat_map(|facts| {
        let is = |state: State| i64::from(facts.state == state);
        State::ALL.map(|state| {
            let mut labels = labels(facts);
            labels.push(("state", state.word()));
            (labels, is(state))
        })
    });
    text.gauge(
        "slurm_pki_cert_state",
        "How the certificate of a daemon on this host is (1 for the state that it has).",
        states,
    );
    let leaves = || daemons.iter().filter_map(|facts| Some((facts, facts.leaf.as_ref()?)));
    text.gauge(
        "slurm_pki_cert_not_before_seconds",
        "When the certificate of a daemon on this host begins.",
        leaves().map(|(facts, leaf)| (labels(facts), leaf.not_before.0)),
    );
    text.gauge(
        "slurm_pki_cert_not_after_seconds",
        "When the certificate of a daemon on this host ends.",
        leaves().map(|(facts, leaf)| (labels(facts), leaf.not_after.0)),
    );
    text.gauge(
        "slurm_pki_cert_due_seconds",
        "When the certificate of a daemon on this host is to be renewed.",
        daemons.iter().filter_map(|facts| Some((labels(facts), facts.due?.0))),
    );
    let infos = leaves().map(|(facts, leaf)| {
        let names = [("subject", &leaf.subject), ("issuer", &leaf.issuer), ("serial", &leaf.serial)];
        let mut labels = labels(facts);
        labels.extend(names.map(|(name, value)| (name, value.as_str())));
        (labels, 1)
    });
    text.gauge("slurm_pki_cert_info", "What stands in the certificate of a daemon on this host.", infos);
}

fn of_nodes(text: &mut Exposition, nodes: &Nodes, per_node: bool) {
    let states = Standing::ALL.map(|state| {
        (vec![("state", state.word())], count(nodes.states.get(&state).copied().unwrap_or_default()))
    });
    text.gauge("slurm_pki_nodes", "Nodes by what they may do.", states);
    let states =
        CertificateState::ALL.map(|state| (vec![("state", state.word())], count(nodes.count(state))));
    text.gauge(
        "slurm_pki_node_certificates",
        "Nodes by their last certificate: ok, late (living, renewals missed), expired, never (none yet).",
        states,
    );
    let unusable = count(nodes.unusable_count);
    text.one("slurm_pki_nodes_unusable", "Nodes whose records cannot be used.", Some(unusable));
    let times = [
        (
            "slurm_pki_node_last_issued_seconds",
            "When the last certificate was issued to any node.",
            &nodes.last_renewal,
        ),
        (
            "slurm_pki_node_oldest_issued_seconds",
            "When the oldest certificate that a node lives on was issued.",
            &nodes.oldest_renewal,
        ),
        (
            "slurm_pki_node_first_not_after_seconds",
            "When the first of all living certificates of nodes ends.",
            &nodes.first_end,
        ),
    ];
    for (name, help, at) in times {
        text.one(name, help, at.as_ref().map(|at| at.time.0));
    }
    if per_node {
        let ends = nodes.ends.iter().map(|at| (vec![("node", at.node.as_str())], at.time.0));
        text.gauge("slurm_pki_node_not_after_seconds", "When the last certificate of a node ends.", ends);
    }
}

fn of_tokens(text: &mut Exposition, tokens: &Tokens) {
    let states = [
        ("waiting", tokens.waiting.count),
        ("single_use", tokens.single_use.count),
        ("ending", tokens.ending.count),
        ("foreign", tokens.foreign.count),
        ("bare", tokens.bare),
    ];
    text.gauge(
        "slurm_pki_tokens",
        "Tokens: waiting to be handed out, for a single use and not used, ending within a week, made by others, \
         without a name.",
        states.map(|(state, tokens)| (vec![("state", state)], count(tokens))),
    );
}

fn of_ledger(text: &mut Exposition, ledger: &LedgerState) {
    let numbers = [
        (
            "slurm_pki_ledger_last_entry_seconds",
            "When the last certificate was recorded.",
            ledger.last.map(|UnixTime(time)| time),
        ),
        ("slurm_pki_ledger_bytes", "Bytes in the ledger.", Some(number(ledger.extent.bytes))),
        ("slurm_pki_ledger_files", "Files of the ledger.", Some(count(ledger.extent.files))),
        (
            "slurm_pki_ledger_compressed_files",
            "Files of the ledger that are compressed and therefore not read.",
            Some(count(ledger.extent.compressed.len())),
        ),
        (
            "slurm_pki_ledger_free_bytes",
            "Bytes left on the file system of the ledger: without room nothing is issued.",
            Some(number(ledger.free_bytes)),
        ),
    ];
    for (name, help, value) in numbers {
        text.one(name, help, value);
    }
}

fn word(holds: Option<bool>) -> &'static str {
    match holds {
        Some(true) => "true",
        Some(false) => "false",
        None => "unknown",
    }
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
