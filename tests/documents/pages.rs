//! The manual pages.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use support::programs::{SEVEN, program, workspace};
use tempfile::TempDir;

use crate::answer;
use crate::help::{self, options_at_the_start_of};

/// 2023-11-14, whenever this is run.
const DATE: &str = "1700000000";

static PAGES: LazyLock<TempDir> = LazyLock::new(|| written(DATE));

fn written(date: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut man = Command::new(program("slurm-pki"));
    answer(man.args(["man", "--quiet", "--out"]).arg(folder.path()).env("SOURCE_DATE_EPOCH", date));
    folder
}

fn names() -> BTreeSet<String> {
    fs::read_dir(PAGES.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn page(name: &str) -> PathBuf {
    let path = PAGES.path().join(name);
    assert!(path.is_file(), "there is no page {name}");
    path
}

/// Each page as `man` shows it, on a wide terminal, in which no line of a list is broken.
static SHOWN: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let shown = |name: String| {
        let mut man = Command::new("man");
        man.env("LC_ALL", "C.UTF-8").env("MANWIDTH", "300").env("MANPAGER", "cat");
        let text = answer(man.env_remove("MAN_KEEP_FORMATTING").arg("--local-file").arg(page(&name)));
        (name, text)
    };
    names().into_iter().map(shown).collect()
});

fn shown(name: &str) -> &'static str {
    SHOWN.get(name).unwrap_or_else(|| panic!("there is no page {name}"))
}

/// The lines of some sections of a page.
fn sections(text: &str, wanted: &[&str]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with(|first: char| first.is_ascii_uppercase()) {
            inside = wanted.contains(&line);
        } else if inside {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// Lines set in as the terms of a list are, without that.
fn terms(lines: &[String]) -> Vec<&str> {
    let terms = lines.iter().filter_map(|line| line.strip_prefix("       "));
    terms.filter(|line| !line.is_empty() && !line.starts_with(' ')).collect()
}

#[test]
fn every_command_has_a_page_and_every_page_of_the_admins_section_a_command() {
    let wanted: BTreeSet<String> = help::ALL.iter().map(|help| help.path.join("-") + ".8").collect();
    let found: BTreeSet<String> = names().into_iter().filter(|name| name.ends_with(".8")).collect();
    assert_eq!(found, wanted);
}

#[test]
fn every_program_that_slurm_runs_and_the_config_have_a_page() {
    let programs = SEVEN.iter().chain(&["slurm-pki-signer"]).map(|name| format!("{name}.1"));
    let wanted: BTreeSet<String> = programs.chain(["slurm-pki.toml.5".to_owned()]).collect();
    let found: BTreeSet<String> = names().into_iter().filter(|name| !name.ends_with(".8")).collect();
    assert_eq!(found, wanted);
}

#[test]
fn a_page_names_the_options_arguments_and_commands_that_help_names_and_no_others() {
    for help in help::ALL.iter() {
        let name = help.path.join("-");
        let text = shown(&format!("{name}.8"));
        let lines = sections(text, &["OPTIONS", "OPTIONS OF EVERY COMMAND"]);
        let options: BTreeSet<String> = terms(&lines).into_iter().flat_map(options_at_the_start_of).collect();
        assert_eq!(options, help.options, "{name}");
        let lines = sections(text, &["ARGUMENTS"]);
        let arguments: BTreeSet<String> =
            terms(&lines).into_iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
        // An argument that need not be there is in brackets in both.
        assert_eq!(arguments, help.arguments, "{name}");
        let lines = sections(text, &["COMMANDS"]);
        let commands: Vec<String> = terms(&lines)
            .into_iter()
            .map(|line| line.trim_start_matches(&format!("{name}-")).trim_end_matches("(8)").to_owned())
            .collect();
        assert_eq!(commands, help.commands, "{name}");
    }
}

#[test]
fn every_page_has_what_an_admin_looks_for() {
    for name in names() {
        let text = shown(&name);
        let of_a_program = if name.ends_with(".5") { None } else { Some("EXIT STATUS") };
        let sections = ["NAME", "DESCRIPTION", "ENVIRONMENT", "FILES", "EXAMPLES", "SEE ALSO"]
            .into_iter()
            .chain(of_a_program);
        for section in sections {
            assert!(text.lines().any(|line| line == section), "{name} has no {section}");
        }
    }
}

/// So lintian looks at pages.
#[test]
fn man_has_nothing_to_say_about_any_page() {
    for name in names() {
        let mut man = Command::new("man");
        man.env("LC_ALL", "C.UTF-8").env("MANROFFSEQ", "").env("MANWIDTH", "80");
        man.args(["--warnings", "--encoding=UTF-8", "-Tutf8", "--ditroff", "--local-file"]);
        answer(man.arg(page(&name)));
    }
}

#[test]
fn mandoc_has_nothing_to_say_about_any_page() {
    let pages = names().into_iter().map(|name| page(&name));
    let said = answer(Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).args(pages));
    assert_eq!(said, "");
}

#[test]
fn apropos_finds_every_page_by_its_name() {
    for name in names() {
        let found = answer(Command::new("lexgrog").arg(page(&name)));
        let (title, _) = name.rsplit_once('.').unwrap();
        assert!(found.contains(&format!("\"{title} - ")), "{found}");
    }
}

#[test]
fn every_page_that_another_names_is_there_or_is_slurms() {
    let ours = names();
    for name in &ours {
        for word in shown(name).split(|c: char| c.is_whitespace() || c == ',') {
            let Some((title, section)) = word.split_once('(') else { continue };
            let title = title.trim_start_matches(['(', '"']);
            let Some(section) = section.chars().next().filter(|_| section.get(1..2) == Some(")")) else {
                continue;
            };
            if section.is_ascii_digit() && !title.is_empty() && title.to_lowercase() == title {
                let of_slurm = ["slurm.conf", "slurmdbd.conf"].contains(&title);
                assert!(of_slurm || ours.contains(&format!("{title}.{section}")), "{name} names {word}");
            }
        }
    }
}

#[test]
fn every_key_of_the_config_begins_an_entry_of_its_page() {
    let text = shown("slurm-pki.toml.5");
    let shipped = fs::read_to_string(workspace().join("config/slurm-pki.toml")).unwrap();
    let bare = shipped.lines().map(|line| line.strip_prefix('#').unwrap_or(line));
    let settings: Vec<&str> =
        bare.filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase())).collect();
    assert!(settings.len() > 90, "only {} keys were found", settings.len());
    for setting in settings {
        assert!(text.lines().any(|line| line.strip_prefix("       ") == Some(setting)), "{setting}");
    }
}

#[test]
fn the_same_date_gives_the_same_pages_and_it_stands_in_each() {
    let again = written(DATE);
    for name in names() {
        let text = fs::read_to_string(page(&name)).unwrap();
        assert!(text.lines().any(|line| line.starts_with(".TH ") && line.contains(" 2023-11-14 ")), "{name}");
        assert_eq!(text, fs::read_to_string(again.path().join(&name)).unwrap());
    }
}
