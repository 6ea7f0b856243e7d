//! `jwt token`.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;
use support::openssl;
use support::programs::{copy_for_everybody, program};

use crate::scratch::{Scratch, caller, text};
use crate::{folder, hs256_by_openssl, site, slurm_conf};

fn with_key(parameters: &str) -> Scratch {
    let site = site(parameters);
    site.done(&["jwt", "key", "init"]);
    site
}

/// Header and claims.
fn parts(token: &str) -> (Value, Value) {
    let parts: Vec<_> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "{token}");
    let read =
        |part: &str| serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap();
    (read(parts[0]), read(parts[1]))
}

#[test]
fn it_is_what_scontrol_prints_and_openssl_makes_the_same_signature() {
    let site = with_key("");
    let said = site.done(&["jwt", "token"]).0;
    let token = said.strip_prefix("SLURM_JWT=").unwrap().strip_suffix('\n').unwrap();
    let (header, claims) = parts(token);
    assert_eq!(header, serde_json::json!({"alg": "HS256", "typ": "JWT"}));
    let lifespan = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!((lifespan, claims.as_object().unwrap().len()), (1800, 3));
    let key = fs::read(site.path("state/jwt_hs256.key")).unwrap();
    let theirs = hs256_by_openssl(&key, &header.to_string(), &claims.to_string());
    assert_eq!(token, theirs);
    assert!(!site.done(&["jwt", "token", "--raw"]).0.contains("SLURM_JWT"));
}

#[test]
fn a_file_for_it_is_for_nobody_else_and_replaced_whole() {
    let site = with_key("");
    let out = site.text_path("t.env");
    site.write("t.env", "old", 0o644);
    let (said, _) = site.done(&["jwt", "token", "--lifespan", "8h", "--out", &out]);
    assert!(!said.contains("SLURM_JWT"), "{said}");
    assert_eq!(fs::metadata(&out).unwrap().mode() & 0o7777, 0o600);
    let written = site.read("t.env");
    let (_, claims) = parts(written.trim_end().strip_prefix("SLURM_JWT=").unwrap());
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 28_800);
    let before = site.everything();
    assert!(site.done(&["jwt", "token", "--out", &out, "--dry-run"]).0.contains("would make"));
    assert_eq!(site.everything(), before);
}

#[test]
fn nothing_endless_is_made_by_accident() {
    let site = with_key("");
    for args in [&["--lifespan", "infinite"][..], &["--lifespan", "2y"], &["--lifespan", "0"]] {
        let output = site.run(&[&["jwt", "token"], args].concat());
        assert_eq!((output.status.code(), output.stdout.len()), (Some(64), 0), "{args:?}");
    }
    let said = site.done(&["jwt", "token", "--raw", "--lifespan", "infinite", "--until-key-changes"]).0;
    let (_, claims) = parts(said.trim_end());
    let lifespan = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(lifespan, i64::from(i32::MAX) - 1);
}

#[test]
fn a_user_whom_nobody_knows_gets_none() {
    let site = with_key("");
    assert!(site.refused(&["jwt", "token", "--user", "nobody-here"]).contains("knows no user"));
}

#[test]
fn the_identity_is_the_hosts() {
    let site = with_key("");
    let said = site.done(&["jwt", "token", "--raw", "--user", "daemon", "--identity"]).0;
    let (_, claims) = parts(said.trim_end());
    let id = |flag: &str| {
        let output = std::process::Command::new("id").args([flag, "daemon"]).output().unwrap();
        text(&output.stdout).trim().to_owned()
    };
    assert_eq!(claims["uid"].to_string(), id("-u"));
    assert_eq!(claims["gid"].to_string(), id("-g"));
    assert_eq!((&claims["id"]["name"], &claims["sun"]), (&"daemon".into(), &"daemon".into()));
    assert!(claims["id"]["dir"].as_str().unwrap().starts_with('/'));
}

/// A user who can read the key by its group is held to what scontrol would hold them to.
#[test]
fn ordinary_users_are_held_to_scontrols_rules() {
    if caller() != 0 {
        // Only root can become another user; what root runs is the rest of this file.
        return;
    }
    let site = with_key("max_token_lifespan=600");
    let key = site.path("state/jwt_hs256.key");
    let gid = fs::metadata(&key).unwrap().gid();
    let as_daemon = |args: &[&str]| {
        let program = copy_for_everybody(&program("slurm-pki"), &site.path("."));
        let mut command = site.command(&program);
        command.args(["jwt", "token", "--raw"]).args(args).uid(1).gid(gid);
        command.output().unwrap()
    };
    let refused = as_daemon(&[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("scontrol token"), "{}", text(&refused.stderr));
    std::os::unix::fs::chown(&key, Some(0), None).unwrap();
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o440)).unwrap();
    let lifespan = |output: std::process::Output| {
        assert!(output.status.success(), "{}", text(&output.stderr));
        let (_, claims) = parts(text(&output.stdout).trim_end());
        assert_eq!(claims["sun"], "daemon");
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap()
    };
    assert_eq!(lifespan(as_daemon(&[])), 600, "the usual half hour is cut");
    assert_eq!(lifespan(as_daemon(&["--lifespan", "60"])), 60);
    let said = |args: &[&str]| text(&as_daemon(args).stderr);
    assert!(said(&["--lifespan", "601"]).contains("max_token_lifespan=600"));
    assert!(said(&["--user", "root"]).contains("only root and SlurmUser"));
    assert!(site.run(&["jwt", "token", "--lifespan", "601"]).status.success(), "root is exempt");
    slurm_conf(&site, "disable_token_creation");
    assert!(said(&[]).contains("disable_token_creation"));
}

#[test]
fn rs256_is_signed_once_the_list_has_the_key_and_openssl_verifies_it() {
    let site = site("");
    let list = site.text_path("jwks.json");
    slurm_conf(&site, &format!("jwks={list}"));
    folder(&site, "keys", 0o700);
    let key = site.text_path("keys/k.pem");
    site.done(&["jwt", "key", "init", "--rs256", "--kid", "a", "--out", &key]);
    let token = ["jwt", "token", "--raw", "--kid", "a", "--key", &key];
    assert!(site.refused(&token).contains("has no key a"));
    site.done(&["jwt", "jwks", "build", &key, "--kid", "a", "--keep", "--out", &list]);
    let said = site.done(&token).0;
    let (header, _) = parts(said.trim_end());
    assert_eq!(header, serde_json::json!({"alg": "RS256", "kid": "a", "typ": "JWT"}));
    let (signed, signature) = said.trim_end().rsplit_once('.').unwrap();
    fs::write(site.path("sig"), BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap()).unwrap();
    site.write("pub.pem", &openssl::public_of_key(&site.read("keys/k.pem")), 0o644);
    let (public, signature) = (site.text_path("pub.pem"), site.text_path("sig"));
    let args = ["dgst", "-sha256", "-verify", &public, "-signature", &signature];
    assert_eq!(openssl::read(&args, signed.as_bytes()).trim(), "Verified OK");
    assert!(site.refused(&["jwt", "token", "--kid", "b", "--key", &key]).contains("has no key b"));
}
