//! The stand-in, judged by clients that are not ours: hvac, the Python library for Vault, and vaultrs, a Rust one.

use std::env;
use std::process::Command;

use vault_stand_in::StandIn;

#[test]
fn hvac_finds_in_the_stand_in_what_it_expects_of_vault() {
    // Made by the step `hvac` of `cargo xtask test`.
    let python = env::var_os("SLURM_PKI_HVAC_PYTHON").map_or_else(
        || support::programs::workspace().join("target/hvac/bin/python"),
        std::path::PathBuf::from,
    );
    assert!(python.exists(), "no {}: cargo xtask test --only hvac", python.display());
    let server = StandIn::of_its_own();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, server.ca()).unwrap();
    let script = support::programs::workspace().join("tests/in_vault/foreign_client.py");
    let output = Command::new(&python)
        .arg(script)
        .env_clear()
        .env("VAULT_ADDR", server.address())
        .env("VAULT_CACERT", &ca)
        .env("VAULT_TOKEN", server.root_token())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn so_does_vaultrs() {
    // Made by the step `vaultrs` of `cargo xtask test`.
    let judge = support::programs::workspace().join("target/vaultrs/debug/vaultrs-judge");
    assert!(judge.exists(), "no {}: cargo xtask test --only vaultrs", judge.display());
    let server = StandIn::of_its_own();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, server.ca()).unwrap();
    let request = Command::new("openssl")
        .args(["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-keyout", "/dev/null", "-subj", "/CN=n1"])
        .output()
        .unwrap();
    let output = Command::new(&judge)
        .env_clear()
        .env("VAULT_ADDR", server.address())
        .env("VAULT_CACERT", &ca)
        .env("VAULT_TOKEN", server.root_token())
        .env("JUDGE_CSR", String::from_utf8(request.stdout).unwrap())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}
