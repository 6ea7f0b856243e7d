//! Keys of auth/slurm and auth/jwt, as the next start of a daemon finds them.

use std::fs;

use crate::healthy::Healthy;
use crate::scratch::caller;

const K: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

impl Healthy {
    fn with_auth(&self, lines: &str) {
        self.slurm_conf(&[("SlurmctldHost", &format!("{lines}\nSlurmctldHost"))]);
        self.scontrol("", 0);
    }
}

#[test]
fn a_slurm_key_that_others_can_read_or_that_is_gone_is_found() {
    let well = Healthy::new();
    well.with_auth("AuthType=auth/slurm");
    well.finds("auth-slurm", "critical");
    well.site.write("slurm.key", K, 0o600);
    well.is_well();
    well.mode("slurm.key", 0o604);
    well.finds("auth-slurm", "critical");
    well.site.write("slurm.key", "", 0o600);
    well.finds("auth-slurm", "critical");
    if caller() == 0 {
        well.site.write("slurm.key", K, 0o600);
        std::os::unix::fs::chown(well.site.path("slurm.key"), Some(12_345), None).unwrap();
        well.finds("auth-slurm", "warning");
    }
    well.with_auth("AuthType=auth/munge");
    well.is_well();
}

#[test]
fn a_list_of_keys_is_judged_as_the_strictest_slurm_does() {
    let well = Healthy::new();
    well.with_auth("AuthType=auth/slurm");
    let key = |kid: &str, k: &str, more: &str| {
        format!(r#"{{"kid":"{kid}","kty":"oct","alg":"HS256","k":"{k}"{more}}}"#)
    };
    let list = |keys: &[String]| {
        well.site.write("slurm.jwks", &format!("{{\"keys\":[{}]}}", keys.join(",")), 0o600);
    };
    let default = ",\"use\":\"default\"";
    list(&[key("a", K, default), key("b", K, "")]);
    well.is_well();
    list(&[key("a", K, ""), key("b", K, "")]);
    well.finds("auth-slurm-default", "warning");
    for bad in [
        vec![key("a", K, default), key("b", K, default)],
        vec![key("a", K, ""), key("a", K, "")],
        vec![key("a", "AA A", "")],
        vec![],
        vec!["x".to_owned()],
    ] {
        list(&bad);
        let look = well.finds("auth-slurm", "critical");
        assert!(!look.data.to_string().contains(K), "{}", look.data);
    }
    let now = support::site::now().0;
    list(&[key("a", K, &format!(",\"exp\":{}", now - 5))]);
    well.finds("auth-slurm-end", "critical");
    list(&[key("a", K, &format!(",\"exp\":\"{}\"", now + 20 * 86_400))]);
    well.finds("auth-slurm-end", "warning");
    well.site.write("slurm.jwks", "{}", 0o644);
    well.finds("auth-slurm", "critical");
}

#[test]
fn keys_of_auth_jwt_that_keep_slurmctld_from_starting_are_found() {
    let well = Healthy::new();
    let state = well.site.text_path("");
    let with = |parameters: &str| {
        well.with_auth(&format!("StateSaveLocation={state}\nAuthAltTypes=auth/jwt\n{parameters}"));
    };
    with("");
    well.finds("auth-jwt", "critical");
    well.site.write("jwt_hs256.key", K, 0o600);
    well.is_well();
    well.mode("jwt_hs256.key", 0o644);
    well.finds("auth-jwt", "critical");
    let jwks = well.site.text_path("jwks.json");
    with(&format!("AuthAltParameters=jwks={jwks}"));
    well.finds("auth-jwt", "critical");
    let put = |text: &str, mode| well.site.write("jwks.json", text, mode);
    let good = r#"{"keys":[{"kid":"a","kty":"RSA","alg":"RS256","n":"AQAB","e":"AQAB"}]}"#;
    put(good, 0o644);
    well.is_well();
    put(good, 0o646);
    well.finds("auth-jwt", "critical");
    put(&good.replace("\"kid\":\"a\",", ""), 0o644);
    well.finds("auth-jwt", "critical");
    put(&good.replace(",\"alg\":\"RS256\"", ""), 0o644);
    well.finds("auth-jwt-key", "warning");
    fs::remove_file(well.site.path("jwt_hs256.key")).unwrap();
    put(good, 0o644);
    with("AuthAltParameters=jwt_key=jwt.key");
    well.finds_among_others("auth-jwt", "warning");
}

#[test]
fn slurmdbd_has_no_default_for_its_key() {
    let well = Healthy::new();
    well.site.done(&["cert", "issue", "dbd"]);
    let key = well.site.text_path("jwt_hs256.key");
    well.site.write("jwt_hs256.key", K, 0o600);
    let dbd = |more: &str| {
        let text = format!("DbdHost=h1\nTLSType=tls/s2n\nAuthAltTypes=auth/jwt\n{more}");
        well.site.write("slurmdbd.conf", &text, 0o600);
    };
    well.with_auth(&format!("StateSaveLocation={}\nAuthAltTypes=auth/jwt", well.site.text_path("")));
    dbd("");
    well.finds("auth-jwt", "critical");
    dbd(&format!("AuthAltParameters=jwt_key={key}\n"));
    well.is_well();
}

/// Keys of both kinds, and what auth-key and jwt jwks note beside them.
fn with_notes(well: &Healthy, rotation: &str, created: i64) {
    let keys = format!(r#"{{"keys":[{{"kid":"a","kty":"oct","alg":"HS256","k":"{K}","use":"default"}}]}}"#);
    well.site.write("slurm.jwks", &keys, 0o600);
    well.folder("state/auth-key");
    let state = format!(r#"{{"v":1,"rotation":{rotation},"keys":{{"a":{{"created":{created}}}}}}}"#);
    well.site.write("state/auth-key/state.json", &state, 0o600);
}

#[test]
fn a_slurm_key_beside_a_list_that_signs_with_another_is_found() {
    let well = Healthy::new();
    well.with_auth("AuthType=auth/slurm");
    let now = support::site::now().0;
    with_notes(&well, "null", now);
    well.site.write("slurm.key", "another key of some bytes", 0o600);
    well.finds("auth-slurm-both", "warning");
    fs::write(well.site.path("slurm.key"), [0; 32]).unwrap();
    well.is_well();
    well.with_auth("AuthType=auth/munge");
    well.is_well();
}

#[test]
fn a_rotation_that_nobody_finishes_is_found_with_the_hosts_behind() {
    let well = Healthy::new();
    well.with_auth("AuthType=auth/slurm");
    let now = support::site::now().0;
    let rotation = |begun: i64| {
        format!(
            r#"{{"phase":"use","since":{begun},"begun":{begun},"done":null,"old":"a","new":"8f14e45f-ceea-467f-9a3c-1c3f0b7f2a11","added":null,
                "compromised":false,"named":[],"confirmed":[],"behind":{{"slurmd n7":"no answer","slurmd n8":"busy"}}}}"#
        )
    };
    with_notes(&well, &rotation(now - 3600), now);
    well.is_well();
    with_notes(&well, &rotation(now - 8 * 86_400), now);
    let look = well.finds("auth-slurm-rotation", "warning");
    assert!(look.data.to_string().contains("at use; 2 behind: slurmd n[7-8]"), "{}", look.data);
    well.site.write("state/auth-key/state.json", "x", 0o600);
    well.finds("keys-noted", "unknown");
}

#[test]
fn a_key_that_is_older_than_the_site_wants_is_found() {
    let well = Healthy::new();
    well.with_auth("AuthType=auth/slurm");
    let now = support::site::now().0;
    with_notes(&well, "null", now - 100 * 86_400);
    well.is_well();
    let config = well.site.read("slurm-pki.toml");
    well.site.write("slurm-pki.toml", &format!("{config}\n[check]\nkey_age = \"90d\"\n"), 0o644);
    well.finds("auth-slurm-age", "warning");
    with_notes(&well, "null", now - 80 * 86_400);
    well.is_well();
}

#[test]
fn a_list_that_is_not_fetched_any_more_is_found() {
    let well = Healthy::new();
    let jwks = well.site.text_path("jwks.json");
    let good = r#"{"keys":[{"kid":"a","kty":"RSA","alg":"RS256","n":"AQAB","e":"AQAB"}]}"#;
    well.site.write("jwks.json", good, 0o644);
    well.with_auth(&format!("AuthAltTypes=auth/jwt\nAuthAltParameters=jwks={jwks}"));
    well.folder("state/jwt");
    let fetched = |last: i64, list: &str| {
        let noted = format!(
            r#"{{"v":1,"url":"https://id.example/keys","jwks":"{list}","last_good":{last},"last_change":{last},
                "sha256":"","etag":null,"last_modified":null,"kids":["a"],"told":true,"gone":{{}}}}"#
        );
        well.site.write("state/jwt/fetched.json", &noted, 0o600);
    };
    let now = support::site::now().0;
    fetched(now - 3600, &jwks);
    well.is_well();
    fetched(now - 3 * 86_400, &jwks);
    let look = well.finds("auth-jwt-fetch", "warning");
    assert!(look.data.to_string().contains("https://id.example/keys"), "{}", look.data);
    fetched(now - 3 * 86_400, "/another/list");
    well.is_well();
}

