//! Our own copy of the loaders of key files beside the real ones: for each of many files, what `pki` says of it and what
//! slurmctld did with it. Files that only Slurm's JSON reader takes, and that we refuse on purpose, stand apart.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use pki::loading::{FileFacts, Loaded, Verdicts};
use pki::slurm_release::SlurmRelease;
use pki::time::UnixTime;
use pki::{auth_jwt, auth_slurm};

use crate::cluster::PATIENCE;
use crate::conf::Conf;
use crate::daemon::Daemon;
use crate::lab::{Lab, User};
use crate::shell::answer;
use crate::table::Table;
use crate::terminal;

const NAME: &str = "our loaders of key files and slurmctld's agree on every file";
const STRICTER: &str = "what our loaders refuse and slurmctld takes is what was meant to be";

/// slurmctld has loaded its keys, or is gone, long before this line.
const UP: &str = "Running as primary controller";

const NAP: Duration = Duration::from_millis(20);

/// Which of the four files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    AuthKey,
    AuthJwks,
    JwtKey,
    Jwks,
}

/// A file, and what it is an example of.
struct Sample {
    kind: Kind,
    about: String,
    bytes: Vec<u8>,
    mode: u32,
    owner: User,
}

/// What became of slurmctld.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Accepts,
    Warns,
    Dies,
}

pub(super) fn run(table: &mut Table, lab: &Lab) {
    table.run(NAME, || agree(lab));
    table.run(STRICTER, || stricter(lab));
    // What is there belongs to the clusters that come after.
    table.run("the cluster's own key is back", || {
        for file in ["/etc/slurm/slurm.jwks", "/etc/slurm/jwks.json"] {
            let _ = fs::remove_file(lab.path(file));
        }
        let key = site::random::bytes::<64>().map_err(anyhow::Error::msg)?;
        lab.secret_file("/etc/slurm/slurm.key", &key, User::Slurm)
    });
}

fn agree(lab: &Lab) -> Result<()> {
    let release = release(lab)?;
    let (samples, mut differences) = (samples(), Vec::new());
    let mut text = format!("\nKey files: what we say of slurmctld of kind {release}, and what it did\n");
    for sample in &samples {
        let ours = ours(lab, sample, release)?;
        let (its, log) = its(lab, sample)?;
        let mark = if ours == its { ' ' } else { '!' };
        let (kind, about) = (format!("{:?}", sample.kind), &sample.about);
        text += &format!("{mark} {kind:8} {about:60} {:8} {:8}\n", format!("{ours:?}"), format!("{its:?}"));
        if ours != its {
            differences.push(format!("{kind} {about}: we say {ours:?}, slurmctld: {its:?}\n{log}"));
        }
    }
    terminal::line(&text);
    ensure!(
        differences.is_empty(),
        "{} of {}:\n{}",
        differences.len(),
        samples.len(),
        differences.join("\n")
    );
    Ok(())
}

fn stricter(lab: &Lab) -> Result<()> {
    for sample in json_c() {
        ensure!(ours(lab, &sample, release(lab)?)? == End::Dies, "{} is let through", sample.about);
    }
    Ok(())
}

fn release(lab: &Lab) -> Result<SlurmRelease> {
    // scontrol wants one even for its version.
    Conf::default().write(lab)?;
    let version = answer(lab.slurm("scontrol", User::Root).arg("--version"))?;
    SlurmRelease::of(&version).with_context(|| format!("a Slurm of no known kind: {version}"))
}

fn ours(lab: &Lab, sample: &Sample, release: SlurmRelease) -> Result<End> {
    let facts = FileFacts { mode: sample.mode, owner: lab.ids(sample.owner).0 };
    let (slurm_user, _) = lab.ids(User::Slurm);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let now = UnixTime(i64::try_from(now)?);
    let verdicts: Verdicts = match sample.kind {
        Kind::AuthKey => auth_slurm::judge_key(&sample.bytes, facts, slurm_user),
        Kind::AuthJwks => auth_slurm::judge_jwks(&sample.bytes, facts, slurm_user, now),
        Kind::JwtKey => auth_jwt::judge_key(&sample.bytes, facts, slurm_user),
        Kind::Jwks => auth_jwt::judge_jwks(&sample.bytes, facts, slurm_user),
    };
    Ok(match verdicts.of(release) {
        Loaded::Accepts => End::Accepts,
        Loaded::Warns(_) => End::Warns,
        Loaded::Dies(_) => End::Dies,
    })
}

