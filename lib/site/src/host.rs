//! This host's name, as the kernel has it: no resolver is ever asked, because a static program must
//! not load one (ARCHITECTURE.md).

/// The node name of uname(2): what gethostname() gives to Slurm, often but not always the FQDN.
#[must_use]
pub fn full() -> Vec<u8> {
    rustix::system::uname().nodename().to_bytes().to_vec()
}

/// The part before the first dot.
#[must_use]
pub fn short() -> Vec<u8> {
    short_of(&full()).to_vec()
}

/// The part of `name` before its first dot.
#[must_use]
pub fn short_of(name: &[u8]) -> &[u8] {
    name.split(|byte| *byte == b'.').next().unwrap_or(name)
}

/// The short name where it is safe in a file name, else a fixed word.
#[must_use]
pub fn for_file_name() -> String {
    match pki::name::NodeName::parse(&short()) {
        Ok(name) => name.to_string(),
        Err(_) => "host".into(),
    }
}
