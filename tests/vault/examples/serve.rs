//! The stand-in as a server to try things on, as `vault server -dev` or `bao server -dev` would be one:
//!
//!     cargo run --package vault-stand-in --example serve -- FOLDER > env &
//!     . ./env
//!
//! It listens on a loopback port until it is killed, writes the CA of its certificate to `FOLDER/ca.pem`, and prints what a
//! client needs. Everything in it is gone at its end, and nothing in it is protected.

use std::io::{self, Write as _};
use std::path::PathBuf;

use vault_stand_in::StandIn;

fn main() -> io::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| io::Error::other("name a folder for ca.pem"))?;
    let server = StandIn::of_its_own();
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, server.ca())?;
    let text = format!(
        "export VAULT_ADDR={}\nexport VAULT_TOKEN={}\nexport VAULT_CACERT={}\n",
        server.address(),
        server.root_token(),
        ca.display()
    );
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    loop {
        std::thread::park();
    }
}
