//! `jwt jwks build` and `check`.

use serde_json::Value;
use support::openssl;

use crate::scratch::{Scratch, text};
use crate::{LATER, rs256_by_openssl, site, slurm_conf};

fn rsa(site: &Scratch, name: &str) -> String {
    let key = openssl::new_key("RSA", &[]);
    site.write(name, &key, 0o600);
    key
}

fn kids(text: &str) -> Vec<String> {
    let list: Value = serde_json::from_str(text).unwrap();
    list["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_key_is_the_same_entry_from_whatever_file_it_comes() {
    let site = site("");
    let key = rsa(&site, "key.pem");
    site.write("public.pem", &openssl::public_of_key(&key), 0o644);
    site.write("pkcs1.pem", &openssl::read(&["rsa", "-traditional"], key.as_bytes()), 0o600);
    site.write("public1.pem", &openssl::read(&["rsa", "-RSAPublicKey_out"], key.as_bytes()), 0o644);
    let cert = openssl::request(&key, "/CN=sso", &["-x509", "-days", "30"]);
    site.write("cert.pem", &cert, 0o644);
    let built = |name: &str| site.done(&["jwt", "jwks", "build", &site.text_path(name)]).0;
    let first = built("key.pem");
    for name in ["public.pem", "pkcs1.pem", "public1.pem", "cert.pem"] {
        assert_eq!(built(name), first, "{name}");
    }
    let list: Value = serde_json::from_str(&first).unwrap();
    let modulus = openssl::read(&["rsa", "-noout", "-modulus"], key.as_bytes());
    let n = data_encoding::BASE64URL_NOPAD.decode(list["keys"][0]["n"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(modulus.trim(), format!("Modulus={}", data_encoding::HEXUPPER.encode(&n)));
    for private in ["\"d\"", "\"p\"", "PRIVATE"] {
        assert!(!first.contains(private));
    }
}

#[test]
fn keys_of_other_names_stay_where_that_is_asked_for() {
    let site = site("");
    let (a, b, list) = (site.text_path("a.pem"), site.text_path("b.pem"), site.text_path("jwks.json"));
    rsa(&site, "a.pem");
    rsa(&site, "b.pem");
    site.done(&["jwt", "jwks", "build", &a, "--kid", "a", "--out", &list]);
    site.assert_file("jwks.json", 0o644, site.slurm_user.1);
    site.done(&["jwt", "jwks", "build", &b, "--kid", "b", "--keep", "--out", &list]);
    assert_eq!(kids(&site.read("jwks.json")), ["b", "a"]);
    let before = site.everything();
    site.done(&["jwt", "jwks", "build", &a, "--kid", "c", "--out", &list, "--dry-run"]);
    assert_eq!(site.everything(), before);
    site.done(&["jwt", "jwks", "build", &b, "--kid", "b", "--out", &list]);
    assert_eq!(kids(&site.read("jwks.json")), ["b"]);
    site.refused(&["jwt", "jwks", "build", &a, &a]);
    assert_eq!(site.run(&["jwt", "jwks", "build", &a, &b, "--kid", "x"]).status.code(), Some(64));
}

#[test]
fn what_slurm_cannot_use_is_refused() {
    let site = site("");
    site.write("ec.pem", &openssl::new_key("EC", &["ec_paramgen_curve:P-256"]), 0o600);
    site.write(
        "small.pem",
        &openssl::public_of_key(&openssl::new_key("RSA", &["rsa_keygen_bits:1024"])),
        0o600,
    );
    site.write("text.pem", "hello", 0o600);
    for (name, words) in [("ec.pem", "EC, not RSA"), ("small.pem", "1024 bits"), ("text.pem", "no PEM block")]
    {
        let said = site.refused(&["jwt", "jwks", "build", &site.text_path(name)]);
        assert!(said.contains(words), "{name}: {said}");
    }
}

#[test]
fn check_names_what_a_release_never_matches() {
    let site = site("");
    let list = site.text_path("jwks.json");
    slurm_conf(&site, &format!("jwks={list}"));
    assert!(site.refused(&["jwt", "jwks", "check"]).contains("does not start"));
    rsa(&site, "a.pem");
    site.done(&["jwt", "jwks", "build", &site.text_path("a.pem"), "--kid", "a", "--out", &list]);
    let data = site.json(&["jwt", "jwks", "check"], "slurm-pki.jwt.jwks.check.v1");
    assert_eq!(data["keys"][0]["bits"], 2048);
    site.write("jwks.json", &site.read("jwks.json").replace(r#""alg":"RS256","#, ""), 0o644);
    let output = site.run(&["jwt", "jwks", "check"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    let line = |release: &str| said.lines().find(|line| line.starts_with(release)).unwrap().to_owned();
    assert!(line("25.05.1").contains("never matched"), "{said}");
    assert!(line("26.05.3").contains("matches all 1"), "{said}");
    // Older loaders look for n and e in it, whatever its kty.
    let ec = r#"{"keys":[{"kid":"a","kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}"#;
    site.write("jwks.json", ec, 0o644);
    let data: Value = serde_json::from_slice(&site.run(&["jwt", "jwks", "check", "--json"]).stdout).unwrap();
    let starts = |n: usize| data["data"]["releases"][n]["starts"].as_bool().unwrap();
    assert_eq!([0, 1, 2, 3].map(starts), [false, false, false, true]);
}

#[test]
fn a_sample_token_shows_which_claim_to_name() {
    let site = site("");
    let list = site.text_path("jwks.json");
    slurm_conf(&site, &format!("jwks={list}"));
    let key = rsa(&site, "a.pem");
    site.done(&["jwt", "jwks", "build", &site.text_path("a.pem"), "--kid", "a", "--out", &list]);
    let claims = format!(r#"{{"exp":{LATER},"preferred_username":"daemon","sub":"f3c1"}}"#);
    site.write("t", &rs256_by_openssl(&site, &key, r#"{"alg":"RS256","kid":"a"}"#, &claims), 0o600);
    let check = ["jwt", "jwks", "check", "--sample-token", &site.text_path("t")];
    let output = site.run(&check);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stdout).contains("\"preferred_username\" (userclaimfield=)"),
        "{}",
        text(&output.stdout)
    );
    slurm_conf(&site, &format!("jwks={list},userclaimfield=preferred_username"));
    let data = site.json(&check, "slurm-pki.jwt.jwks.check.v1");
    assert_eq!((&data["sample"]["user"], &data["sample"]["key"]), (&"daemon".into(), &"a".into()));
}
