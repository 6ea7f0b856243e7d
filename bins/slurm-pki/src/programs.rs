//! The seven programs, where this command finds them: in the folder of its own executable.

use std::path::{Path, PathBuf};

use crate::advice::Advice;
use crate::rehearse::same_file;

/// Prints a node's token.
pub(crate) const GET_NODE_TOKEN: &str = "get_node_token";
/// Makes a node's request.
pub(crate) const GENERATE_CSR: &str = "generate_csr";
/// Prints the key of the latest request.
pub(crate) const GET_CERT_KEY: &str = "get_cert_key";
/// Judges a token.
pub(crate) const VALIDATE_NODE_TOKEN: &str = "validate_node_token";
/// Judges a request and signs.
pub(crate) const SIGN_CSR: &str = "sign_csr";
/// Makes a client command's key.
pub(crate) const KEYGEN: &str = "keygen";
/// Makes a client command's certificate.
pub(crate) const CERTGEN: &str = "certgen";

/// All seven.
pub(crate) const SEVEN: [&str; 7] =
    [GET_NODE_TOKEN, GENERATE_CSR, GET_CERT_KEY, VALIDATE_NODE_TOKEN, SIGN_CSR, KEYGEN, CERTGEN];

/// The folder of the seven.
#[derive(Clone, Debug)]
pub(crate) struct Programs(PathBuf);

impl Programs {
    /// Looks in the folder of the running executable. A PATH could lead to other programs of these names.
    ///
    /// # Errors
    /// When one of the seven is not there.
    pub(crate) fn beside_this() -> anyhow::Result<Self> {
        let own = std::env::current_exe()?;
        let folder = own.parent().unwrap_or(Path::new("/"));
        match SEVEN.iter().find(|program| !folder.join(program).is_file()) {
            None => Ok(Self(folder.to_owned())),
            Some(missing) => Err(Advice::new(
                format!("there is no {missing} beside {}", own.display()),
                "all programs belong in one folder: install the packages slurm-pki-client, -node and \
                 -controller; in a source tree: cargo xtask build, then run the slurm-pki in target/dist/bin",
            )
            .into()),
        }
    }

    /// One of them, as an absolute path, which is all that Slurm takes.
    pub(crate) fn path(&self, program: &str) -> PathBuf {
        self.0.join(program)
    }
}

/// Whether a path of slurm.conf's is a program of ours: the file beside this command, or one of its name that only other
/// hosts have.
pub(crate) fn is_ours(path: &str, program: &str) -> bool {
    let path = Path::new(path);
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(program));
    let is_beside = beside.is_some_and(|own| same_file(path, &own));
    is_beside || path.file_name().is_some_and(|name| name == program)
}
