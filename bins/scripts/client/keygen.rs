//! `keygen_script`: makes the key of one client command. Any user, any environment, every squeue.

use std::process::ExitCode;

use contract::Output;
use pki::key::PrivateKey;
use site::config::ClientConfig;

fn main() -> ExitCode {
    contract::run("keygen", |_| {
        let config = ClientConfig::load_or_default();
        Ok(Output::Secret(PrivateKey::generate_pem(config.key_type)?))
    })
}
