//! A file with those it includes, about to be changed: a key is edited where the value stands that counts.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context as _;
use site::file;

use super::block::{self, Undone};
use super::change::Change;
use super::document::{Document, Form};
use super::subject::{Remains, Subject};
use super::wish::Wish;
use crate::advice::Advise as _;
use crate::slurm_files::{SlurmFile, SlurmFiles};

/// More than any file of options has.
const MAX_OPTIONS: usize = 1024 * 1024;

/// The files, the first includes the others.
#[derive(Debug)]
pub(super) struct Editing {
    files: Vec<Edited>,
    /// Keys as Slurm comes to them: in which file, and where it began there before any edit.
    order: Vec<(usize, String, usize)>,
}

#[derive(Debug)]
struct Edited {
    file: SlurmFile,
    /// As it was.
    before: Document,
    document: Document,
}

impl Editing {
    /// A file of slurm.conf's form; `None` when there is none.
    ///
    /// # Errors
    /// When it, or one that it includes, cannot be read.
    pub(super) fn slurm(path: &Path) -> anyhow::Result<Option<Self>> {
        let Some(all) = SlurmFiles::load(path)? else { return Ok(None) };
        let order = all.keys().map(|(file, word)| (file, word.key.to_ascii_lowercase(), word.at)).collect();
        Self::new(Form::Slurm, all.files, order).map(Some)
    }

    /// A file of options for slurmd or sackd.
    ///
    /// # Errors
    /// When it cannot be read, or in two ways.
    pub(super) fn options(path: &Path) -> anyhow::Result<Self> {
        let (text, metadata) = file::read_with_metadata(path, MAX_OPTIONS).advise()?;
        Self::new(Form::Shell, vec![SlurmFile::new(path.to_owned(), text, metadata)], Vec::new())
    }

    fn new(form: Form, files: Vec<SlurmFile>, order: Vec<(usize, String, usize)>) -> anyhow::Result<Self> {
        let edited = |file: SlurmFile| {
            let document = Document::new(form, file.text.expose()).with_context(|| shown(&file.path))?;
            Ok(Edited { before: document.clone(), document, file })
        };
        Ok(Self { files: files.into_iter().map(edited).collect::<anyhow::Result<_>>()?, order })
    }

    /// Where the value of a key stands that counts: the file, and the how-manieth of that key there. The last one in
    /// Slurm's order counts.
    fn standing(&self, key: &str) -> Option<(usize, usize)> {
        let (file, at) = match self.order.iter().rfind(|(_, is, _)| is.eq_ignore_ascii_case(key)) {
            Some((file, _, at)) => (*file, *at),
            None => (0, usize::MAX),
        };
        let words = self.files.get(file)?.before.words_of(key);
        let nth = match words.iter().position(|word| word.at == at) {
            Some(nth) => nth,
            None => words.len().checked_sub(1)?,
        };
        Some((file, nth))
    }

    /// A key's value before any edit.
    pub(super) fn value(&self, key: &str) -> Option<String> {
        let (file, nth) = self.standing(key)?;
        self.files.get(file)?.before.words_of(key).get(nth).map(|word| word.value.clone())
    }

    /// Makes a key say what it is to say: where it stands, else at the end of the first file. Each key once.
    ///
    /// # Errors
    /// When it cannot be written there.
    pub(super) fn grant(&mut self, wish: &Wish) -> anyhow::Result<()> {
        let place = self.standing(wish.key());
        let Some(edited) = self.files.get_mut(place.map_or(0, |(file, _)| file)) else { return Ok(()) };
        let document = &mut edited.document;
        let word = place.and_then(|(_, nth)| document.words_of(wish.key()).into_iter().nth(nth));
        let done = match word {
            Some(word) if wish.value(&word.value) == word.value => Ok(()),
            Some(word) => block::change(document, &word, &wish.value(&word.value)),
            None => block::add(document, wish.key(), &wish.value("")),
        };
        done.with_context(|| shown(&edited.file.path))
    }

