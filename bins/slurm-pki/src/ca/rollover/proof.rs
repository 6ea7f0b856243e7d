//! The proof before the old root goes: every daemon has the new root *loaded*, and serves a certificate of the new CA.
//!
//! A file on a disk proves nothing, for a daemon reads it when it starts. So each is asked over TLS 1.2, with a
//! certificate of the new CA and no cross certificate: the handshake completes only where the new root is loaded; where
//! it is not, s2n falls silent. Under TLS 1.3 this side could not tell (slurm-contract.md 3.5).

use std::fmt;
use std::time::Duration;

use pki::key::{KeyKind, PrivateKey};
use pki::name::NodeName;
use pki::policy::Plan;
use pki::time::UnixTime;
use pki::x509::X509;
use site::config::{Daemon, DaemonConfig, FleetConfig};
use site::ledger::{Entry, Ledger};

use super::alive::Alive;
use super::known::KnownNodes;
use super::site_files::SiteFiles;
use super::state::State;
use crate::activation;
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::fleet::in_parallel;
use crate::handshake::Pair;
use crate::hostlist;
use crate::members::{Member, Members, Role};
use crate::probe::{Address, Probe, ProbeError};
use crate::report;
use crate::slurm_conf::SlurmConf;

/// Whose certificate it is, in the ledger and in the daemon's eyes, where the CA key is here.
pub(super) const NAME: &str = "slurm-pki-rollover";

/// As long as the largest cluster takes to be asked.
const LIFE: Duration = Duration::from_secs(3600);

/// What is not done by then is refused: s2n keeps a connection that failed for up to 30 seconds.
const WAIT: Duration = Duration::from_secs(5);

/// A daemon to be asked.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The node, or the daemon's host.
    pub(super) name: String,
    /// The name in its certificate: the node's, or slurmctld, slurmdbd, slurmrestd.
    pub(super) certificate: String,
    /// What it is; none: a node's slurmd.
    pub(super) daemon: Option<Daemon>,
    address: Address,
    /// Whether it need not be there now.
    comes_and_goes: bool,
}

/// Who was asked, and the certificate (SHA-256) that it showed; none where nobody has to.
pub(super) type Answer = (Target, Result<Option<String>, Lack>);

impl Target {
    /// Whether a certificate is for this one: nodes of one host may share a certificate, which names them all; and
    /// a node whose host has a longer or shorter name may ask under that (generate_csr).
    fn is_named_by(&self, leaf: &X509) -> bool {
        let facts = leaf.facts();
        let is =
            |name: &[u8]| [&self.name, &self.certificate].iter().any(|own| are_one(own.as_bytes(), name));
        facts.common_names.iter().any(|name| is(name))
            || facts.dns.iter().flatten().any(|name| is(name.as_bytes()))
    }
}

/// Whether two names are the same, or one is the other with a domain behind it.
pub(super) fn are_one(one: &[u8], other: &[u8]) -> bool {
    let (long, short) = if one.len() < other.len() { (other, one) } else { (one, other) };
    let (begin, rest) = long.split_at(short.len());
    begin.eq_ignore_ascii_case(short) && (rest.is_empty() || !short.is_empty() && rest.starts_with(b"."))
}

