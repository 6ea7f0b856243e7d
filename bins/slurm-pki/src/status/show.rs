//! The table of `slurm-pki status`, for a person.

use pki::time::UnixTime;
use site::config::CheckConfig;

use super::{CertificateState, LedgerState, Nodes, Overview, Part, Tokens, VaultState};
use crate::admin::Admin;
use crate::advice::Advise as _;
use crate::cert::facts::{DaemonFacts, State};
use crate::moment;
use crate::report::{self, Mood};

/// Longest hostlist in a row.
const MAX_SHOWN: usize = 60;

/// How many things that run out are shown.
const NEXT: usize = 8;

/// Part, what, state, until, note.
pub(super) type Row = (Mood, Vec<String>);

pub(super) fn print(admin: &Admin, overview: &Overview) -> anyhow::Result<()> {
    let limits = CheckConfig::read(&admin.config).advise()?;
    let mut rows = site_rows(overview);
    rows.extend(ca_rows(overview, &limits));
    rows.extend(overview.daemons.iter().map(|facts| daemon_row(facts, overview.time)));
    if let Some(nodes) = overview.nodes.known() {
        rows.extend(node_rows(nodes, overview.time));
    }
    if let Some(tokens) = overview.tokens.known() {
        rows.extend(token_rows(tokens, overview.time));
    }
    rows.extend(skipped_rows(overview));
    rows.extend(overview.ledger.known().map(|ledger| ledger_row(ledger, overview.time)));
    rows.extend(overview.vault.known().map(|vault| vault_row(vault, overview.time)));
    rows.extend(overview.keys.known().map(|keys| super::keys::rows(keys, overview.time)).unwrap_or_default());
    for (part, problem) in overview.problems() {
        rows.push(row(Mood::Bad, part, "", "not read", "", problem));
    }
    report::moody_table(&["PART", "WHAT", "STATE", "UNTIL", "NOTE"], rows);
    print_next(overview, &limits);
    Ok(())
}

pub(super) fn row(mood: Mood, part: &str, what: &str, state: &str, until: &str, note: &str) -> Row {
    (mood, [part, what, state, until, note].map(str::to_owned).to_vec())
}

fn site_rows(overview: &Overview) -> Vec<Row> {
    let (mood, note) = match overview.bind {
        "required" => (Mood::Plain, "a node's secret speaks for each of its requests"),
        "warn" => (Mood::Bad, "a request without a binding is let through: set bind = \"required\""),
        _ => (Mood::Bad, "any peer gets a certificate for any name: set bind = \"required\""),
    };
    // Only a controller judges requests.
    let mut rows = match overview.nodes {
        Part::Elsewhere => {
            let note = "nodes, tokens and ledger are on the controllers";
            vec![row(Mood::Plain, "site", &overview.cluster, "", "", note)]
        }
        _ => vec![row(mood, "site", &overview.cluster, &format!("bind {}", overview.bind), "", note)],
    };
    if let Some(Some(rollover)) = overview.rollover.known() {
        let since = moment::relative(rollover.since, overview.time);
        let note = format!("{since}, to {}; what is next: slurm-pki ca rollover status", rollover.new);
        rows.push(row(Mood::Warn, "ca", "rollover", &rollover.phase, "", &note));
    }
    rows
}

fn ca_rows(overview: &Overview, limits: &CheckConfig) -> Vec<Row> {
    let Some(ca) = overview.ca.known() else { return Vec::new() };
    let certificates = ca.certificates.iter().map(|ca| {
        let state = if ca.valid { "ok" } else { "NOT VALID" };
        let mood = if ca.in_use { mood_of_end(ca.not_after, overview.time, limits) } else { Mood::Plain };
        let until = moment::shown(ca.not_after, overview.time);
        let roles = [
            (ca.signs == Some(true), "signs"),
            (ca.trusted, "hosts trust it"),
            (!ca.trusted, "sent along"),
            (!ca.in_use, "not in use"),
        ];
        let roles: Vec<_> = roles.iter().filter(|(holds, _)| *holds).map(|(_, role)| *role).collect();
        row(mood, ca.kind, &ca.subject, state, &until, &roles.join(", "))
    });
    let mut rows: Vec<_> = certificates.collect();
    if let Some(problem) = &ca.problem {
        rows.push(row(Mood::Bad, "ca", "key", "unknown", "", problem));
    }
    rows
}