#[test]
fn a_folder_where_others_can_put_a_key_of_theirs_is_found() {
    let well = Healthy::new();
    well.folder("keys");
    let key = well.site.text_path("keys/jwt.key");
    well.site.write("keys/jwt.key", K, 0o600);
    well.with_auth(&format!("AuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key={key}"));
    well.mode("keys", 0o755);
    well.is_well();
    for mode in [0o775, 0o777] {
        well.mode("keys", mode);
        well.finds("auth-jwt-folder", "critical");
    }
    well.mode("keys", 0o1777);
    well.is_well();
}

#[test]
fn a_slurmdbd_with_another_key_or_without_tokens_is_found() {
    let well = Healthy::new();
    well.site.done(&["cert", "issue", "dbd"]);
    let (key, other) = (well.site.text_path("jwt.key"), well.site.text_path("dbd.key"));
    well.site.write("jwt.key", K, 0o600);
    well.site.write("dbd.key", K, 0o600);
    well.with_auth(&format!("AuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key={key}"));
    let dbd = |more: &str| {
        well.site.write("slurmdbd.conf", &format!("DbdHost=h1\nTLSType=tls/s2n\n{more}"), 0o600);
    };
    dbd(&format!("AuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key={other}\n"));
    well.is_well();
    well.site.write("dbd.key", &K.replace('A', "B"), 0o600);
    let look = well.finds("auth-jwt-same", "critical");
    assert!(!look.data.to_string().contains(K), "{}", look.data);
    dbd("");
    well.finds("auth-jwt-slurmdbd", "warning");
}

