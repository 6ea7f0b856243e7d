//! slurm.conf before `conf enable`, after it and after `conf disable`, as Slurm's own code reads it (reader.c): whatever
//! else stands in it, however it is written, is read as before.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context as _, Result, bail, ensure};
use data_encoding::HEXLOWER;
use serde_json::Value;

use crate::lab::{Lab, READER, User};
use crate::shell::{answer, outcome, said};
use crate::table::Table;

const NAME: &str =
    "conf enable and disable: Slurm reads every other key as before, and ours as they are meant";
const GENERATED: &str =
    "the same for slurm.confs that were made up, half of them as wild as Slurm takes them";

/// A site of its own, so that this needs no case before it.
const SITE: &str = "/tmp/reading-site";
const SITE_CONF: &str = "/tmp/reading-site/slurm-pki.toml";

const FOLDER: &str = "/tmp/reading";
const CONF: &str = "/tmp/reading/slurm.conf";

const OURS: [&str; 7] = [
    "TLSType",
    "TLSParameters",
    "CertmgrType",
    "CertmgrParameters",
    "CertgenType",
    "CertgenParameters",
    "DebugFlags",
];
const OTHERS: [&str; 11] = [
    "ClusterName",
    "SlurmUser",
    "AuthType",
    "AuthInfo",
    "AuthAltTypes",
    "AuthAltParameters",
    "CredType",
    "MailProg",
    "MailDomain",
    "SlurmctldLogFile",
    "SlurmctldParameters",
];

/// What Slurm refuses before and after: two keys in one line, names of 25.05.0's manual, a byte order mark.
const REFUSED: [&str; 5] = [
    "several_keys.conf",
    "old_names.conf",
    "without_a_value.conf",
    "byte order mark",
    "word without a value",
];

pub(super) fn run(table: &mut Table, lab: &Lab) {
    table.run(NAME, || {
        lab.folder(SITE, User::Root)?;
        put(lab, &Files::from([("slurm.conf".to_owned(), b"ClusterName=c1\nSlurmUser=slurm\n".to_vec())]))?;
        slurm_pki(lab, &["init", "--state-dir", &format!("{SITE}/state")])?;
        let files = samples()?.into_iter().chain(wild());
        for (name, files) in files {
            let taken = turned_on_and_off(lab, &files).with_context(|| name.clone())?;
            ensure!(taken != REFUSED.contains(&name.as_str()), "{name}: taken by Slurm: {taken}");
        }
        Ok(())
    });
    table.run(GENERATED, || {
        let (mut dice, mut taken, all) = (Dice(2605), 0, 60);
        for nth in 0..all {
            let text = text(&mut dice);
            let files = Files::from([("slurm.conf".to_owned(), text.clone().into_bytes())]);
            taken += u32::from(turned_on_and_off(lab, &files).with_context(|| format!("{nth}:\n{text}"))?);
        }
        ensure!(taken * 2 > all, "Slurm takes only {taken} of {all}: they show little");
        Ok(())
    });
}

/// Files by their names in the folder.
type Files = BTreeMap<String, Vec<u8>>;

/// Those that the tests of the command have.
fn samples() -> Result<Vec<(String, Files)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../admin/slurm_confs");
    let (mut included, mut samples) = (Files::new(), Vec::new());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().context("it has a name")?.to_string_lossy().into_owned();
        if name.ends_with(".inc") {
            included.insert(name, fs::read(path)?);
        } else if name.ends_with(".conf") {
            samples.push((name, fs::read(path)?));
        }
    }
    ensure!(samples.len() > 15, "{samples:?}");
    let with_included = |(name, bytes)| {
        let own = Files::from([("slurm.conf".to_owned(), bytes)]);
        (name, own.into_iter().chain(included.clone()).collect())
    };
    Ok(samples.into_iter().map(with_included).collect())
}

