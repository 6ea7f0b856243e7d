//! The `openssl` command.

use std::path::Path;
use std::process::{Command, Output};

/// Runs `openssl` in a folder of its own, with these files in it; its output, or what it complained of.
///
/// # Errors
/// Standard error, when it did not exit with 0.
pub fn openssl(files: &[(&str, &[u8])], args: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let output = run(folder.path(), args);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn run(folder: &Path, args: &str) -> Output {
    Command::new("openssl")
        .args(args.split_ascii_whitespace())
        .current_dir(folder)
        .output()
        .expect("openssl 3 is needed: install the package openssl")
}

/// `openssl verify` of a chain file, leaf first, as server and as client.
///
/// # Errors
/// What it complained of.
pub fn verify(chain: &[u8], trust: &[u8]) -> Result<(), String> {
    let files = [("chain.pem", chain), ("trust.pem", trust)];
    for purpose in ["sslserver", "sslclient"] {
        let args = format!(
            "verify -purpose {purpose} -partial_chain -no-CApath -no-CAstore -CAfile trust.pem \
             -untrusted chain.pem chain.pem"
        );
        openssl(&files, &args)?;
    }
    Ok(())
}