/// Starts slurmctld on the file, and ends it.
fn its(lab: &Lab, sample: &Sample) -> Result<(End, String)> {
    for file in
        ["/etc/slurm/slurm.jwks", "/etc/slurm/slurm.key", "/etc/slurm/jwks.json", "/etc/slurm/jwt.key"]
    {
        let _ = fs::remove_file(lab.path(file));
    }
    lab.secret_file("/etc/slurm/slurm.key", &[7; 64], User::Slurm)?;
    let (file, alternative) = match sample.kind {
        Kind::AuthKey => ("/etc/slurm/slurm.key", ""),
        Kind::AuthJwks => ("/etc/slurm/slurm.jwks", ""),
        Kind::JwtKey => ("/etc/slurm/jwt.key", "jwt_key=/etc/slurm/jwt.key"),
        Kind::Jwks => ("/etc/slurm/jwks.json", "jwks=/etc/slurm/jwks.json"),
    };
    Conf { certmgr: false, ..Conf::default() }.write(lab)?;
    if !alternative.is_empty() {
        let conf = lab.text("/etc/slurm/slurm.conf")?;
        let more = format!("{conf}AuthAltTypes=auth/jwt\nAuthAltParameters={alternative}\n");
        fs::write(lab.path("/etc/slurm/slurm.conf"), more)?;
    }
    let path = lab.path(file);
    fs::write(&path, &sample.bytes)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(sample.mode))?;
    // The group is Slurm's, so that slurmctld can read what is not its own.
    chown(&path, Some(lab.ids(sample.owner).0), Some(lab.ids(User::Slurm).1))?;
    lab.folder("/var/lib/slurm-state", User::Slurm)?;
    let mut daemon = Daemon::start(lab, "ctl1", "slurmctld", User::Root, &[])?;
    let end = ended(&mut daemon, file)?;
    Ok((end, daemon.log.text()))
}

fn ended(daemon: &mut Daemon, file: &str) -> Result<End> {
    let begun = std::time::Instant::now();
    while begun.elapsed() < PATIENCE {
        let gone = daemon.ended()?.is_some();
        let log = daemon.log.text();
        if log.contains(UP) {
            let is_warning = |line: &str| line.contains(file) && line.contains("owned");
            return Ok(if log.lines().any(is_warning) { End::Warns } else { End::Accepts });
        }
        if gone {
            return Ok(End::Dies);
        }
        std::thread::sleep(NAP);
    }
    bail!("slurmctld neither came up nor ended:\n{}", daemon.log.text())
}