/// What is missing for the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lack {
    /// No connection.
    Unreachable,
    /// No connection to a node that may be away, and slurmctld does not say that it is.
    MayRun,
    /// Something else than TLS.
    NotTls,
    /// The new root is not loaded there.
    NotLoaded,
    /// It never asked for a certificate: no daemon of Slurm's, or no proof.
    NotAsked,
    /// It has the new root, and serves a certificate of another CA.
    OldCertificate,
    /// It shows the certificate of somebody else: whoever answers there proves nothing for this one.
    AnotherName,
    /// It shows the certificate of the same daemon on another host, and has a pair of its own.
    PairOfAnother,
    /// Nothing to ask: its bundle was not brought.
    NoBundle,
    /// It has a port, and nothing says which.
    NoPort,
    /// Nothing to ask: its last renewal, when it loaded the bundle, was before the bundle came.
    BeforeBundle,
    /// Nothing to ask, and its last renewal is dated by a clock that was fast.
    DatedWrongly,
    /// Nothing to ask, and the ledger knows nothing of it.
    NoRenewal,
    /// A controller that would sign with another CA.
    SignsOtherwise,
    /// Nothing to ask: the last certificate of this name is the old CA's.
    OldInLedger,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => {
                "nobody answers on the daemon's port; start it, or leave it out with --skip if it is dead"
            }
            Self::MayRun => {
                "nobody answers there, and slurmctld does not say that it is powered down (scontrol show node); if it \
                 does not run, leave it out with --skip"
            }
            Self::NotTls => "the daemon's port does not speak TLS; see TLSType in its slurm.conf",
            Self::NotLoaded => {
                "the new root is not loaded there; bring the bundle (slurm-pki node push NODE --ca-only), then restart the \
                 daemon, or wait for a slurmd's next renewal; see that its clock is right too"
            }
            Self::NotAsked => "what answers there asks for no certificate, as Slurm's daemons do; see the port",
            Self::OldCertificate => {
                "a certificate of the old CA is served; restart slurmctld, slurmdbd or slurmrestd, and wait for a \
                 slurmd's next renewal, or slurm-pki node reissue"
            }
            Self::AnotherName => {
                "somebody else's certificate is served; see that NodeAddr and the port are its own, and who answers \
                 there"
            }
            Self::PairOfAnother => {
                "the certificate of the same daemon on another host is served, and this one's own pair is another or cannot \
                 be read; see who answers at its address"
            }
            Self::NoBundle => {
                "its programs cannot be asked, and begin did not bring the bundle there; bring it (slurm-pki node push HOST \
                 --ca-only), restart its sackd, and leave it out with --skip then"
            }
            Self::NoPort => {
                "nothing says where this daemon listens; set probe = \"host:port\" in its [daemons] section, or leave it \
                 out with --skip once it was restarted"
            }
            Self::BeforeBundle => {
                "its last renewal was before the bundle came, and it has the old one loaded; wait for the next, or \
                 restart sackd; one with a static pair leave out with --skip after its restart"
            }
            Self::DatedWrongly => {
                "its last renewal is dated by a clock that was fast, so nobody can tell whether it came before the bundle; \
                 see to the clocks (chronyc tracking), then restart sackd; one with a static pair leave out with --skip \
                 after its restart"
            }
            Self::NoRenewal => {
                "the ledger knows no certificate of this name, so nobody can tell what its sackd has loaded; restart \
                 sackd, and leave it out with --skip if it got its certificate elsewhere"
            }
            Self::SignsOtherwise => {
                "this controller does not sign with the new CA; copy <state_dir>/ca there, owners and all, see slurm-pki \
                 ca show there, or leave it out with --skip"
            }
            Self::OldInLedger => {
                "the last certificate of this name is the old CA's and cannot be asked for; have it renewed, or leave \
                 it out with --skip if it is gone"
            }
        })
    }
}

/// Every daemon with a port: nodes, controllers, slurmdbd, and slurmrestd where the config names its port.
///
/// # Errors
/// When the site's files cannot be read.
pub(super) fn targets(admin: &Admin, members: &Members, now: UnixTime) -> anyhow::Result<Vec<Target>> {
    let nodes = members.all().iter().flat_map(|member| &member.nodes).map(|node| Target {
        name: node.name.to_string(),
        certificate: node.name.to_string(),
        daemon: None,
        address: Address { host: node.address.clone(), port: node.port, only_ipv6: false }
            .by(admin.slurm.as_ref()),
        comes_and_goes: node.comes_and_goes,
    });
    let mut all: Vec<_> = nodes.collect();
    all.extend(dynamic_nodes(admin, members, now)?);
    for (daemon, role) in [(Daemon::Ctld, Role::Ctld), (Daemon::Dbd, Role::Dbd), (Daemon::Restd, Role::Restd)]
    {
        all.extend(of_daemon(admin, daemon, &members.with(role).collect::<Vec<_>>())?);
    }
    Ok(all)
}

/// Nodes that are in slurmctld's memory alone; there are none without MaxNodeCount (slurm.conf(5)). Root of one host can
/// register any number of them: they count where the ledger has a certificate of theirs.
fn dynamic_nodes(admin: &Admin, members: &Members, now: UnixTime) -> anyhow::Result<Vec<Target>> {
    if admin.slurm.as_ref().and_then(|slurm| slurm.get("MaxNodeCount")).is_none() {
        return Ok(Vec::new());
    }
    let known = KnownNodes::ask().map_err(|why| {
        Advice::new(
            format!("which dynamic nodes there are cannot be told: {why:#}"),
            "see that scontrol show nodes --json works on this host, and run this again",
        )
    })?;
    let in_files =
        |name: &str| NodeName::parse(name.as_bytes()).is_ok_and(|name| members.node(&name).is_some());
    let alive = Alive::of(admin, now)?;
    let dynamic = known.all().filter(|(name, _)| !in_files(name));
    let (counting, others): (Vec<_>, Vec<_>) = dynamic.partition(|(name, _)| alive.has(name));
    if !others.is_empty() {
        let names = hostlist::fold_texts(others.iter().map(|(name, _)| name.as_str()));
        report::warning(&format!(
            "dynamic nodes without a certificate in the ledger here are not asked: {names}; if they are yours, see that they \
             have the new root"
        ));
    }
    Ok(counting
        .into_iter()
        .map(|(name, node)| Target {
            name: name.clone(),
            certificate: name.clone(),
            daemon: None,
            address: Address { host: node.address.clone(), port: node.port, only_ipv6: false }
                .by(admin.slurm.as_ref()),
            comes_and_goes: true,
        })
        .collect())
}

