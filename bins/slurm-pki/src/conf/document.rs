//! A config file in memory, every byte as it was: an edit changes the bytes of one value and no others.

use crate::advice::Advice;
use crate::slurm_lines::{Line, Word, lines, of_the_cluster};

use super::shell;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// slurm.conf, slurmdbd.conf and what they include.
    Slurm,
    /// Assignments for a shell or systemd.
    Shell,
}

/// The bytes of a file, and how they are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Document {
    form: Form,
    bytes: Vec<u8>,
}

impl Document {
    /// Takes a file's bytes.
    ///
    /// # Errors
    /// When they cannot be read for certain.
    pub(super) fn new(form: Form, bytes: &[u8]) -> anyhow::Result<Self> {
        let document = Self { form, bytes: bytes.to_vec() };
        if form == Form::Shell {
            let text = std::str::from_utf8(bytes).map_err(|_| {
                Advice::new("it is not text", "see what is in it; a file of assignments is UTF-8 text")
            })?;
            shell::assignments(text).map_err(|unclear| {
                Advice::new(
                    format!("line {} can be read in two ways", unclear.0),
                    "write it as NAME=\"value\" with nothing before it and nothing behind it: systemd knows no export \
                     there, and takes a comment for part of the value",
                )
            })?;
        }
        Ok(document)
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A part of it, where that is text.
    pub(super) fn text(&self, range: &std::ops::Range<usize>) -> Option<&str> {
        std::str::from_utf8(self.bytes.get(range.clone())?).ok()
    }

    /// All keys with their values, in order.
    pub(super) fn words(&self) -> Vec<Word> {
        match self.form {
            Form::Slurm => lines(&self.bytes)
                .iter()
                .flat_map(|line| match line {
                    Line::Words(words) => of_the_cluster(words).to_vec(),
                    Line::Include(_) => Vec::new(),
                })
                .collect(),
            Form::Shell => {
                shell::assignments(std::str::from_utf8(&self.bytes).unwrap_or_default()).unwrap_or_default()
            }
        }
    }

    /// The words of a key, in order.
    pub(super) fn words_of(&self, key: &str) -> Vec<Word> {
        let mut words = self.words();
        words.retain(|word| self.is(word, key));
        words
    }

    /// Case counts for a shell, and not for Slurm.
    pub(super) fn is(&self, word: &Word, key: &str) -> bool {
        match self.form {
            Form::Slurm => word.is(key),
            Form::Shell => word.key == key,
        }
    }

    /// The bytes that a value stands on.
    ///
    /// # Errors
    /// When they are no text.
    pub(super) fn raw(&self, word: &Word) -> anyhow::Result<&str> {
        let raw = self.bytes.get(word.raw.clone()).unwrap_or_default();
        std::str::from_utf8(raw).map_err(|_| {
            Advice::new(
                format!("the value of {} is not text", word.key),
                "mend that line by hand; paths in it must be UTF-8",
            )
            .into()
        })
    }

    /// Puts these bytes in the place of a value.
    pub(super) fn put(&mut self, word: &Word, raw: &str) {
        self.splice(word.raw.clone(), raw.as_bytes());
    }

    /// Gives a key another value where it stands; what was in quotes stays in quotes.
    ///
    /// # Errors
    /// When this value cannot be written there.
    pub(super) fn set(&mut self, word: &Word, value: &str) -> anyhow::Result<()> {
        let quote = self.bytes.get(word.raw.start).copied().map(char::from);
        let quote = quote.filter(|quote| word.quoted && matches!(quote, '"' | '\''));
        let raw = self.written(value, quote);
        let mut edited = self.clone();
        edited.put(word, &raw);
        let mut wanted = self.words();
        wanted.iter_mut().filter(|is| is.at == word.at).for_each(|is| value.clone_into(&mut is.value));
        self.become_if_read_as(edited, &wanted).ok_or_else(|| cannot_be_written(&word.key, value))
    }

    /// Only an edit that reads back as it is meant is made.
    fn become_if_read_as(&mut self, edited: Self, wanted: &[Word]) -> Option<()> {
        let read = edited.words();
        let same = |(is, meant): (&Word, &Word)| is.key == meant.key && is.value == meant.value;
        let meant = read.len() == wanted.len() && read.iter().zip(wanted).all(same);
        meant.then(|| *self = edited)
    }

    fn written(&self, value: &str, quote: Option<char>) -> String {
        let (value, default) = match self.form {
            Form::Slurm => (value.replace('\\', "\\\\").replace('#', "\\#"), None),
            Form::Shell => (value.to_owned(), Some('"')),
        };
        let needs = value.contains([' ', '\t']) || self.form == Form::Shell;
        match quote.or(default).or(needs.then_some('"')) {
            Some(quote) => format!("{quote}{value}{quote}"),
            None => value,
        }
    }

    /// A line that gives a key its value, with its end.
    ///
    /// # Errors
    /// When this value cannot be written.
    pub(super) fn line(&self, key: &str, value: &str) -> anyhow::Result<String> {
        let line = format!("{key}={}{}", self.written(value, None), self.line_end());
        let alone = Self { form: self.form, bytes: line.clone().into_bytes() };
        match alone.words().as_slice() {
            [word] if word.value == value => Ok(line),
            _ => Err(cannot_be_written(key, value)),
        }
    }

    /// Takes a key out; the line too when nothing else is on it.
    ///
    /// # Errors
    /// When that would change how other keys are read.
    pub(super) fn remove(&mut self, word: &Word) -> anyhow::Result<()> {
        let mut edited = self.clone();
        edited.splice(self.range_of(word), b"");
        let mut wanted = self.words();
        wanted.retain(|is| is.at != word.at);
        self.become_if_read_as(edited, &wanted).ok_or_else(|| {
            Advice::new(
                format!("{}={} cannot be taken out by itself", word.key, word.value),
                "take it out by hand: its line has backslashes that belong to its neighbours",
            )
            .into()
        })
    }

    /// What goes with a key: its line, or the blanks before the next word where it was the first of several.
    fn range_of(&self, word: &Word) -> std::ops::Range<usize> {
        let begin = self.line_start(word.at);
        let end = self.line_end_after(word.raw.end.max(word.at));
        let before = self.bytes.get(begin..word.at).unwrap_or_default();
        let behind = self.bytes.get(word.raw.end..end).unwrap_or_default();
        let alone = before.trim_ascii().is_empty() && behind.trim_ascii().is_empty();
        if alone && !self.is_continued_at(begin) {
            return begin..end;
        }
        let blanks = behind.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let has_next = behind.get(blanks).is_some_and(|byte| !matches!(byte, b'\r' | b'\n'));
        word.at..word.raw.end + if has_next { blanks } else { 0 }
    }

    /// Replaces a range of bytes.
    pub(super) fn splice(&mut self, range: std::ops::Range<usize>, with: &[u8]) {
        if range.start <= range.end && range.end <= self.bytes.len() {
            self.bytes.splice(range, with.iter().copied());
        }
    }

    /// How this file ends its lines.
    pub(super) fn line_end(&self) -> &'static str {
        if self.bytes.windows(2).any(|two| two == b"\r\n") { "\r\n" } else { "\n" }
    }