/// What no sample has: it takes several folders, or bytes that an editor would not keep.
fn wild() -> Vec<(String, Files)> {
    let files = |files: &[(&str, &[u8])]| -> Files {
        files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect()
    };
    [
        (
            "an Include within another, from the first file's folder",
            files(&[
                ("slurm.conf", b"ClusterName=C1\nInclude sub/tls_%c.inc # all of it\nSlurmUser=slurm\n"),
                ("sub/tls_c1.inc", b"TLSType=none\ninclude\tdeep.inc\n"),
                ("deep.inc", b"DebugFlags=Agent\nTLSParameters=security_policy_version=20230317"),
                ("sub/deep.inc", b"DebugFlags=Script\n"),
            ]),
        ),
        (
            "the same file twice, the last value in another",
            files(&[
                ("slurm.conf", b"Include a.inc\nDebugFlags=Agent\nInclude a.inc\nInclude b.inc"),
                ("a.inc", b"DebugFlags=Gres\r\n"),
                ("b.inc", b"debugflags += Steps \\"),
            ]),
        ),
        ("a byte of zero", files(&[("slurm.conf", b"DebugFlags=Gres\0,Agent\nMailProg=/a\\\0\nb\n")])),
        ("byte order mark", files(&[("slurm.conf", b"\xef\xbb\xbf# from a desk\r\nDebugFlags=Gres\r\n")])),
        ("word without a value", files(&[("slurm.conf", b"ClusterName=c1\nstart\nDebugFlags=Gres\n")])),
        ("a vertical tab behind the joint", files(&[("slurm.conf", b"DebugFlags=Gres,\\\x0b\nAgent\n")])),
        (
            "ten thousand nodes",
            files(&[("slurm.conf", ten_thousand_nodes().as_bytes()), ("nodes.inc", b"SlurmUser=slurm\n")]),
        ),
    ]
    .map(|(name, files)| (name.to_owned(), files))
    .into()
}

fn ten_thousand_nodes() -> String {
    let mut text = "ClusterName=big\nInclude nodes.inc\nDebugFlags=NodeFeatures # of May\n".to_owned();
    for node in 0..10_000 {
        let _ = writeln!(
            text,
            "NodeName=n{node:05} CPUs=128 RealMemory=515000 Weight={} Feature=a,b",
            node % 100
        );
    }
    text
}

/// Whether Slurm takes it, before and after.
fn turned_on_and_off(lab: &Lab, files: &Files) -> Result<bool> {
    put(lab, files)?;
    let before = Reading::of(lab)?;
    let enable = ["conf", "enable", "--prepare", "--offline", "--yes"];
    slurm_pki(lab, &enable)?;
    ensure!(settle(&lab.path(FOLDER))? > 0, "nothing was changed");
    let after = Reading::of(lab)?;
    before.expect_enabled(&after, &shown(lab)?)?;
    let output = slurm_pki_outcome(lab, &["conf", "disable", "--prepare", "--yes"])?;
    // What had TLS on before has it on again, and that is no success.
    let stays_on = String::from_utf8_lossy(&output.stderr).contains("TLS stays on with that");
    ensure!(output.status.success() != stays_on, "conf disable: {}", said(&output));
    let was_on = before.ours.get("TLSType").is_some_and(|is| is.eq_ignore_ascii_case("tls/s2n"));
    // What Slurm refuses it does not read to its end.
    ensure!(stays_on == was_on || !before.taken, "TLS was on: {was_on}, stays on: {stays_on}");
    settle(&lab.path(FOLDER))?;
    for (name, bytes) in files {
        let is = fs::read(lab.path(FOLDER).join(name))?;
        ensure!(is == *bytes, "{name} is not what it was:\n{}", String::from_utf8_lossy(&is));
    }
    Ok(before.taken)
}

fn put(lab: &Lab, files: &Files) -> Result<()> {
    lab.folder(FOLDER, User::Root)?;
    for (name, bytes) in files {
        let path = lab.path(FOLDER).join(name);
        fs::create_dir_all(path.parent().context("it lies in a folder")?)?;
        fs::write(path, bytes)?;
    }
    Ok(())
}

