//! Where a daemon answers, and whether it is meant to speak TLS at all, by Slurm's own files.

use pki::name::NodeName;
use site::config::Daemon;

use crate::admin::Admin;
use crate::advice::Advice;
use crate::cert::target::{Place, Target};
use crate::members::Members;
use crate::probe::Address;
use crate::slurm_conf::SlurmConf;

/// How a daemon can be asked what it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// At each of these: several slurmd of one host may share a pair.
    At(Vec<Address>),
    /// Nobody knows: sackd has no port, and slurmrestd's is in no file of Slurm's.
    Unknown,
    /// Slurm's files do not turn TLS on for it.
    NoTls,
}

impl Port {
    /// By the section's `probe`, else by slurm.conf and slurmdbd.conf.
    ///
    /// # Errors
    /// When a file cannot be read, is missing, or names no port.
    pub(crate) fn of(admin: &Admin, members: &Members, target: &Target) -> anyhow::Result<Self> {
        let port = Self::named(admin, members, target)?;
        let Self::At(addresses) = port else { return Ok(port) };
        let slurm = admin.slurm.as_ref();
        let dbd = match slurm.filter(|_| target.daemon == Daemon::Dbd) {
            Some(slurm) => SlurmConf::load_from(&slurm.path().with_file_name("slurmdbd.conf"))?,
            None => None,
        };
        let conf = dbd.as_ref().or(slurm);
        Ok(Self::At(addresses.into_iter().map(|address| address.by(conf)).collect()))
    }

    fn named(admin: &Admin, members: &Members, target: &Target) -> anyhow::Result<Self> {
        let given = target.config.probe.as_deref().map(|probe| given(target.daemon, probe)).transpose()?;
        // slurmrestd speaks TLS whenever it is told to listen on https (slurm-contract.md 3.5).
        if target.daemon == Daemon::Restd
            && let Some(given) = given
        {
            return Ok(Self::At(vec![at_target(target, given)]));
        }
        let slurm = admin.slurm.as_ref().ok_or_else(|| no_slurm_conf(target.daemon))?;
        let dbd = SlurmConf::load_from(&slurm.path().with_file_name("slurmdbd.conf"))?;
        let own = if target.daemon == Daemon::Dbd { dbd.as_ref().unwrap_or(slurm) } else { slurm };
        if !own.has_tls() {
            return Ok(Self::NoTls);
        }
        if let Some(given) = given {
            return Ok(Self::At(vec![at_target(target, given)]));
        }
        let host = target.place.host();
        match target.daemon {
            Daemon::Ctld => {
                let named = slurm.controllers().iter().find(|named| same_host(named, &target.place));
                let address = named.and_then(|named| slurm.controller_address(named));
                Ok(Self::At(vec![address_of(target, address, slurm.slurmctld_port())?]))
            }
            Daemon::Dbd => {
                let port = slurm.slurmdbd_port(dbd.as_ref());
                let address = dbd.as_ref().and_then(|dbd| dbd.get("DbdAddr"));
                Ok(Self::At(vec![address_of(target, address.filter(|_| target.place == Place::Here), port)?]))
            }
            Daemon::Slurmd => of_nodes(members, &target.nodes, &host),
            Daemon::Restd | Daemon::Sackd => Ok(Self::Unknown),
        }
    }
}

fn same_host(named: &str, place: &Place) -> bool {
    match place {
        Place::Here => crate::members::is_this_host(named),
        Place::On(host) => named == host,
    }
}

fn of_nodes(members: &Members, nodes: &[NodeName], host: &str) -> anyhow::Result<Port> {
    let lines = nodes.iter().filter_map(|name| members.node(name));
    let addresses: Vec<Address> =
        lines.map(|node| Address { host: node.address.clone(), port: node.port, only_ipv6: false }).collect();
    if addresses.is_empty() {
        return Err(Advice::new(
            format!("slurm.conf names no node on {host}, so nobody knows where its slurmd answers"),
            "give it a NodeName line, or set probe in [daemons.slurmd]",
        )
        .into());
    }
    Ok(Port::At(addresses))
}

/// What a section's `probe` says.
///
/// # Errors
/// When that is no address.
pub(crate) fn given(daemon: Daemon, probe: &str) -> anyhow::Result<Address> {
    Address::parse(probe).ok_or_else(|| {
        Advice::new(
            format!("[daemons.{}] probe = {probe:?} is not like host:port", daemon.short()),
            "give the host and port at which the daemon answers",
        )
        .into()
    })
}

/// `probe` is written for one host; on the others it is the port that counts.
fn at_target(target: &Target, given: Address) -> Address {
    match &target.place {
        Place::Here => given,
        Place::On(host) => Address { host: host.clone(), ..given },
    }
}

fn address_of(target: &Target, address: Option<&str>, port: &str) -> anyhow::Result<Address> {
    let host = match (&target.place, address) {
        (_, Some(address)) => address.to_owned(),
        (Place::Here, None) => "localhost".into(),
        (Place::On(host), None) => host.clone(),
    };
    by_slurm(target.daemon, &host, port)
}

/// What Slurm's own files say.
///
/// # Errors
/// When that is no address.
pub(crate) fn by_slurm(daemon: Daemon, host: &str, port: &str) -> anyhow::Result<Address> {
    match port.parse() {
        Ok(port) if port != 0 && crate::members::is_host(host) => {
            Ok(Address { host: host.to_owned(), port, only_ipv6: false })
        }
        _ => Err(Advice::new(
            format!("{host}:{port} is no address that {daemon} could answer at"),
            format!("mend it in Slurm's files, or set probe in [daemons.{}]", daemon.short()),
        )
        .into()),
    }
}