#[test]
fn a_key_that_can_be_guessed_or_ends_in_a_newline_is_found() {
    let well = Healthy::new();
    well.site.write("jwt.key", "secret", 0o600);
    let key = well.site.text_path("jwt.key");
    well.with_auth(&format!("AuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key={key}"));
    well.finds("auth-jwt-weak", "warning");
    well.with_auth("AuthType=auth/slurm");
    well.site.write("slurm.key", &format!("{K}\n"), 0o600);
    well.finds("auth-slurm-newline", "warning");
    well.site.write("slurm.key", "secret", 0o600);
    let look = well.finds("auth-slurm-weak", "warning");
    assert!(!look.data.to_string().contains("secret"), "{}", look.data);
}

/// Releases differ: what the newest takes, an older one may not start with, and the other way round.
#[test]
fn a_list_that_one_release_alone_does_not_start_with_names_that_release() {
    let well = Healthy::new();
    well.with_auth("AuthType=auth/slurm");
    let list = format!(r#"{{"keys":[{{"kid":"a","kty":"oct","alg":"HS256","k":"{K}AA"}}]}}"#);
    well.site.write("slurm.jwks", &list, 0o600);
    let look = well.finds("auth-slurm", "critical");
    assert!(
        look.data.to_string().contains("daemons of Slurm 26.05.0, 26.05.3 do not start"),
        "{}",
        look.data
    );
}

#[test]
fn tokens_that_cross_the_network_in_clear_are_found() {
    let well = Healthy::new();
    well.site.write("jwt.key", K, 0o600);
    let key = well.site.text_path("jwt.key");
    well.with_auth(&format!("AuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key={key}"));
    well.is_well();
    let text = well.site.read("slurm.conf").replace("TLSType=tls/s2n", "TLSType=tls/none");
    well.site.write("slurm.conf", &text, 0o644);
    well.finds_among_others("auth-jwt-tls", "warning");
}
