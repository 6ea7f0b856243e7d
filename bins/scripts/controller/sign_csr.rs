//! `sign_csr_script`: judges the request that slurmctld passes on, and prints a certificate.

use std::process::ExitCode;

use contract::{Error, Output};
use pki::csr::Csr;
use pki::explain::Explain;
use pki::policy::Authorisation;
use site::clock;
use site::config::{ConfigFile, ControllerConfig};
use site::ledger::{Entry, Ledger};
use site::remote::Time;
use site::signer::{self, CaFiles, Signer};
use site::store::Store;

const PROGRAM: &str = "sign_csr";

fn main() -> ExitCode {
    contract::run(PROGRAM, |arguments| {
        let request = arguments.one("certificate signing request")?;
        let config = ControllerConfig::read(&ConfigFile::load()?)?;
        let ledger = Ledger::of(&config);
        let now = clock::now();
        // One call of Slurm has one deadline, however often Vault is asked.
        let time = Time::of_one_call();
        let refuse = |node: &[u8], reason: &dyn Explain| {
            ledger.refused(PROGRAM, node, &reason.to_string(), now);
            Error::new(&reason.to_string(), &reason.hint())
        };
        let csr = Csr::parse(request).map_err(|e| refuse(b"(unknown)", &e))?;
        let node = csr.name();
        let store = Store::within(&config, time);
        let standing = store.standing(node)?;
        let ca_files = CaFiles::read(&config)?;
        let plan = signer::policy(&config, ca_files.certificates())
            .decide(&csr, &standing, now)
            .map_err(|e| refuse(node.as_str().as_bytes(), &e))?;
        // Only now, for an accepted request, is the CA key looked at.
        let certificate = Signer::open_within(&config, &ca_files, time)?.sign(&plan, &csr.to_pem(), now)?;
        ledger.record(PROGRAM, &Entry::of(&certificate, &plan, now))?;
        match plan.authorisation() {
            Authorisation::Record(id) => store.mark(node, id, true, now)?,
            Authorisation::Unbound(ids) => {
                ids.iter().try_for_each(|id| store.mark(node, id, false, now))?;
            }
            Authorisation::ListLine | Authorisation::Admin => {}
        }
        Ok(Output::Public(certificate.to_pem().to_owned()))
    })
}