/// Puts prepared files in place; how many.
fn settle(folder: &Path) -> Result<usize> {
    let mut settled = 0;
    for entry in fs::read_dir(folder)? {
        let path: PathBuf = entry?.path();
        if path.is_dir() {
            settled += settle(&path)?;
        } else if path.extension().is_some_and(|ending| ending == "new") {
            fs::rename(&path, path.with_extension(""))?;
            settled += 1;
        }
    }
    Ok(settled)
}

fn slurm_pki(lab: &Lab, arguments: &[&str]) -> Result<String> {
    let output = slurm_pki_outcome(lab, arguments)?;
    ensure!(output.status.success(), "slurm-pki {arguments:?}: {}", said(&output));
    Ok(String::from_utf8(output.stdout)?)
}

fn slurm_pki_outcome(lab: &Lab, arguments: &[&str]) -> Result<Output> {
    let mut command = lab.command("/slurm-pki/bin/slurm-pki", User::Root);
    outcome(command.args(arguments).env("SLURM_CONF", CONF).env("SLURM_PKI_CONF", SITE_CONF))
}

/// What `conf show` says: keys and what they have to have.
fn shown(lab: &Lab) -> Result<Vec<(String, String)>> {
    let document: Value = serde_json::from_str(&slurm_pki(lab, &["conf", "show", "--json"])?)?;
    let lines = document.pointer("/data/slurm_conf").and_then(Value::as_array).context("no lines")?;
    let pair = |line: &Value| {
        let (key, value) = line.as_str().and_then(|line| line.split_once('=')).context("no line")?;
        Ok((key.to_owned(), value.to_owned()))
    };
    let mut lines = lines.iter().map(pair).collect::<Result<Vec<_>>>()?;
    lines.push(("DebugFlags".to_owned(), "AuditTLS".to_owned()));
    Ok(lines)
}

/// What Slurm made of it.
#[derive(Debug, PartialEq, Eq)]
struct Reading {
    taken: bool,
    ours: BTreeMap<String, String>,
    /// Other keys, and lines of nodes and partitions.
    others: Vec<(String, String)>,
}

impl Reading {
    fn of(lab: &Lab) -> Result<Self> {
        let mut reader = lab.command(READER, User::Root);
        let read = answer(reader.arg(CONF).args(OURS).args(OTHERS).env("SLURM_CONF", CONF))?;
        let mut lines = read.lines();
        let taken = match lines.next() {
            Some("taken") => true,
            Some("refused") => false,
            other => bail!("the reader says {other:?}"),
        };
        let pair = |line: &str| {
            let (key, value) = line.split_once(' ').context("a key and its value")?;
            let value = HEXLOWER.decode(value.as_bytes())?;
            // A line of a node ends as its file does.
            Ok((key.to_owned(), String::from_utf8_lossy(&value).trim_end().to_owned()))
        };
        let pairs = lines.map(pair).collect::<Result<Vec<_>>>()?;
        let (ours, others) =
            pairs.into_iter().partition::<Vec<_>, _>(|(key, _)| OURS.contains(&key.as_str()));
        Ok(Self { taken, ours: ours.into_iter().collect(), others })
    }

    fn expect_enabled(&self, after: &Self, shown: &[(String, String)]) -> Result<()> {
        ensure!(!self.taken || after.taken, "Slurm refuses it now");
        ensure!(self.others == after.others, "others were\n{:?}\nand are\n{:?}", self.others, after.others);
        // What Slurm refuses it does not read to its end.
        for (key, wanted) in shown.iter().filter(|_| after.taken) {
            let is = after.ours.get(key).with_context(|| format!("no {key}"))?;
            let was = self.ours.get(key).map_or("", String::as_str);
            if key.ends_with("Type") {
                ensure!(is == wanted, "{key} is {is}");
            } else {
                expect_merged(was, wanted, is).with_context(|| format!("{key} was {was}"))?;
            }
        }
        Ok(())
    }
}

