//! The kernel's random bytes.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

use crate::error::Error;

/// `N` random bytes.
///
/// # Errors
/// When getrandom(2) fails, which it does only where it is forbidden.
pub fn bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut all = [0; N];
    let mut rest = all.as_mut_slice();
    while !rest.is_empty() {
        match getrandom(&mut *rest, GetRandomFlags::empty()) {
            Ok(0) => return Err(failed(io::ErrorKind::UnexpectedEof.into())),
            Ok(n) => rest = rest.get_mut(n..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(failed(e.into())),
        }
    }
    Ok(all)
}

fn failed(source: io::Error) -> Error {
    Error::System { what: "get random bytes", source }
}
