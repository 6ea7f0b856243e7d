//! The one marked place of ours at the end of a file: the lines that were added, and for every value that was changed
//! elsewhere in the file what it was. So the file itself says how it is put back byte by byte, one rename changes both,
//! and whoever copies the file copies that too.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::document::Document;
use super::subject::{Remains, Subject};
use crate::advice::Advice;
use crate::slurm_lines::Word;

const BEGIN: &str = "# BEGIN slurm-pki";
const BEGIN_LINE: &str = "# BEGIN slurm-pki conf enable (slurm-pki conf disable takes this out)";
const END: &str = "# END slurm-pki";
const WAS: &str = "# slurm-pki was ";
const NO_LINE_END: &str = "# slurm-pki: the line above had no end";

/// A value that was changed where it stands.
#[derive(Debug, Deserialize, Serialize)]
struct Was {
    key: String,
    /// The bytes that enable put there.
    now: String,
    /// The bytes that were there before.
    was: String,
}

/// What came of putting a file back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Undone {
    /// There was nothing of ours.
    Nothing,
    /// It is as before; these keys excepted, which somebody else has changed since.
    All(Vec<String>),
}

/// A line of ours.
enum Note {
    Mark,
    Was(Was),
    NoLineEnd,
    /// A note that somebody has damaged.
    Damaged,
}

/// Adds a key in our place.
///
/// # Errors
/// When our place is damaged, or the value cannot be written.
pub(super) fn add(document: &mut Document, key: &str, value: &str) -> anyhow::Result<()> {
    let line = document.line(key, value)?;
    let notes = find_or_make(document, document.line_end())?.notes;
    let is_behind = |text: &str| text.starts_with(WAS) || text.starts_with(END);
    let place = notes.iter().find(|(range, _)| document.text(range).is_some_and(is_behind));
    let place = place.map_or(document.bytes().len(), |(range, _)| range.start);
    document.splice(place..place, line.as_bytes());
    Ok(())
}

/// Changes a key where it stands, and notes what it was. A line of ours needs no note.
///
/// # Errors
/// When our place is damaged, or the value cannot be written.
pub(super) fn change(document: &mut Document, word: &Word, value: &str) -> anyhow::Result<()> {
    if Block::find(document)?.is_some_and(|block| block.range.contains(&word.at)) {
        return document.set(word, value);
    }
    let was = document.raw(word)?.to_owned();
    // The only line end of its kind may go with the value.
    let line_end = document.line_end();
    document.set(word, value)?;
    let word = document.words().into_iter().find(|is| is.at == word.at).unwrap_or_else(|| word.clone());
    let now = document.raw(&word)?.to_owned();
    note(document, Was { key: word.key, now, was }, line_end)
}

/// A value that enable has changed before keeps the note of its first change.
fn note(document: &mut Document, mut new: Was, line_end: &str) -> anyhow::Result<()> {
    let block = find_or_make(document, line_end)?;
    for (range, is) in block.notes {
        if let Note::Was(old) = is
            && old.key.eq_ignore_ascii_case(&new.key)
            && old.now == new.was
        {
            new.was = old.was;
            let line = new.line(document)?;
            document.splice(range, line.as_bytes());
            return Ok(());
        }
    }
    let line = new.line(document)?;
    document.splice(block.end..block.end, line.as_bytes());
    Ok(())
}

impl Was {
    fn line(&self, document: &Document) -> anyhow::Result<String> {
        Ok(format!("{WAS}{}{}", serde_json::to_string(self)?, document.line_end()))
    }
}

/// Puts everything of one subject back that is as enable left it, and takes our place out when it was the last. Keys that
/// others have put into our place stay there.
///
/// # Errors
/// When our place is damaged, or something cannot be taken out.
pub(super) fn undo(document: &mut Document, subject: Subject) -> anyhow::Result<Undone> {
    let Some(block) = Block::find(document)? else { return Ok(Undone::Nothing) };
    if !block.has(document, subject) {
        return Ok(Undone::Nothing);
    }
    let mut changed = Vec::new();
    for (_, note) in block.notes {
        match note {
            Note::Was(was) if Subject::of(&was.key) == subject => changed.extend(put_back(document, &was)?),
            Note::Damaged => changed.extend(subject.every_key().map(str::to_owned)),
            Note::Was(_) | Note::Mark | Note::NoLineEnd => {}
        }
    }
    take_out_keys(document, subject)?;
    let others = [Subject::Tls, Subject::Jwt, Subject::AuthSlurm].into_iter().filter(|is| *is != subject);
    match Block::find(document)? {
        Some(block) if others.into_iter().any(|is| block.holds(document, is)) => {
            block.take_notes_out(document, subject);
        }
        Some(block) => block.take_out(document),
        None => {}
    }
    Ok(Undone::All(changed))
}

