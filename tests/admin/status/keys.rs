//! Keys of auth/slurm and auth/jwt in `status`: names and times, and never a key.

use std::fs;

use support::site::now;

use crate::nodes::put;
use crate::pairs;
use crate::scratch::Scratch;

const SECRET: &str = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I";
const JWT_KEY: &str = "a key of thirty-two bytes or more";
const JWKS: &str = r#"{"keys":[{"kty":"RSA","alg":"RS256","kid":"provider-1","n":"AQAB","e":"AQAB"}]}"#;

/// A controller with all kinds of keys, a rotation that has begun and a list that was fetched; slurmdbd is here too.
pub(crate) fn put_all(site: &Scratch) {
    let (key, jwks) = (site.text_path("jwt.key"), site.text_path("jwks.json"));
    let tokens = format!("AuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key={key},jwks={jwks}\n");
    site.slurm_conf(&format!("AuthType=auth/slurm\n{tokens}"));
    site.write("slurmdbd.conf", &format!("DbdHost=db1\n{tokens}"), 0o600);
    site.write("jwt.key", JWT_KEY, 0o600);
    site.write("jwks.json", JWKS, 0o644);
    let key = |kid: &str, more: &str| {
        format!(r#"{{"kid":"{kid}","kty":"oct","alg":"HS256","k":"{SECRET}"{more}}}"#)
    };
    let list = [key("old-1", ",\"use\":\"default\""), key("new-2", "")].join(",");
    site.write("slurm.jwks", &format!("{{\"keys\":[{list}]}}"), 0o600);
    let time = now().0;
    put(
        site,
        "state/auth-key/state.json",
        &format!(
            r#"{{"v":1,"rotation":{{"phase":"add","since":{0},"begun":{0},"done":null,"old":"old-1","new":"8f14e45f-ceea-467f-9a3c-1c3f0b7f2a11",
                "added":null,"compromised":false,"named":[],"confirmed":["slurmd n1"],"behind":{{"slurmd n2":"x","slurmd n3":"x"}}}},
                "keys":{{"old-1":{{"created":{1}}}}}}}"#,
            time - 7200,
            time - 86_400 * 40
        ),
    );
    put(
        site,
        "state/jwt/fetched.json",
        &format!(
            r#"{{"v":1,"url":"https://id.example/keys","jwks":"{jwks}","last_good":{0},"last_change":{0},"sha256":"",
                "etag":null,"last_modified":null,"kids":["provider-1"],"told":true,"gone":{{}}}}"#,
            time - 3600
        ),
    );
}

#[test]
fn keys_are_named_with_their_age_and_never_shown() {
    let site = pairs::old_site();
    put_all(&site);
    let (shown, said) = site.done(&["status"]);
    for part in [
        "kid old-1 of 2 signs, made",
        "2 behind: slurmd n[2-3]",
        "slurmdbd has the same",
        "kids provider-1; last fetched well",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let (json, _) = site.done(&["status", "--json"]);
    let (metrics, _) = site.done(&["metrics"]);
    for text in [shown, said, json, metrics] {
        assert!(!text.contains(SECRET) && !text.contains(JWT_KEY), "{text}");
    }
}

#[test]
fn what_daemons_would_die_of_is_in_the_row_and_hides_nothing_else() {
    let site = pairs::old_site();
    put_all(&site);
    fs::remove_file(site.path("jwt.key")).unwrap();
    site.write("jwks.json", "{\"keys\":[{}]}", 0o644);
    site.write("slurm.jwks", "{}", 0o600);
    let keys = &site.json(&["status"], "slurm-pki.status.v1")["keys"];
    for key in ["auth", "jwt", "jwks"] {
        assert!(keys[key]["problem"].is_string(), "{keys}");
    }
    let (shown, _) = site.done(&["status"]);
    assert!(shown.contains("BROKEN") && shown.contains("ledger"), "{shown}");
    let (metrics, _) = site.done(&["metrics"]);
    for key in ["auth_slurm", "jwt", "jwks"] {
        assert!(metrics.contains(&format!("slurm_pki_key_usable{{key=\"{key}\"}} 0")), "{metrics}");
    }
}

#[test]
fn another_key_on_slurmdbd_stands_out() {
    let site = pairs::old_site();
    put_all(&site);
    let other = site.text_path("dbd.key");
    site.write("dbd.key", "another key than slurmctld has it", 0o600);
    let text = site.read("slurmdbd.conf").replace(&site.text_path("jwt.key"), &other);
    site.write("slurmdbd.conf", &text, 0o600);
    let (shown, _) = site.done(&["status"]);
    assert!(shown.contains("DIFFERS"), "{shown}");
    assert!(site.done(&["metrics"]).0.contains("slurm_pki_jwt_keys_equal 0"));
}

#[test]
fn a_site_with_munge_alone_has_no_rows_of_keys() {
    let site = pairs::old_site();
    site.slurm_conf("AuthType=auth/munge\n");
    let (shown, _) = site.done(&["status"]);
    assert!(!shown.contains("auth/slurm") && !shown.contains("jwt"), "{shown}");
    assert!(!site.done(&["metrics"]).0.contains("slurm_pki_jwt"));
}
