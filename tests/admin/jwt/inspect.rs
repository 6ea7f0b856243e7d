//! `jwt inspect`: token × release × verdict, with tokens that openssl made.

use std::fs;

use serde_json::Value;
use support::openssl;

use crate::scratch::{Scratch, text};
use crate::{LATER, hs256_by_openssl, rs256_by_openssl, site, slurm_conf, with_input};

const HS256: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

fn with_key(parameters: &str) -> (Scratch, Vec<u8>) {
    let site = site(parameters);
    site.done(&["jwt", "key", "init"]);
    let key = fs::read(site.path("state/jwt_hs256.key")).unwrap();
    (site, key)
}

/// The exit code, and why each release refuses it.
#[track_caller]
fn judged(site: &Scratch, token: &str) -> (i32, Vec<String>) {
    let output = with_input(site, &["jwt", "inspect", "--json"], token);
    let said = text(&output.stdout);
    let document: Value =
        serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}{}", text(&output.stderr)));
    assert_eq!(document["schema"], "slurm-pki.jwt.inspect.v1");
    let signature = token.trim_end().rsplit_once('.').unwrap().1;
    assert!(signature.is_empty() || !said.contains(signature), "the token is shown");
    let releases = document["data"]["releases"].as_array().unwrap().clone();
    let why = |release: &Value| release["why"].as_str().unwrap_or("takes it").to_owned();
    (output.status.code().unwrap(), releases.iter().map(why).collect())
}

/// All releases say the same.
#[track_caller]
fn all_say(site: &Scratch, token: &str, code: i32, words: &str) {
    let (exit, why) = judged(site, token);
    assert_eq!(exit, code, "{why:?}");
    assert!(why.iter().all(|why| why.contains(words)), "{why:?}, not {words}");
}