/// The key, when it is not what enable made of it any more.
fn put_back(document: &mut Document, was: &Was) -> anyhow::Result<Option<String>> {
    let block = Block::find(document)?.map(|block| block.range).unwrap_or_default();
    let mut words = document.words_of(&was.key);
    words.retain(|word| !block.contains(&word.at) && document.raw(word).is_ok_and(|raw| raw == was.now));
    Ok(match words.pop() {
        Some(word) => {
            document.put(&word, &was.was);
            None
        }
        None => Some(was.key.clone()),
    })
}

/// Takes a subject's keys out of our place.
fn take_out_keys(document: &mut Document, subject: Subject) -> anyhow::Result<()> {
    while let Some(block) = Block::find(document)? {
        let inside = document.words().into_iter().filter(|word| block.range.contains(&word.at));
        let mut ours = inside.map(|word| (subject.without(&word.key, &word.value), word));
        match ours.find(|(remains, _)| *remains != Remains::All) {
            None => break,
            Some((Remains::This(value), word)) => document.set(&word, &value)?,
            Some((_, word)) => document.remove(&word)?,
        }
    }
    Ok(())
}

/// Our place, with the lines in it that are ours and no keys.
struct Block {
    range: Range<usize>,
    /// Where its last line begins.
    end: usize,
    notes: Vec<(Range<usize>, Note)>,
}

impl Block {
    fn find(document: &Document) -> anyhow::Result<Option<Self>> {
        let mut block: Option<Self> = None;
        let mut at = 0;
        while at < document.bytes().len() {
            let range = at..document.line_end_after(at);
            at = range.end;
            let text = document.text(&range).unwrap_or_default().trim_end();
            match &mut block {
                Some(_) if text.starts_with(BEGIN) => return Err(damaged("begins twice")),
                None if text.starts_with(BEGIN) => {
                    block = Some(Self { range: range.clone(), end: 0, notes: vec![(range, Note::Mark)] });
                }
                Some(open) if open.end == 0 => open.add(range, text),
                _ => {}
            }
        }
        match block {
            Some(open) if open.end == 0 => Err(damaged("has no end")),
            block => Ok(block),
        }
    }

    /// Whether something of a subject is there, as far as it can be read.
    fn holds(&self, document: &Document, subject: Subject) -> bool {
        let is_its =
            |(_, note): &(_, Note)| matches!(note, Note::Was(was) if Subject::of(&was.key) == subject);
        let inside = document.words().into_iter().filter(|word| self.range.contains(&word.at));
        let mut words = inside.filter(|word| subject.without(&word.key, &word.value) != Remains::All);
        self.notes.iter().any(is_its) || words.next().is_some()
    }

    /// The same, where a note cannot be read or nothing is left of anybody too.
    fn has(&self, document: &Document, subject: Subject) -> bool {
        let is_damaged = |(_, note): &(_, Note)| matches!(note, Note::Damaged);
        let mut all = [Subject::Tls, Subject::Jwt, Subject::AuthSlurm].into_iter();
        self.holds(document, subject)
            || self.notes.iter().any(is_damaged)
            || !all.any(|is| self.holds(document, is))
    }

    fn take_notes_out(self, document: &mut Document, subject: Subject) {
        for (range, note) in self.notes.into_iter().rev() {
            if matches!(note, Note::Was(was) if Subject::of(&was.key) == subject) {
                document.splice(range, b"");
            }
        }
    }

    /// All of our lines, and the line end before them that was written with them.
    fn take_out(self, document: &mut Document) {
        let had_no_end = self.notes.iter().any(|(_, note)| matches!(note, Note::NoLineEnd));
        let start = self.range.start;
        // The line end before our first line is like its own.
        let end = document.bytes().get(..document.line_end_after(start)).unwrap_or_default();
        let end = if end.ends_with(b"\r\n") { 2 } else { 1 };
        for (range, _) in self.notes.into_iter().rev() {
            document.splice(range, b"");
        }
        if had_no_end && start == document.bytes().len() {
            document.splice(start.saturating_sub(end)..start, b"");
        }
    }

