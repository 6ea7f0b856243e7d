//! What Slurm wrote into its logs.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, ensure};

/// A log file that grows.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    path: PathBuf,
    from: usize,
}

impl Log {
    /// All of a file.
    pub(crate) fn of(path: PathBuf) -> Self {
        Self { path, from: 0 }
    }

    /// The same file, from its present end on.
    pub(crate) fn later(&self) -> Self {
        let from = fs::read(&self.path).map_or(0, |bytes| bytes.len());
        Self { path: self.path.clone(), from }
    }

    /// Its text.
    pub(crate) fn text(&self) -> String {
        let bytes = fs::read(&self.path).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(self.from..).unwrap_or_default()).into_owned()
    }
}

/// In how many lines the words stand.
pub(crate) fn lines_with(text: &str, words: &str) -> usize {
    text.lines().filter(|line| line.contains(words)).count()
}

/// Each of these stands in exactly so many lines.
pub(crate) fn expect(text: &str, lines: &[(&str, usize)]) -> Result<()> {
    for (words, times) in lines {
        let found = lines_with(text, words);
        ensure!(found == *times, "“{words}” stands in {found} lines of the log, not in {times}:\n{text}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_begins_where_it_was_marked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "old\n").unwrap();
        let log = Log::of(path.clone()).later();
        fs::write(&path, "old\nnew\nnew\n").unwrap();
        assert_eq!(log.text(), "new\nnew\n");
        assert!(expect(&log.text(), &[("new", 2), ("old", 0)]).is_ok());
        assert!(expect(&log.text(), &[("new", 1)]).is_err());
    }
}
