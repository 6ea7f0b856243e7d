//! One manual page, in the language of man(7).

use clap_mangen::roff::{Inline, Roff, bold, roman};

use super::text::{Item, Part, Section};

/// What stands at the head and foot of every page.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// As in 2026-12-31.
    pub(super) date: String,
    /// The package and its version.
    pub(super) source: String,
}

/// A page: `keygen.1` and what it says.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) name: String,
    pub(super) section: char,
    text: String,
}

/// Keys of a config and what is said of them.
#[derive(Debug)]
pub(super) struct Setting {
    /// As in `key = value`; none: the text stands for itself.
    pub(super) terms: Vec<String>,
    pub(super) text: Vec<Part>,
}

impl Section {
    fn heading(self) -> &'static str {
        match self {
            Self::Synopsis => "SYNOPSIS",
            Self::Description => "DESCRIPTION",
            Self::ExitStatus => "EXIT STATUS",
            Self::Environment => "ENVIRONMENT",
            Self::Files => "FILES",
            Self::Examples => "EXAMPLES",
            Self::SeeAlso => "SEE ALSO",
        }
    }
}

impl Page {
    /// A page that has its name so far.
    pub(super) fn new(name: &str, section: char, summary: &str, frame: &Frame) -> Self {
        let mut page = Self { name: name.to_owned(), section, text: String::new() };
        let (title, number) = (name.to_uppercase(), section.to_string());
        let mut roff = Roff::new();
        roff.control("TH", [title.as_str(), &number, &frame.date, &frame.source, "slurm-pki"]);
        // Names and options are copied from pages: none is broken in two.
        roff.control("nh", []);
        roff.control("ad", ["l"]);
        roff.control("SH", ["NAME"]);
        roff.text([roman(format!("{name} - {summary}"))]);
        page.append(&roff.render());
        page
    }

    /// Its file.
    pub(super) fn file_name(&self) -> String {
        format!("{}.{}", self.name, self.section)
    }

