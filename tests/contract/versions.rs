//! What each supported version of Slurm calls, with which arguments, and how it judges the result
//! (docs/slurm-contract.md, the version table). One row per call; the same table runs on our programs and on the
//! reference scripts.

use std::collections::HashMap;

use support::slurm::Run;

use crate::cluster::{Cluster, LineUp};

/// The first and the last of each release that was looked at.
const VERSIONS: [&str; 7] = ["25.05.1", "25.05.8", "25.11.0", "25.11.7", "26.05.0", "26.05.3", "26.05.5"];

/// An argument, as Slurm fills it in.
#[derive(Clone, Copy, Debug)]
enum Word {
    Node,
    Token,
    Request,
    Key,
    /// What lies on sackd's stack at a renewal, where a name should be.
    Leftover,
}

/// How Slurm judges the run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Judged {
    /// Exit status 0 and output, which later calls use.
    Answer,
    /// Exit status 0; the output is thrown away.
    Accepted,
    /// Anything else.
    Refused,
}

use Judged::{Accepted, Answer, Refused};
use Word::{Key, Leftover, Node, Request, Token};

/// Who calls, which parameter, its arguments, the judgement, and the first version that does so.
type Row = (&'static str, &'static str, &'static [Word], Judged, &'static str);

/// In the order in which a cluster comes up.
const CALLS: &[Row] = &[
    ("slurmd at its first start", "get_node_token", &[Node], Answer, "25.05.1"),
    ("slurmd at its first start", "generate_csr", &[Node], Answer, "25.05.1"),
    ("slurmctld, for a node without CertToken", "validate_node_token", &[Node, Token], Accepted, "25.05.1"),
    ("slurmctld, when the node sent no token", "validate_node_token", &[Node], Refused, "25.05.1"),
    ("slurmctld 24.11, which is not supported", "validate_node_token", &[Token], Refused, "25.05.1"),
    ("slurmctld, after validation", "sign_csr", &[Request], Answer, "25.05.1"),
    ("slurmctld, when the reply was lost", "validate_node_token", &[Node, Token], Accepted, "25.05.1"),
    ("slurmctld, when the reply was lost", "sign_csr", &[Request], Answer, "25.05.1"),
    ("slurmd, after the reply", "get_cert_key", &[Node], Answer, "25.05.1"),
    ("slurmd at a renewal: no token", "generate_csr", &[Node], Answer, "25.05.1"),
    ("slurmctld at a renewal over mTLS: no validation", "sign_csr", &[Request], Answer, "25.05.1"),
    ("slurmd, after the reply", "get_cert_key", &[Node], Answer, "25.05.1"),
    ("sackd at a renewal: no name either", "generate_csr", &[Leftover], Answer, "25.05.1"),
    ("slurmctld at sackd's renewal", "sign_csr", &[Request], Answer, "25.05.1"),
    ("sackd, after the reply", "get_cert_key", &[Leftover], Answer, "25.05.1"),
    ("any client command", "keygen", &[], Answer, "25.05.1"),
    ("any client command", "certgen", &[Key], Answer, "25.05.1"),
    ("slurmstepd, as root", "keygen", &[], Answer, "26.05.2"),
    ("slurmstepd, as root", "certgen", &[Key], Answer, "26.05.2"),
];

/// What a call needs of the answers before it.
type Answers = HashMap<&'static str, String>;

fn argument(word: Word, answers: &Answers) -> String {
    match word {
        Node => "n1".into(),
        Token => answers["get_node_token"].clone(),
        Request => answers["generate_csr"].clone(),
        Key => answers["keygen"].clone(),
        Leftover => "\u{1}".into(),
    }
}

/// Years and months compare like numbers.
fn has(version: &str, since: &str) -> bool {
    let parts = |text: &str| text.split('.').map(|part| part.parse::<u32>().unwrap()).collect::<Vec<_>>();
    parts(version) >= parts(since)
}

#[track_caller]
fn assert_judged(row: &Row, run: &Run) {
    let (caller, program, argv, judged, _) = row;
    let as_expected = match judged {
        Answer => run.answer().is_ok(),
        Accepted => run.accepted(),
        Refused => !run.accepted(),
    };
    let (end, output) = (&run.end, run.output.escape_ascii());
    assert!(as_expected, "{caller}: {program} {argv:?}: {judged:?} expected, not {end:?}: {output}");
}

fn a_cluster_of_every_version_comes_up(line_up: &LineUp) {
    for version in VERSIONS {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let cluster = Cluster::new(line_up.clone(), &["n1", &host]);
        let mut answers = Answers::new();
        for row in CALLS.iter().filter(|row| has(version, row.4)) {
            let (_, program, argv, judged, _) = row;
            let argv: Vec<_> = argv.iter().map(|word| argument(*word, &answers)).collect();
            let run = cluster.run(program, &argv);
            assert_judged(row, &run);
            if *judged == Answer {
                answers.insert(program, run.text());
            }
        }
    }
}

#[test]
fn our_programs_serve_every_version() {
    a_cluster_of_every_version_comes_up(&LineUp::ours());
}

#[test]
fn the_reference_scripts_serve_every_version() {
    a_cluster_of_every_version_comes_up(&LineUp::reference());
}
