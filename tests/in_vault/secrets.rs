//! A Vault token is in a file, in memory and inside TLS, and nowhere else.

use std::fs;
use std::process::Command;

use support::programs::program;
use support::site::files_below;

use crate::asked::Asked;

#[test]
fn no_token_in_arguments_environment_or_any_file_that_is_written() {
    let asked = Asked::new();
    let log = asked.site.path("strace");
    let status = Command::new("strace")
        .args(["-f", "-v", "-s", "65536", "-e", "trace=execve,openat,rename,unlink,sendto", "-o"])
        .arg(&log)
        .arg(program("sign_csr"))
        .arg(&asked.csr)
        .env_clear()
        .env("SLURM_PKI_CONF", asked.site.path("slurm-pki.toml"))
        .output()
        .unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    let calls = fs::read_to_string(&log).unwrap();
    assert!(calls.matches("execve(").count() >= 2 && calls.contains("slurm-pki-signer"), "{calls}");
    asked.shows_no_secret(&calls);
    let own = ["vault_token", "node/", "strace", "vault_ca"];
    for (path, contents) in files_below(&asked.site.path("")) {
        if !own.iter().any(|name| path.to_string_lossy().contains(name)) {
            asked.shows_no_secret(&String::from_utf8_lossy(&contents));
        }
    }
}

#[test]
fn the_child_takes_nothing_but_a_question() {
    for argument in ["--version", "--help"] {
        let output = Command::new(program("slurm-pki-signer")).arg(argument).output().unwrap();
        assert!(output.status.success() && output.stdout.starts_with(b"slurm-pki-signer "), "{argument}");
    }
    let output = Command::new(program("slurm-pki-signer")).arg("sign").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let output =
        Command::new(program("slurm-pki-signer")).stdin(std::process::Stdio::null()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("\"answer\":\"error\""), "{said}");
}