    /// All of it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What roff(7) others wrote. Each piece brings its own definition of an apostrophe along, and the first counts.
    pub(super) fn append(&mut self, roff: &str) {
        let preamble = Roff::new().render();
        let piece = if self.text.is_empty() { roff } else { roff.strip_prefix(&preamble).unwrap_or(roff) };
        // Two breaks with an empty line between them are one, and a blank at the end of a line is space on the page.
        for line in piece.replace(".br\n\n.br\n", ".sp\n").lines() {
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
    }

    /// How a command is called; its name stands out.
    pub(super) fn synopsis(&mut self, name: &str, usage: &str) {
        let mut roff = Roff::new();
        roff.control("SH", [Section::Synopsis.heading()]);
        roff.text([bold(name), roman(usage.strip_prefix(name).unwrap_or(usage))]);
        self.append(&roff.render());
    }

    /// A section, unless nothing is in it.
    pub(super) fn section(&mut self, section: Section, parts: &[Part]) {
        if !parts.is_empty() {
            self.titled(section.heading(), parts, section == Section::Examples);
        }
    }

    /// Something under any heading.
    pub(super) fn titled(&mut self, heading: &str, parts: &[Part], commands: bool) {
        let mut roff = Roff::new();
        roff.control("SH", [heading]);
        if commands {
            examples(&mut roff, parts);
        } else {
            set(&mut roff, parts, true);
        }
        self.append(&roff.render());
    }

    /// What can be set, under a heading of the second rank.
    pub(super) fn settings(
        &mut self,
        heading: &str,
        about: &[Part],
        settings: impl Iterator<Item = Setting>,
    ) {
        let mut roff = Roff::new();
        roff.control("SS", [heading]);
        set(&mut roff, about, true);
        for setting in settings {
            terms(&mut roff, &setting.terms);
            let inside = !setting.terms.is_empty();
            match setting.text.split_first() {
                Some((Part::Paragraph(first), rest)) if inside => {
                    roff.text(inlines(first));
                    within(&mut roff, rest);
                }
                _ => set(&mut roff, &setting.text, false),
            }
        }
        self.append(&roff.render());
    }

    /// Text as it stands.
    pub(super) fn verbatim(&mut self, section: Section, text: &str) {
        let mut roff = Roff::new();
        roff.control("SH", [section.heading()]);
        roff.control("EX", []);
        for line in text.lines() {
            roff.text([roman(line)]);
        }
        roff.control("EE", []);
        self.append(&roff.render());
    }
}

/// Paragraphs and lists; a first paragraph needs no space before it when it follows a heading.
fn set(roff: &mut Roff, parts: &[Part], after_heading: bool) {
    for (at, part) in parts.iter().enumerate() {
        match part {
            Part::Paragraph(text) => paragraph(roff, text, at == 0 && after_heading),
            Part::Items(items) => items.iter().for_each(|item| entry(roff, item)),
        }
    }
}

/// The same, set in below what stands before.
fn within(roff: &mut Roff, parts: &[Part]) {
    if !parts.is_empty() {
        roff.control("RS", []);
        set(roff, parts, true);
        roff.control("RE", []);
    }
}

/// Terms, each on a line of its own, of which one text is said.
fn terms(roff: &mut Roff, terms: &[String]) {
    for (at, term) in terms.iter().enumerate() {
        roff.control(if at == 0 { "TP" } else { "TQ" }, []);
        let (key, value) = term.split_at(term.find([' ', '=']).unwrap_or(term.len()));
        roff.text([bold(key), roman(value)]);
    }
}

fn paragraph(roff: &mut Roff, text: &str, first: bool) {
    if !first {
        roff.control("PP", []);
    }
    roff.text(inlines(text));
}

/// A term, and what is said of it set in.
fn entry(roff: &mut Roff, item: &Item) {
    roff.control("TP", []);
    roff.text([bold(item.term.as_str())]);
    if !item.text.is_empty() {
        roff.text(inlines(&item.text));
    }
}

fn examples(roff: &mut Roff, parts: &[Part]) {
    for (at, part) in parts.iter().enumerate() {
        match part {
            Part::Paragraph(text) => paragraph(roff, text, at == 0),
            Part::Items(items) => {
                for (below, item) in items.iter().enumerate() {
                    command(roff, item, at == 0 && below == 0);
                }
            }
        }
    }
}

/// A command on a line of its own, to be copied; what it is for set in below it.
fn command(roff: &mut Roff, item: &Item, first: bool) {
    if !first {
        roff.control("PP", []);
    }
    roff.text([bold(item.term.as_str())]);
    if !item.text.is_empty() {
        roff.control("RS", ["4"]);
        roff.text(inlines(&item.text));
        roff.control("RE", []);
    }
}

/// Options and other pages stand out.
fn inlines(text: &str) -> Vec<Inline> {
    let mut all = Vec::new();
    let mut plain = String::new();
    for word in text.split_inclusive(' ') {
        let start = word.find(|c| c != '(').unwrap_or_default();
        let (before, rest) = word.split_at(start);
        let length = strong(rest);
        plain.push_str(before);
        if length > 0 {
            let (name, after) = rest.split_at(length);
            all.extend([roman(std::mem::take(&mut plain)), bold(name)]);
            plain.push_str(after);
        } else {
            plain.push_str(rest);
        }
    }
    all.push(roman(plain));
    all
}

/// How many bytes at the beginning of a word are an option, or the name of a page before its section.
fn strong(word: &str) -> usize {
    let other = |c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c));
    let end = word.find(other).unwrap_or(word.len());
    let (name, after) = word.split_at(end);
    let is_option = name.starts_with("--") && name.len() > 2;
    let is_page = ["(1)", "(5)", "(7)", "(8)"].iter().any(|section| after.starts_with(section));
    if is_page || is_option { name.trim_end_matches('.').len() } else { 0 }
}
