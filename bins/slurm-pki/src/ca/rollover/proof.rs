//! The proof before the old root goes: every daemon has the new root *loaded*, and serves a certificate of the new CA.
//!
//! A file on a disk proves nothing, for a daemon reads it when it starts. So each is asked over TLS 1.2, with a
//! certificate of the new CA and no cross certificate: the handshake completes only where the new root is loaded; where
//! it is not, s2n falls silent. Under TLS 1.3 this side could not tell (slurm-contract.md 3.5).

use std::fmt;
use std::time::Duration;

use pki::key::{KeyKind, PrivateKey};
use pki::policy::Plan;
use pki::time::UnixTime;
use pki::x509::X509;
use site::config::{Daemon, DaemonConfig, FleetConfig};
use site::ledger::{Entry, Ledger};

use super::site_files::SiteFiles;
use super::state::State;
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::fleet::in_parallel;
use crate::handshake::Pair;
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

/// slurm.conf(5), slurmdbd.conf(5).
const CTLD_PORT: u16 = 6817;
const DBD_PORT: u16 = 6819;

/// A daemon to be asked.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The node, or the daemon's host.
    pub(super) name: String,
    /// The name in its certificate: the node's, or slurmctld, slurmdbd, slurmrestd.
    pub(super) certificate: String,
    address: Address,
    /// Whether it need not be there now.
    comes_and_goes: bool,
}

/// What is missing for the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lack {
    /// No connection.
    Unreachable,
    /// Something else than TLS.
    NotTls,
    /// The new root is not loaded there.
    NotLoaded,
    /// It never asked for a certificate: no daemon of Slurm's, or no proof.
    NotAsked,
    /// It has the new root, and serves a certificate of another CA.
    OldCertificate,
    /// Nothing to ask: its bundle was not brought.
    NoBundle,
    /// It has a port, and nothing says which.
    NoPort,
    /// Nothing to ask: its last renewal, when it loaded the bundle, was before the bundle came.
    BeforeBundle,
    /// Nothing to ask: the last certificate of this name is the old CA's.
    OldInLedger,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => {
                "nobody answers on the daemon's port; start it, or leave it out with --skip if it is dead"
            }
            Self::NotTls => "the daemon's port does not speak TLS; see TLSType in its slurm.conf",
            Self::NotLoaded => {
                "the new root is not loaded there; bring the bundle (slurm-pki ca rollover begin), then restart the \
                 daemon, or wait for a slurmd's next renewal"
            }
            Self::NotAsked => "what answers there asks for no certificate, as Slurm's daemons do; see the port",
            Self::OldCertificate => {
                "a certificate of the old CA is served; restart slurmctld, slurmdbd or slurmrestd, and wait for a \
                 slurmd's next renewal, or slurm-pki node reissue"
            }
            Self::NoBundle => {
                "its programs cannot be asked, and the bundle was not brought there; do that, or leave it out with \
                 --skip once it has the bundle"
            }
            Self::NoPort => {
                "nothing says where this daemon listens; set probe = \"host:port\" in its [daemons] section, or leave it \
                 out with --skip once it was restarted"
            }
            Self::BeforeBundle => {
                "its last renewal was before the bundle came, and it has the old one loaded; wait for the next, or \
                 restart sackd"
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
pub(super) fn targets(admin: &Admin, members: &Members) -> anyhow::Result<Vec<Target>> {
    let nodes = members.all().iter().flat_map(|member| &member.nodes).map(|node| Target {
        name: node.name.to_string(),
        certificate: node.name.to_string(),
        address: Address { host: node.address.clone(), port: node.port },
        comes_and_goes: node.comes_and_goes,
    });
    let mut all: Vec<_> = nodes.collect();
    for (daemon, role) in [(Daemon::Ctld, Role::Ctld), (Daemon::Dbd, Role::Dbd), (Daemon::Restd, Role::Restd)]
    {
        all.extend(of_daemon(admin, daemon, &members.with(role).collect::<Vec<_>>())?);
    }
    Ok(all)
}

/// One daemon on each of its hosts. Where the config names a port, and there are not several hosts, it is that one.
fn of_daemon(admin: &Admin, daemon: Daemon, hosts: &[&Member]) -> anyhow::Result<Vec<Target>> {
    let config = DaemonConfig::read(&admin.config, &admin.controller, daemon).advise()?;
    let target = |name: &str, address| Target {
        name: name.to_owned(),
        certificate: daemon.program().to_owned(),
        address,
        comes_and_goes: false,
    };
    if let (Some(probe), [] | [_]) = (&config.probe, hosts) {
        let name = hosts.first().map_or(daemon.program(), |member| &member.host);
        return Ok(vec![target(name, parsed(probe, daemon)?)]);
    }
    let mut all = Vec::new();
    for member in hosts {
        let address = usual_address(admin, daemon, member)?;
        all.extend(address.map(|address| target(&member.host, address)));
    }
    Ok(all)
}

fn parsed(text: &str, daemon: Daemon) -> anyhow::Result<Address> {
    Address::parse(text).ok_or_else(|| {
        let what = format!("[daemons.{}] probe = {text:?} is not host:port", daemon.short());
        Advice::new(what, "write it as in \"ctl1:6817\"").into()
    })
}

/// Where Slurm's own files say that it listens; slurmrestd's they do not.
fn usual_address(admin: &Admin, daemon: Daemon, member: &Member) -> anyhow::Result<Option<Address>> {
    let Some(slurm) = &admin.slurm else { return Ok(None) };
    let host = || slurm.controller_address(&member.host).unwrap_or(&member.host).to_owned();
    Ok(match daemon {
        Daemon::Ctld => {
            let port = port(slurm.get("SlurmctldPort")).unwrap_or(CTLD_PORT);
            Some(Address { host: host(), port })
        }
        Daemon::Dbd => {
            let own = SlurmConf::load_from(&slurm.path().with_file_name("slurmdbd.conf"))?;
            let port = port(own.as_ref().and_then(|own| own.get("DbdPort")))
                .or_else(|| port(slurm.get("AccountingStoragePort")));
            Some(Address { host: member.host.clone(), port: port.unwrap_or(DBD_PORT) })
        }
        _ => None,
    })
}

/// The first of a range: slurmctld listens on all of them.
fn port(text: Option<&str>) -> Option<u16> {
    text?.split('-').next()?.parse().ok().filter(|port| *port != 0)
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
) -> anyhow::Result<Vec<(Target, Result<(), Lack>)>> {
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
    Ok(answers)
}

fn judged(target: &Target, pair: &Pair, new: &X509) -> Result<(), Lack> {
    let probe = Probe { address: &target.address, tls12_only: true, client: Some(pair), wait: WAIT };
    match probe.run() {
        Ok(served) if !served.asked => Err(Lack::NotAsked),
        Ok(served) if served.leaf().is_some_and(|leaf| leaf.is_issued_by(new)) => Ok(()),
        Ok(_) => Err(Lack::OldCertificate),
        // It gets its pair and the bundle of its image when it comes.
        Err(ProbeError::Unreachable(_)) if target.comes_and_goes => Ok(()),
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
    use super::*;

    #[test]
    fn slurmctlds_first_port_is_asked() {
        assert_eq!(port(Some("6817-6819")), Some(6817));
        assert_eq!(port(Some("7000")), Some(7000));
        for none in [None, Some(""), Some("0"), Some("x"), Some("70000")] {
            assert_eq!(port(none), None, "{none:?}");
        }
    }
}
