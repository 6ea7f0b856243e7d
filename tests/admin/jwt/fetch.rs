//! `jwt jwks fetch`, from a provider that is sound, broken or malicious.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Output;

use serde_json::{Value, json};
use support::programs::program;
use support::{openssl, strace};

use crate::provider::{Answer, Provider};
use crate::scratch::{Scratch, changes, text};
use crate::{site, slurm_conf};

/// A site whose list is to come from a provider.
struct Fetching {
    site: Scratch,
    provider: Provider,
}

impl Fetching {
    fn with(answer: Answer) -> Self {
        let (site, provider) = (site(""), Provider::with(answer));
        slurm_conf(&site, &format!("jwks={}", site.text_path("jwks.json")));
        site.write("provider-ca.pem", provider.ca(), 0o644);
        let (pki, ca) = (site.text_path("pki"), site.text_path("provider-ca.pem"));
        let (url, hooks) = (provider.url(), site.text_path("hooks"));
        let config = format!(
            "state_dir = \"{pki}\"\n[keys]\njwks_url = \"{url}\"\njwks_ca = \"{ca}\"\n[hooks]\ndir = \"{hooks}\"\n"
        );
        site.write("slurm-pki.toml", &config, 0o644);
        Self { site, provider }
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = self.site.command(&program("slurm-pki"));
        for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"] {
            command.env_remove(name);
        }
        command.args(["jwt", "jwks", "fetch"]).args(args).output().unwrap()
    }

    #[track_caller]
    fn done(&self, args: &[&str]) -> (String, String) {
        let output = self.run(args);
        let said = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{}{}", said.0, said.1);
        said
    }

    /// It fails with error and hint, and changes nothing.
    #[track_caller]
    fn refused(&self, args: &[&str]) -> String {
        let before = self.site.everything();
        let output = self.run(args);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}{}", text(&output.stdout));
        assert!(said.contains("slurm-pki: error: ") && said.contains("slurm-pki: hint: "), "{said}");
        assert_eq!(self.site.everything(), before);
        said
    }

    fn kids(&self) -> Vec<String> {
        let list: Value = serde_json::from_str(&self.site.read("jwks.json")).unwrap();
        list["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    fn state(&self) -> Value {
        serde_json::from_str(&self.site.read("pki/jwt/fetched.json")).unwrap()
    }
}

/// An entry as Keycloak has it.
fn key(kid: &str) -> Value {
    let key = openssl::new_key("RSA", &[]);
    let modulus = openssl::read(&["rsa", "-noout", "-modulus"], key.as_bytes());
    let hex = modulus.trim().strip_prefix("Modulus=").unwrap();
    let n = data_encoding::BASE64URL_NOPAD.encode(&data_encoding::HEXUPPER.decode(hex.as_bytes()).unwrap());
    json!({"kid": kid, "kty": "RSA", "alg": "RS256", "use": "sig", "n": n, "e": "AQAB", "x5c": ["MII"]})
}

fn with(mut entry: Value, name: &str, value: Value) -> Value {
    entry[name] = value;
    entry
}

fn list(keys: &[Value]) -> Answer {
    Answer::List(json!({ "keys": keys }).to_string())
}

