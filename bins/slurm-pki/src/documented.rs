//! Every command that is written down anywhere is one that there is: in the documents, in `--help`, in hints.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _, Parser as _};

use crate::cli::{self, Cli};
use crate::exit::Codes;
use crate::manual::text::{Part, Section, Text};

/// What stands for something else, and what could stand there.
const PLACEHOLDERS: [(&str, &str); 6] = [
    ("NODE", "n1"),
    ("DAEMON", "ctld"),
    ("HOSTLIST", "n1"),
    ("HOST", "h1"),
    ("DIR", "/tmp/d"),
    ("FILE", "/tmp/f"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All files below a folder with one of these endings.
fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut all = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            all.extend(files(&path, endings));
        } else if endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)) {
            all.push(path);
        }
    }
    all
}

fn documents() -> Vec<PathBuf> {
    let root = root();
    let mut all = files(&root.join("docs"), &[".md"]);
    all.extend(files(&root.join("packaging"), &[".md"]));
    let on_top = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
    all.extend(on_top.filter(|path| path.extension().is_some_and(|ending| ending == "md")));
    all
}

/// The same text with each command on one line, where it stands between backticks on two.
fn in_one_line(text: &str) -> String {
    let joined = |(at, part): (usize, &str)| match part.split_once('\n') {
        Some((first, second)) if at % 2 == 1 && !second.contains('\n') => {
            format!("{first} {}", second.trim_start())
        }
        _ => part.to_owned(),
    };
    text.split('`').enumerate().map(joined).collect::<Vec<_>>().join("`")
}

/// The words of one command, as a shell would have them, up to a comment, an explanation or the next command.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut blanks = 0;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, ' ') => {
                blanks += 1;
                if blanks > 1 {
                    break;
                }
                words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
                continue;
            }
            (None, '#') if word.is_empty() => break,
            (None, '|' | ';' | '&' | '>') => break,
            (_, c) => word.push(c),
        }
        blanks = 0;
    }
    words.extend((!word.is_empty()).then_some(word));
    let filled = |word: String| {
        let known = PLACEHOLDERS.iter().find(|(name, _)| *name == word);
        known.map_or(word, |(_, value)| (*value).to_owned())
    };
    words.into_iter().map(filled).collect()
}

/// Why a whole line is no command.
fn wrong(line: &str) -> Option<String> {
    match Cli::try_parse_from(words(line)) {
        Err(e) if e.use_stderr() => Some(format!("{line}\n  {}", e.to_string().lines().next().unwrap_or(""))),
        _ => None,
    }
}

#[track_caller]
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_command_line_in_the_documents_parses() {
    let mut lines = 0;
    let mut wrongs = Vec::new();
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        // Code, and not a sentence that happens to begin so.
        let code = text.lines().filter_map(|line| line.strip_prefix("    "));
        for line in code.map(str::trim_start).filter(|line| line.starts_with("slurm-pki ")) {
            lines += 1;
            wrongs.extend(wrong(line).map(|why| format!("{}: {why}", path.display())));
        }
    }
    assert!(lines > 25, "only {lines} lines were found");
    none(&wrongs);
}

#[test]
fn every_example_of_help_parses() {
    fn examples(command: &Command) -> Vec<String> {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let own = help.lines().map(str::trim_start).filter(|line| line.starts_with("slurm-pki "));
        let mut all: Vec<String> = own.map(str::to_owned).collect();
        all.extend(command.get_subcommands().flat_map(examples));
        all
    }
    let examples = examples(&Cli::command());
    assert!(examples.len() > 60, "only {} examples were found", examples.len());
    none(&examples.iter().filter_map(|line| wrong(line)).collect::<Vec<_>>());
}

/// Words with a hyphen in the code of `check` that are no codes of findings.
const NO_CODES: [&str; 5] = ["conf-cache", "ntp-daemon", "on-failure", "sign-verbatim", "systemd-timesyn"];

/// All of `text` between two marks.
fn between<'a>(text: &'a str, mark: &str) -> Vec<&'a str> {
    text.split(mark).skip(1).step_by(2).collect()
}