fn daemon_row(facts: &DaemonFacts, now: UnixTime) -> Row {
    let mood = match facts.state {
        State::Ok | State::Foreign => Mood::Plain,
        State::Due | State::Unknown => Mood::Warn,
        State::Missing | State::Broken | State::Expired | State::Untrusted => Mood::Bad,
    };
    let until = facts.leaf.as_ref().map(|leaf| moment::shown(leaf.not_after, now)).unwrap_or_default();
    let renewed = facts.due.map(|due| format!("to be renewed {}", moment::relative(due, now)));
    let note = facts.why.clone().or(renewed).unwrap_or_default();
    row(mood, "daemon", facts.program, facts.state.word(), &until, &note)
}

fn node_rows(nodes: &Nodes, now: UnixTime) -> Vec<Row> {
    let states: Vec<_> =
        nodes.states.iter().map(|(state, count)| format!("{count} {}", state.word())).collect();
    let mut rows = vec![row(Mood::Plain, "nodes", &nodes.total.to_string(), "", "", &states.join(", "))];
    let last = nodes.last_renewal.as_ref().map_or_else(
        || "none was issued yet".to_owned(),
        |last| format!("last issued {}, to {}", moment::relative(last.time, now), last.node),
    );
    let until = nodes.first_end.as_ref().map(|first| moment::shown(first.time, now)).unwrap_or_default();
    let ok = nodes.count(CertificateState::Ok);
    rows.push(row(Mood::Plain, "nodes", &ok.to_string(), "ok", &until, &last));
    let late = format!("missed renewals and live on: {}", shortened(&nodes.late));
    let expired = format!("no living certificate: {}", shortened(&nodes.expired));
    let never = format!("enrolled, and never got one: {}", shortened(&nodes.never));
    let why = nodes.unusable_why.as_deref().unwrap_or_default();
    let unusable = format!("{}: {why}", shortened(&nodes.unusable));
    let troubled = [
        (CertificateState::Late, Mood::Warn, late),
        (CertificateState::Expired, Mood::Bad, expired),
        (CertificateState::Never, Mood::Warn, never),
    ];
    for (state, mood, note) in troubled {
        if nodes.count(state) > 0 {
            rows.push(row(mood, "nodes", &nodes.count(state).to_string(), state.word(), "", &note));
        }
    }
    if nodes.unusable_why.is_some() {
        let count = nodes.unusable_count.to_string();
        rows.push(row(Mood::Bad, "nodes", &count, "unusable", "", &unusable));
    }
    rows
}

fn token_rows(tokens: &Tokens, now: UnixTime) -> Vec<Row> {
    let first = tokens.first_end.as_ref().map(|first| moment::shown(first.time, now)).unwrap_or_default();
    let groups = [
        (&tokens.waiting, Mood::Plain, "waiting", "", "wait to be bundled or pushed"),
        (&tokens.single_use, Mood::Plain, "single use", "", "not used yet"),
        (&tokens.ending, Mood::Warn, "ending", first.as_str(), "end within a week"),
        (&tokens.foreign, Mood::Warn, "foreign", "", "made by others, weaker: slurm-pki node token"),
    ];
    let groups = groups.into_iter().filter(|(group, ..)| group.count > 0);
    let mut rows: Vec<_> = groups
        .map(|(group, mood, state, until, note)| {
            let note = format!("{note}: {}", shortened(&group.nodes));
            row(mood, "tokens", &group.count.to_string(), state, until, &note)
        })
        .collect();
    if tokens.bare > 0 {
        let note = "each of them enrols any name without records: slurm-pki node import";
        rows.push(row(Mood::Bad, "tokens", &tokens.bare.to_string(), "bare", "", note));
    }
    rows
}

