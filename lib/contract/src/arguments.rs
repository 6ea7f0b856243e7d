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
    /// Copies this process's arguments, its name left out.
    pub(crate) fn copy() -> Self {
        Self(std::env::args_os().skip(1).map(|argument| Secret::new(argument.into_vec())).collect())
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

    /// Exactly two arguments, a node's name and its token.
    ///
    /// # Errors
    /// When there are not two. Slurm leaves the token out when a node sent none (contract.md 1.1): such
    /// a request is not valid.
    pub fn name_and_token(&self) -> Result<(&[u8], &[u8]), Error> {
        match self.0.as_slice() {
            [name, token] => Ok((name.expose(), token.expose())),
            [_] => Err(Error::new(
                "token rejected: there is none",
                "the node sent no token; see that get_node_token_script works there",
            )),
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
