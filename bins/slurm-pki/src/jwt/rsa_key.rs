//! RSA keys, which `ring` cannot make: the crate `rsa` makes them, and nothing else; `ring` signs with them.

use pki::key::PrivateKey;
use pki::secret::Secret;
use rsa::pkcs8::{EncodePrivateKey as _, LineEnding};

use crate::advice::{Advice, Advise as _};

/// Bits of the modulus: good beyond 2030 (NIST SP 800-57 part 1, table 4), and verified as quickly as one of 2048 in all
/// that slurmctld notices.
pub(super) const BITS: usize = 3072;

/// Makes a key, and reads it back by the rules that all keys here are read by.
///
/// # Errors
/// When the kernel gives no random bytes.
pub(super) fn generate() -> anyhow::Result<(PrivateKey, Secret)> {
    let failed = || Advice::new("no RSA key could be made", "check that getrandom(2) works for this process");
    let key = rsa::PrivateKey::new(&mut getrandom::SysRng, BITS).map_err(|_| failed())?;
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|_| failed())?;
    let key = PrivateKey::from_pem(pem.as_bytes()).advise()?;
    let pem = key.to_pem();
    Ok((key, pem))
}