/// All that was wanted is there, and all else that was there.
fn expect_merged(was: &str, wanted: &str, is: &str) -> Result<()> {
    let name = |item: &str| item.split('=').next().unwrap_or_default().to_lowercase();
    let has =
        |item: &str| is.split(',').any(|is| is == item || is.eq_ignore_ascii_case(item) && !is.contains('='));
    for item in wanted.split(',') {
        ensure!(has(item), "{item} is not in {is}");
    }
    for item in was.split(',').filter(|item| !item.is_empty()) {
        let replaced = wanted.split(',').any(|wanted| name(wanted) == name(item));
        ensure!(replaced || has(item), "{item} is lost: {is}");
    }
    Ok(())
}

/// The same numbers in every run.
struct Dice(u64);

impl Dice {
    /// One of them.
    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        // Knuth's multiplier; the upper bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let nth = usize::try_from(self.0 >> 33).unwrap_or_default() % choices.len().max(1);
        choices.get(nth).copied().unwrap_or_default()
    }
}

const KEYS: &[&str] = &[
    "DebugFlags",
    "DEBUGFLAGS",
    "TLSType",
    "tlstype",
    "TLSParameters",
    "CertmgrType",
    "CertmgrParameters",
    "certgenparameters",
    "SlurmUser",
    "MailProg",
    "SlurmctldParameters",
    "NodeName",
];

/// A slurm.conf whose lines are written in every way.
fn text(dice: &mut Dice) -> String {
    let end = dice.one_of(&["\n", "\n", "\r\n"]);
    let mut text = format!("ClusterName=c1{end}");
    let many = dice.one_of(&["...", "......", ".........", "............"]);
    for _ in many.chars() {
        let key = dice.one_of(KEYS);
        text += dice.one_of(&["", "", "", " ", "\t", "#\n\n", "   \n", "# TLSType=x \\\n"]);
        text += key;
        text += dice.one_of(&["=", "=", "=", " = ", "\t=", "= ", "+="]);
        text += &value(dice, &key.to_lowercase());
        text += dice.one_of(&["", "", " ", "\t# why", " # a \\", "# \"", "\r", " \\\n", "\\\n# not joined"]);
        text += end;
    }
    text + dice.one_of(&["", "", "MailDomain=a", "MailDomain=a \\", "# the end", "\\", " "])
}

fn value(dice: &mut Dice, key: &str) -> String {
    let items: &[&str] = match key {
        "debugflags" => &["Gres", "Agent,Steps", "TLS", "audittls", "NO_CONF_HASH,TLS,Gres"],
        "tlstype" => &["none", "tls/none", "tls/s2n"],
        "certmgrtype" => &["certmgr/script", "certmgr/none"],
        "tlsparameters" => {
            &["load_system_certificates", "ca_cert_file=/old/\\#1.pem,dbd_cert_file=/d", "ca_cert_file=/a"]
        }
        "certmgrparameters" => &[
            "single_use_tokens",
            "sign_csr_script=/opt/s,single_use_tokens",
            "certificate_renewal_period=60,,x=\\\\",
        ],
        "certgenparameters" => &["keygen_script=/opt/k,other=1", "other=\\,"],
        "mailprog" => {
            return dice
                .one_of(&["\"/bin/mail -s \\#1\"", "/bin/mail", "\"\"", "\\a\\\\b", "\"TLSType=x y\""])
                .to_owned();
        }
        "nodename" => {
            return dice
                .one_of(&["n1 CPUs=1", "n[1-2] TLSType=x", "n1 \\\n Comment=\"DebugFlags=x\""])
                .to_owned();
        }
        _ => &["slurm", "a,b", "x\\#y"],
    };
    let value = dice.one_of(items);
    match dice.one_of(&["", "", "quoted", "joined", "joined and explained"]) {
        "quoted" => format!("\"{value}\""),
        "joined" => value.replace(',', ",\\\n"),
        "joined and explained" => value.replace(',', ",\\ # and\n"),
        _ => value.to_owned(),
    }
}