    fn add(&mut self, line: Range<usize>, text: &str) {
        self.range.end = line.end;
        let note = if text.starts_with(END) {
            self.end = line.start;
            Note::Mark
        } else if text == NO_LINE_END {
            Note::NoLineEnd
        } else if let Some(json) = text.strip_prefix(WAS) {
            serde_json::from_str(json).map_or(Note::Damaged, Note::Was)
        } else {
            return;
        };
        self.notes.push((line, note));
    }
}

fn find_or_make(document: &mut Document, line_end: &str) -> anyhow::Result<Block> {
    if let Some(block) = Block::find(document)? {
        return Ok(block);
    }
    let whole = document.bytes().last().is_none_or(|byte| *byte == b'\n');
    let (before, note) = if whole {
        (String::new(), String::new())
    } else {
        (line_end.to_owned(), format!("{NO_LINE_END}{line_end}"))
    };
    let text = format!("{before}{BEGIN_LINE}{line_end}{note}{END}{line_end}");
    let length = document.bytes().len();
    document.splice(length..length, text.as_bytes());
    Block::find(document)?.ok_or_else(|| damaged("has no end"))
}

fn damaged(how: &str) -> anyhow::Error {
    Advice::new(
        format!("the place that is marked with {BEGIN} {how}"),
        format!("put the line {END} behind what slurm-pki added, once; or take that place out by hand"),
    )
    .into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::document::Form;
    use super::super::wish::Wish;
    use super::*;

    fn slurm(text: &str) -> Document {
        Document::new(Form::Slurm, text.as_bytes()).unwrap()
    }

    fn grant(document: &mut Document, wish: &Wish) -> anyhow::Result<()> {
        match document.words_of(wish.key()).pop() {
            Some(word) => change(document, &word, &wish.value(&word.value)),
            None => add(document, wish.key(), &wish.value("")),
        }
    }

    fn wishes(parameter: &str) -> Vec<Wish> {
        let lines = ["TLSType=tls/s2n", "TLSParameters=a=/b", parameter];
        lines.into_iter().filter_map(Wish::of_line).chain([Wish::audit()]).collect()
    }

    fn enabled(text: &str) -> Document {
        let mut document = slurm(text);
        for wish in wishes("CertmgrParameters=x=/y") {
            grant(&mut document, &wish).unwrap();
        }
        document
    }

    #[test]
    fn what_was_added_and_changed_goes_and_edits_of_others_stay() {
        let document = enabled("DebugFlags=Gres # why\r\nA=1");
        let text = String::from_utf8(document.bytes().to_vec()).unwrap();
        assert!(text.starts_with("DebugFlags=Gres,AuditTLS # why\r\nA=1\r\n# BEGIN slurm-pki"), "{text}");
        let mut edited = slurm(&(text.replace("A=1", "A=2").replace("# END", "C=4\r\n# END") + "B=3\r\n"));
        assert_eq!(undo(&mut edited, Subject::Tls).unwrap(), Undone::All(Vec::new()));
        assert_eq!(edited.bytes(), b"DebugFlags=Gres # why\r\nA=2\r\nC=4\r\nB=3\r\n");
        assert_eq!(undo(&mut edited, Subject::Tls).unwrap(), Undone::Nothing);
    }

    #[test]
    fn lines_of_ours_end_as_the_file_had_it_where_that_end_goes_with_a_value() {
        let text = "TLSType=a\\\r\nb";
        let mut document = enabled(text);
        let written = String::from_utf8(document.bytes().to_vec()).unwrap();
        assert!(written.starts_with("TLSType=tls/s2n\r\n# BEGIN slurm-pki"), "{written}");
        undo(&mut document, Subject::Tls).unwrap();
        assert_eq!(document.bytes(), text.as_bytes());
    }

    #[test]
    fn a_value_that_others_changed_is_named() {
        let text = String::from_utf8(enabled("TLSParameters=z\n").bytes().to_vec()).unwrap();
        let mut edited = slurm(&text.replacen("TLSParameters=z,a=/b", "TLSParameters=z,a=/c", 1));
        assert_eq!(undo(&mut edited, Subject::Tls).unwrap(), Undone::All(vec!["TLSParameters".into()]));
    }

    #[test]
    fn a_damaged_place_is_not_guessed_at() {
        for text in ["# BEGIN slurm-pki\nA=1\n", "# BEGIN slurm-pki\n# BEGIN slurm-pki\n# END slurm-pki\n"] {
            assert!(undo(&mut slurm(text), Subject::Tls).is_err(), "{text}");
        }
    }

    const SUBJECTS: [Subject; 3] = [Subject::Tls, Subject::Jwt, Subject::AuthSlurm];

    fn wishes_of(subject: Subject) -> Vec<Wish> {
        match subject {
            Subject::Tls => wishes("CertmgrParameters=x=/y"),
            Subject::Jwt => vec![Wish::jwt(), Wish::jwt_parameters(vec!["jwks=/x".into()], &["jwt_key="])],
            Subject::AuthSlurm => vec![Wish::auth_slurm(), Wish::cred_slurm()],
        }
    }

    fn enable(document: &mut Document, subject: Subject) -> anyhow::Result<()> {
        wishes_of(subject).iter().try_for_each(|wish| grant(document, wish))
    }

    #[test]
    fn a_damaged_note_stays_as_long_as_others_need_the_place() {
        let mut document = slurm("DebugFlags=Gres\n");
        enable(&mut document, Subject::Tls).unwrap();
        enable(&mut document, Subject::AuthSlurm).unwrap();
        let text = String::from_utf8(document.bytes().to_vec()).unwrap();
        let mut document = slurm(&text.replace("was {", "was ["));
        undo(&mut document, Subject::AuthSlurm).unwrap();
        assert!(String::from_utf8_lossy(document.bytes()).contains("# slurm-pki was ["));
        let Undone::All(keys) = undo(&mut document, Subject::Tls).unwrap() else { panic!("nothing undone") };
        assert!(keys.contains(&"DebugFlags".to_owned()), "{keys:?}");
    }

    /// What is not about TLS.
    fn others(document: &Document) -> Vec<(String, String)> {
        let is_other = |word: &Word| Subject::Tls.without(&word.key, "TLS") == Remains::All;
        document.words().into_iter().filter(is_other).map(|word| (word.key, word.value)).collect()
    }

    const ANY: &str = "(DebugFlags=|TLSType=|TLSParameters=|CertmgrParameters=|AuthAltTypes=|authaltparameters=|jwt_key=/k|AuthType=|CredType=|A=|\"|\\\\|#|\n|\r\n| |,|x|y|NodeName=){0,30}";

    proptest! {
        #[test]
        fn subjects_go_in_any_order_and_leave_the_others_as_if_they_had_never_been(
            text in ANY,
            on in Just(SUBJECTS.to_vec()).prop_shuffle(),
            off in Just(SUBJECTS.to_vec()).prop_shuffle(),
        ) {
            let mut document = slurm(&text);
            if on.iter().try_for_each(|subject| enable(&mut document, *subject)).is_ok() {
                for (done, subject) in off.iter().enumerate() {
                    undo(&mut document, *subject).unwrap();
                    let mut wanted = slurm(&text);
                    for left in on.iter().filter(|is| !off[..=done].contains(is)) {
                        enable(&mut wanted, *left).unwrap();
                    }
                    prop_assert_eq!(
                        String::from_utf8_lossy(document.bytes()), String::from_utf8_lossy(wanted.bytes())
                    );
                }
                prop_assert_eq!(document.bytes(), text.as_bytes());
            }
        }

        #[test]
        fn whatever_stood_there_comes_back_byte_by_byte(text in ANY) {
            let mut document = slurm(&text);
            let done = wishes("CertmgrParameters=x=/y").iter().try_for_each(|wish| grant(&mut document, wish));
            let again = wishes("CertmgrParameters=x=/z").iter().try_for_each(|wish| grant(&mut document, wish));
            if done.is_ok() && again.is_ok() {
                prop_assert_eq!(others(&document), others(&slurm(&text)));
                prop_assert_eq!(undo(&mut document, Subject::Tls).unwrap(), Undone::All(Vec::new()));
                prop_assert_eq!(document.bytes(), text.as_bytes());
            }
        }
    }
}
