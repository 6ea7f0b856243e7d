//! `slurm-pki jwt`: keys, tokens that openssl verifies, what each release makes of a token, and an identity provider's keys
//! over real TLS.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a broken premise stops the test"
)]

mod fetch;
mod inspect;
mod key;
mod lists;
mod provider;
#[path = "../scratch.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod scratch;
mod token;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::{Output, Stdio};

use data_encoding::BASE64URL_NOPAD;
use support::openssl;
use support::programs::program;

use crate::scratch::{Scratch, text};

/// A controller with auth/jwt and a StateSaveLocation of SlurmUser's, as Slurm's guide has it.
fn site(parameters: &str) -> Scratch {
    let scratch = Scratch::new();
    slurm_conf(&scratch, parameters);
    folder(&scratch, "state", 0o755);
    folder(&scratch, "pki", 0o755);
    let pki = scratch.text_path("pki");
    scratch.write("slurm-pki.toml", &format!("state_dir = \"{pki}\"\n"), 0o644);
    scratch
}

fn slurm_conf(scratch: &Scratch, parameters: &str) {
    let state = scratch.text_path("state");
    scratch.slurm_conf(&format!(
        "SlurmctldHost=h1\nStateSaveLocation={state}\nAuthAltTypes=auth/jwt\nAuthAltParameters={parameters}\n"
    ));
}

/// A folder of SlurmUser's.
fn folder(scratch: &Scratch, name: &str, mode: u32) {
    let path = scratch.path(name);
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    chown(&path, Some(scratch.slurm_user.1), None).unwrap();
}

/// Runs a command with something on stdin.
fn with_input(scratch: &Scratch, args: &[&str], input: &str) -> Output {
    let mut command = scratch.command(&program("slurm-pki"));
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may end before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// A token by openssl, somebody else's maker: any header, any claims, HS256 with these bytes.
fn hs256_by_openssl(key: &[u8], header: &str, claims: &str) -> String {
    let signed = signed_part(header, claims);
    let hex = data_encoding::HEXLOWER.encode(key);
    let args = ["dgst", "-sha256", "-mac", "HMAC", "-macopt", &format!("hexkey:{hex}"), "-binary"];
    let output = openssl::openssl(&args, signed.as_bytes());
    assert!(output.status.success(), "{}", text(&output.stderr));
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&output.stdout))
}

/// The same with RS256 and a private key in PEM.
fn rs256_by_openssl(scratch: &Scratch, key: &str, header: &str, claims: &str) -> String {
    let signed = signed_part(header, claims);
    scratch.write("signing.pem", key, 0o600);
    let output =
        openssl::openssl(&["dgst", "-sha256", "-sign", &scratch.text_path("signing.pem")], signed.as_bytes());
    assert!(output.status.success(), "{}", text(&output.stderr));
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&output.stdout))
}

fn signed_part(header: &str, claims: &str) -> String {
    let part = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    format!("{}.{}", part(header), part(claims))
}

/// Far enough away for any clock.
const LATER: i64 = 32_503_680_000;