#[test]
fn what_every_release_takes_or_refuses() {
    let (site, key) = with_key("userclaimfield=preferred_username");
    let good = |claims: &str| hs256_by_openssl(&key, HS256, &format!("{{\"exp\":{LATER},{claims}}}"));
    for (token, code, words) in [
        (good(r#""sun":"root""#), 0, "takes it"),
        (good(r#""username":"root""#), 0, "takes it"),
        (good(r#""preferred_username":"root","sub":"x""#), 0, "takes it"),
        (good(r#""sun":"root","nbf":99999999999,"iss":"x","aud":["y"]"#), 0, "takes it"),
        (good(r#""sub":"root""#), 1, "names a user"),
        (good(r#""sun":"nobody-here""#), 1, "knows no user nobody-here"),
        (hs256_by_openssl(&key, HS256, r#"{"sun":"root"}"#), 1, "no exp"),
        (hs256_by_openssl(&key, HS256, r#"{"sun":"root","exp":"32503680000"}"#), 1, "no exp"),
        (hs256_by_openssl(&key, HS256, r#"{"sun":"root","exp":1700000000}"#), 1, "it ended 2023-11-14"),
        (hs256_by_openssl(b"another", HS256, r#"{"sun":"root","exp":32503680000}"#), 1, "signature"),
        (
            hs256_by_openssl(&key, r#"{"alg":"none"}"#, r#"{"sun":"root","exp":32503680000}"#),
            1,
            "alg is none",
        ),
        (hs256_by_openssl(&key, r#"{"alg":"RS256","kid":"a"}"#, "{}"), 1, "there is no jwks"),
    ] {
        all_say(&site, &token, code, words);
    }
}

#[test]
fn a_token_of_scontrols_line_or_a_file_is_read_and_nothing_else() {
    let (site, key) = with_key("");
    let token = hs256_by_openssl(&key, HS256, &format!("{{\"exp\":{LATER},\"sun\":\"root\"}}"));
    all_say(&site, &format!("SLURM_JWT={token}\n"), 0, "takes it");
    site.write("t", &token, 0o600);
    let shown = site.done(&["jwt", "inspect", &site.text_path("t")]).0;
    assert!(shown.contains("by jwt_key") && shown.contains("26.05.3    takes it"), "{shown}");
    assert!(!shown.contains(token.rsplit_once('.').unwrap().1));
    for bad in ["", "x", "a.b.c", &"a".repeat(1024 * 1024)] {
        let output = with_input(&site, &["jwt", "inspect"], bad);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
        assert!(text(&output.stderr).contains("it is no token"), "{}", text(&output.stderr));
    }
}

#[test]
fn without_the_key_everything_else_is_judged_and_said_so() {
    let (site, key) = with_key("");
    let token = |exp: i64| hs256_by_openssl(&key, HS256, &format!("{{\"exp\":{exp},\"sun\":\"root\"}}"));
    let (good, ended) = (token(LATER), token(1));
    fs::remove_file(site.path("state/jwt_hs256.key")).unwrap();
    assert_eq!(judged(&site, &good).0, 2);
    assert_eq!(judged(&site, &ended).0, 1);
    let output = with_input(&site, &["jwt", "inspect"], &good);
    assert!(text(&output.stdout).contains("signature  not looked at: "), "{}", text(&output.stdout));
}

/// 26.05 alone reads identities, and 26.05.0 has its test upside down.
#[test]
fn an_identity_is_judged_by_each_release_for_itself() {
    let (site, key) = with_key("use_jwt_client_ids");
    let token = |user: &str, name: &str| {
        let claims = format!(
            r#"{{"exp":{LATER},"sun":"{user}","uid":5,"gid":5,"id":{{"name":"{name}","gecos":"x","dir":"/x","shell":"/x"}}}}"#
        );
        hs256_by_openssl(&key, HS256, &claims)
    };
    let (code, why) = judged(&site, &token("nobody-here", "nobody-here"));
    assert_eq!(code, 1);
    assert!(why[0].contains("knows no user") && why[1].contains("knows no user"), "{why:?}");
    assert!(why[2].contains("user's own") && why[3] == "takes it", "{why:?}");
    let (_, why) = judged(&site, &token("root", "nobody-here"));
    assert_eq!((why[0].as_str(), why[2].as_str()), ("takes it", "takes it"));
    assert!(why[3].contains("another user's"), "{why:?}");
    slurm_conf(&site, "use_jwt_client_ids_only");
    let bare = hs256_by_openssl(&key, HS256, &format!("{{\"exp\":{LATER},\"sun\":\"root\"}}"));
    let (_, why) = judged(&site, &bare);
    assert_eq!(why[1], "takes it");
    assert!(why[2].contains("uid is not complete") && why[3].contains("uid is not complete"), "{why:?}");
}

/// Before 26.05.3 a key that does not say its alg is never matched: Entra ID leaves it out.
#[test]
fn an_rs256_token_is_judged_by_the_list() {
    let site = site("");
    let list = site.text_path("jwks.json");
    slurm_conf(&site, &format!("jwks={list}"));
    let (key, other) = (openssl::new_key("RSA", &[]), openssl::new_key("RSA", &[]));
    site.write("a.pem", &key, 0o600);
    site.done(&["jwt", "jwks", "build", &site.text_path("a.pem"), "--kid", "a", "--out", &list]);
    let claims = format!("{{\"exp\":{LATER},\"sun\":\"root\"}}");
    let header = |kid: &str| format!(r#"{{"alg":"RS256","kid":"{kid}","typ":"at+jwt"}}"#);
    let good = rs256_by_openssl(&site, &key, &header("a"), &claims);
    all_say(&site, &good, 0, "takes it");
    all_say(&site, &rs256_by_openssl(&site, &key, &header("b"), &claims), 1, "no key b");
    all_say(&site, &rs256_by_openssl(&site, &key, r#"{"alg":"RS256"}"#, &claims), 1, "no kid");
    all_say(&site, &rs256_by_openssl(&site, &other, &header("a"), &claims), 1, "signature");
    let shown = with_input(&site, &["jwt", "inspect"], &good);
    assert!(text(&shown.stdout).contains("at+jwt"), "{}", text(&shown.stdout));
    let without_alg = site.read("jwks.json").replace(r#""alg":"RS256","#, "");
    site.write("jwks.json", &without_alg, 0o644);
    let (code, why) = judged(&site, &good);
    assert_eq!((code, why[3].as_str()), (1, "takes it"));
    assert!(why[..3].iter().all(|why| why.contains("no key a")), "{why:?}");
}
