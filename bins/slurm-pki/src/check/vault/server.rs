//! The server itself: whether it answers, how its clock goes, until when its certificate lives.

use std::time::{Duration, Instant};

use signer::{Door, of_vault};
use site::clock;
use site::config::VaultConfig;
use vault::sys;

use super::super::expiry;
use super::super::finding::Findings;
use super::super::scene::Scene;
use crate::handshake::Pair;
use crate::moment;
use crate::probe::{Address, Probe};

/// What a certificate of Vault's may begin later than ours without anybody noticing is its role's not_before_duration; a
/// clock that is off by more than this will be by more than that.
const CLOCK_WARN: i64 = 60;

/// sign_csr takes an end this much later than it planned, and no more.
const CLOCK_CRITICAL: i64 = 300;

/// How many seconds its clock is ahead of ours; `None` when it cannot be asked anything else.
pub(super) fn look(scene: &Scene, config: &VaultConfig, found: &mut Findings) -> Option<i64> {
    let client = match Door::Nobody.open(config, Instant::now() + config.deadline) {
        Ok(client) => client,
        Err(e) => {
            found.file_error("vault-config", &e);
            return None;
        }
    };
    certificate(scene, config, found);
    let begun = Instant::now();
    let health = match sys::health(&client) {
        Ok(health) => health,
        Err(e) => {
            found.critical_error("vault-reach", &of_vault(e));
            return None;
        }
    };
    found.ok("vault-reach", format!("Vault {} answers at {}", health.version, client.address()));
    let ahead = clock_of(health.server_time_utc, begun, found);
    if !health.initialized {
        let fix = "vault operator init, then slurm-pki vault setup";
        found.critical("vault-sealed", "Vault was never initialised", fix);
        return None;
    }
    if health.sealed {
        let what = "Vault is sealed: no node gets a certificate until it is unsealed";
        found.critical("vault-sealed", what, "vault operator unseal");
        return None;
    }
    found.ok("vault-sealed", "Vault is unsealed");
    let role = if health.standby {
        "a standby, which sends requests on to the active one"
    } else {
        "the active one"
    };
    found.ok("vault-ha", format!("this server is {role}"));
    Some(ahead)
}

fn clock_of(theirs: i64, begun: Instant, found: &mut Findings) -> i64 {
    if theirs == 0 {
        found.not_looked_at("Vault's clock: it does not tell the time");
        return 0;
    }
    // Whatever the answer took, its clock was read within that time.
    let slack = i64::try_from(begun.elapsed().as_secs()).unwrap_or(0) + 1;
    let ahead = theirs - clock::now().0;
    let apart = ahead.abs() - slack;
    let span = moment::span(Duration::from_secs(ahead.unsigned_abs()));
    let way = if ahead > 0 { "ahead of" } else { "behind" };
    let what = format!("Vault's clock is {span} {way} this host's");
    let fix = "set both by NTP: certificates begin and end by Vault's clock, and are judged by ours";
    match apart {
        _ if apart > CLOCK_CRITICAL => found.critical("vault-clock", what, fix),
        _ if apart > CLOCK_WARN => found.warning("vault-clock", what, fix),
        _ => found.ok("vault-clock", "Vault's clock and this host's agree"),
    }
    ahead
}

/// What the listener shows, whoever signed it: that is judged with the first request.
fn certificate(scene: &Scene, config: &VaultConfig, found: &mut Findings) {
    let Some(host) = config.address.as_deref().and_then(|address| address.strip_prefix("https://")) else {
        return found.not_looked_at("the certificate of Vault's listener: it has no TLS");
    };
    let host = host.trim_end_matches('/');
    let with_port = || Address::parse(&format!("{host}:443"));
    let Some(address) = Address::parse(host).or_else(with_port) else { return };
    let pair = config.identity().ok().flatten();
    let pair = pair.map(|(chain, key)| Pair { chain: chain.expose().to_vec(), key });
    let probe = Probe { address: &address, tls12_only: false, client: pair.as_ref(), wait: config.deadline };
    // Whatever is wrong with the connection, the first request says it better.
    let Ok(served) = probe.run() else { return };
    let Some(leaf) = served.leaf() else { return };
    let fix = "renew the certificate of Vault's listener";
    let what = format!("the certificate of Vault at {address}");
    expiry::look(found, "vault-certificate", &what, leaf, &scene.thresholds, scene.now, fix);
}
