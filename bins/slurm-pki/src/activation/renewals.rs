//! Whether nodes renew their certificates as they should, by what slurmctld remembers of each.

use std::time::Duration;

use pki::time::UnixTime;
use serde::Deserialize;

/// Slurm's default for certificate_renewal_period, in minutes (slurm-contract.md 1.1).
const DEFAULT_PERIOD: u64 = 1440;

/// States in which nobody can expect a node to renew anything (scontrol(1)).
const AWAY: [&str; 7] =
    ["NOT_RESPONDING", "DOWN", "UNKNOWN", "FUTURE", "POWERED_DOWN", "POWERING_DOWN", "POWERING_UP"];

/// The part of `scontrol show nodes --json` that matters here.
#[derive(Debug, Deserialize)]
pub(crate) struct Shown {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    name: String,
    #[serde(default)]
    state: State,
    #[serde(default)]
    tls_cert_last_renewal: Number,
}

/// A list of flags; a single word in older forms of the JSON.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum State {
    Flags(Vec<String>),
    Word(String),
}

impl Default for State {
    fn default() -> Self {
        Self::Flags(Vec::new())
    }
}

/// Slurm's numbers that may be unset: with their flags, or bare in older forms.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum Number {
    Flagged {
        set: bool,
        number: i64,
    },
    Bare(i64),
    #[default]
    Nothing,
}

impl Shown {
    /// Reads it.
    ///
    /// # Errors
    /// When it is something else.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(json).map_err(|e| e.to_string())
    }

    /// The nodes that answer and have not renewed for longer than the period (and a twentieth: a renewal that failed is
    /// tried again after MessageTimeout). Those that never renewed have static pairs, or slurmctld forgot them.
    pub(crate) fn late(&self, period: Duration, now: UnixTime) -> Vec<&str> {
        let oldest = now.minus(period + period / 20);
        let is_late = |node: &&Node| {
            let renewed = node.tls_cert_last_renewal.get();
            !node.state.is_away() && renewed.is_some_and(|renewed| renewed < oldest)
        };
        self.nodes.iter().filter(is_late).map(|node| node.name.as_str()).collect()
    }
}

impl State {
    fn is_away(&self) -> bool {
        let is_away = |flag: &str| AWAY.iter().any(|away| away.eq_ignore_ascii_case(flag));
        match self {
            Self::Flags(flags) => flags.iter().any(|flag| is_away(flag)),
            // `*` is how the short form says that it does not respond.
            Self::Word(word) => word.ends_with('*') || word.split('+').any(is_away),
        }
    }
}

impl Number {
    fn get(&self) -> Option<UnixTime> {
        match *self {
            Self::Flagged { set: true, number } | Self::Bare(number) if number > 0 => Some(UnixTime(number)),
            _ => None,
        }
    }
}

/// certificate_renewal_period of CertmgrParameters, as Slurm reads it: the first one, in minutes, digits as far as they go.
///
/// # Errors
/// When it means a period that Slurm cannot work with.
pub(crate) fn period(certmgr_parameters: Option<&str>) -> Result<Duration, String> {
    let given = certmgr_parameters
        .unwrap_or_default()
        .split(',')
        .find_map(|parameter| parameter.strip_prefix("certificate_renewal_period="));
    let minutes = match given {
        None => DEFAULT_PERIOD,
        Some(text) => {
            let digits: String = text.trim_start().chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok().filter(|minutes| (1..=u64::from(u32::MAX)).contains(minutes)).ok_or_else(
                || format!("certificate_renewal_period={text} is not a number of minutes above 0"),
            )?
        }
    };
    Ok(Duration::from_secs(minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_000);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    /// As Slurm 26.05 prints a node, shortened.
    fn node(name: &str, state: &str, renewed: &str) -> String {
        format!(
            r#"{{"name":"{name}","cert_flags":[],"state":{state},"tls_cert_last_renewal":{renewed},"cpus":4}}"#
        )
    }

    fn late(nodes: &[String]) -> Vec<String> {
        let json = format!(r#"{{"nodes":[{}],"last_update":{{}}, "meta":{{}}}}"#, nodes.join(","));
        let shown = Shown::parse(json.as_bytes()).unwrap();
        shown.late(DAY, NOW).into_iter().map(str::to_owned).collect()
    }

    fn renewed(seconds_ago: i64) -> String {
        format!(r#"{{"set":true,"infinite":false,"number":{}}}"#, NOW.0 - seconds_ago)
    }

    #[test]
    fn a_node_that_answers_and_has_not_renewed_for_a_period_is_late() {
        let nodes = [
            node("n1", r#"["IDLE"]"#, &renewed(80_000)),
            node("n2", r#"["ALLOCATED","DRAIN"]"#, &renewed(100_000)),
            node("n3", r#"["IDLE"]"#, &renewed(87_000)),
            node("n4", r#"["MIXED"]"#, &(NOW.0 - 100_000).to_string()),
        ];
        assert_eq!(late(&nodes), ["n2", "n4"]);
    }

    #[test]
    fn nodes_that_are_away_or_never_renewed_are_not_judged() {
        let old = renewed(1_000_000);
        let nodes = [
            node("n1", r#"["DOWN","NOT_RESPONDING"]"#, &old),
            node("n2", r#"["IDLE","POWERED_DOWN","CLOUD"]"#, &old),
            node("n3", r#""IDLE*""#, &old),
            node("n4", r#"["IDLE"]"#, r#"{"set":false,"infinite":false,"number":0}"#),
            node("n5", r#"["IDLE"]"#, "0"),
            r#"{"name":"n6","state":["IDLE"]}"#.to_owned(),
        ];
        assert_eq!(late(&nodes), [""; 0]);
        assert!(Shown::parse(b"{}").is_err());
    }

    #[test]
    fn the_period_is_read_as_slurm_reads_it() {
        let minutes = |text: &str| period(Some(text)).map(|period| period.as_secs() / 60);
        assert_eq!(period(None).unwrap(), DAY);
        assert_eq!(minutes("sign_csr_script=/x,certificate_renewal_period=60"), Ok(60));
        assert_eq!(minutes("certificate_renewal_period=1d,certificate_renewal_period=5"), Ok(1));
        for bad in ["0", "-5", "soon", "99999999999999999999"] {
            assert!(period(Some(&format!("certificate_renewal_period={bad}"))).is_err(), "{bad}");
        }
    }
}