    /// Puts back what enable did; whether there was anything. Of what others have changed since our keys go altogether.
    ///
    /// # Errors
    /// When something cannot be taken out.
    pub(super) fn undo(&mut self, subject: Subject) -> anyhow::Result<bool> {
        let (mut had_block, mut changed) = (false, Vec::new());
        for edited in &mut self.files {
            let undone =
                block::undo(&mut edited.document, subject).with_context(|| shown(&edited.file.path))?;
            if let Undone::All(keys) = undone {
                had_block = true;
                changed.extend(keys);
            }
        }
        self.take_out(subject, &changed)?;
        Ok(had_block)
    }

    /// Takes our keys out, whoever put them there.
    ///
    /// # Errors
    /// When one cannot be taken out.
    pub(super) fn take_all_out(&mut self, subject: Subject) -> anyhow::Result<()> {
        self.take_out(subject, &subject.every_key().collect::<Vec<_>>())
    }

    fn take_out(&mut self, subject: Subject, keys: &[impl AsRef<str>]) -> anyhow::Result<()> {
        for edited in &mut self.files {
            let document = &mut edited.document;
            for key in keys {
                take_out(document, subject, key.as_ref()).with_context(|| shown(&edited.file.path))?;
            }
        }
        Ok(())
    }

    /// Whether it turned this on, before any edit.
    pub(super) fn is_on(&self, subject: Subject) -> bool {
        subject.is_on(|key| self.value(key))
    }

    /// Whether it is on with all edits made.
    ///
    /// # Errors
    /// When a file has become unreadable.
    pub(super) fn stays_on(&self, subject: Subject) -> anyhow::Result<bool> {
        let Some(first) = self.files.first() else { return Ok(false) };
        let texts: Vec<_> = self.files.iter().map(|edited| (&edited.file, edited.document.bytes())).collect();
        let all = SlurmFiles::load_with(&first.file.path, &texts)?.unwrap_or_default();
        Ok(subject
            .is_on(|key| all.keys().rfind(|(_, word)| word.is(key)).map(|(_, word)| word.value.clone())))
    }

    /// What of the subject stands there now and means something: keys, and of a list with something else in it its part.
    pub(super) fn left(&self, subject: Subject) -> BTreeSet<String> {
        let words = |key| self.files.iter().flat_map(move |edited| edited.document.words_of(key));
        let of_key = |key| words(key).filter_map(move |word| subject.left_of(key, &word.value));
        subject.every_key().flat_map(of_key).collect()
    }

    /// The files that are to change.
    ///
    /// # Errors
    /// When one of them is somebody else's link, or goes by two names.
    pub(super) fn changes(&self) -> anyhow::Result<Vec<Change>> {
        let changed = self.files.iter().filter(|edited| edited.before != edited.document);
        let change = |edited: &Edited| {
            let (path, metadata) = (&edited.file.path, edited.file.metadata.clone());
            Change::new(path, metadata, edited.before.clone(), edited.document.clone())
        };
        changed.map(change).collect()
    }
}

/// What is to change for one subject to be put back in all of them. Its keys go altogether, whoever put them there, when
/// `everything` is to go, and where it is on although enable has changed nothing.
///
/// # Errors
/// When something cannot be taken out, or a file is not to be changed.
pub(super) fn disabled(
    all: &mut [Editing],
    subject: Subject,
    everything: bool,
) -> anyhow::Result<Vec<Change>> {
    let is_on = all.iter().any(|editing| editing.is_on(subject));
    let mut undone = false;
    for editing in all.iter_mut() {
        undone |= editing.undo(subject)?;
    }
    // Without auth/slurm there is another way to authenticate, which nobody may have: that is never guessed.
    if everything || is_on && !undone && subject != Subject::AuthSlurm {
        all.iter_mut().try_for_each(|editing| editing.take_all_out(subject))?;
    }
    let changes: Vec<_> = all.iter().map(Editing::changes).collect::<anyhow::Result<_>>()?;
    Ok(changes.into_iter().flatten().collect())
}

/// Takes what is ours of a key out, wherever it stands.
fn take_out(document: &mut Document, subject: Subject, key: &str) -> anyhow::Result<()> {
    loop {
        let words = document.words_of(key).into_iter();
        let mut ours = words.map(|word| (subject.without(&word.key, &word.value), word));
        match ours.find(|(remains, _)| *remains != Remains::All) {
            None => return Ok(()),
            Some((Remains::This(value), word)) => document.set(&word, &value)?,
            Some((_, word)) => document.remove(&word)?,
        }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
