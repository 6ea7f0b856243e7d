//! Plain text as `--help` has it, taken apart: paragraphs, lists, and what belongs under a heading of its own.
//!
//! Blocks stand between empty lines. A block that begins with one of the [`HEADINGS`] belongs under it, every other is
//! description. A line that begins with two blanks is an item of a list: a term, at least two blanks, and what is said of
//! it, which lines that begin with more blanks continue.

use std::collections::BTreeMap;

/// The sections of a manual page that a text can fill, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Section {
    Synopsis,
    Description,
    ExitStatus,
    Environment,
    Files,
    Examples,
    SeeAlso,
}

impl Section {
    /// In the order of a page.
    pub(crate) const ALL: [Self; 7] = [
        Self::Synopsis,
        Self::Description,
        Self::ExitStatus,
        Self::Environment,
        Self::Files,
        Self::Examples,
        Self::SeeAlso,
    ];
}

/// How a block under each begins.
const HEADINGS: [(&str, Section); 6] = [
    ("Synopsis:", Section::Synopsis),
    ("Exit codes:", Section::ExitStatus),
    ("Environment:", Section::Environment),
    ("Files:", Section::Files),
    ("Examples:", Section::Examples),
    ("See also:", Section::SeeAlso),
];

/// A piece of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Paragraph(String),
    Items(Vec<Item>),
}

/// What a list says of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) term: String,
    /// Nothing where the term says it all, as a command may.
    pub(crate) text: String,
}

impl Item {
    pub(crate) fn new(term: &str, text: &str) -> Self {
        Self { term: term.trim().to_owned(), text: text.trim().to_owned() }
    }

    fn parse(line: &str) -> Self {
        let (term, text) = line.split_once("  ").unwrap_or((line, ""));
        Self::new(term, text)
    }
}

/// A text, by sections.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Text(BTreeMap<Section, Vec<Part>>);

impl Text {
    /// Takes a text apart.
    pub(crate) fn parse(text: &str) -> Self {
        let mut sections: BTreeMap<Section, Vec<Part>> = BTreeMap::new();
        for block in text.split("\n\n") {
            let block = block.trim_matches('\n');
            let (section, rest) = headed(block);
            let parts = if section == Section::ExitStatus { exit_codes(rest) } else { parts(rest) };
            sections.entry(section).or_default().extend(parts);
        }
        Self(sections)
    }

    /// What is under a heading; nothing where there is no such block.
    pub(crate) fn section(&self, section: Section) -> &[Part] {
        self.0.get(&section).map_or(&[], Vec::as_slice)
    }
}

/// Whether a text has a block under this heading.
pub(crate) fn has(text: &str, section: Section) -> bool {
    text.split("\n\n").any(|block| headed(block.trim_matches('\n')).0 == section)
}

fn headed(block: &str) -> (Section, &str) {
    let found = HEADINGS.iter().find_map(|(heading, section)| Some((*section, block.strip_prefix(heading)?)));
    found.unwrap_or((Section::Description, block))
}

fn parts(block: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    for line in block.lines().filter(|line| !line.trim().is_empty()) {
        let indented = line.len() - line.trim_start().len();
        match (indented, parts.last_mut()) {
            (2, Some(Part::Items(items))) => items.push(Item::parse(line.trim())),
            (2, _) => parts.push(Part::Items(vec![Item::parse(line.trim())])),
            (3.., Some(Part::Items(items))) => {
                if let Some(last) = items.last_mut() {
                    join(&mut last.text, line);
                }
            }
            (_, Some(Part::Paragraph(text))) => join(text, line),
            _ => parts.push(Part::Paragraph(line.trim().to_owned())),
        }
    }
    parts
}

fn join(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(line.trim());
}

/// `0 done, 1 failed, 64 wrong usage` as a list; what is one already stays. What follows the codes is a paragraph.
fn exit_codes(block: &str) -> Vec<Part> {
    let parts = parts(block);
    let [Part::Paragraph(line)] = parts.as_slice() else { return parts };
    let (codes, rest) = line.split_once(". ").unwrap_or((line.trim_end_matches('.'), ""));
    let mut items: Vec<Item> = Vec::new();
    for piece in codes.split_inclusive([',', ';']) {
        match (code(piece), items.last_mut()) {
            (Some((code, text)), _) => items.push(Item::new(code, text)),
            (None, Some(last)) => join(&mut last.text, piece),
            (None, None) => return parts,
        }
    }
    for item in &mut items {
        item.text = item.text.trim_end_matches([',', ';']).to_owned();
    }
    let rest = (!rest.is_empty()).then(|| Part::Paragraph(rest.to_owned()));
    std::iter::once(Part::Items(items)).chain(rest).collect()
}

/// ` 64 wrong usage`.
fn code(piece: &str) -> Option<(&str, &str)> {
    let (code, text) = piece.trim().split_once(' ')?;
    code.bytes().all(|b| b.is_ascii_digit()).then_some((code, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(pairs: &[(&str, &str)]) -> Part {
        Part::Items(pairs.iter().map(|(term, text)| Item::new(term, text)).collect())
    }

    #[test]
    fn prose_and_lists_are_told_apart_by_their_blanks() {
        let text = Text::parse(
            "In this order:\n  begin   makes it\n          and more\n  end\nThen\nthat.\n\nLast.",
        );
        let expected = [
            Part::Paragraph("In this order:".into()),
            items(&[("begin", "makes it and more"), ("end", "")]),
            Part::Paragraph("Then that.".into()),
            Part::Paragraph("Last.".into()),
        ];
        assert_eq!(text.section(Section::Description), expected);
    }

    #[test]
    fn a_heading_holds_to_the_next_empty_line() {
        let text =
            Text::parse("Before.\n\nExamples:\n  slurm-pki status   a look\n  slurm-pki check\n\nAfter.");
        assert_eq!(
            text.section(Section::Examples),
            [items(&[("slurm-pki status", "a look"), ("slurm-pki check", "")])]
        );
        assert_eq!(text.section(Section::Description).len(), 2);
        assert!(text.section(Section::Files).is_empty());
    }

    #[test]
    fn exit_codes_become_a_list_however_they_are_separated() {
        for (line, codes) in [
            (
                "Exit codes: 0 done, 1 failed, 64 wrong usage.",
                vec![("0", "done"), ("1", "failed"), ("64", "wrong usage")],
            ),
            (
                "Exit codes: 0 done, or nothing was due; 1 failed.",
                vec![("0", "done, or nothing was due"), ("1", "failed")],
            ),
            ("Exit codes:\n  0    yes\n  255  no", vec![("0", "yes"), ("255", "no")]),
        ] {
            assert_eq!(Text::parse(line).section(Section::ExitStatus), [items(&codes)], "{line}");
        }
        let text = Text::parse("Exit codes: 0 shown; 1 not. To be warned, use 2 others.");
        let [_, Part::Paragraph(rest)] = text.section(Section::ExitStatus) else { panic!("{text:?}") };
        assert_eq!(rest, "To be warned, use 2 others.");
    }
}
