//! Programs that slurm.conf names and that are not ours: a rehearsal runs only its own.

use std::fs;
use std::path::Path;

use crate::parameters::Parameters;
use crate::programs::{GENERATE_CSR, GET_CERT_KEY, GET_NODE_TOKEN, Programs, SIGN_CSR, VALIDATE_NODE_TOKEN};
use crate::slurm_conf::SlurmConf;

/// The parameters of CertmgrParameters, and what we have for them.
const PARAMETERS: [(&str, &str); 5] = [
    ("get_node_token_script", GET_NODE_TOKEN),
    ("generate_csr_script", GENERATE_CSR),
    ("get_node_cert_key_script", GET_CERT_KEY),
    ("validate_node_script", VALIDATE_NODE_TOKEN),
    ("sign_csr_script", SIGN_CSR),
];

/// A line for each parameter that leads to another file than ours.
pub(super) fn named_in(slurm: Option<&SlurmConf>, programs: &Programs) -> Vec<String> {
    let parameters = Parameters::of(slurm.and_then(|conf| conf.get("CertmgrParameters")));
    let foreign = |(key, program): (&str, &str)| {
        let path = parameters.get(key)?;
        let differs = !same_file(Path::new(path), &programs.path(program));
        differs.then(|| format!("{path}, which slurm.conf names in {key}="))
    };
    PARAMETERS.into_iter().filter_map(foreign).collect()
}

/// The same, with the programs beside this command.
pub(crate) fn foreign_here(slurm: Option<&SlurmConf>) -> Vec<String> {
    Programs::beside_this().map_or_else(|_| Vec::new(), |programs| named_in(slurm, &programs))
}

/// A link to a program is that program.
pub(crate) fn same_file(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
