//! `certgen_script`: makes the self-signed certificate of one client command, for the key in argv (as
//! Slurm gives it: slurm-contract.md 4) or on stdin (as its manual says).

use std::process::ExitCode;

use contract::Output;
use pki::ca::client_certificate;
use pki::key::PrivateKey;
use pki::profile::Serial;
use site::config::ClientConfig;
use site::{clock, random};

fn main() -> ExitCode {
    contract::run("certgen", |arguments| {
        let key = match arguments.first() {
            Some(pem) => PrivateKey::from_pem(pem)?,
            None => PrivateKey::from_pem(contract::read_stdin(pki::key::MAX_KEY_PEM)?.expose())?,
        };
        let config = ClientConfig::load_or_default();
        let name = config.common_name_here();
        let serial = Serial::new(random::bytes()?);
        let certificate =
            client_certificate(&key, &name, serial, config.validity, config.backdate, clock::now())?;
        Ok(Output::Public(certificate))
    })
}
