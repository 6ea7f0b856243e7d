//! Tokens, made by scontrol, by slurm-pki, by an OpenID provider and by hand: what `jwt inspect` says of each, beside what
//! the real slurmctld and slurmdbd do.

use std::fs;

use anyhow::{Context, Result, ensure};
use data_encoding::BASE64URL_NOPAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

use crate::cases::hosts::{Case, Hosts, JWKS};
use crate::lab::User;
use crate::shell::{outcome, said};

pub(super) const CASES: &[Case] = &[
    ("jwt: an OpenID provider's keys are fetched over https, and loaded by slurmctld and slurmdbd", fetch),
    ("jwt: inspect says of each token what slurmctld and slurmdbd do", table),
    ("jwt: a provider that changes its keys: after the fetch the old key's tokens are refused", removed),
    ("jwt: key rotate, proven on slurmctld and on slurmdbd through slurmrestd, and the gap is told", rotate),
];

/// Judges as 26.05.5 does.
const RELEASE: &str = "26.05.3";

const URL: &str = "https://localhost:4443/jwks";

/// The provider's files: its https, and two keys to sign with; and a key of the site's own.
const PROVIDER: &str = r#"
set -eu
mkdir -p /oidc && cd /oidc
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca_key.pem -out ca.pem -days 30 \
    -subj /CN=provider 2> /dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out csr.pem -subj /CN=localhost 2> /dev/null
printf 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n' > extensions
openssl x509 -req -in csr.pem -CA ca.pem -CAkey ca_key.pem -days 30 -extfile extensions -out cert.pem 2> /dev/null
for key in first second own; do openssl genrsa -out $key.pem 2048 2> /dev/null; done
cat > keys.mjs <<'EOF'
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
const keys = process.argv.slice(2).map((kid) => ({
  ...createPrivateKey(readFileSync(`/oidc/${kid}.pem`)).export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' }));
console.log(JSON.stringify({ keys }));
EOF
node keys.mjs first second > keys.json
"#;

fn start_provider(hosts: &Hosts<'_>) -> Result<()> {
    hosts.rest1.systemctl("restart", "oidc")?;
    hosts.wait("the provider serves", &format!("curl -sf --cacert /oidc/ca.pem {URL} > /dev/null"))
}

/// Fetches onto ctl1, brings the list to slurmdbd's host, and has both load it.
fn fetch_and_load(hosts: &Hosts<'_>, options: &[&str]) -> Result<String> {
    let words = [&["jwt", "jwks", "fetch", URL, "--ca", "/oidc/ca.pem"], options].concat();
    let said = hosts.slurm_pki(&words)?;
    hosts.put("dbd1", "jwks.json", &hosts.get("ctl1", "jwks.json")?)?;
    hosts.load_jwt_keys()?;
    Ok(said)
}

fn fetch(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    hosts.rest1.sh(PROVIDER)?;
    start_provider(hosts)?;
    let own = ["jwt", "jwks", "build", "/oidc/own.pem", "--kid", "own", "--out", "/etc/slurm/own-jwks.json"];
    hosts.slurm_pki(&own)?;
    fetch_and_load(hosts, &["--also", "/etc/slurm/own-jwks.json"])?;
    let list: Value = serde_json::from_slice(&hosts.get("ctl1", "jwks.json")?)?;
    let mut kids: Vec<_> = list
        .get("keys")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|key| key.get("kid")?.as_str())
        .collect();
    kids.sort_unstable();
    ensure!(kids == ["first", "own", "second"], "{kids:?}");
    Ok(Vec::new())
}

/// A user's token from the provider.
fn provided(hosts: &Hosts<'_>, user: &str) -> Result<String> {
    let line = format!(
        "curl -sf --cacert /oidc/ca.pem -u {user}:{user}-secret -d grant_type=client_credentials https://localhost:4443/token"
    );
    let answer: Value = serde_json::from_str(&hosts.rest1.sh(&line)?)?;
    let token = answer.get("access_token").and_then(Value::as_str).context("no access_token")?;
    hosts.lab.keep_secret(token);
    Ok(token.to_owned())
}

/// A key to sign tokens by hand with.
enum Hand {
    Hs256(Vec<u8>),
    Rs256(Box<RsaKeyPair>),
}

impl Hand {
    fn rsa(hosts: &Hosts<'_>, name: &str) -> Result<Self> {
        let der =
            format!("openssl pkcs8 -topk8 -nocrypt -in /oidc/{name}.pem -outform DER -out /oidc/{name}.der");
        hosts.rest1.sh(&der)?;
        let der = fs::read(hosts.lab.path(&format!("/oidc/{name}.der")))?;
        let key = RsaKeyPair::from_pkcs8(&der).map_err(|e| anyhow::anyhow!("{e}"))?;
        Ok(Self::Rs256(Box::new(key)))
    }

    fn sign(&self, header: &Value, claims: &Value) -> Result<String> {
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = match self {
            Self::Hs256(key) => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes()).as_ref().to_vec()
            }
            Self::Rs256(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
                    .map_err(|e| anyhow::anyhow!("{e}"))?;
                signature
            }
        };
        Ok(format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature)))
    }
}