#[test]
fn every_code_of_check_is_documented_and_every_documented_one_is_a_code() {
    let code = |word: &str| {
        let parts: Vec<&str> = word.split('-').collect();
        let is_part = |part: &&str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        parts.len() > 1 && parts.iter().all(is_part)
    };
    let mut literals = String::new();
    for path in files(&root().join("bins/slurm-pki/src/check"), &[".rs"]) {
        literals.push_str(fs::read_to_string(path).unwrap().split("#[cfg(test)]").next().unwrap());
    }
    // Literals, and not what stands between them: what follows `"` up to the next one, whichever it is.
    let words = literals.split('"').filter(|word| code(word) && !NO_CODES.contains(word));
    let page = fs::read_to_string(root().join("docs/check.md")).unwrap();
    let vault = fs::read_to_string(root().join("docs/vault.md")).unwrap();
    let told = |word: &str| [&page, &vault].iter().any(|text| text.contains(&format!("`{word}`")));
    let untold: Vec<String> = words.filter(|word| !told(word)).map(str::to_owned).collect();
    none(&untold);
    let codes = page.split("## Codes").nth(1).unwrap();
    let rows = codes.lines().filter(|line| line.starts_with("| `"));
    let named: Vec<&str> = rows.flat_map(|row| between(row.split(" |").next().unwrap(), "`")).collect();
    assert!(named.len() > 80, "only {} codes were found", named.len());
    let gone = named.iter().filter(|word| !literals.contains(&format!("\"{word}\"")));
    none(&gone.map(|word| format!("{word} is no code of check")).collect::<Vec<_>>());
}

