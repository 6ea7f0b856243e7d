//! What every client command does first: a key and a certificate for itself alone.

use pki::loads_in_s2n;

use super::scratch::Scratch;
use crate::checks::{Checks, Looked};
use crate::handshake::{self, Pair};
use crate::programs::{CERTGEN, KEYGEN};

/// The part of the demo that this is.
pub(super) const CLIENT: &str = "client";

/// keygen, certgen, and a daemon's call back to the command. The first failure ends it.
pub(super) fn run(site: &Scratch, checks: &mut Checks) -> Option<()> {
    let answer = |program: &str, argv: &[&[u8]]| {
        let run = site.slurm.run(&site.programs.path(program), argv);
        run.answer().ok_or_else(|| run.failure())
    };
    let key = answer(KEYGEN, &[]).map(|key| (key, "a private key".to_owned()));
    let key = checks.note(looked("keygen", KEYGEN.to_owned()), key)?;
    let certificate = answer(CERTGEN, &[key.expose()]).and_then(|chain| {
        loads_in_s2n::own_pair(chain.expose(), key.expose()).map_err(|e| e.to_string())?;
        Ok((chain, "a self-signed certificate for it".to_owned()))
    });
    let chain = checks.note(looked("certgen", format!("{CERTGEN} KEY")), certificate)?;
    let result = handshake::pinned(&Pair { chain: chain.expose().to_vec(), key });
    let result = result.map(|()| ((), "TLS with that certificate as the only trust anchor".to_owned()));
    checks.note(looked("tls", "handshake of a daemon with the command".to_owned()), result)
}

fn looked(step: &'static str, what: String) -> Looked<'static> {
    Looked { part: CLIENT, subject: "", step, what }
}