/// The same token with other claims and its former signature.
fn with_claims(token: &str, change: impl FnOnce(&mut Value)) -> Result<String> {
    let parts: Vec<_> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { anyhow::bail!("a token has three parts") };
    let mut claims: Value = serde_json::from_slice(&BASE64URL_NOPAD.decode(claims.as_bytes())?)?;
    change(&mut claims);
    Ok(format!("{header}.{}.{signature}", BASE64URL_NOPAD.encode(claims.to_string().as_bytes())))
}

/// Whether the real daemons take it: slurmctld for a job of this user's, from a command and through slurmrestd for what
/// everybody may see; slurmdbd through slurmrestd for that. A user that is unknown there counts as nobody, who may look and
/// do nothing else.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
struct Real {
    job: bool,
    squeue: bool,
    ctld: bool,
    dbd: bool,
}

/// By all of them.
const TAKEN: Real = Real { job: true, squeue: true, ctld: true, dbd: true };

fn real(hosts: &Hosts<'_>, token: &str) -> Result<Real> {
    let through = |path: &str, more: &[&str]| -> Result<bool> {
        let mut curl = hosts.rest1.command("curl", User::Root);
        curl.args(["-s", "-o", "/dev/null", "--max-time", "60", "-w", "%{http_code}"]);
        curl.arg("-H").arg(format!("X-SLURM-USER-TOKEN: {token}"));
        let output = curl.args(more).arg(format!("http://127.0.0.1:6820/{path}")).output()?;
        Ok(output.stdout == b"200")
    };
    let mut squeue = hosts.rest1.command("timeout", User::Alice);
    let squeue = outcome(squeue.args(["60", "squeue", "--noheader"]).env("SLURM_JWT", token))?;
    Ok(Real {
        job: through(
            "slurm/v0.0.45/job/submit",
            &["-H", "Content-Type: application/json", "-d", super::proxies::JOB],
        )?,
        squeue: squeue.status.success(),
        ctld: through("slurm/v0.0.45/jobs", &[])?,
        dbd: through("slurmdb/v0.0.45/clusters", &[])?,
    })
}

/// What `jwt inspect` says of it for this release, and why not.
fn inspected(hosts: &Hosts<'_>, token: &str) -> Result<(bool, String)> {
    fs::write(hosts.lab.path("/tmp/token"), token)?;
    let output = outcome(&mut hosts.slurm_pki_command(&["--json", "jwt", "inspect", "/tmp/token"]))?;
    let Ok(answer) = serde_json::from_slice::<Value>(&output.stdout) else {
        let why = said(&output);
        ensure!(!output.status.success() && why.contains("error"), "{why}");
        return Ok((false, why.lines().next().unwrap_or_default().to_owned()));
    };
    let releases =
        answer.pointer("/releases").or_else(|| answer.pointer("/data/releases")).and_then(Value::as_array);
    let releases = releases.with_context(|| answer.to_string())?;
    let verdict = releases.iter().find(|verdict| verdict.get("release").is_some_and(|is| is == RELEASE));
    let verdict = verdict.with_context(|| format!("nothing about {RELEASE}"))?;
    let why = verdict.get("why").and_then(Value::as_str).unwrap_or_default();
    Ok((verdict.get("accepted") == Some(&Value::Bool(true)), why.to_owned()))
}

