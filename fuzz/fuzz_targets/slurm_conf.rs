//! A slurm.conf of any bytes is read without a panic, and every host that it names as a controller is kept as
//! text without an address. Includes would lead out of the input: such lines are left out.
#![no_main]
use libfuzzer_sys::fuzz_target;

// Programs' modules: there is no library to take them from.
#[path = "../../bins/slurm-pki/src/advice.rs"]
mod advice;
#[path = "../../bins/slurm-pki/src/slurm_conf.rs"]
mod slurm_conf;
#[path = "../../bins/slurm-pki/src/slurm_files.rs"]
mod slurm_files;
#[path = "../../bins/slurm-pki/src/slurm_lines.rs"]
mod slurm_lines;

fuzz_target!(|text: &[u8]| {
    if text.to_ascii_lowercase().windows(7).any(|word| word == b"include") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slurm.conf");
    std::fs::write(&path, text).unwrap();
    let conf = slurm_conf::SlurmConf::load_from(&path).unwrap().unwrap();
    assert_eq!(conf.path(), path);
    assert!(conf.controllers().iter().all(|host| !host.contains('(')));
});