    /// Where the line of a byte begins.
    pub(super) fn line_start(&self, at: usize) -> usize {
        let before = self.bytes.get(..at).unwrap_or_default();
        before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1)
    }

    /// Where the next line begins.
    pub(super) fn line_end_after(&self, at: usize) -> usize {
        let behind = self.bytes.get(at..).unwrap_or_default();
        behind.iter().position(|byte| *byte == b'\n').map_or(self.bytes.len(), |newline| at + newline + 1)
    }

    /// Whether the line that begins here is the rest of the one before: without it, that one would go on in the
    /// next.
    fn is_continued_at(&self, begin: usize) -> bool {
        let before = self.line_start(begin.saturating_sub(1))..begin;
        begin > 0 && self.bytes.get(before).is_some_and(crate::slurm_lines::goes_on)
    }
}

fn cannot_be_written(key: &str, value: &str) -> anyhow::Error {
    Advice::new(
        format!("{key} cannot be written as {value:?}"),
        "take the quotes and backslashes out of that line by hand, then run this again",
    )
    .into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slurm(text: &str) -> Document {
        Document::new(Form::Slurm, text.as_bytes()).unwrap()
    }

    fn text(document: &Document) -> &str {
        std::str::from_utf8(document.bytes()).unwrap()
    }

    fn set(before: &str, key: &str, value: &str) -> String {
        let mut document = slurm(before);
        let word = document.words_of(key).pop().unwrap();
        document.set(&word, value).unwrap();
        text(&document).to_owned()
    }

    fn removed(before: &str, key: &str) -> String {
        let mut document = slurm(before);
        let word = document.words_of(key).pop().unwrap();
        document.remove(&word).unwrap();
        text(&document).to_owned()
    }

    #[test]
    fn a_value_is_changed_where_it_stands() {
        assert_eq!(set("a\tTLSType = x  # why\r\n", "tlstype", "y"), "a\tTLSType = y  # why\r\n");
        assert_eq!(set("A=\"x y\" B=1", "A", "z"), "A=\"z\" B=1");
        assert_eq!(set("A=x,\\\ny B=1\n", "A", "z"), "A=z B=1\n");
        assert_eq!(set("A=\nB=1\n", "A", "z"), "A=z\nB=1\n");
        assert_eq!(set("A=\\#x\n", "A", "y#\\"), "A=y\\#\\\\\n");
        assert_eq!(set("A=1\nA=2\n", "A", "3"), "A=1\nA=3\n");
    }

    #[test]
    fn a_key_goes_with_its_line_when_it_is_alone_on_it() {
        assert_eq!(removed("B=1\n A=2 \r\nC=3", "A"), "B=1\nC=3");
        assert_eq!(removed("B=1\nA=2 # why\nC=3", "A"), "B=1\n# why\nC=3");
        assert_eq!(removed("B=1 A=2 C=3\n", "A"), "B=1 C=3\n");
        assert_eq!(removed("B=1 \\\nA=2\nC=3\n", "A"), "B=1 \\\n\nC=3\n");
        assert_eq!(removed("A=2 \\\nC=3\n", "A"), "\\\nC=3\n");
        assert_eq!(removed("A=2", "A"), "");
    }

    #[test]
    fn the_keys_of_a_node_are_not_the_clusters() {
        assert!(slurm("NodeName=n1 TLSType=x\n").words_of("TLSType").is_empty());
    }

    const ANY: &str = "([ab]|A=|B=|=|\"|\\\\|#|\n|\r\n| |,|x|y|NodeName=|Include z ){0,40}";

    fn values(document: &Document) -> Vec<(String, String)> {
        document.words().into_iter().map(|word| (word.key, word.value)).collect()
    }

    proptest! {
        #[test]
        fn an_edit_changes_one_value_and_no_other(text in ANY, value in "[a-z#\\\\,= ]{1,8}") {
            let mut document = slurm(&text);
            let before = values(&document);
            for (nth, word) in document.words().into_iter().enumerate() {
                let mut edited = document.clone();
                if edited.set(&word, &value).is_ok() {
                    let mut wanted = before.clone();
                    wanted[nth].1.clone_from(&value);
                    prop_assert_eq!(values(&edited), wanted);
                }
            }
            prop_assert_eq!(document.bytes(), text.as_bytes());
            // What was put back is what was there.
            if let Some(word) = document.words().pop() {
                let raw = document.raw(&word).unwrap().to_owned();
                if document.set(&word, &value).is_ok() {
                    let word = document.words().into_iter().find(|is| is.at == word.at).unwrap();
                    document.put(&word, &raw);
                    prop_assert_eq!(document.bytes(), text.as_bytes());
                }
            }
        }

        #[test]
        fn a_removal_takes_one_key_and_no_other(text in ANY) {
            let document = slurm(&text);
            for (nth, word) in document.words().into_iter().enumerate() {
                let mut edited = document.clone();
                if edited.remove(&word).is_ok() {
                    let mut wanted = values(&document);
                    wanted.remove(nth);
                    prop_assert_eq!(values(&edited), wanted);
                } else {
                    prop_assert_eq!(edited.bytes(), text.as_bytes());
                }
            }
        }
    }
}
