//! `slurm-pki-signer`: a question on stdin, the answer on stdout. sign_csr and validate_node_token run it as a child
//! when `[controller]` says that the CA key or the records are in Vault; nobody else does.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;
use std::time::Instant;

use pki::explain::Explain;
use pki::secret::Secret;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use site::Error;
use site::remote::{Answer, MAX_QUESTION};

fn main() -> ExitCode {
    let begun = Instant::now();
    // It holds a token: no core dump, no look into its memory.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    match std::env::args_os().nth(1) {
        None => {}
        Some(option) if option == "--help" => return print(signer::HELP.as_bytes()),
        Some(option) if option == "--version" => {
            return print(concat!("slurm-pki-signer ", env!("CARGO_PKG_VERSION"), "\n").as_bytes());
        }
        Some(_) => return ExitCode::from(64),
    }
    let answer = question().and_then(|call| signer::answer(&call, begun));
    let answer = answer.unwrap_or_else(|e| Answer::Error { what: e.to_string(), hint: e.hint() });
    match serde_json::to_vec(&answer) {
        // The one place that writes. Tokens in clear may be in it.
        Ok(json) => print(Secret::new(json).expose()),
        Err(_) => ExitCode::FAILURE,
    }
}

fn question() -> Result<site::remote::Call, Error> {
    let bound = u64::try_from(MAX_QUESTION).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    std::io::stdin()
        .take(bound)
        .read_to_end(&mut bytes)
        .map_err(|source| Error::System { what: "read the question", source })?;
    serde_json::from_slice(&bytes).map_err(|_| Error::Missing {
        what: "no question that slurm-pki-signer understands is on standard input".into(),
        hint: "it is run by sign_csr and validate_node_token; install all of one version into one folder"
            .into(),
    })
}

fn print(text: &[u8]) -> ExitCode {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
