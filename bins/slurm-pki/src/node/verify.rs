//! `node verify`: what lies on each node, compared with what is known here. Everything is hashed on the node: no token
//! leaves it.

use std::collections::{BTreeMap, HashMap};

use clap::Args;
use pki::name::NodeName;
use pki::standing::Standing;
use serde::Serialize;

use super::contents::Contents;
use super::enrolment::Enrolment;
use super::targets::{self, Target};
use crate::admin::{Admin, caller};
use crate::advice::{Advice, Advise as _};
use crate::fleet::{Fleet, Job, Missed, Outcomes, Skips, digest, quoted};
use crate::global::Global;
use crate::hostlist::{self, fold};
use crate::members::Members;
use crate::parameters::Parameters;
use crate::programs::{GET_NODE_TOKEN, Programs};
use crate::report;

/// As much of what a host gives for a reason as a table has room for.
const MAX_WHY: usize = 200;

#[derive(Args, Debug)]
#[command(after_help = "\
On each host its own get_node_token runs, as the owner of the token file, and sha256sum hashes what it prints; the \
digest is compared with the records of the node, and that of the CA bundle with the bundle here. The program is the one \
that CertmgrParameters names in slurm.conf, else the one in the folder of this command.

Tokens: same (the newest record), older (a record that counts still), ended (a record that does not), unknown (no \
record), missing. Bundles: same, other, missing.

Exit codes: 0 all are the same, 1 some are not or were not reached, 64 wrong usage.

Examples:
  slurm-pki node verify 'n[001-128]'
  slurm-pki node verify 'n[001-128]' --skip n7 --json")]
pub(crate) struct Verify {
    /// Nodes, as in slurm.conf: n[001-128,200] login1
    #[arg(value_name = "HOSTLIST", required = true)]
    nodes: Vec<String>,
    /// Hosts to leave out, by node or host name: remembered until they are reached again
    #[arg(long, value_name = "HOSTLIST")]
    skip: Vec<String>,
}

/// A node's verdict, for `--json` and for people.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    /// The node.
    pub(super) node: String,
    /// Its host.
    pub(super) host: String,
    /// Whether the host answered.
    pub(super) reached: bool,
    /// What its token is.
    pub(super) token: Option<Token>,
    /// The record whose token it is.
    pub(super) record: Option<String>,
    /// What its CA bundle is.
    pub(super) bundle: Option<Bundle>,
    /// Why something is missing or was not reached.
    pub(super) why: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Token {
    /// The newest record's, or the list's.
    Same,
    /// That of a record that counts still.
    Older,
    /// That of a record that does not.
    Ended,
    /// Nobody's.
    Unknown,
    /// There is none.
    Missing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Bundle {
    /// The bundle here.
    Same,
    /// Another.
    Other,
    /// There is none.
    Missing,
}

impl Verify {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let enrolment = Enrolment::of(&admin)?;
        let names = hostlist::nodes(&self.nodes).usage()?;
        let (members, fleet) = (Members::of(&admin)?, Fleet::of(&admin)?);
        let contents = Contents::of(&admin, caller())?;
        let program = program(&admin)?;
        let mut skips = Skips::load(&admin)?;
        let targets = targets::of(&members, &names);
        let targets = targets::without_skipped(global, targets, &self.skip, &mut skips, Missed::Look)?;
        if global.dry_run {
            let names = fold(targets.iter().flat_map(|target| &target.nodes));
            report::done(global, &format!("would compare tokens and CA bundles of {names}"));
            return Ok(());
        }

        let (outcomes, verdicts) = ask(global, &fleet, &enrolment, &targets, &contents, &program)?;
        // What reading cannot bring them they go on missing.
        let is_well = |host: &String| verdicts.iter().filter(|one| one.host == *host).all(Verdict::is_well);
        let well: Vec<_> = skips.hosts().keys().filter(|host| outcomes.of(host).is_some()).cloned().collect();
        let well: Vec<_> = well.into_iter().filter(is_well).collect();
        skips.reached(global, &well, &[Missed::CaCert])?;
        skips.reached(global, &targets::whole(&members, &targets, well), &[Missed::Token])?;
        if global.json {
            report::json("slurm-pki.node.verify.v1", &verdicts)?;
        } else {
            show(&verdicts);
        }
        outcomes.report();
        conclusion(&verdicts)
    }
}

/// Asks each host, and judges what it said.
///
/// # Errors
/// When the store cannot be used.
pub(super) fn ask(
    global: &Global,
    fleet: &Fleet,
    enrolment: &Enrolment,
    targets: &[Target],
    contents: &Contents,
    program: &str,
) -> anyhow::Result<(Outcomes, Vec<Verdict>)> {
    let job = |target: &Target| Job { host: target.host.clone(), script: script(target, contents, program) };
    let outcomes = fleet.run(global, "hosts", targets.iter().map(job).collect());
    let verdicts = verdicts(enrolment, targets, contents, &outcomes)?;
    Ok((outcomes, verdicts))
}