/// Each with whether it has to be taken.
fn tokens(hosts: &Hosts<'_>) -> Result<Vec<(&'static str, bool, String)>> {
    let now = site::clock::now().0;
    let jwt_key = Hand::Hs256(hosts.get("ctl1", "jwt_hs256.key")?);
    let (first, other) = (Hand::rsa(hosts, "first")?, Hand::Hs256(vec![7; 32]));
    let public = Hand::Hs256(hosts.rest1.sh("openssl pkey -in /oidc/first.pem -pubout")?.into_bytes());
    let (hs, rs) =
        (json!({"alg": "HS256", "typ": "JWT"}), json!({"alg": "RS256", "typ": "JWT", "kid": "first"}));
    let alice = json!({"sun": "alice", "iat": now, "exp": now + 600});
    let without = |name: &str| {
        let mut claims = alice.clone();
        claims.as_object_mut().map(|claims| claims.remove(name));
        claims
    };
    let with = |name: &str, value: Value| {
        let mut claims = alice.clone();
        claims.as_object_mut().map(|claims| claims.insert(name.to_owned(), value));
        claims
    };
    let pki = |words: &[&str]| -> Result<String> {
        let said = hosts.slurm_pki(&[&["jwt", "token", "--raw", "--user"], words].concat())?;
        hosts.lab.keep_secret(said.trim());
        Ok(said.trim().to_owned())
    };
    let provided_alice = provided(hosts, "alice")?;
    let none = format!(
        "{}.{}.",
        BASE64URL_NOPAD.encode(br#"{"alg":"none","typ":"JWT"}"#),
        BASE64URL_NOPAD.encode(alice.to_string().as_bytes())
    );
    let damaged = {
        let mut token = jwt_key.sign(&hs, &alice)?;
        let last = token.pop().context("a token is not empty")?;
        let at = token.len() - 20;
        let changed = if token.as_bytes().get(at) == Some(&b'A') { "B" } else { "A" };
        token.replace_range(at..=at, changed);
        token.push(last);
        token
    };
    Ok(vec![
        ("HS256, by scontrol", true, hosts.scontrol_token("alice", 600)?),
        ("HS256, by slurm-pki", true, pki(&["alice"])?),
        ("RS256, by slurm-pki", true, pki(&["bob", "--kid", "own", "--key", "/oidc/own.pem"])?),
        ("RS256, by the provider", true, provided_alice.clone()),
        ("RS256, by the provider, for bob", true, provided(hosts, "bob")?),
        ("RS256, by the provider, unknown user", false, provided(hosts, "nosuchuser")?),
        (
            "provider's, tampered: bob",
            false,
            with_claims(&provided_alice, |claims| set(claims, "sun", json!("bob")))?,
        ),
        (
            "provider's, tampered: exp",
            false,
            with_claims(&provided_alice, |claims| set(claims, "exp", json!(now + 99_999)))?,
        ),
        ("HS256, by hand", true, jwt_key.sign(&hs, &alice)?),
        ("HS256, signature damaged", false, damaged),
        ("HS256, another key", false, other.sign(&hs, &alice)?),
        ("HS256, with a kid", true, jwt_key.sign(&json!({"alg": "HS256", "kid": "any"}), &alice)?),
        (
            "HS256, over the public RSA key",
            false,
            public.sign(&json!({"alg": "HS256", "kid": "first"}), &alice)?,
        ),
        ("HS512 in the header", false, jwt_key.sign(&json!({"alg": "HS512", "typ": "JWT"}), &alice)?),
        ("alg none", false, none),
        ("RS256, by hand", true, first.sign(&rs, &alice)?),
        ("RS256, wrong kid", false, first.sign(&json!({"alg": "RS256", "kid": "second"}), &alice)?),
        ("RS256, unknown kid", false, first.sign(&json!({"alg": "RS256", "kid": "third"}), &alice)?),
        ("RS256, no kid", false, first.sign(&json!({"alg": "RS256"}), &alice)?),
        ("expired", false, jwt_key.sign(&hs, &with("exp", json!(now - 1)))?),
        ("RS256, expired", false, first.sign(&rs, &with("exp", json!(now - 60)))?),
        ("no exp", false, jwt_key.sign(&hs, &without("exp"))?),
        ("exp as text", false, jwt_key.sign(&hs, &with("exp", json!((now + 600).to_string())))?),
        ("no iat", true, jwt_key.sign(&hs, &without("iat"))?),
        ("nbf and iat to come", true, {
            let mut claims = with("nbf", json!(now + 500));
            set(&mut claims, "iat", json!(now + 500));
            jwt_key.sign(&hs, &claims)?
        }),
        ("another aud and iss", true, {
            let mut claims = with("aud", json!("other"));
            set(&mut claims, "iss", json!("https://nobody"));
            jwt_key.sign(&hs, &claims)?
        }),
        ("no user", false, jwt_key.sign(&hs, &without("sun"))?),
        ("username in the place of sun", true, {
            let mut claims = without("sun");
            set(&mut claims, "username", json!("bob"));
            jwt_key.sign(&hs, &claims)?
        }),
        ("unknown user", false, jwt_key.sign(&hs, &with("sun", json!("nosuchuser")))?),
    ])
}

fn set(claims: &mut Value, name: &str, value: Value) {
    claims.as_object_mut().map(|claims| claims.insert(name.to_owned(), value));
}

fn table(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    let word = |taken: bool| if taken { "takes" } else { "refuses" };
    let mut notes = vec![format!(
        "JWT: {:38} {:8} {:8} {:8} {:8} {:8} jwt inspect's reason",
        "token", "inspect", "job", "squeue", "ctld", "dbd"
    )];
    let mut different = Vec::new();
    let tokens = tokens(hosts)?;
    for (name, expected, token) in &tokens {
        let ((says, why), real) = (inspected(hosts, token)?, real(hosts, token)?);
        notes.push(format!(
            "     {name:38} {:8} {:8} {:8} {:8} {:8} {why}",
            word(says),
            word(real.job),
            word(real.squeue),
            word(real.ctld),
            word(real.dbd)
        ));
        let looks = says || why.contains("knows no user");
        let all = Real { job: says, squeue: looks, ctld: looks, dbd: looks };
        if real != all || says != *expected {
            different.push(*name);
        }
    }
    notes.push(format!("JWT: {} tokens, {} with a difference", tokens.len(), different.len()));
    ensure!(different.is_empty(), "differences: {different:?}\n{}", notes.join("\n"));
    Ok(notes)
}

fn removed(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    let before = provided(hosts, "alice")?;
    let taken = |token: &str| -> Result<Vec<bool>> {
        let (says, _) = inspected(hosts, token)?;
        let real = real(hosts, token)?;
        Ok(vec![says, real.job, real.squeue, real.ctld, real.dbd])
    };
    ensure!(taken(&before)? == [true; 5], "before");
    hosts.rest1.sh("cd /oidc && node keys.mjs second > keys.json")?;
    start_provider(hosts)?;
    // Within the time of grace the key stays.
    fetch_and_load(hosts, &["--also", "/etc/slurm/own-jwks.json", "--grace", "1h"])?;
    let after = provided(hosts, "alice")?;
    ensure!(taken(&before)? == [true; 5] && taken(&after)? == [true; 5], "within the time of grace");
    fetch_and_load(hosts, &["--also", "/etc/slurm/own-jwks.json", "--grace", "0s"])?;
    ensure!(
        taken(&before)? == [false; 5],
        "the removed key still counts: {}",
        fs::read_to_string(hosts.lab.path(&format!("/hosts/ctl1{}", JWKS.trim_start_matches("/etc/slurm"))))?
    );
    ensure!(taken(&after)? == [true; 5], "the key that stays does not count");
    Ok(Vec::new())
}

fn rotate(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    let before = hosts.scontrol_token("alice", 600)?;
    ensure!(real(hosts, &before)? == TAKEN, "before");
    let path = |name: &str| hosts.lab.path(&format!("/hosts/ctl1/{name}"));
    let config = fs::read_to_string(path("slurm-pki.toml"))? + "restd_url = \"http://127.0.0.1:6820\"\n";
    fs::write(path("with-restd.toml"), config)?;
    hosts.rest1.systemctl("restart", "slurmrestd")?;
    let config = ["--config", "/etc/slurm/with-restd.toml", "--yes"];
    let said =
        hosts.slurm_pki(&[&config[..], &["jwt", "key", "rotate", "--proof-user", "alice"]].concat())?;
    ensure!(hosts.get("ctl1", "jwt_hs256.key")? == hosts.get("dbd1", "jwt_hs256.key")?, "two keys");
    let refused = Real { job: false, squeue: false, ctld: false, dbd: false };
    ensure!(real(hosts, &before)? == refused, "a token of the former key counts");
    ensure!(real(hosts, &hosts.scontrol_token("alice", 600)?)? == TAKEN, "a new token does not count");
    let gap: Vec<_> = said
        .lines()
        .filter(|line| line.contains("to the last proof"))
        .map(|line| format!("jwt key rotate: {line}"))
        .collect();
    ensure!(!gap.is_empty(), "nothing is said of the gap: {said}");
    Ok(gap)
}