#[test]
fn the_waits_that_are_documented_are_those_of_the_code() {
    let page = |name: &str| {
        let text = fs::read_to_string(root().join("docs").join(name)).unwrap();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let (operations, check) = (page("operations.md"), page("check.md"));
    let locks = site::lock::AMONG_COMMANDS.as_secs();
    let activation = crate::activation::MAX_WAIT.as_secs() / 60;
    let limit = crate::check::LIMIT.as_secs();
    let slurmctld = crate::check::running::PATIENCE.as_secs();
    let said = [
        (
            &operations,
            format!("{locks} seconds for records, for a daemon's pairs and for what is remembered of hosts"),
        ),
        (&operations, format!("{activation} minutes for another activation")),
        (&check, format!("after {limit} s (`--timeout`)")),
        (&check, format!("slurmctld is waited for {slurmctld} s in all")),
    ];
    none(
        &said
            .into_iter()
            .filter(|(page, words)| !page.contains(words))
            .map(|(_, words)| words)
            .collect::<Vec<_>>(),
    );
}

/// What the pages of the programs without options are made of.
fn texts_of_programs() -> Vec<PathBuf> {
    let mut all = files(&root().join("bins/scripts/manual"), &[".txt"]);
    all.push(root().join("bins/slurm-pki-signer/help.txt"));
    all
}

#[test]
fn every_example_of_a_program_s_page_parses() {
    let texts = texts_of_programs();
    assert_eq!(texts.len(), 8);
    let mut wrongs = Vec::new();
    for path in texts {
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().filter_map(|line| line.strip_prefix("  "));
        let wrong = lines.filter(|line| line.starts_with("slurm-pki ")).filter_map(wrong);
        wrongs.extend(wrong.map(|why| format!("{}: {why}", path.display())));
    }
    none(&wrongs);
}

#[test]
fn every_command_has_examples() {
    fn bare(command: &Command, path: &str) -> Vec<String> {
        let path = format!("{path} {}", command.get_name());
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let own = (!help.contains("slurm-pki ")).then(|| path.clone());
        own.into_iter().chain(command.get_subcommands().flat_map(|sub| bare(sub, &path))).collect()
    }
    none(&bare(&Cli::command(), ""));
}

/// Every command with the way to it, as the manual and completions have them.
fn commands() -> Vec<(String, Command)> {
    fn add(command: &Command, above: &str, all: &mut Vec<(String, Command)>) {
        let path = format!("{above} {}", command.get_name()).trim().to_owned();
        all.push((path.clone(), command.clone()));
        command.get_subcommands().filter(|sub| sub.get_name() != "help").for_each(|sub| add(sub, &path, all));
    }
    let mut root = cli::command();
    root.build();
    let mut all = Vec::new();
    add(&root, "", &mut all);
    assert!(all.len() > 60, "only {} commands were found", all.len());
    all
}

fn said(command: &Command) -> String {
    command.get_after_help().map(ToString::to_string).unwrap_or_default()
}

#[test]
fn something_is_said_of_every_command_option_and_argument() {
    let mut bare = Vec::new();
    for (path, command) in commands() {
        bare.extend((command.get_about().is_none() || command.is_hide_set()).then(|| path.clone()));
        let silent = command.get_arguments().filter(|argument| {
            argument.get_help().is_none_or(|help| help.to_string().trim().len() < 4) || argument.is_hide_set()
        });
        bare.extend(silent.map(|argument| format!("{path}: {}", argument.get_id())));
    }
    none(&bare);
}

#[test]
fn every_help_ends_with_exit_codes_and_then_examples() {
    let mut wrongs = Vec::new();
    for (path, command) in commands() {
        let said = said(&command);
        let mut blocks = said.split("\n\n").skip_while(|block| !block.starts_with("Exit codes:"));
        let (codes, examples) = (blocks.next(), blocks.next());
        let right = codes.is_some() && examples.is_some_and(|block| block.starts_with("Examples:\n"));
        if !right || blocks.next().is_some() {
            wrongs.push(path);
        }
    }
    none(&wrongs);
}

#[test]
fn the_exit_codes_of_every_help_are_those_that_the_command_has() {
    let mut wrongs = Vec::new();
    for (path, command) in commands() {
        let text = Text::parse(&said(&command));
        let Some(Part::Items(items)) = text.section(Section::ExitStatus).first() else {
            wrongs.push(format!("{path}: no list"));
            continue;
        };
        let named: Vec<&str> = items.iter().map(|item| item.term.as_str()).collect();
        let codes = Codes::of(path.split(' ').map(Into::into));
        let own = [codes.failed, codes.usage].map(|code| code.to_string());
        // In one item where a script cannot tell the two apart.
        let right = named.first() == Some(&"0") && own.iter().all(|code| named.contains(&code.as_str()));
        wrongs.extend((!right).then(|| format!("{path}: {named:?} and not {own:?}")));
    }
    none(&wrongs);
}

/// What is wrong with a command that is spoken of in a sentence, after "slurm-pki ": with its options, if it has any.
/// Sentences about slurm-pki are none.
fn wrong_in_passing(rest: &str) -> Option<String> {
    let mut command = Cli::command();
    command.build();
    let is_end = |c: char| "`\"(;,.:|&#\\\n".contains(c);
    let sentence =
        rest.split(is_end).next().and_then(|sentence| sentence.split("  ").next()).unwrap_or_default();
    let mut named = 0;
    let mut positional = false;
    for word in sentence.split_whitespace() {
        let word = word.trim_matches(|c| "')".contains(c));
        if let Some(option) = word.strip_prefix("--") {
            let option = option.split('=').next().unwrap_or_default();
            let known = command.get_arguments().any(|argument| argument.get_long() == Some(option));
            if named > 0 && !known && !option.is_empty() {
                return Some(format!("slurm-pki {sentence}: {} has no --{option}", command.get_name()));
            }
        } else if positional {
            // Whatever it is.
        } else if let Some(sub) = command.find_subcommand(word).cloned() {
            command = sub;
            named += 1;
        } else if named == 1 && command.has_subcommands() && word.chars().all(|c| c.is_ascii_lowercase()) {
            return Some(format!("slurm-pki {sentence}: {} has no {word}", command.get_name()));
        } else {
            positional = true;
        }
    }
    None
}

#[test]
fn every_command_that_a_document_or_a_hint_speaks_of_exists() {
    let root = root();
    let mut all = documents();
    all.extend(files(&root.join("packaging"), &[".service", ".timer", ".yml", ".json", "slurm-pki"]));
    all.extend(files(&root.join("config"), &[".toml", ".example"]));
    all.extend(texts_of_programs());
    for code in ["bins/slurm-pki/src", "lib/site/src", "lib/pki/src", "lib/contract/src"] {
        all.extend(files(&root.join(code), &[".rs"]));
    }
    let mut found = 0;
    let mut wrongs = Vec::new();
    for path in all {
        let text = fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        let text =
            if path.extension().is_some_and(|is| is == "md") { in_one_line(text) } else { text.into() };
        // A string of Rust goes on after a backslash.
        let lines: Vec<_> = text.lines().map(|line| line.trim_start().trim_start_matches("//! ")).collect();
        let text = lines.join("\n").replace("\\\n", "");
        for (at, name) in text.match_indices("slurm-pki ") {
            found += 1;
            let rest = text.get(at + name.len()..).unwrap_or_default();
            wrongs.extend(wrong_in_passing(rest).map(|why| format!("{}: {why}", path.display())));
        }
    }
    assert!(found > 300, "only {found} were found");
    none(&wrongs);
}
