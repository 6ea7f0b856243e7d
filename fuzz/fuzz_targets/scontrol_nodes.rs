//! What claims to be scontrol's JSON gives names or an error; each name then is a hostlist's matter.
#![no_main]
use libfuzzer_sys::fuzz_target;

// Programs' modules: there is no library to take them from.
#[path = "../../bins/slurm-pki/src/advice.rs"]
mod advice;
#[path = "../../bins/slurm-pki/src/hostlist.rs"]
mod hostlist;
#[path = "../../bins/slurm-pki/src/node/scontrol.rs"]
mod scontrol;
#[path = "../../bins/slurm-pki/src/slurm_command.rs"]
mod slurm_command;

fuzz_target!(|json: &[u8]| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nodes.json");
    std::fs::write(&path, json).unwrap();
    for name in scontrol::node_names(&path).unwrap_or_default() {
        for node in hostlist::nodes(&[name]).unwrap_or_default() {
            assert!(!node.is_reserved());
        }
    }
});
