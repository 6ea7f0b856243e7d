//! A site whose slurm.conf is one of the samples.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use support::programs::program;

use crate::scratch::{Scratch, text};

/// Files by their names, with what is in them.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

pub(crate) const ENABLE: [&str; 4] = ["conf", "enable", "--yes", "--offline"];
pub(crate) const DISABLE: [&str; 4] = ["conf", "disable", "--yes", "--offline"];

const DBD: &str = "# accounting\nDbdHost=db1\nStoragePass=not-to-be-shown\nSlurmUser=slurm";

/// Where the samples are.
pub(crate) fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("admin/slurm_confs")
}

/// A site where `init` has run, with this sample for a slurm.conf, all that it may include, and a slurmdbd.conf.
pub(crate) fn with_sample(name: &str) -> Scratch {
    let site = Scratch::ready();
    for entry in fs::read_dir(samples()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "inc") {
            fs::copy(&path, site.path(path.file_name().unwrap().to_str().unwrap())).unwrap();
        }
    }
    fs::copy(samples().join(name), site.path("slurm.conf")).unwrap();
    site.write("slurmdbd.conf", DBD, 0o600);
    site
}

/// The same for a text.
pub(crate) fn with_text(text: &str) -> Scratch {
    let site = with_sample("plain.conf");
    site.write("slurm.conf", text, 0o644);
    site
}

/// Slurm's files, without dated copies.
pub(crate) fn files(site: &Scratch) -> Files {
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let all = site.everything().into_iter().map(|(path, contents)| (name(&path), contents));
    all.filter(|(name, _)| name.ends_with(".conf") || name.ends_with(".inc")).collect()
}

/// Whether TLS, JWT or auth/slurm is on in a site's files.
pub(crate) fn is_on(files: &Files, subject: &str) -> bool {
    let (key, on) = match subject {
        "jwt" => ("AuthAltTypes", "auth/jwt"),
        "auth-slurm" => ("AuthType", "auth/slurm"),
        _ => ("TLSType", "tls/s2n"),
    };
    let says = |file| value(files, file, key).is_some_and(|is| is.split(',').any(|is| is == on));
    says("slurm.conf") || says("slurmdbd.conf")
}

/// Runs `conf disable` with these arguments. Where the subject was on before `enable`, it is on again: then the command
/// fails, and shows no order of restarts.
#[track_caller]
pub(crate) fn disabled(site: &Scratch, args: &[&str], was_on: bool) -> (String, String) {
    let output = site.run(args);
    let (shown, said) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(i32::from(was_on)), "{args:?}: {shown}{said}");
    assert_eq!(
        said.contains(" is still on; still there, and not by conf enable: "),
        was_on,
        "{args:?}: {said}"
    );
    assert_eq!(shown.contains("Next, w"), !was_on, "{args:?}: {shown}");
    (shown, said)
}

/// The dated copies of a file.
pub(crate) fn copies(site: &Scratch, of: &str) -> Vec<Vec<u8>> {
    let is_copy = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with(&format!("{of}.2")) && name.ends_with(".old")
    };
    site.everything().into_iter().filter(|(path, _)| is_copy(path)).map(|(_, contents)| contents).collect()
}

/// Puts a program of one line of shell into a folder of its own, which comes first on PATH.
pub(crate) fn with_command(site: &Scratch, name: &str, script: &str) -> String {
    fs::create_dir_all(site.path("commands")).unwrap();
    site.write(&format!("commands/{name}"), &format!("#!/bin/sh\n{script}\n"), 0o755);
    format!("{}:{}", site.text_path("commands"), std::env::var("PATH").unwrap())
}

/// The last value that counts, read without what is tested: joined lines, no comments, words at blanks.
pub(crate) fn value(files: &Files, file: &str, key: &str) -> Option<String> {
    let text = String::from_utf8_lossy(&files[file]).replace("\\#", "\u{1}");
    let lines = text.lines().map(|line| line.split('#').next().unwrap().trim_end());
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", "");
    let mut value = None;
    for line in joined.lines() {
        let line = line.replace(" = ", "=");
        let mut words = line.split_whitespace();
        if line.to_lowercase().trim_start().starts_with("include ") {
            let included = words.nth(1).unwrap().replace("%c", "c1");
            value = self::value(files, &included, key).or(value);
            continue;
        }
        for word in words {
            let Some((is, text)) = word.split_once('=') else { continue };
            if ["nodename", "partitionname"].contains(&is.to_lowercase().as_str()) {
                break;
            }
            if is.eq_ignore_ascii_case(key) {
                value = Some(text.trim_matches('"').replace('\u{1}', "#"));
            }
        }
    }
    value
}

/// The admin command with an environment of one's own.
pub(crate) fn slurm_pki(site: &Scratch) -> std::process::Command {
    site.command(&program("slurm-pki"))
}
