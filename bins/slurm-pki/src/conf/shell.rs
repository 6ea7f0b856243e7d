//! Files of shell assignments that systemd reads too: /etc/default/slurmd, /etc/sysconfig/slurmd. systemd is the one that
//! counts (systemd.exec(5), EnvironmentFile); where a shell, and so a person, would read something else, nothing is
//! guessed.

use std::ops::Range;

use crate::slurm_lines::Word;

/// slurmd's options.
pub(super) const SLURMD_OPTIONS: &str = "SLURMD_OPTIONS";
/// sackd's options.
pub(super) const SACKD_OPTIONS: &str = "SACKD_OPTIONS";

/// What tells slurmrestd to pass tokens on.
pub(super) const RESTD_ENVIRONMENT: &str = "SLURM_JWT";

/// The variables that are edited. Others may be written in whatever way.
const EDITED: [&str; 4] = [SLURMD_OPTIONS, SACKD_OPTIONS, RESTD_ENVIRONMENT, site::config::VARIABLE];

const BLANKS: [char; 2] = [' ', '\t'];

/// A line that a shell and systemd could read in two ways, counted from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unclear(pub(super) usize);

/// Every assignment of a variable that is edited, with its text between the quotes.
///
/// # Errors
/// When one of them can be read in two ways.
pub(super) fn assignments(text: &str) -> Result<Vec<Word>, Unclear> {
    let mut words = Vec::new();
    let mut at = 0;
    let mut number = 0;
    for line in text.split_inclusive('\n') {
        number += 1;
        // A line within the quotes of another is no assignment.
        if words.last().is_none_or(|word: &Word| word.raw.end <= at)
            && let Some(key) = variable(line)
        {
            let begins = line.trim_start_matches(BLANKS);
            let alone = begins.strip_prefix(key).is_some_and(|rest| rest.starts_with('='));
            let word = alone.then(|| assigned(text, at + line.len() - begins.len(), key)).flatten();
            words.push(word.ok_or(Unclear(number))?);
        }
        at += line.len();
    }
    Ok(words)
}

/// The variable that a line is about. systemd passes over a line with `export`, and takes blanks around the `=` that a
/// shell does not.
fn variable(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let key = key.trim_matches(BLANKS);
    let key = key.strip_prefix("export").filter(|rest| rest.starts_with(BLANKS)).unwrap_or(key);
    let key = key.trim_start_matches(BLANKS);
    EDITED.contains(&key).then_some(key)
}

/// `at` is where the key begins.
fn assigned(text: &str, at: usize, key: &str) -> Option<Word> {
    let begin = at + key.len() + 1;
    let rest = text.get(begin..)?;
    let word = |value: &str, length: usize, quoted| Word {
        key: key.to_owned(),
        value: value.to_owned(),
        at,
        raw: begin..begin + length,
        quoted,
    };
    match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let inner = rest.get(1..)?;
            let length = closing(inner, quote)?;
            // A comment too would be part of the value.
            let behind = inner.get(length + 1..)?.lines().next().unwrap_or_default();
            let is_over = behind.trim().is_empty();
            is_over.then(|| word(inner.get(..length).unwrap_or_default(), length + 2, true))
        }
        _ => {
            let value = rest.lines().next().unwrap_or_default().trim_end();
            let clear = !value.contains(['"', '\'', '\\', '`', '#', ';', '&', '|', '<', '>', '(', ')']);
            clear.then(|| word(value, value.len(), false))
        }
    }
}

/// Where the quote ends.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let found = c == quote && !escaped;
        escaped = quote == '"' && c == '\\' && !escaped;
        found.then_some(at)
    })
}

/// An option of slurmd's or sackd's command line in place of its former value, or behind the others.
pub(super) fn with_option(options: &str, name: &str, value: &str) -> String {
    let wanted = format!("{name}={value}");
    match place_of(options, name) {
        None if options.trim().is_empty() => wanted,
        None => format!("{options} {wanted}"),
        Some(place) => replaced(options, place, &wanted),
    }
}

/// The others without it.
pub(super) fn without_option(options: &str, name: &str) -> String {
    let Some(place) = place_of(options, name) else { return options.to_owned() };
    replaced(options, place, "").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn replaced(options: &str, place: Range<usize>, with: &str) -> String {
    let (before, behind) = (options.get(..place.start), options.get(place.end..));
    format!("{}{with}{}", before.unwrap_or_default(), behind.unwrap_or_default())
}

/// Where an option stands with its value; `--name VALUE` is one too (getopt_long(3)).
fn place_of(options: &str, name: &str) -> Option<Range<usize>> {
    let mut words = Vec::new();
    let mut at = 0;
    for word in options.split_whitespace() {
        let begin = at + options.get(at..).and_then(|rest| rest.find(word)).unwrap_or_default();
        at = begin + word.len();
        words.push((begin, at, word));
    }
    let is_it =
        |word: &str| word.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('='));
    let nth = words.iter().position(|(_, _, word)| is_it(word))?;
    let (begin, end, word) = *words.get(nth)?;
    let value = words.get(nth + 1).filter(|_| word == name);
    Some(begin..value.map_or(end, |(_, end, _)| *end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_found_as_a_shell_and_systemd_both_read_them() {
        let text = "# SLURMD_OPTIONS=\"-x\"\n SLURMD_OPTIONS=\"-N n1 \\\n  -v\" \nOTHER='a\nSACKD_OPTIONS=1\n'\n\
                    SLURM_PKI_CONF=/a\nSACKD_OPTIONS=-v -D\r\nSLURMD_OPTIONS=\n";
        let words = assignments(text).unwrap();
        let read: Vec<_> = words.iter().map(|word| (word.key.as_str(), word.value.as_str())).collect();
        assert_eq!(
            read,
            [
                ("SLURMD_OPTIONS", "-N n1 \\\n  -v"),
                ("SACKD_OPTIONS", "1"),
                ("SLURM_PKI_CONF", "/a"),
                ("SACKD_OPTIONS", "-v -D"),
                ("SLURMD_OPTIONS", "")
            ]
        );
        assert_eq!(&text[words[3].raw.clone()], "-v -D");
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_unclear() {
        for value in ["\"a\"'b'", "a # b", "\"a", "a\\", "'a'b", "\"a\" # b", " \"a\""] {
            assert_eq!(assignments(&format!("\nSLURMD_OPTIONS={value}\n")), Err(Unclear(2)), "{value}");
        }
        for line in ["export SLURMD_OPTIONS=a", " export\tSLURMD_OPTIONS=a", "SLURMD_OPTIONS = \"a\""] {
            assert_eq!(assignments(&format!("\n{line}\n")), Err(Unclear(2)), "{line}");
        }
        assert!(assignments("OTHER=\"a\"'b'\n").is_ok());
    }

    #[test]
    fn an_option_takes_its_own_place() {
        for (options, wanted) in [
            ("", "--ca=/x"),
            ("-v", "-v --ca=/x"),
            ("-v  --ca=/old -D", "-v  --ca=/x -D"),
            ("--ca /old -D", "--ca=/x -D"),
            ("--cat=1 ca=2", "--cat=1 ca=2 --ca=/x"),
            ("-v --ca", "-v --ca=/x"),
        ] {
            assert_eq!(with_option(options, "--ca", "/x"), wanted);
            assert!(!without_option(wanted, "--ca").contains("/x"));
        }
    }
}