fn no_slurm_conf(daemon: Daemon) -> anyhow::Error {
    Advice::new(
        format!("there is no slurm.conf here, so nobody knows whether {daemon} speaks TLS"),
        "run this where slurm.conf is, or name the file in SLURM_CONF",
    )
    .into()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use site::config::{ConfigFile, ControllerConfig, DaemonConfig};

    use super::*;

    fn port(
        slurm: &str,
        dbd: Option<&str>,
        config: &str,
        daemon: Daemon,
        place: Place,
    ) -> anyhow::Result<Port> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("slurm.conf");
        fs::write(&path, slurm).unwrap();
        if let Some(dbd) = dbd {
            fs::write(folder.path().join("slurmdbd.conf"), dbd).unwrap();
        }
        let config = ConfigFile::parse(&folder.path().join("c.toml"), config.as_bytes()).unwrap();
        let controller = ControllerConfig::read(&config).unwrap();
        let daemon_config = DaemonConfig::read(&config, &controller, daemon).unwrap();
        let admin = Admin { config, controller, slurm: SlurmConf::load_from(&path).unwrap() };
        let members = Members::of(&admin).unwrap();
        let nodes = members.all().iter().filter(|member| member.host == place.host());
        let nodes = nodes.flat_map(|member| member.nodes.iter().map(|node| node.name.clone())).collect();
        Port::of(&admin, &members, &Target { daemon, place, config: daemon_config, nodes })
    }

    fn at(port: anyhow::Result<Port>) -> String {
        match port.unwrap() {
            Port::At(addresses) => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            other => format!("{other:?}"),
        }
    }

    fn on(host: &str) -> Place {
        Place::On(host.to_owned())
    }

    const TLS: &str = "TLSType=tls/s2n\nSlurmctldHost=h1(10.0.0.1)\nSlurmctldHost=h2\nSlurmctldPort=7000-7003\n\
        NodeName=n[1-2] NodeHostname=h3 Port=[7,8]\n";

    #[test]
    fn slurms_files_say_where_a_daemon_answers() {
        assert_eq!(at(port(TLS, None, "", Daemon::Ctld, on("h1"))), "10.0.0.1:7000");
        assert_eq!(at(port(TLS, None, "", Daemon::Ctld, on("h2"))), "h2:7000");
        assert_eq!(at(port(TLS, None, "", Daemon::Ctld, Place::Here)), "localhost:7000");
        assert_eq!(at(port(TLS, None, "", Daemon::Dbd, on("db1"))), "db1:6819");
        let dbd = Some("TLSType=tls/s2n\nDbdPort=9\nDbdAddr=127.0.0.2\n");
        assert_eq!(at(port(TLS, dbd, "", Daemon::Dbd, Place::Here)), "127.0.0.2:9");
        assert_eq!(at(port(TLS, None, "", Daemon::Slurmd, on("h3"))), "h3:7 h3:8");
        assert!(port(TLS, None, "", Daemon::Slurmd, on("h4")).is_err());
    }

    #[test]
    fn the_config_knows_better_and_on_other_hosts_its_port_counts() {
        let config = "[daemons.restd]\nprobe = \"web:6820\"\n[daemons.ctld]\nprobe = \"[::1]:5\"\n";
        assert_eq!(at(port(TLS, None, config, Daemon::Restd, Place::Here)), "web:6820");
        assert_eq!(at(port("", None, config, Daemon::Restd, on("r2"))), "r2:6820");
        assert_eq!(at(port(TLS, None, config, Daemon::Ctld, Place::Here)), "[::1]:5");
        assert!(port(TLS, None, "[daemons.ctld]\nprobe = \"h1\"\n", Daemon::Ctld, Place::Here).is_err());
    }

    #[test]
    fn where_slurm_turns_ipv4_off_the_others_are_asked() {
        let only_ipv6 = |slurm: &str, dbd: Option<&str>, daemon| match port(slurm, dbd, "", daemon, on("h2"))
        {
            Ok(Port::At(addresses)) => addresses.iter().all(|address| address.only_ipv6),
            other => panic!("{other:?}"),
        };
        let off = format!("{TLS}CommunicationParameters=EnableIPv6,DisableIPv4\n");
        assert!(only_ipv6(&off, None, Daemon::Ctld) && !only_ipv6(TLS, None, Daemon::Ctld));
        // slurmdbd goes by its own file where that is here.
        assert!(!only_ipv6(&off, Some("TLSType=tls/s2n\n"), Daemon::Dbd));
    }

    #[test]
    fn where_tls_is_off_or_no_port_is_known_that_is_said() {
        for text in ["SlurmctldHost=h1\n", "TLSType=tls/none\n", "TLSType=none\n"] {
            assert_eq!(at(port(text, None, "", Daemon::Ctld, Place::Here)), "NoTls");
        }
        // slurmdbd has a TLSType of its own.
        assert_eq!(at(port(TLS, Some("DbdHost=h1\n"), "", Daemon::Dbd, Place::Here)), "NoTls");
        for daemon in [Daemon::Restd, Daemon::Sackd] {
            assert_eq!(at(port(TLS, None, "", daemon, Place::Here)), "Unknown");
        }
    }
}
