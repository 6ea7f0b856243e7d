//! Lines of slurm.conf's form, read as Slurm reads them, with the bytes of the file that each part stands on: who
//! edits a file and who only reads it see the same.
//!
//! `#` begins a comment, a backslash at the end joins a line with the next, another backslash makes the character
//! behind it an ordinary one, and the line of a node or a partition holds several `Key=Value` (slurm.conf(5)). Slurm
//! refuses a file with anything else that is no `Key=Value`, and a second one behind a key of the cluster: what is made
//! of such a line here counts for nobody.

use std::ops::Range;

/// Keys whose line, from there on, describes a node, a partition or the like, and not the cluster.
const DESCRIBING: [&str; 5] = ["nodename", "partitionname", "nodeset", "downnodes", "frontendname"];

/// A line that says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// `Include FILE`.
    Include(String),
    /// `Key=Value`, one or several.
    Words(Vec<Word>),
}

/// One `Key=Value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// As it is written; keys count without regard to case.
    pub(crate) key: String,
    /// Without quotes and escapes.
    pub(crate) value: String,
    /// Where the key begins.
    pub(crate) at: usize,
    /// The value's bytes, quotes included. In the middle of it a line may be continued.
    pub(crate) raw: Range<usize>,
    /// Whether it stands in quotes, and may have blanks in it.
    pub(crate) quoted: bool,
}

impl Word {
    /// Whether this is the key.
    pub(crate) fn is(&self, key: &str) -> bool {
        self.key.eq_ignore_ascii_case(key)
    }
}

/// Whether a TLSType turns TLS off.
pub(crate) fn is_no_tls(value: &str) -> bool {
    ["", "none", "tls/none"].iter().any(|off| value.eq_ignore_ascii_case(off))
}

/// The words that are about the whole cluster.
pub(crate) fn of_the_cluster(words: &[Word]) -> &[Word] {
    let describes = |word: &Word| DESCRIBING.iter().any(|key| word.is(key));
    let end = words.iter().position(describes).unwrap_or(words.len());
    words.get(..end).unwrap_or_default()
}

/// All lines of a text, in order; those that say nothing are left out.
pub(crate) fn lines(text: &[u8]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut open = Joined::default();
    let mut at = 0;
    for physical in text.split_inclusive(|byte| *byte == b'\n') {
        let goes_on = open.take(physical, at);
        at += physical.len();
        if !goes_on {
            lines.extend(std::mem::take(&mut open).read());
        }
    }
    lines.extend(open.read());
    lines
}

/// Whether a physical line, comment and line end included, goes on in the next.
pub(crate) fn goes_on(physical: &[u8]) -> bool {
    continued(physical.get(..comment(physical)).unwrap_or_default()).is_some()
}

/// Where the comment begins, or the line ends. For Slurm a line ends at a byte of zero too.
fn comment(physical: &[u8]) -> usize {
    let mut escaped = false;
    let begins = |byte: &u8| {
        let found = *byte == 0 || *byte == b'#' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        found
    };
    physical.iter().position(begins).unwrap_or(physical.len())
}

/// Where the backslash stands that joins this line with the next; blanks may follow it. Two are one escaped
/// backslash.
fn continued(line: &[u8]) -> Option<usize> {
    let last = line.iter().rposition(|byte| !is_blank(*byte))?;
    let backslashes = line.get(..=last)?.iter().rev().take_while(|byte| **byte == b'\\').count();
    (backslashes % 2 == 1).then_some(last)
}

/// A byte of a line, and where in the text it and the backslash before it stand.
#[derive(Clone, Copy, Debug)]
struct Placed {
    byte: u8,
    begin: usize,
    end: usize,
}

/// A line and those it goes on in, without comments.
#[derive(Debug, Default)]
struct Joined(Vec<Placed>);

impl Joined {
    /// Adds a physical line that begins at `at`; whether the next belongs to it too.
    fn take(&mut self, physical: &[u8], at: usize) -> bool {
        let line = physical.get(..comment(physical)).unwrap_or_default();
        let joint = continued(line);
        let part = line.get(..joint.unwrap_or(line.len())).unwrap_or_default();
        self.0.extend(part.iter().zip(at..).map(|(byte, at)| Placed { byte: *byte, begin: at, end: at + 1 }));
        joint.is_some()
    }

    /// What it says. Escapes are taken out of the whole, as Slurm does.
    fn read(self) -> Option<Line> {
        let mut backslash = None;
        let mut bytes = self.0;
        bytes.retain_mut(|placed| match backslash.take() {
            Some(begin) => {
                placed.begin = begin;
                true
            }
            None if placed.byte == b'\\' => {
                backslash = Some(placed.begin);
                false
            }
            None => true,
        });
        let mut reader = Reader { bytes: &bytes, next: 0 };
        if let Some(file) = reader.include() {
            return Some(Line::Include(file));
        }
        let words: Vec<Word> = std::iter::from_fn(|| reader.word()).collect();
        (!words.is_empty()).then_some(Line::Words(words))
    }
}

struct Reader<'a> {
    bytes: &'a [Placed],
    next: usize,
}