/// One daemon on each of its hosts. Where there are not several, the config knows best where it listens; else Slurm's files
/// do, and the config where those do not.
fn of_daemon(admin: &Admin, daemon: Daemon, hosts: &[&Member]) -> anyhow::Result<Vec<Target>> {
    let config = DaemonConfig::read(&admin.config, &admin.controller, daemon).advise()?;
    let target = |name: &str, address| Target {
        name: name.to_owned(),
        certificate: daemon.program().to_owned(),
        daemon: Some(daemon),
        address,
        comes_and_goes: false,
    };
    let given = config.probe.as_deref().map(|probe| activation::given(daemon, probe)).transpose()?;
    if let (Some(given), [] | [_]) = (&given, hosts) {
        let name = hosts.first().map_or(daemon.program(), |member| &member.host);
        return Ok(vec![target(name, given.clone())]);
    }
    let mut all = Vec::new();
    for member in hosts {
        let there = |given: &Address| Address { host: member.host.clone(), ..given.clone() };
        let address = usual_address(admin, daemon, member)?.or_else(|| given.as_ref().map(there));
        all.extend(address.map(|address| target(&member.host, address)));
    }
    Ok(all)
}

/// Where Slurm's own files say that it listens; slurmrestd's they do not.
fn usual_address(admin: &Admin, daemon: Daemon, member: &Member) -> anyhow::Result<Option<Address>> {
    let Some(slurm) = &admin.slurm else { return Ok(None) };
    Ok(match daemon {
        Daemon::Ctld => {
            let host = slurm.controller_address(&member.host).unwrap_or(&member.host);
            Some(activation::by_slurm(daemon, host, slurm.slurmctld_port())?.by(Some(slurm)))
        }
        Daemon::Dbd => {
            let own = SlurmConf::load_from(&slurm.path().with_file_name("slurmdbd.conf"))?;
            let address = activation::by_slurm(daemon, &member.host, slurm.slurmdbd_port(own.as_ref()))?;
            Some(address.by(own.as_ref().or(Some(slurm))))
        }
        _ => None,
    })
}

/// Asks all of them, many at once.
///
/// # Errors
/// When no certificate can be made to ask with.
pub(super) fn ask(
    files: &SiteFiles<'_>,
    state: &State,
    new: &X509,
    targets: Vec<Target>,
    now: UnixTime,
) -> anyhow::Result<Vec<Answer>> {
    if targets.is_empty() {
        return Ok(Vec::new());
    }
    let parallel = FleetConfig::read(&files.admin.config).advise()?.parallel;
    let pair = pair_to_show(files, state, new, now)?;
    let bar = report::progress(files.global, targets.len(), "asking every daemon");
    let answers = in_parallel(parallel, &bar, targets, |target| {
        let answer = judged(&target, &pair, new);
        (target, answer)
    });
    bar.finish_and_clear();
    Ok(without_those_away(answers))
}

/// A node that may be away and does not answer has shown it only where slurmctld says that it is: it gets its pair and the
/// bundle of its image when it comes. One that runs behind a broken network does not.
fn without_those_away(mut answers: Vec<Answer>) -> Vec<Answer> {
    if !answers.iter().any(|(_, answer)| *answer == Err(Lack::MayRun)) {
        return answers;
    }
    match KnownNodes::ask() {
        Ok(known) => {
            for (target, answer) in &mut answers {
                if *answer == Err(Lack::MayRun) && known.is_off(&target.name) {
                    *answer = Ok(None);
                }
            }
        }
        Err(why) => report::warning(&format!("slurmctld does not tell who is powered down: {why:#}")),
    }
    answers
}

