//! What Slurm gave us. The seven have no options: their arguments come from the network, and a node may
//! be called `--help`.

use std::os::unix::ffi::OsStringExt as _;

use pki::secret::Secret;

use crate::error::Error;

/// A program's arguments, copied: the originals are wiped. Bytes of any kind, each bounded by the kernel
/// to 128 KiB.
#[derive(Debug)]
pub struct Arguments(Vec<Secret>);

impl Arguments {
    /// Copies this process's arguments, and says how long its own name before them is. Once and for all:
    /// each call of `args_os` makes copies of all of them, and drops unwiped what is not taken.
    pub(crate) fn copy() -> (Self, Option<usize>) {
        let mut all = std::env::args_os().map(|argument| Secret::new(argument.into_vec()));
        let name_length = all.next().map(|name| name.expose().len());
        (Self(all.collect()), name_length)
    }

    /// Exactly one argument, which may be empty: a node's name or a request.
    ///
    /// # Errors
    /// When there are none, or more.
    pub fn one(&self, what: &str) -> Result<&[u8], Error> {
        match self.0.as_slice() {
            [one] => Ok(one.expose()),
            all => Err(wrong_count(all.len(), &format!("one, the {what}"))),
        }
    }

    /// A node's name and its token; `None` for the token where there is but one argument: Slurm leaves it
    /// out when a node sent none (slurm-contract.md 1.1).
    ///
    /// # Errors
    /// When there are other than one or two.
    pub fn name_and_token(&self) -> Result<(&[u8], Option<&[u8]>), Error> {
        match self.0.as_slice() {
            [name, token] => Ok((name.expose(), Some(token.expose()))),
            [name] => Ok((name.expose(), None)),
            all => Err(wrong_count(all.len(), "two, the node's name and its token")),
        }
    }

    /// The first argument, if it is there and not empty.
    #[must_use]
    pub fn first(&self) -> Option<&[u8]> {
        self.0.first().map(Secret::expose).filter(|argument| !argument.is_empty())
    }
}

fn wrong_count(count: usize, wanted: &str) -> Error {
    Error::new(
        &format!("{count} arguments, where Slurm gives {wanted}"),
        "this program is for CertmgrParameters in slurm.conf and has no options; people use: slurm-pki",
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn the_programs_own_name_is_measured_and_is_no_argument() {
        let given: Vec<_> = std::env::args_os().map(OsStringExt::into_vec).collect();
        let (arguments, name_length) = Arguments::copy();
        assert_eq!(name_length, Some(given[0].len()));
        assert_eq!(arguments.0.iter().map(Secret::expose).collect::<Vec<_>>(), given[1..]);
    }
}
