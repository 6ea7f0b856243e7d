//! Files of shell assignments that systemd reads too: /etc/default/slurmd, /etc/sysconfig/slurmd.

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
            && let Some((key, begin)) = variable(line)
        {
            words.push(assigned(text, at + begin - key.len() - 1, key).ok_or(Unclear(number))?);
        }
        at += line.len();
    }
    Ok(words)
}

/// The variable that a line sets, and where its value begins.
fn variable(line: &str) -> Option<(&str, usize)> {
    let rest = line.trim_start_matches([' ', '\t']);
    let rest = rest.strip_prefix("export ").unwrap_or(rest).trim_start_matches([' ', '\t']);
    let (key, value) = rest.split_once('=')?;
    EDITED.contains(&key).then_some((key, line.len() - value.len()))
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
            let behind = inner.get(length + 1..)?.lines().next().unwrap_or_default();
            let is_over = behind.trim().is_empty() || behind.starts_with([' ', '\t']) && is_comment(behind);
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

fn is_comment(text: &str) -> bool {
    text.trim_start().starts_with('#')
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
        let text = "# SLURMD_OPTIONS=\"-x\"\nSLURMD_OPTIONS=\"-N n1 \\\n  -v\" # why\nOTHER='a\nSACKD_OPTIONS=1\n'\n\
                    export SLURM_PKI_CONF=/a\nSACKD_OPTIONS=-v -D\r\nSLURMD_OPTIONS=\n";
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
        for line in ["\"a\"'b'", "a # b", "\"a", "a\\", "'a'b"] {
            assert_eq!(assignments(&format!("\nSLURMD_OPTIONS={line}\n")), Err(Unclear(2)), "{line}");
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
