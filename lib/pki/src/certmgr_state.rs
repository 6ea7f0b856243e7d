//! `certmgr_state`: what slurmd keeps of its certificate over a restart (slurm-contract.md 2).
//!
//! Slurm's own form of packing, integers big-endian: the protocol version (2 bytes), the time of the last
//! renewal (8), then certificate and private key, each as a length (4 bytes, the NUL at its end counted) and
//! so many bytes. The key is compared with the certificate and never kept.

use std::fmt;

use crate::explain::Explain;
use crate::key::MAX_KEY_PEM;
use crate::loads_in_s2n::{self, MAX_CHAIN_PEM, Unloadable};
use crate::time::UnixTime;
use crate::x509::{X509, X509Error};

/// Longest state that is read: both texts at their own bounds, and the numbers.
pub const MAX_STATE: usize = MAX_CHAIN_PEM + MAX_KEY_PEM + 64;

/// A state, without its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertmgrState {
    /// The version of Slurm's protocol that wrote it.
    pub protocol: u16,
    /// When slurmd got this certificate.
    pub renewed: UnixTime,
    /// Leaf, then intermediates.
    pub chain: Vec<X509>,
    /// Whether s2n loads certificate and key together: where not, slurmd crashes at its next start.
    pub loads: Result<(), Unloadable>,
}

/// Why bytes are no state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateError {
    /// It ends before its last field does.
    Short,
    /// A text of no length, or of more than its bound.
    Length,
    /// A text without its NUL, or with another one inside.
    Nul,
    /// A time before 1970, or past the end of time.
    Time,
    /// The certificate cannot be read.
    Certificate(X509Error),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("it ends too early"),
            Self::Length => f.write_str("a text in it has an impossible length"),
            Self::Nul => f.write_str("a text in it does not end where it says"),
            Self::Time => f.write_str("its time of renewal is no time"),
            Self::Certificate(e) => write!(f, "its certificate cannot be read: {e}"),
        }
    }
}

impl Explain for StateError {
    fn hint(&self) -> String {
        "slurmd will not use it either and ask slurmctld again: see that its token file is there".into()
    }
}

impl CertmgrState {
    /// Reads a state. What a later Slurm may add after the key is not looked at.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(bytes: &[u8]) -> Result<Self, StateError> {
        let mut rest = bytes;
        let protocol = u16::from_be_bytes(take(&mut rest)?);
        let renewed = i64::try_from(u64::from_be_bytes(take(&mut rest)?)).map_err(|_| StateError::Time)?;
        let cert = text(&mut rest, MAX_CHAIN_PEM)?;
        let key = text(&mut rest, MAX_KEY_PEM)?;
        let chain = X509::all_from_pem(cert, MAX_CHAIN_PEM).map_err(StateError::Certificate)?;
        let loads = loads_in_s2n::own_pair(cert, key).map(|_| ());
        Ok(Self { protocol, renewed: UnixTime(renewed), chain, loads })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], StateError> {
    let (first, after) = rest.split_first_chunk().ok_or(StateError::Short)?;
    *rest = after;
    Ok(*first)
}

/// A packed text without its NUL.
fn text<'a>(rest: &mut &'a [u8], limit: usize) -> Result<&'a [u8], StateError> {
    let length = usize::try_from(u32::from_be_bytes(take(rest)?)).map_err(|_| StateError::Length)?;
    if !(2..=limit).contains(&length) {
        return Err(StateError::Length);
    }
    let (packed, after) = rest.split_at_checked(length).ok_or(StateError::Short)?;
    *rest = after;
    match packed.split_last() {
        Some((0, text)) if !text.contains(&0) => Ok(text),
        _ => Err(StateError::Nul),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ca::{NewCa, new_root};
    use crate::key::{KeyKind, PrivateKey};
    use crate::profile::Serial;

    fn pair() -> (String, PrivateKey) {
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        let new = NewCa {
            common_name: "n1",
            subject: &[],
            serial: Serial::new([7; 16]),
            validity: Duration::from_secs(3600),
            backdate: Duration::ZERO,
        };
        (new_root(&key, &new, UnixTime(1_700_000_000)).unwrap().to_pem(), key)
    }

    fn packed(text: &[u8]) -> Vec<u8> {
        let length = u32::try_from(text.len() + 1).unwrap().to_be_bytes();
        [&length, text, b"\0"].concat()
    }

    fn state(cert: &[u8], key: &[u8]) -> Vec<u8> {
        let time = 1_700_000_100_u64.to_be_bytes();
        [&11_008_u16.to_be_bytes()[..], &time, &packed(cert), &packed(key)].concat()
    }

    #[test]
    fn a_state_gives_version_time_and_certificate() {
        let (cert, key) = pair();
        let read = CertmgrState::parse(&state(cert.as_bytes(), key.to_pem().expose())).unwrap();
        assert_eq!((read.protocol, read.renewed), (11_008, UnixTime(1_700_000_100)));
        assert_eq!(read.chain.first().unwrap().facts().subject, "CN=n1");
        assert_eq!(read.loads, Ok(()));
    }

    #[test]
    fn a_key_of_another_certificate_is_told_and_no_key_is_shown() {
        let ((cert, _), (_, other)) = (pair(), pair());
        let key = other.to_pem();
        let read = CertmgrState::parse(&state(cert.as_bytes(), key.expose())).unwrap();
        assert_eq!(read.loads, Err(Unloadable::Pair));
        let line = std::str::from_utf8(key.expose()).unwrap().lines().nth(1).unwrap().to_owned();
        assert!(!format!("{read:?}").contains(&line));
    }

    #[test]
    fn a_state_cut_anywhere_or_with_a_wrong_length_is_refused() {
        let (cert, key) = pair();
        let whole = state(cert.as_bytes(), key.to_pem().expose());
        for end in 0..whole.len() {
            assert!(CertmgrState::parse(whole.get(..end).unwrap()).is_err(), "{end}");
        }
        let mut long = whole.clone();
        long.splice(10..14, u32::MAX.to_be_bytes());
        assert_eq!(CertmgrState::parse(&long), Err(StateError::Length));
        let mut shorter = whole.clone();
        shorter.splice(10..14, 9_u32.to_be_bytes());
        assert_eq!(CertmgrState::parse(&shorter), Err(StateError::Nul));
        assert_eq!(CertmgrState::parse(&state(b"", b"")), Err(StateError::Length));
        let mut late = whole;
        late.splice(2..10, u64::MAX.to_be_bytes());
        assert_eq!(CertmgrState::parse(&late), Err(StateError::Time));
    }
}