fn sample(kind: Kind, about: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Sample {
    let mode = if kind == Kind::Jwks { 0o644 } else { 0o600 };
    Sample { kind, about: about.into(), bytes: bytes.into(), mode, owner: User::Slurm }
}

/// A key of auth/slurm from its members, each as JSON.
fn oct(members: &[(&str, &str)]) -> String {
    let k = format!("\"{}\"", BASE64URL_NOPAD.encode(&[7; 32]));
    object(&[("kid", "\"a\""), ("kty", "\"oct\""), ("alg", "\"HS256\""), ("k", &k)], members)
}

/// One of auth/jwt.
fn rsa(members: &[(&str, &str)]) -> String {
    let n = format!("\"{}\"", BASE64URL_NOPAD.encode(&[0xc7; 256]));
    object(
        &[("kid", "\"a\""), ("kty", "\"RSA\""), ("alg", "\"RS256\""), ("n", &n), ("e", "\"AQAB\"")],
        members,
    )
}

/// A member given as "-" is left out.
fn object(usual: &[(&str, &str)], other: &[(&str, &str)]) -> String {
    let is_other = |name: &str| other.iter().any(|(other, _)| *other == name);
    let usual = usual.iter().filter(|(name, _)| !is_other(name));
    let members = usual.chain(other.iter().filter(|(_, value)| *value != "-"));
    let members: Vec<String> = members.map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn list(keys: &[String]) -> String {
    format!("{{\"keys\":[{}]}}", keys.join(","))
}

fn samples() -> Vec<Sample> {
    let mut all = raw(Kind::AuthKey);
    all.extend(raw(Kind::JwtKey));
    all.extend(auth_lists());
    all.extend(jwt_lists());
    all
}

/// Both files whose bytes are the key.
fn raw(kind: Kind) -> Vec<Sample> {
    let of = |about: &str, bytes: &[u8]| sample(kind, about, bytes);
    let with = |about: &str, mode, owner| Sample { mode, owner, ..sample(kind, about, [7; 32]) };
    vec![
        of("32 bytes", &[7; 32]),
        of("1 byte", b"x"),
        of("empty", b""),
        of("4096 bytes", &[7; 4096]),
        of("a text with its newline", b"0123456789abcdef0123456789abcdef\n"),
        of("bytes of zero", &[0; 32]),
        with("0400", 0o400, User::Slurm),
        with("the group may read", 0o640, User::Slurm),
        with("the group may write", 0o660, User::Slurm),
        with("others may read", 0o604, User::Slurm),
        with("others may write", 0o602, User::Slurm),
        with("others may execute", 0o601, User::Slurm),
        with("root's, for the group too", 0o640, User::Root),
        with("somebody else's, for the group too", 0o640, User::Ordinary),
    ]
}

fn auth_lists() -> Vec<Sample> {
    let of = |about: &str, text: &str| sample(Kind::AuthJwks, about, text);
    let one = |about: &str, members: &[(&str, &str)]| of(about, &list(&[oct(members)]));
    let two =
        |about: &str, one: &[(&str, &str)], other: &[(&str, &str)]| of(about, &list(&[oct(one), oct(other)]));
    let coded = |about: &str, text: &str| one(about, &[("k", &format!("\"{text}\""))]);
    let (b, default) = (("kid", "\"b\""), ("use", "\"default\""));
    let good = list(&[oct(&[])]);
    let mut all = vec![
        one("one key", &[]),
        two("two keys, no default", &[], &[b]),
        two("two keys, the second is the default", &[], &[b, default]),
        two("two defaults", &[default], &[b, default]),
        two("one kid twice", &[], &[]),
        two("kids that differ in case", &[], &[("kid", "\"A\"")]),
        one("a use that is not default", &[("use", "\"sig\"")]),
        one("use in capitals", &[("use", "\"DEFAULT\"")]),
        one("no kid", &[("kid", "-")]),
        one("a kid of no characters", &[("kid", "\"\"")]),
        one("a kid that is a number", &[("kid", "5")]),
        one("a kid that is null", &[("kid", "null")]),
        one("no kty", &[("kty", "-")]),
        one("kty in capitals", &[("kty", "\"OCT\"")]),
        one("kty RSA", &[("kty", "\"RSA\"")]),
        one("no alg", &[("alg", "-")]),
        one("alg in small letters", &[("alg", "\"hs256\"")]),
        one("alg HS512", &[("alg", "\"HS512\"")]),
        one("no k", &[("k", "-")]),
        one("k of nothing", &[("k", "\"\"")]),
        coded("k of 15 bytes", &BASE64URL_NOPAD.encode(&[7; 15])),
        coded("k of 16 bytes", &BASE64URL_NOPAD.encode(&[7; 16])),
        coded("k of 17 bytes", &BASE64URL_NOPAD.encode(&[7; 17])),
        coded("k of 1024 bytes", &BASE64URL_NOPAD.encode(&[7; 1024])),
        coded("k in base64 with padding", &BASE64.encode(&[0xfb; 32])),
        coded("k in base64url without padding", &BASE64URL_NOPAD.encode(&[0xfb; 32])),
        coded("k with a newline at its end", &format!("{}\\n", BASE64.encode(&[7; 33]))),
        coded("k with a blank in it", &format!("{} {}", BASE64.encode(&[7; 33]), BASE64.encode(&[7; 33]))),
        coded("k with a character that is none of base64", &format!("{}!", BASE64URL_NOPAD.encode(&[7; 32]))),
        coded("k with one padding too many", &format!("{}==", BASE64URL_NOPAD.encode(&[7; 32]))),
        coded("k with padding where none belongs", &format!("{}=", BASE64URL_NOPAD.encode(&[7; 33]))),
        coded("k of a length that base64 does not have", &format!("{}AA", BASE64URL_NOPAD.encode(&[7; 32]))),
        one("an end to come", &[("exp", "4000000000")]),
        one("an end that is past, of the key that signs", &[("exp", "1000")]),
        one("an end as text", &[("exp", "\"4000000000\"")]),
        one("an end of 0", &[("exp", "0")]),
        one("an end that is no number", &[("exp", "\"soon\"")]),
        one("members that Slurm does not know", &[("x", "[1,{\"y\":null}]"), ("iat", "1")]),
        of("members beside the list", &good.replacen('{', "{\"x\":{},", 1)),
        of("blanks and newlines around", &format!("\n {good}\n\n")),
        of("no keys in the list", "{\"keys\":[]}"),
        of("no list", "{}"),
        of("keys is an object", "{\"keys\":{}}"),
        of("keys is a text", "{\"keys\":\"x\"}"),
        of("keys is a number", "{\"keys\":5}"),
        of("keys is null", "{\"keys\":null}"),
        one("k that is a number", &[("k", "1111111111111111111")]),
        one("kty that is a number", &[("kty", "5")]),
        one("use that is a number", &[("use", "5")]),
        one("an end that is a fraction", &[("exp", "4000000000.5")]),
        one("an end that is true", &[("exp", "true")]),
        one("an end that is null", &[("exp", "null")]),
        one("an end below 0", &[("exp", "-5")]),
        one("an end that is a text of nothing", &[("exp", "\"\"")]),
        one("an end of a text with a fraction", &[("exp", "\"4000000000.5\"")]),
        of("a list alone", &format!("[{}]", oct(&[]))),
        of("a key that is a list", "{\"keys\":[[\"a\"]]}"),
        of("a key that is a number", "{\"keys\":[1]}"),
        of("empty", ""),
        of("no JSON", "key"),
        of("cut short", good.get(..good.len() - 3).unwrap_or_default()),
    ];
    for (about, mode, owner) in [
        ("the group may read", 0o640, User::Slurm),
        ("others may read", 0o644, User::Slurm),
        ("root's, for the group too", 0o640, User::Root),
        ("somebody else's, for the group too", 0o640, User::Ordinary),
    ] {
        all.push(Sample { mode, owner, ..of(about, &good) });
    }
    all
}

fn jwt_lists() -> Vec<Sample> {
    let of = |about: &str, text: &str| sample(Kind::Jwks, about, text);
    let one = |about: &str, members: &[(&str, &str)]| of(about, &list(&[rsa(members)]));
    let ec =
        [("kty", "\"EC\""), ("n", "-"), ("e", "-"), ("crv", "\"P-256\""), ("x", "\"AA\""), ("y", "\"AA\"")];
    let good = list(&[rsa(&[])]);
    let mut all = vec![
        one("one RSA key for RS256", &[]),
        of("two", &list(&[rsa(&[]), rsa(&[("kid", "\"b\"")])])),
        of("one kid twice", &list(&[rsa(&[]), rsa(&[])])),
        one("no kid", &[("kid", "-")]),
        one("a kid that is a number", &[("kid", "5")]),
        one("no alg", &[("alg", "-")]),
        one("alg in small letters", &[("alg", "\"rs256\"")]),
        one("alg RS512", &[("alg", "\"RS512\"")]),
        one("no kty", &[("kty", "-")]),
        one("kty in small letters", &[("kty", "\"rsa\"")]),
        one("an EC key without alg", &[&ec[..], &[("alg", "-")]].concat()),
        one("an EC key with its alg", &[&ec[..], &[("alg", "\"ES256\"")]].concat()),
        one("an EC key without alg and kid", &[&ec[..], &[("alg", "-"), ("kid", "-")]].concat()),
        one("no n", &[("n", "-")]),
        one("no e", &[("e", "-")]),
        one("n that is no base64", &[("n", "\"AQ AB\"")]),
        one("e that is no base64", &[("e", "\"A\"")]),
        one("certificates beside it", &[("x5c", "[\"AA\"]"), ("x5t", "\"AA\"")]),
        one("use enc", &[("use", "\"enc\"")]),
        one("members that Slurm does not know", &[("y", "{\"z\":[]}")]),
        of("no keys in the list", "{\"keys\":[]}"),
        of("no list", "{}"),
        of("keys is an object", "{\"keys\":{}}"),
        of("keys is a text", "{\"keys\":\"x\"}"),
        of("keys is null", "{\"keys\":null}"),
        of("a list alone", &format!("[{}]", rsa(&[]))),
        one("n that is null", &[("n", "null")]),
        one("kty that is null", &[("kty", "null")]),
        of("a key that is a number", "{\"keys\":[1]}"),
        one("n of nothing", &[("n", "\"\"")]),
        one("n that is a number", &[("n", "5")]),
        one("kid that is null", &[("kid", "null")]),
        one("alg that is a number", &[("alg", "5")]),
        of("empty", ""),
        of("no JSON", "key"),
        of("cut short", good.get(..good.len() - 3).unwrap_or_default()),
    ];
    for (about, mode, owner) in [
        ("everybody may write", 0o666, User::Slurm),
        ("the group may write", 0o664, User::Slurm),
        ("root's", 0o644, User::Root),
        ("somebody else's", 0o644, User::Ordinary),
    ] {
        all.push(Sample { mode, owner, ..of(about, &good) });
    }
    all
}

/// What json-c reads and RFC 8259 does not know.
fn json_c() -> Vec<Sample> {
    let good = list(&[oct(&[])]);
    let of = |about: &str, text: String| sample(Kind::AuthJwks, about, text);
    vec![
        of("text after it", format!("{good}x")),
        of("a comment", format!("/* keys */{good}")),
        of("single quotes", good.replace('"', "'")),
        of("a comma at the end", good.replace("]}", ",]}")),
    ]
}