fn skipped_rows(overview: &Overview) -> Vec<Row> {
    let skipped = overview.skipped.known().map(Vec::as_slice).unwrap_or_default();
    let shown = skipped.iter().map(|skipped| {
        let since = moment::relative(skipped.since, overview.time);
        let note = format!("{}: missed {} ({since})", shortened(&skipped.hosts), skipped.missed);
        row(Mood::Warn, "hosts", &skipped.count.to_string(), "skipped", "", &note)
    });
    shown.collect()
}

fn vault_row(vault: &VaultState, now: UnixTime) -> Row {
    let (mood, state) = if vault.sealed { (Mood::Bad, "SEALED") } else { (Mood::Plain, "unsealed") };
    let until = vault.token_ends.map(|end| moment::shown(end, now)).unwrap_or_default();
    let note = match (vault.sealed, vault.token_ends, vault.standby) {
        (true, ..) => "nothing is signed or looked up until it is unsealed",
        (_, Some(_), _) => "until then the programs' token lives; slurm-pki vault renew makes it live longer",
        (_, None, true) => "a standby; each run gets a new token, or it never ends",
        (_, None, false) => "each run gets a new token, or it never ends",
    };
    row(mood, "vault", &vault.address, state, &until, note)
}

fn ledger_row(ledger: &LedgerState, now: UnixTime) -> Row {
    let last = match (ledger.last, &ledger.last_node) {
        (Some(time), Some(node)) => format!("last line {}, for {node}", moment::relative(time, now)),
        _ => "empty".to_owned(),
    };
    let (size, free) = (bytes(ledger.extent.bytes), bytes(ledger.free_bytes));
    let compressed = match ledger.extent.compressed.len() {
        0 => String::new(),
        some => format!("; {some} compressed files are not read"),
    };
    let files = match ledger.extent.files {
        1 => "1 file".to_owned(),
        files => format!("{files} files"),
    };
    let note = format!("{last}; {size} in {files}, {free} free{compressed}");
    let (mood, state) = if ledger.is_tight() { (Mood::Bad, "LITTLE ROOM") } else { (Mood::Plain, "ok") };
    row(mood, "ledger", &ledger.folder.display().to_string(), state, "", &note)
}

fn print_next(overview: &Overview, limits: &CheckConfig) {
    if overview.next.is_empty() {
        return;
    }
    report::line("");
    let rows = overview.next.iter().take(NEXT).map(|ending| {
        // Certificates of nodes live for days, and their nodes see to them.
        let own = ending.what.starts_with("nodes:");
        let mood = if own { Mood::Plain } else { mood_of_end(ending.at, overview.time, limits) };
        (mood, vec![moment::shown(ending.at, overview.time), ending.what.clone(), ending.then.clone()])
    });
    report::moody_table(&["RUNS OUT NEXT", "WHAT", "THEN"], rows.collect());
}

fn mood_of_end(end: UnixTime, now: UnixTime, limits: &CheckConfig) -> Mood {
    match end {
        _ if end <= now.plus(limits.critical) => Mood::Bad,
        _ if end <= now.plus(limits.warn) => Mood::Warn,
        _ => Mood::Plain,
    }
}

/// A hostlist as far as it fits a line; `--json` has all of it.
pub(super) fn shortened(hostlist: &str) -> String {
    match hostlist.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}… (whole with --json)", hostlist.get(..end).unwrap_or(hostlist)),
        None => hostlist.to_owned(),
    }
}

fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.iter().find(|(_, size)| count >= *size) {
        // One decimal, cut: more than there is is never claimed.
        Some((unit, size)) => format!("{}.{} {unit}", count / size, count % size * 10 / size),
        None => format!("{count} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_in_the_unit_that_fits() {
        for (count, shown) in
            [(0, "0 B"), (1536, "1.5 KiB"), (1 << 30, "1.0 GiB"), (u64::MAX, "16777215.9 TiB")]
        {
            assert_eq!(bytes(count), shown);
        }
    }

    #[test]
    fn a_long_hostlist_is_cut_and_says_so() {
        assert_eq!(shortened("n[1-3]"), "n[1-3]");
        assert!(shortened(&"n1,".repeat(100)).ends_with("… (whole with --json)"));
    }
}
