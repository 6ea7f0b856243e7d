//! Standard input, for the one program that may be given a key there.

use pki::secret::Secret;
use rustix::io::{Errno, read};
use rustix::stdio::stdin;

use crate::error::Error;

/// Everything on stdin, at most `limit` bytes.
///
/// # Errors
/// When it cannot be read, is longer, or empty.
pub fn read_stdin(limit: usize) -> Result<Secret, Error> {
    // Read into the one buffer that is wiped: std's stdin would keep a copy in a buffer of its own.
    let mut bytes = vec![0; limit + 1];
    let mut length = 0;
    let outcome = loop {
        match read(stdin(), bytes.get_mut(length..).unwrap_or_default()) {
            Ok(0) => break Ok(()),
            Ok(n) => length += n,
            Err(Errno::INTR) => {}
            Err(e) => break Err(e),
        }
    };
    bytes.truncate(length);
    let bytes = Secret::new(bytes);
    match (outcome, bytes.expose().len()) {
        (Ok(_), 0) | (Err(_), _) => {
            Err(Error::new("no key: neither an argument nor standard input has one", HINT))
        }
        (Ok(_), length) if length > limit => Err(Error::new("the key on standard input is too long", HINT)),
        (Ok(_), _) => Ok(bytes),
    }
}

const HINT: &str = "Slurm gives the key as the first argument; by hand: certgen \"$(keygen)\"";
