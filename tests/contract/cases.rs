//! Every file in tests/cases is one test: something wrong with what the programs are given, or with the site,
//! and what they must say about it. tests/cases/README.md has the vocabulary.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a broken premise stops the test"
)]

mod case_file;
mod case_input;
mod case_site;
mod full_disk;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Output};

use case_file::{Case, Expected};
use case_site::CaseSite;
use libtest_mimic::{Arguments, Failed, Trial};
use support::{openssl, programs};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Some give files away or fill a disk; none changes anything outside its own folder.
    arguments.test_threads.get_or_insert(4);
    let folder = programs::workspace().join("tests/cases");
    let trials = case_files(&folder).iter().flat_map(|path| trials_of(path)).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn case_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| !path.ends_with("README.md")).collect();
    files.sort();
    assert!(!files.is_empty(), "no cases in {}", folder.display());
    files
}

/// One test for each program that a case is about; a file that cannot be understood is a test that fails.
fn trials_of(path: &Path) -> Vec<Trial> {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let case = match Case::read(path) {
        Ok(case) => case,
        Err(why) => return vec![Trial::test(name, move || Err(Failed::from(why)))],
    };
    let root = rustix::process::geteuid().is_root();
    case.programs
        .iter()
        .map(|program| {
            let (case, program) = (case.clone(), program.clone());
            // Shown as ignored, by name, where it cannot be run.
            let ignored = case.needs_root && !root;
            Trial::test(format!("{name} [{program}]"), move || run(&case, &program))
                .with_ignored_flag(ignored)
        })
        .collect()
}

fn run(case: &Case, program: &str) -> Result<(), Failed> {
    let site = CaseSite::of(case);
    let argv = case_input::argv(case, program, &site.site);
    let before = site.issued();
    let output = site.run(case, program, &argv);
    let verdict = match case.expected() {
        Expected::Accepted => accepted(case, program, &output),
        Expected::Refused(words) => refused(program, &words, &output)
            .and_then(|()| if site.issued() == before { Ok(()) } else { Err("something was issued".into()) }),
    };
    verdict.and_then(|()| nothing_secret(&site, &argv, &output)).map_err(|why| report(case, &why, &output))
}

fn accepted(case: &Case, program: &str, output: &Output) -> Result<(), String> {
    if !output.status.success() {
        return Err("it was refused".into());
    }
    if !output.stderr.is_empty() {
        return Err("a success is not silent".into());
    }
    match program {
        "validate_node_token" => Ok(()),
        "sign_csr" => nothing_more_is_granted(&case.csr.names[0], &output.stdout),
        _ if output.stdout.is_empty() => Err("no answer".into()),
        _ => Ok(()),
    }
}

/// Whatever a request asked for, its certificate says what the site's profile says.
fn nothing_more_is_granted(name: &str, certificate: &[u8]) -> Result<(), String> {
    let certificate = String::from_utf8_lossy(certificate);
    let subject = openssl::subject_of_certificate(&certificate);
    if subject != format!("CN={name}") {
        return Err(format!("the subject is {subject}"));
    }
    let text = openssl::certificate_text(&certificate);
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let dns = format!("DNS:{name}");
    let usages = "TLS Web Server Authentication, TLS Web Client Authentication";
    match [dns.as_str(), "CA:FALSE", "Digital Signature", usages].iter().find(|line| !lines.contains(line)) {
        Some(missing) => Err(format!("no line {missing} in {text}")),
        None => Ok(()),
    }
}

fn refused(program: &str, expected: &[&str], output: &Output) -> Result<(), String> {
    if output.status.code() != Some(1) {
        return Err(format!("it ended with {}, not with exit status 1", output.status));
    }
    if !output.stdout.is_empty() {
        return Err("a refusal has an answer on stdout".into());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let [error, hint] = said.split_terminator('\n').collect::<Vec<_>>()[..] else {
        return Err("not exactly two lines".into());
    };
    if !said.ends_with('\n')
        || !error.starts_with(&format!("{program}: error: "))
        || !hint.starts_with(&format!("{program}: hint: "))
    {
        return Err("not an error line and a hint line".into());
    }
    match expected.iter().find(|words| !said.contains(**words)) {
        Some(words) => Err(format!("it does not say: {words}")),
        None => Ok(()),
    }
}

/// No token, no secret and no key in any message or log, and nothing there but printable ASCII.
fn nothing_secret(site: &CaseSite, argv: &[OsString], output: &Output) -> Result<(), String> {
    let secrets: Vec<_> = site.secrets.iter().cloned().chain(secrets_among(argv)).collect();
    let mut written = site.refusals();
    written.push(output.stderr.clone());
    for text in &written {
        if let Some(byte) = text.iter().find(|b| !matches!(**b, b' '..=b'~' | b'\n')) {
            return Err(format!("the byte {byte:#04x} in a message or log"));
        }
        let text = String::from_utf8_lossy(text);
        if secrets.iter().any(|secret| text.contains(secret)) {
            return Err(format!("a secret in a message or log: {text}"));
        }
    }
    Ok(())
}

/// A wrong token and a key in the wrong place are secrets too: the last argument of two, and the lines of
/// a key. (A token of a few characters is part of any message.)
fn secrets_among(argv: &[OsString]) -> Vec<String> {
    let mut secrets = Vec::new();
    for (n, argument) in argv.iter().map(|argument| argument.to_string_lossy()).enumerate() {
        if n == 1 && argument.len() >= 6 {
            secrets.push(argument.to_string());
        }
        if argument.contains("PRIVATE KEY") {
            secrets.extend(support::site::key_lines(&argument));
        }
    }
    secrets
}

fn report(case: &Case, why: &str, output: &Output) -> Failed {
    let (out, err) = (output.stdout.escape_ascii(), String::from_utf8_lossy(&output.stderr));
    Failed::from(format!("{}\n{why}\nstdout: {out}\nstderr: {err}", case.what))
}