impl Reader<'_> {
    /// `Include` and a blank begin the line.
    fn include(&mut self) -> Option<String> {
        self.skip(is_blank);
        let word = self.skip(|byte| !is_blank(byte));
        let file = self.skip(is_blank).end..self.skip(|byte| !is_blank(byte)).end;
        let found = self.text(&word).eq_ignore_ascii_case("include") && !file.is_empty();
        self.next = 0;
        found.then(|| self.text(&file))
    }

    /// The next `Key=Value`; blanks may stand around the `=`, and a sign before it. What is none is passed over.
    fn word(&mut self) -> Option<Word> {
        loop {
            self.skip(is_blank);
            let begin = self.next;
            self.peek()?;
            let key = self.skip(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.');
            self.skip(is_blank);
            if self.peek().is_some_and(|byte| b"+-*/".contains(&byte)) {
                self.next += 1;
            }
            if self.peek() == Some(b'=') && !key.is_empty() {
                self.next += 1;
                return Some(self.value(&key));
            }
            self.next = begin;
            self.skip(|byte| !is_blank(byte));
        }
    }

    fn value(&mut self, key: &Range<usize>) -> Word {
        let behind = self.end(self.next);
        self.skip(is_blank);
        let quoted = self.in_quotes();
        let inner = quoted.clone().unwrap_or_else(|| self.skip(|byte| !is_blank(byte)));
        let outer = match &quoted {
            Some(inner) => inner.start - 1..inner.end + 1,
            None => inner.clone(),
        };
        let raw =
            if outer.is_empty() { behind..behind } else { self.begin(outer.start)..self.end(outer.end) };
        Word {
            key: self.text(key),
            value: self.text(&inner),
            at: self.begin(key.start),
            raw,
            quoted: quoted.is_some(),
        }
    }

    /// A value in quotes, which a blank or the line's end follows.
    fn in_quotes(&mut self) -> Option<Range<usize>> {
        let begin = self.next;
        if self.peek() != Some(b'"') {
            return None;
        }
        self.next += 1;
        let inner = self.skip(|byte| byte != b'"');
        let closed = self.peek().is_some();
        self.next += 1;
        if closed && self.peek().is_none_or(is_blank) {
            return Some(inner);
        }
        self.next = begin;
        None
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.next).map(|placed| placed.byte)
    }

    /// Passes over bytes of a kind.
    fn skip(&mut self, is_one: impl Fn(u8) -> bool) -> Range<usize> {
        let begin = self.next;
        while self.peek().is_some_and(&is_one) {
            self.next += 1;
        }
        begin..self.next
    }

    fn text(&self, range: &Range<usize>) -> String {
        let placed = self.bytes.get(range.clone()).unwrap_or_default();
        let bytes: Vec<u8> = placed.iter().map(|placed| placed.byte).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Where a byte begins in the text.
    fn begin(&self, index: usize) -> usize {
        self.bytes.get(index).map_or(0, |placed| placed.begin)
    }

    /// Where those before a byte end.
    fn end(&self, index: usize) -> usize {
        index.checked_sub(1).and_then(|last| self.bytes.get(last)).map_or(0, |placed| placed.end)
    }
}

/// isspace(3) in the C locale.
fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        let words = lines(text.as_bytes()).into_iter().flat_map(|line| match line {
            Line::Include(file) => vec![("Include".to_owned(), file)],
            Line::Words(words) => words.into_iter().map(|word| (word.key, word.value)).collect(),
        });
        words.collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn lines_are_read_as_slurm_reads_them() {
        for (text, wanted) in [
            ("A=1 B=2\t# C=3\nd = 4\r\n", &[("A", "1"), ("B", "2"), ("d", "4")][..]),
            ("A=1,\\\n2,\\  \n  3\n", &[("A", "1,2,")]),
            ("A=1 \\ # more\nB=2", &[("A", "1"), ("B", "2")]),
            ("# A=1 \\\nB=2", &[("B", "2")]),
            ("A=1\\\\\nB=2", &[("A", "1\\"), ("B", "2")]),
            ("A=x\\#y # z", &[("A", "x#y")]),
            ("A=\"x y\" B=\"x\"y C=\"\"", &[("A", "x y"), ("B", "\"x\"y"), ("C", "")]),
            ("junk A+=1 =2 B=", &[("A", "1"), ("B", "")]),
            (" include  more.conf\nIncludeNot=1\n", &[("Include", "more.conf"), ("IncludeNot", "1")]),
            ("A=1\\", &[("A", "1")]),
            ("A=1,\\\x0b\n2\n", &[("A", "1,2")]),
            ("A=1\0,2\nB=3\\\0\n,4\n", &[("A", "1"), ("B", "3,4")]),
        ] {
            assert_eq!(read(text), pairs(wanted), "{text:?}");
        }
    }

    #[test]
    fn what_describes_nodes_is_not_about_the_cluster() {
        let Some(Line::Words(words)) = lines(b"A=1 nodename=n1 B=2").pop() else { panic!("no words") };
        assert_eq!(of_the_cluster(&words).len(), 1);
    }

    proptest! {
        #[test]
        fn every_word_stands_on_its_own_bytes(text in "[ab=\"\\\\#\n\r ,]{0,60}") {
            let mut last = 0;
            let escaped_key = text.contains('\\');
            for line in lines(text.as_bytes()) {
                let Line::Words(words) = line else { continue };
                for word in words {
                    prop_assert!(word.at >= last && word.raw.start > word.at);
                    prop_assert!(word.raw.end <= text.len());
                    prop_assert!(escaped_key || text[word.at..].starts_with(&word.key));
                    last = word.raw.end;
                }
            }
        }
    }
}