#[test]
fn what_every_slurm_takes_is_written_and_the_rest_is_named() {
    let mut entra = key("entra");
    entra.as_object_mut().unwrap().remove("alg");
    let answer = list(&[
        key("a"),
        with(key("enc"), "use", json!("enc")),
        with(key("oaep"), "alg", json!("RSA-OAEP")),
        json!({"kid": "ec", "kty": "EC", "crv": "P-256", "alg": "ES256", "x": "AA", "y": "AA"}),
        json!({"kid": "ec-without-alg", "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
        entra,
    ]);
    let fetching = Fetching::with(answer);
    let (said, warned) = fetching.done(&[]);
    assert_eq!(fetching.kids(), ["a", "entra"]);
    fetching.site.assert_file("jwks.json", 0o644, fetching.site.slurm_user.1);
    for kid in ["enc", "oaep", "ec", "ec-without-alg"] {
        assert!(warned.contains(&format!("key {kid} is left out")), "{kid}: {warned}");
    }
    assert!(said.contains("scontrol reconfigure") && said.contains("restart slurmdbd"), "{said}");
    let written = fetching.site.read("jwks.json");
    assert!(!written.contains("x5c") && written.matches("\"alg\":\"RS256\"").count() == 2, "{written}");
    fetching.site.done(&["jwt", "jwks", "check"]);
    assert!(fetching.state()["last_good"].as_i64().unwrap() > 0);
}

#[test]
fn the_second_time_nothing_is_sent_or_changed_and_only_a_change_is_told() {
    let keys = [key("a"), key("b")];
    let fetching = Fetching::with(list(&keys));
    let hook = "#!/bin/sh\necho \"$SLURM_PKI_EVENT $SLURM_PKI_JWKS\" >> \"$(dirname \"$0\")/../told\"\n";
    fs::create_dir(fetching.site.path("hooks")).unwrap();
    fs::set_permissions(fetching.site.path("hooks"), fs::Permissions::from_mode(0o755)).unwrap();
    fetching.site.write("hooks/tell", hook, 0o755);
    assert!(fetching.done(&["--dry-run"]).0.contains("would write"));
    assert!(!fetching.site.path("jwks.json").exists());
    fetching.done(&[]);
    let before = fetching.site.read("jwks.json");
    let (said, more) = fetching.done(&[]);
    assert!(said.is_empty() && more.contains("is up to date: 2 keys"), "{said}{more}");
    assert_eq!(fetching.site.read("jwks.json"), before);
    assert!(fetching.provider.requests().last().unwrap().to_lowercase().contains("if-none-match"));
    // A file that somebody changed is not taken for what was fetched.
    fetching.site.write("jwks.json", &before.replace("\"b\"", "\"c\""), 0o644);
    fetching.done(&["--grace", "0s"]);
    assert!(!fetching.provider.requests().last().unwrap().to_lowercase().contains("if-none-match"));
    assert_eq!(fetching.site.read("jwks.json"), before);
    let told = format!("jwks-changed {}\n", fetching.site.text_path("jwks.json"));
    assert_eq!(fetching.site.read("told"), told.repeat(2));
}

#[test]
fn on_any_trouble_the_last_good_list_stays() {
    let good = key("a");
    let fetching = Fetching::with(list(std::slice::from_ref(&good)));
    fetching.done(&[]);
    let half = json!({ "keys": [good] }).to_string();
    for (answer, words) in [
        (Answer::Status(503), "status 503"),
        (Answer::Status(404), "status 404"),
        (Answer::CutOff(half), "cut off"),
        (Answer::Endless, "longer than"),
        (Answer::Noise, "no HTTP"),
        (Answer::List("<html>sign in</html>".into()), "not JSON"),
        (Answer::List(String::new()), "not JSON"),
        (Answer::List("{}".into()), "no object with a list"),
        (list(&[]), "no key in it is of use"),
        (
            list(&[json!({"kid": "ec", "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"})]),
            "no key in it is of use",
        ),
        (list(&[with(key("x"), "d", json!("AQAB"))]), "no key in it is of use"),
        (Answer::Redirect("http://127.0.0.1/certs".into()), "not https"),
        (Answer::Redirect("//127.0.0.1/certs".into()), "not https"),
        (Answer::Redirect("/certs".into()), "in a circle"),
    ] {
        fetching.provider.answer(answer);
        let said = fetching.refused(&[]);
        assert!(said.contains(words), "{words}: {said}");
        assert_eq!(fetching.kids(), ["a"]);
    }
}

#[test]
fn who_drips_is_left_at_the_deadline() {
    let fetching = Fetching::with(Answer::Slow);
    assert!(fetching.refused(&[]).contains("not done within 20 seconds"));
}

#[test]
fn a_server_of_another_ca_is_not_believed() {
    let fetching = Fetching::with(list(&[key("a")]));
    let other = Provider::with(Answer::Status(500));
    fetching.site.write("provider-ca.pem", other.ca(), 0o644);
    assert!(fetching.refused(&[]).contains("not trusted here"));
    assert_eq!(fetching.provider.requests().len(), 0);
    let plain = fetching.provider.url().replace("https", "http");
    assert!(fetching.refused(&[&plain]).contains("no address with https"));
    assert!(fetching.refused(&[&format!("https://127.0.0.1:{}/", 1)]).contains("connection refused"));
}

/// Before any packet is sent: Slurm would take a token of any organisation.
#[test]
fn keys_that_sign_for_everybody_are_not_even_asked_for() {
    let fetching = Fetching::with(list(&[key("a")]));
    let said = fetching.refused(&["https://login.microsoftonline.com/common/discovery/v2.0/keys"]);
    assert!(said.contains("anybody with an account there"), "{said}");
}

/// As Entra ID gives an application that has no signing key of its own those of everybody.
#[test]
fn of_an_applications_list_what_everybodys_has_too_stays_out() {
    let (own, shared) = (key("own"), key("shared"));
    let text = |keys: &[&Value]| json!({ "keys": keys }).to_string();
    let fetching = Fetching::with(Answer::OfOne(text(&[&shared, &own]), text(&[&shared])));
    let url = format!("{}?appid=6731", fetching.provider.url());
    let (_, warned) = fetching.done(&[&url]);
    assert_eq!(fetching.kids(), ["own"]);
    assert!(warned.contains("key shared is left out"), "{warned}");
    fetching.provider.answer(Answer::OfOne(text(&[&shared]), text(&[&shared])));
    assert!(fetching.refused(&[&url]).contains("no key in it is of use"));
    fetching.provider.answer(Answer::OfOne(text(&[&own]), "x".into()));
    assert!(fetching.refused(&[&url]).contains("not JSON"));
}

#[test]
fn a_redirect_to_https_is_followed() {
    let fetching = Fetching::with(Answer::Status(500));
    let other = Provider::with(list(&[key("a")]));
    let both = format!("{}{}", fetching.provider.ca(), other.ca());
    fetching.site.write("provider-ca.pem", &both, 0o644);
    fetching.provider.answer(Answer::Redirect(other.url()));
    fetching.done(&[]);
    assert_eq!(fetching.kids(), ["a"]);
}

#[test]
fn a_key_that_the_provider_has_no_more_stays_for_its_grace() {
    let (a, b) = (key("a"), key("b"));
    let fetching = Fetching::with(list(&[a.clone(), b]));
    fetching.done(&[]);
    fetching.provider.answer(list(&[a]));
    let (said, more) = fetching.done(&[]);
    assert!(
        said.is_empty() && more.contains("key b is the provider's no more; it stays until"),
        "{said}{more}"
    );
    assert_eq!(fetching.kids(), ["a", "b"]);
    let since = fetching.state()["gone"]["b"].as_i64().unwrap();
    // Its time is over, and the provider has nothing new to say.
    let state = fetching.site.read("pki/jwt/fetched.json");
    let earlier = state.replace(&format!("\"b\": {since}"), &format!("\"b\": {}", since - 24 * 3600));
    assert_ne!(state, earlier);
    fs::write(fetching.site.path("pki/jwt/fetched.json"), earlier).unwrap();
    let (said, more) = fetching.done(&[]);
    assert!(fetching.provider.requests().last().unwrap().to_lowercase().contains("if-none-match"));
    assert!(said.contains("changed ") && more.contains("key b is taken out"), "{said}{more}");
    assert_eq!(fetching.kids(), ["a"]);
}

#[test]
fn own_keys_are_never_taken_out() {
    let fetching = Fetching::with(list(&[key("a")]));
    let own = fetching.site.text_path("own.json");
    fetching.site.write("own.pem", &openssl::new_key("RSA", &[]), 0o600);
    let pem = fetching.site.text_path("own.pem");
    fetching.site.done(&["jwt", "jwks", "build", &pem, "--kid", "own", "--out", &own]);
    fetching.done(&["--also", &own, "--grace", "0s"]);
    assert_eq!(fetching.kids(), ["own", "a"]);
    fetching.provider.answer(list(&[key("c"), key("own")]));
    let (_, warned) = fetching.done(&["--also", &own, "--grace", "0s"]);
    assert_eq!(fetching.kids(), ["own", "c"]);
    assert!(warned.contains("a key of our own has that kid"), "{warned}");
}

/// A change that slurmctld is not told of would wait for its next restart.
#[test]
fn a_hook_that_failed_is_told_again_at_the_next_fetch() {
    let fetching = Fetching::with(list(&[key("a")]));
    fs::create_dir(fetching.site.path("hooks")).unwrap();
    fs::set_permissions(fetching.site.path("hooks"), fs::Permissions::from_mode(0o755)).unwrap();
    fetching.site.write("hooks/tell", "#!/bin/sh\nexit 1\n", 0o755);
    assert_eq!(fetching.run(&[]).status.code(), Some(1));
    assert_eq!(fetching.kids(), ["a"], "the file has changed all the same");
    fetching.site.write("hooks/tell", "#!/bin/sh\necho x >> \"$(dirname \"$0\")/../told\"\n", 0o755);
    fetching.done(&[]);
    fetching.done(&[]);
    assert_eq!(fetching.site.read("told"), "x\n");
}

#[test]
fn whatever_kills_it_a_whole_list_is_there_and_the_hooks_hear_of_the_change() {
    const FETCH: [&str; 3] = ["jwt", "jwks", "fetch"];
    let (a, b) = (key("a"), key("b"));
    let begin = || {
        let fetching = Fetching::with(list(std::slice::from_ref(&a)));
        fetching.done(&[]);
        fs::create_dir(fetching.site.path("hooks")).unwrap();
        fs::set_permissions(fetching.site.path("hooks"), fs::Permissions::from_mode(0o755)).unwrap();
        fetching.site.write("hooks/tell", "#!/bin/sh\necho x >> \"$(dirname \"$0\")/../told\"\n", 0o755);
        fetching.provider.answer(list(&[a.clone(), b.clone()]));
        fetching
    };
    let traced = begin();
    let (calls, output) = strace::trace(&traced.site.bare(), &program("slurm-pki"), &FETCH);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let changes = changes(&calls);
    assert!(changes.len() >= 10, "{} changes", changes.len());
    for call in changes {
        let fetching = begin();
        let bare = fetching.site.bare();
        let output = strace::strike(&bare, &program("slurm-pki"), &FETCH, call, strace::Fault::Kill);
        assert_eq!(output.status.signal(), Some(9), "{call:?}: {}", text(&output.stderr));
        assert!(fetching.kids() == ["a"] || fetching.kids() == ["a", "b"], "{call:?}");
        fetching.done(&[]);
        assert_eq!(fetching.kids(), ["a", "b"], "{call:?}");
        assert!(fetching.site.path("told").exists(), "{call:?}: nobody was told");
        fetching.site.done(&["jwt", "jwks", "check"]);
    }
}

#[test]
fn a_damaged_list_is_mended() {
    let fetching = Fetching::with(list(&[key("a")]));
    fetching.done(&[]);
    fetching.site.write("jwks.json", "{", 0o644);
    fetching.done(&[]);
    assert_eq!(fetching.kids(), ["a"]);
}