impl Verdict {
    fn is_well(&self) -> bool {
        self.token == Some(Token::Same) && self.bundle == Some(Bundle::Same)
    }
}

/// The program that prints a node's token, where slurm.conf has it: hosts that have only the three programs of a node
/// have no other way to say where they are.
pub(super) fn program(admin: &Admin) -> anyhow::Result<String> {
    let parameters = admin.slurm.as_ref().and_then(|conf| conf.get("CertmgrParameters"));
    let named = Parameters::of(parameters).get("get_node_token_script");
    match named {
        Some(path) => Ok(path.to_owned()),
        None => Ok(Programs::beside_this()?.path(GET_NODE_TOKEN).to_string_lossy().into_owned()),
    }
}

/// `look NAME FILE`: a token that cannot be had is told with the program's own reason. The program runs as the token
/// file's owner, who is SlurmUser where sackd runs: it takes no files of others. A pipe would hide how it ended, so it
/// runs once for that and once for the digest; and the token is in no variable and no argument.
const LOOK: &str = r#"
get() {
    owner=0:0
    if [ -f "$2" ]; then owner=$(stat -c %u:%g "$2"); fi
    case $(id -u):$owner in
        0:0:*) "$program" "$1" ;;
        0:*) chroot --userspec="$owner" --groups= / "$program" "$1" ;;
        *) "$program" "$1" ;;
    esac
}
look() {
    if [ ! -x "$program" ]; then
        say "missing $1 there is no $program"
    elif why=$(get "$1" "$2" 2>&1 >/dev/null); then
        said=$( { printf 'slurm-pki token v1\0'; get "$1" "$2" | tr -d '\n'; } | sha256sum)
        say "token $1 ${said%% *}"
    else
        case $why in
            "${program##*/}: error: "*) ;;
            *) why="$program failed" ;;
        esac
        say "missing $1 $(printf %s "$why" | head -n 1)"
    fi
}
"#;

fn script(target: &Target, contents: &Contents, program: &str) -> String {
    let path = |path: &std::path::Path| quoted(&path.to_string_lossy());
    let ca = path(&contents.ca().path);
    let mut script = format!("program={}\n{LOOK}", quoted(program));
    if let Some(config) = contents.config_elsewhere() {
        script.push_str(&format!("export SLURM_PKI_CONF={}\n", path(config)));
    }
    script.push_str(&format!(
        "if [ -f {ca} ]; then said=$(sha256sum < {ca}); say \"bundle ${{said%% *}}\"; else say bundle missing; fi\n"
    ));
    for name in &target.nodes {
        let file = path(&contents.token_path(name));
        script.push_str(&format!("look {} {file}\n", quoted(name.as_str())));
    }
    script
}

fn verdicts(
    enrolment: &Enrolment,
    targets: &[Target],
    contents: &Contents,
    outcomes: &Outcomes,
) -> anyhow::Result<Vec<Verdict>> {
    let bundle_here = digest(contents.ca().contents.expose());
    let mut verdicts = Vec::new();
    for target in targets {
        let said = match outcomes.of(&target.host) {
            Some(Ok(said)) => Ok(Said::of(said)),
            Some(Err(why)) => Err(why.clone()),
            None => Err("nobody asked it".to_owned()),
        };
        for name in &target.nodes {
            let mut verdict = Verdict::of(name, &target.host);
            match &said {
                Err(why) => verdict.why = Some(why.clone()),
                Ok(said) => {
                    verdict.reached = true;
                    verdict.bundle = Some(said.bundle(&bundle_here));
                    verdict.judge(said, enrolment.store.standing(name).advise()?, enrolment, name);
                }
            }
            verdicts.push(verdict);
        }
    }
    Ok(verdicts)
}

/// What a host said.
struct Said<'a> {
    bundle: Option<&'a str>,
    tokens: HashMap<&'a str, &'a str>,
    missing: HashMap<&'a str, &'a str>,
}

impl<'a> Said<'a> {
    fn of(lines: &'a [String]) -> Self {
        let mut said = Self { bundle: None, tokens: HashMap::new(), missing: HashMap::new() };
        for line in lines {
            let mut words = line.splitn(3, ' ');
            match (words.next(), words.next(), words.next()) {
                (Some("bundle"), Some(digest), None) => said.bundle = Some(digest),
                (Some("token"), Some(name), Some(digest)) => drop(said.tokens.insert(name, digest)),
                (Some("missing"), Some(name), why) => {
                    said.missing.insert(name, why.unwrap_or_default());
                }
                _ => {}
            }
        }
        said
    }

