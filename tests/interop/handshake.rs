//! s2n as Slurm sets it up: policy 20230317, client certificates optional, and a host name callback
//! that says yes to everything (slurm-contract.md 3.3, 3.4).

use std::task::Poll;
use std::time::Duration;

use pki::time::UnixTime;
use s2n_tls::callbacks::{VerifyHostNameCallback, WallClock};
use s2n_tls::cert_chain;
use s2n_tls::config::{Builder, Config};
use s2n_tls::enums::{ClientAuthType, Version};
use s2n_tls::error::Error;
use s2n_tls::security::Policy;
use s2n_tls::testing::TestPair;

/// The policy that Slurm asks for by default.
const SLURM: &str = "20230317";

/// A policy of s2n's own that offers no TLS 1.3: a peer with it brings Slurm's policy down to 1.2.
const ONLY_TLS12: &str = "ELBSecurityPolicy-TLS-1-2-Ext-2018-06";

/// A handshake needs four turns; a pair that is not done after so many never will be.
const TURNS: usize = 32;

/// What one end of a connection has on its disk.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// Its certificate file and key file; a client may have none.
    pub pair: Option<(&'a [u8], &'a [u8])>,
    /// Its file of trusted certificates.
    pub trust: &'a [u8],
}

/// Which version of TLS the two settle on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// The server's policy has no TLS 1.3: the client judges under Slurm's policy.
    V12AsClient,
    /// The client's policy has no TLS 1.3: the server judges under Slurm's policy.
    V12AsServer,
    /// Both have Slurm's policy.
    V13,
}

/// All three.
pub const VERSIONS: [Tls; 3] = [Tls::V12AsClient, Tls::V12AsServer, Tls::V13];

/// Where s2n said no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum No {
    /// The files do not load: a daemon crashes (slurm-contract.md 1.3).
    Load(String),
    /// The client refused the server's chain.
    Client(String),
    /// The server refused the client's chain.
    Server(String),
}

/// Loads the files of one side, as every daemon does at its start and at each renewal.
///
/// # Errors
/// The name of s2n's error.
pub fn load(side: Side<'_>) -> Result<Config, No> {
    Ok(builder(side, SLURM)?.build().unwrap())
}

/// The same as a client that offers no TLS 1.3.
///
/// # Errors
/// The name of s2n's error.
pub fn load_for_tls12(side: Side<'_>) -> Result<Config, No> {
    Ok(builder(side, ONLY_TLS12)?.build().unwrap())
}

/// The same on a day of our choice.
///
/// # Errors
/// The name of s2n's error.
pub fn load_at(side: Side<'_>, now: UnixTime) -> Result<Config, No> {
    let mut builder = builder(side, SLURM)?;
    builder.set_wall_clock(Fixed(now)).unwrap();
    Ok(builder.build().unwrap())
}

/// Loads both sides and lets them shake hands.
///
/// # Errors
/// Where s2n said no.
pub fn handshake(server: Side<'_>, client: Side<'_>, tls: Tls) -> Result<(), No> {
    let (server_policy, client_policy) = match tls {
        Tls::V12AsClient => (ONLY_TLS12, SLURM),
        Tls::V12AsServer => (SLURM, ONLY_TLS12),
        Tls::V13 => (SLURM, SLURM),
    };
    let shows_certificate = client.pair.is_some();
    let server = builder(server, server_policy)?.build().unwrap();
    let client = builder(client, client_policy)?.build().unwrap();
    let mut pair = shake(&server, &client)?;
    let version = if tls == Tls::V13 { Version::TLS13 } else { Version::TLS12 };
    assert_eq!(pair.client.actual_protocol_version().unwrap(), version);
    assert_eq!(pair.server.client_cert_used(), shows_certificate, "the client's certificate was judged");
    assert!(pair.server.poll_send(b"hello").is_ready());
    let mut heard = [0; 5];
    assert!(matches!(pair.client.poll_recv(&mut heard), Poll::Ready(Ok(5))));
    Ok(())
}

/// Two loaded sides shake hands.
///
/// # Errors
/// Where s2n said no.
pub fn shake(server: &Config, client: &Config) -> Result<TestPair, No> {
    let mut pair = TestPair::from_configs(client, server);
    for _ in 0..TURNS {
        let client = name_of(pair.client.poll_negotiate());
        let server = name_of(pair.server.poll_negotiate());
        match (client, server) {
            (Poll::Ready(Err(why)), _) => return Err(No::Client(why)),
            (_, Poll::Ready(Err(why))) => return Err(No::Server(why)),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Ok(pair),
            _ => {}
        }
    }
    panic!("the handshake neither ended nor failed");
}

fn name_of<T>(poll: Poll<Result<T, Error>>) -> Poll<Result<(), String>> {
    poll.map(|result| result.map(|_| ()).map_err(|e| e.name().to_owned()))
}

fn builder(side: Side<'_>, policy: &str) -> Result<Builder, No> {
    let no = |e: Error| No::Load(e.name().to_owned());
    let mut builder = Builder::new();
    builder.with_system_certs(false).unwrap();
    builder.set_security_policy(&Policy::from_version(policy).unwrap()).unwrap();
    builder.set_client_auth_type(ClientAuthType::Optional).unwrap();
    builder.set_verify_host_callback(YesToAll).unwrap();
    builder.trust_pem(side.trust).map_err(no)?;
    if let Some((chain, key)) = side.pair {
        let mut pair = cert_chain::Builder::new().unwrap();
        pair.load_pem(chain, key).map_err(no)?;
        builder.load_chain(pair.build().map_err(no)?).map_err(no)?;
    }
    Ok(builder)
}

struct YesToAll;

impl VerifyHostNameCallback for YesToAll {
    fn verify_host_name(&self, _: &str) -> bool {
        true
    }
}

struct Fixed(UnixTime);

impl WallClock for Fixed {
    fn get_time_since_epoch(&self) -> Duration {
        Duration::from_secs(self.0.0.unsigned_abs())
    }
}
