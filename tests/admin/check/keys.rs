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
