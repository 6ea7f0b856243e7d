//! Who listens at a port of this host. Slurm's ports are above 1023: while a daemon is down, any user can answer there, and
//! is not to have it started that way.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;

use site::config::Daemon;
use site::file::Owner;

use crate::admin::{Admin, caller, owner_name};
use crate::cert::target::{Place, Target};
use crate::probe::Address;

/// TCP_LISTEN, as the kernel shows it.
const LISTENS: &str = "0A";

/// The name of a user who has nothing to do with the daemon and listens where it should; `None` where there is none, or where
/// that cannot be told: on other hosts, and of slurmrestd, which runs as anybody.
pub(crate) fn stranger(admin: &Admin, target: &Target, at: &[Address]) -> Option<String> {
    if target.place != Place::Here || !matches!(target.daemon, Daemon::Ctld | Daemon::Dbd) {
        return None;
    }
    let mut own = BTreeSet::from([0, caller().uid]);
    own.extend(admin.slurm_user().map(|owner| owner.uid));
    own.extend(target.config.key.metadata().map(|is| is.uid()));
    let uid = users_at(at).into_iter().find(|uid| !own.contains(uid))?;
    Some(owner_name(Owner { uid, gid: 0 }))
}

fn users_at(at: &[Address]) -> BTreeSet<u32> {
    let places: Vec<SocketAddr> = at.iter().filter_map(|one| one.places().ok()).flatten().collect();
    let tables =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let listeners = tables.iter().flat_map(|table| table.lines()).filter_map(listener);
    listeners
        .filter(|(place, _)| places.iter().any(|one| is_reached(*one, *place)))
        .map(|(_, uid)| uid)
        .collect()
}

fn is_reached(asked: SocketAddr, listens: SocketAddr) -> bool {
    let ip = listens.ip().to_canonical();
    asked.port() == listens.port() && (ip.is_unspecified() || ip == asked.ip().to_canonical())
}

/// Where a line of the kernel's table says that somebody listens, and who made that socket (proc_pid_net(5)).
fn listener(line: &str) -> Option<(SocketAddr, u32)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (place, state, uid) = (words.get(1)?, words.get(3)?, words.get(7)?);
    if *state != LISTENS {
        return None;
    }
    let (ip, port) = place.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((SocketAddr::new(address(ip)?, port), uid.parse().ok()?))
}

/// Words of 32 bits, each as it lies in memory.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            Some(Ipv6Addr::from(<[u8; 16]>::try_from(words.concat()).ok()?).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn whoever_listens_is_found_at_its_address_and_no_other() {
        for (bound, asked) in
            [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "127.0.0.2")]
        {
            let socket = TcpListener::bind((bound, 0)).unwrap();
            let at =
                Address { host: asked.into(), port: socket.local_addr().unwrap().port(), only_ipv6: false };
            let wanted = if asked == "127.0.0.2" { BTreeSet::new() } else { BTreeSet::from([caller().uid]) };
            assert_eq!(users_at(std::slice::from_ref(&at)), wanted, "{bound} {asked}");
            drop(socket);
            assert_eq!(users_at(&[at]), BTreeSet::new());
        }
    }

    #[test]
    fn addresses_of_both_kinds_are_read() {
        let bytes = |hex: &str| address(hex).map(|ip| ip.to_string());
        if cfg!(target_endian = "little") {
            assert_eq!(bytes("0100007F").as_deref(), Some("127.0.0.1"));
            assert_eq!(bytes("00000000000000000000000001000000").as_deref(), Some("::1"));
        }
        assert_eq!((bytes("0100"), bytes("xxxxxxxx"), listener("  sl  local_address")), (None, None, None));
    }
}