    fn bundle(&self, here: &str) -> Bundle {
        match self.bundle {
            Some(there) if there == here => Bundle::Same,
            None | Some("missing") => Bundle::Missing,
            Some(_) => Bundle::Other,
        }
    }
}

impl Verdict {
    fn of(name: &NodeName, host: &str) -> Self {
        Self {
            node: name.to_string(),
            host: host.to_owned(),
            reached: false,
            token: None,
            record: None,
            bundle: None,
            why: None,
        }
    }

    fn judge(&mut self, said: &Said<'_>, standing: Standing, enrolment: &Enrolment, name: &NodeName) {
        let Some(digest) = said.tokens.get(name.as_str()) else {
            self.token = Some(Token::Missing);
            let why = said.missing.get(name.as_str()).copied().unwrap_or("it said nothing");
            self.why = Some(why.chars().take(MAX_WHY).collect());
            return;
        };
        let (token, record) = recognised(digest, standing, enrolment);
        (self.token, self.record) = (Some(token), record);
    }
}

/// Which of a node's records has a token with this digest.
fn recognised(digest: &str, standing: Standing, enrolment: &Enrolment) -> (Token, Option<String>) {
    let is_it = |token: pki::token::TokenDigest| String::from(token) == digest;
    let alive: Vec<_> = standing
        .binders(enrolment.now, &enrolment.windows)
        .into_iter()
        .filter_map(|one| one.record)
        .collect();
    match standing {
        Standing::Unknown => (Token::Unknown, None),
        Standing::Listed(lines) => {
            let known = lines.iter().any(|line| is_it(line.token().digest()));
            (if known { Token::Same } else { Token::Unknown }, None)
        }
        Standing::Recorded(held) => {
            let Some(one) = held.iter().rev().find(|one| is_it(one.record.token)) else {
                return (Token::Unknown, None);
            };
            let id = &one.record.id;
            let token = match alive.first() {
                Some(newest) if newest == id => Token::Same,
                _ if alive.contains(id) => Token::Older,
                _ => Token::Ended,
            };
            (token, Some(id.to_string()))
        }
    }
}

/// A row for all nodes that are alike.
fn show(verdicts: &[Verdict]) {
    let mut alike: BTreeMap<[String; 3], Vec<&str>> = BTreeMap::new();
    for one in verdicts.iter().filter(|one| one.reached) {
        let record = one.record.as_deref().filter(|_| one.token != Some(Token::Same));
        let token = match (one.token, record) {
            (Some(token), Some(record)) => format!("{} (record {record})", token.word()),
            (Some(token), None) => token.word().to_owned(),
            (None, _) => String::new(),
        };
        let bundle = one.bundle.map_or("", Bundle::word).to_owned();
        alike.entry([token, bundle, one.why.clone().unwrap_or_default()]).or_default().push(&one.node);
    }
    let row =
        |(what, nodes): ([String; 3], Vec<&str>)| [vec![hostlist::fold_texts(nodes)], what.into()].concat();
    if !alike.is_empty() {
        report::table(&["NODES", "TOKEN", "CA BUNDLE", ""], alike.into_iter().map(row).collect());
    }
}

impl Token {
    fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Older => "older",
            Self::Ended => "ended",
            Self::Unknown => "unknown",
            Self::Missing => "missing",
        }
    }
}

impl Bundle {
    fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Other => "other",
            Self::Missing => "missing",
        }
    }
}

/// What differs is to be brought there; a host that was not reached is to be mended first.
fn conclusion(verdicts: &[Verdict]) -> anyhow::Result<()> {
    let names = |which: &dyn Fn(&&Verdict) -> bool| {
        hostlist::fold_texts(verdicts.iter().filter(which).map(|one| one.node.as_str()))
    };
    let of = verdicts.len();
    let away = verdicts.iter().filter(|one| !one.reached).count();
    let differ = verdicts.iter().filter(|one| one.reached && !one.is_well()).count();
    let away_are = || format!("{away} of {of} nodes were not reached: {}", names(&|one| !one.reached));
    if differ == 0 {
        return match away {
            0 => Ok(()),
            _ => Err(Advice::new(
                away_are(),
                "mend their hosts and run the same again; --skip HOSTLIST leaves dead ones out and remembers them",
            )
            .into()),
        };
    }
    if away > 0 {
        report::warning(&away_are());
    }
    let names = names(&|one| one.reached && !one.is_well());
    Err(Advice::new(
        format!("{differ} of {of} nodes are not as they are known here: {names}"),
        format!(
            "bring them what they lack: slurm-pki node push '{names}' (--ca-only if the tokens are right)"
        ),
    )
    .into())
}
