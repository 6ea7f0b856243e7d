//! A file of slurm.conf's form with all that it includes, line by line in Slurm's order.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use pki::explain::Explain as _;
use pki::secret::Secret;
use site::file;

use crate::advice::Advice;
use crate::slurm_lines::{Line, Word, lines, of_the_cluster};

/// Longest file that is read: some 100,000 NodeName lines.
const MAX_FILE: usize = 16 * 1024 * 1024;

/// Include inside Include, as deep as anybody needs it.
const MAX_DEPTH: usize = 16;

/// So many Include lines at most, or files that include each other twice would be read without end.
const MAX_INCLUDES: usize = 1000;

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct SlurmFiles {
    /// The file itself, then those it includes, each once.
    pub(crate) files: Vec<SlurmFile>,
    /// The lines of all of them as Slurm comes to them, each with the number of its file.
    pub(crate) lines: Vec<(usize, Vec<Word>)>,
    includes: usize,
}

/// One file.
#[derive(Debug)]
pub(crate) struct SlurmFile {
    /// Where it was found.
    pub(crate) path: PathBuf,
    /// The same without links: a file that is included by two names is one.
    real: PathBuf,
    /// Its bytes.
    pub(crate) text: Secret,
    /// Owner and mode that these bytes had.
    pub(crate) metadata: Metadata,
}

/// How a file is read.
type Read<'a> = dyn Fn(&Path) -> Result<(Secret, Metadata), site::Error> + 'a;

impl SlurmFile {
    /// A file that was read.
    pub(crate) fn new(path: PathBuf, text: Secret, metadata: Metadata) -> Self {
        let real = std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        Self { path, real, text, metadata }
    }

    /// Whether this path leads to it, by whatever name.
    fn is_at(&self, path: &Path) -> bool {
        self.path == path || std::fs::canonicalize(path).is_ok_and(|real| real == self.real)
    }
}

impl SlurmFiles {
    /// Reads them; `None` when there is no such file.
    ///
    /// # Errors
    /// When one is there but cannot be read, or an included one is not there.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Option<Self>> {
        Self::load_by(path, &from_disk)
    }

    /// The same, as if what is to be written to some of them stood there already.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub(crate) fn load_with(path: &Path, texts: &[(&SlurmFile, &[u8])]) -> anyhow::Result<Option<Self>> {
        Self::load_by(path, &|path| match texts.iter().find(|(file, _)| file.is_at(path)) {
            Some((file, text)) => Ok((Secret::new(text.to_vec()), file.metadata.clone())),
            None => from_disk(path),
        })
    }

    fn load_by(path: &Path, read: &Read<'_>) -> anyhow::Result<Option<Self>> {
        let mut all = Self::default();
        match read(path) {
            Ok((text, metadata)) => all.add(path.to_owned(), text, metadata, 0, read)?,
            Err(e) if e.is_not_found() => return Ok(None),
            Err(e) => return Err(unreadable(&e)),
        }
        Ok(Some(all))
    }

    /// The keys that are about the whole cluster, as Slurm comes to them: of a key that stands twice the last value
    /// counts.
    pub(crate) fn keys(&self) -> impl DoubleEndedIterator<Item = (usize, &Word)> {
        self.lines.iter().flat_map(|(file, words)| of_the_cluster(words).iter().map(|word| (*file, word)))
    }

    fn add(
        &mut self,
        path: PathBuf,
        text: Secret,
        metadata: Metadata,
        depth: usize,
        read: &Read<'_>,
    ) -> anyhow::Result<()> {
        let lines = lines(text.expose());
        let new = SlurmFile::new(path, text, metadata);
        let file = self.files.iter().position(|file| file.real == new.real).unwrap_or(self.files.len());
        if file == self.files.len() {
            self.files.push(new);
        }
        for line in lines {
            match line {
                Line::Include(name) => self.include(&name, depth, read)?,
                Line::Words(words) => self.lines.push((file, words)),
            }
        }
        Ok(())
    }

    /// A relative name counts from the folder of the first file; `%c` is the cluster's name, in lower case
    /// (slurm.conf(5)).
    fn include(&mut self, name: &str, depth: usize, read: &Read<'_>) -> anyhow::Result<()> {
        let first = self.files.first().map_or(Path::new("/"), |file| &file.path);
        let cluster = self.keys().rfind(|(_, word)| word.is("ClusterName"));
        let cluster = cluster.map(|(_, word)| word.value.to_lowercase()).unwrap_or_default();
        let path = first.parent().unwrap_or(Path::new("/")).join(name.replace("%c", &cluster));
        self.includes += 1;
        if depth >= MAX_DEPTH || self.includes > MAX_INCLUDES {
            return Err(Advice::new(
                format!("{} includes itself", path.display()),
                "break the circle of Include lines",
            )
            .into());
        }
        match read(&path) {
            Ok((text, metadata)) => self.add(path, text, metadata, depth + 1, read),
            Err(e) if e.is_not_found() => Err(not_there(first, &path)),
            Err(e) => Err(unreadable(&e)),
        }
    }
}

fn from_disk(path: &Path) -> Result<(Secret, Metadata), site::Error> {
    file::read_with_metadata(path, MAX_FILE)
}

fn not_there(first: &Path, included: &Path) -> anyhow::Error {
    Advice::new(
        format!("{} includes {}, which is not there", first.display(), included.display()),
        "put it there, or take that Include line out: Slurm does not start like this either. A name counts from the \
         folder of the first file, and knows no wildcards and no quotes",
    )
    .into()
}

fn unreadable(e: &site::Error) -> anyhow::Error {
    let hint = match e {
        site::Error::Read { .. } => "run this as root, or name the file in SLURM_CONF".into(),
        e => e.hint(),
    };
    Advice::new(e.to_string(), hint).into()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn includes_are_read_where_they_stand_and_end_somewhere() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("a.conf", "ClusterName=C1\nX=1\nInclude %c.conf\nInclude c1.conf\nX=3\n");
        write("c1.conf", "X=2\nNodeName=n1 X=9\n");
        let all = SlurmFiles::load(&folder.path().join("a.conf")).unwrap().unwrap();
        let values: Vec<&str> = all.keys().map(|(_, word)| word.value.as_str()).collect();
        assert_eq!((values, all.files.len()), (vec!["C1", "1", "2", "2", "3"], 2));
        write("c1.conf", "Include c1.conf\nInclude c1.conf\n");
        assert!(SlurmFiles::load(&folder.path().join("a.conf")).is_err());
    }
}