fn judged(target: &Target, pair: &Pair, new: &X509) -> Result<Option<String>, Lack> {
    let probe = Probe { address: &target.address, tls12_only: true, client: Some(pair), wait: WAIT };
    match probe.run() {
        Ok(served) if !served.asked => Err(Lack::NotAsked),
        Ok(served) => match served.leaf() {
            Some(leaf) if !leaf.is_issued_by(new) => Err(Lack::OldCertificate),
            Some(leaf) if target.is_named_by(leaf) => Ok(Some(leaf.fingerprint())),
            _ => Err(Lack::AnotherName),
        },
        Err(ProbeError::Unreachable(_)) if target.comes_and_goes => Err(Lack::MayRun),
        Err(ProbeError::Unreachable(_) | ProbeError::Own(_)) => Err(Lack::Unreachable),
        Err(ProbeError::NotTls(_)) => Err(Lack::NotTls),
        Err(ProbeError::Refused(_) | ProbeError::Silent) => Err(Lack::NotLoaded),
    }
}

/// A pair that exists in memory alone, recorded like all others.
fn pair_to_show(files: &SiteFiles<'_>, state: &State, new: &X509, now: UnixTime) -> anyhow::Result<Pair> {
    let controller = &files.admin.controller;
    let ca = files.new_ca(state, new)?;
    let name = ca.own_name();
    let key = PrivateKey::generate(KeyKind::P256).advise()?;
    let public = key.public().advise()?;
    let (dns, subject) = (vec![name.to_owned()], &controller.subject);
    let plan = Plan::for_daemon(name, dns, public, subject, LIFE, controller.backdate, now);
    let certificate = ca.issue(new, &plan, &key, now)?;
    Ledger::of(controller).record("slurm-pki", &Entry::of(&certificate, &plan, now)).advise()?;
    Ok(Pair { chain: certificate.to_pem().as_bytes().to_vec(), key: key.to_pem() })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use site::config::{ConfigFile, ControllerConfig};

    use super::*;

    fn asked(slurm: &str, config: &str) -> anyhow::Result<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("slurm.conf");
        fs::write(&path, slurm).unwrap();
        let config = ConfigFile::parse(&folder.path().join("c.toml"), config.as_bytes()).unwrap();
        let controller = ControllerConfig::read(&config).unwrap();
        let admin = Admin { config, controller, slurm: SlurmConf::load_from(&path).unwrap() };
        let targets = targets(&admin, &Members::of(&admin)?, UnixTime(0))?;
        let shown = |target: &Target| format!("{} {}", target.name, target.address);
        Ok(targets.iter().map(shown).collect::<Vec<_>>().join(", "))
    }

    const TWO: &str =
        "SlurmctldHost=c1(10.0.0.1)\nSlurmctldHost=c2\nSlurmctldPort=7000-7003\nNodeName=n1 Port=7010\n";

    #[test]
    fn slurms_files_say_where_and_the_config_where_they_do_not() {
        assert_eq!(asked(TWO, "").unwrap(), "n1 n1:7010, c1 10.0.0.1:7000, c2 c2:7000");
        let restd = "[fleet]\nrestd = \"r[1-2]\"\n[daemons.restd]\nprobe = \"r1:6820\"\n";
        let all = asked(TWO, restd).unwrap();
        assert!(all.ends_with(", r1 r1:6820, r2 r2:6820"), "{all}");
        let probe = "[daemons.ctld]\nprobe = \"vip:7001\"\n";
        assert_eq!(asked("SlurmctldHost=c1\n", probe).unwrap(), "c1 vip:7001");
    }

    #[test]
    fn a_port_that_is_none_is_not_guessed() {
        for bad in ["0", "x", "70000"] {
            assert!(asked(&format!("SlurmctldHost=c1\nSlurmctldPort={bad}\n"), "").is_err(), "{bad}");
        }
        assert!(asked("SlurmctldHost=c1\n", "[daemons.ctld]\nprobe = \"c1\"\n").is_err());
    }

    #[test]
    fn a_name_with_its_domain_is_the_same_name() {
        for (one, other) in [("n1", "n1"), ("n1", "N1.example.org"), ("n1.example.org", "n1")] {
            assert!(are_one(one.as_bytes(), other.as_bytes()), "{one} {other}");
        }
        for (one, other) in [("n1", "n10"), ("n1", "n1x.org"), ("n1.a", "n1.b"), ("n1", ""), (".org", "")] {
            assert!(!are_one(one.as_bytes(), other.as_bytes()), "{one} {other}");
        }
    }
}
