//! The files that a ledger consists of: for each controller host one that grows, and those that logrotate put
//! aside. They are opened together, so that a rotation in between neither hides a file nor shows it twice.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::Error;
use crate::file;

/// A rotation is a few renames: nobody rotates so often that the third look sees another one.
const TRIES: usize = 5;

/// Endings of compressed files, which are not read.
const COMPRESSED: [&str; 5] = [".gz", ".xz", ".zst", ".bz2", ".lz4"];

/// How much there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Extent {
    /// Files that are read.
    pub files: usize,
    /// Bytes in them.
    pub bytes: u64,
    /// Compressed files: what is in them is not read.
    pub compressed: Vec<PathBuf>,
}

/// Where a file stands among those of its host: the oldest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    /// `.2`, `.1`: the larger the number, the older.
    Numbered(std::cmp::Reverse<u32>),
    /// `-20261201` and the like, which sort by their text.
    Dated(String),
    /// The one that grows.
    Current,
}

/// One file of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    host: String,
    age: Age,
    name: String,
}

impl Part {
    /// `issued.<host>.jsonl`, with what a rotation added to it.
    fn of(name: &str) -> Option<Self> {
        let (host, added) = name.strip_prefix("issued.")?.rsplit_once(".jsonl")?;
        let age = match added.strip_prefix('.').map(str::parse) {
            Some(Ok(number)) => Age::Numbered(std::cmp::Reverse(number)),
            _ if added.is_empty() => Age::Current,
            _ => Age::Dated(added.to_owned()),
        };
        Some(Self { host: host.to_owned(), age, name: name.to_owned() })
    }

    fn is_compressed(&self) -> bool {
        COMPRESSED.iter().any(|ending| self.name.ends_with(ending))
    }
}

/// Opened to be read, with its name for messages.
pub(crate) type Opened = (PathBuf, BufReader<File>);

/// Every file, each host's oldest first.
///
/// # Errors
/// When the folder or a file cannot be read.
pub(crate) fn open_all(folder: &Path) -> Result<Vec<Opened>, Error> {
    for _ in 0..TRIES {
        // A name that is gone, or a file under another name: it was rotated meanwhile.
        if let Some(opened) = open_once(folder)?
            && inodes_of(&opened)? == inodes_in(folder)?
        {
            return Ok(opened);
        }
    }
    Err(Error::Contents {
        path: folder.to_owned(),
        why: "its files are renamed faster than they can be opened".into(),
        hint: "see what renames them: logrotate should once a month".into(),
    })
}

/// How much there is, without a look inside.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn extent(folder: &Path) -> Result<Extent, Error> {
    let mut extent = Extent::default();
    for part in parts(folder)? {
        let path = folder.join(&part.name);
        if part.is_compressed() {
            extent.compressed.push(path);
        } else if let Ok(metadata) = fs::metadata(&path) {
            extent.files += 1;
            extent.bytes = extent.bytes.saturating_add(metadata.len());
        }
    }
    Ok(extent)
}

/// The last lines of each file, at most `room` bytes, a first one that is cut left out.
///
/// # Errors
/// When the folder or a file cannot be read.
pub(crate) fn tails(folder: &Path, room: u64) -> Result<Vec<Vec<u8>>, Error> {
    let mut tails = Vec::new();
    for (path, mut file) in open_all(folder)? {
        let failed = || Error::read(&path);
        let length = file.get_ref().metadata().map_err(failed())?.len();
        let begin = length.saturating_sub(room);
        file.seek(SeekFrom::Start(begin)).map_err(failed())?;
        let mut tail = Vec::new();
        if begin > 0 {
            file.read_until(b'\n', &mut tail).map_err(failed())?;
            tail.clear();
        }
        file.take(room).read_to_end(&mut tail).map_err(failed())?;
        tails.push(tail);
    }
    Ok(tails)
}

fn open_once(folder: &Path) -> Result<Option<Vec<Opened>>, Error> {
    let mut opened = Vec::new();
    for part in parts(folder)?.into_iter().filter(|part| !part.is_compressed()) {
        let path = folder.join(&part.name);
        match file::open_regular(&path) {
            Ok(file) => opened.push((path, BufReader::new(file))),
            Err(e) if e.is_not_found() => return Ok(None),
            Err(e) => return Err(e),
        }
    }
    Ok(Some(opened))
}

fn parts(folder: &Path) -> Result<Vec<Part>, Error> {
    let mut parts = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::read(folder))? {
        let name = entry.map_err(Error::read(folder))?.file_name();
        parts.extend(name.to_str().and_then(Part::of));
    }
    parts.sort();
    Ok(parts)
}

fn inodes_of(opened: &[Opened]) -> Result<BTreeSet<u64>, Error> {
    let inode = |(path, file): &Opened| {
        let metadata = file.get_ref().metadata().map_err(Error::read(path))?;
        Ok(metadata.ino())
    };
    // One file under two names counts once and is a file too few: looked at again.
    let inodes: BTreeSet<u64> = opened.iter().map(inode).collect::<Result<_, Error>>()?;
    Ok(if inodes.len() == opened.len() { inodes } else { BTreeSet::new() })
}

fn inodes_in(folder: &Path) -> Result<BTreeSet<u64>, Error> {
    let parts = parts(folder)?.into_iter().filter(|part| !part.is_compressed());
    Ok(parts.filter_map(|part| fs::metadata(folder.join(part.name)).ok()).map(|is| is.ino()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_file_of_each_host_comes_first_however_it_was_rotated() {
        let folder = tempfile::tempdir().unwrap();
        let in_order = [
            "issued.a.jsonl.10",
            "issued.a.jsonl.2",
            "issued.a.jsonl.1",
            "issued.a.jsonl-20251201",
            "issued.a.jsonl-20261201",
            "issued.a.jsonl",
            "issued.b.example.jsonl.1",
            "issued.b.example.jsonl",
        ];
        for name in in_order.iter().rev().chain(&["issued.a.lock", "refused.a.jsonl", "issued.a.jsonl.3.gz"])
        {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let names: Vec<_> = open_all(folder.path())
            .unwrap()
            .into_iter()
            .map(|(path, _)| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        assert_eq!(names, in_order);
        let extent = extent(folder.path()).unwrap();
        assert_eq!((extent.files, extent.compressed.len()), (8, 1));
    }

    #[test]
    fn a_tail_begins_with_a_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("issued.a.jsonl"), "first\nsecond\nthird\n").unwrap();
        assert_eq!(tails(folder.path(), 9).unwrap(), [b"third\n"]);
        assert_eq!(tails(folder.path(), 1000).unwrap(), [b"first\nsecond\nthird\n"]);
    }
}
