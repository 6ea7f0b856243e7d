//! A dated copy beside a file that is about to be replaced.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pki::time::UnixTime;
use site::file::link_beside;

use crate::advice::Advise as _;
use crate::global::Global;
use crate::moment;
use crate::report;

/// Keeps what is at `path`, file or link, under `<name>.<time>.old` as a second name of the same file:
/// owner and mode stay, and no byte is copied. `None` when nothing is there.
///
/// # Errors
/// When the second name cannot be made.
pub(crate) fn keep(global: &Global, path: &Path, now: UnixTime) -> anyhow::Result<Option<PathBuf>> {
    if fs::symlink_metadata(path).is_err_and(|e| e.kind() == io::ErrorKind::NotFound) {
        return Ok(None);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut copies = (0..100).map(|n| {
        let again = if n == 0 { String::new() } else { format!(".{n}") };
        OsString::from(format!("{name}.{}{again}.old", moment::for_file_name(now)))
    });
    let made = copies.find_map(|copy| match link_beside(path, &copy) {
        Ok(true) => Some(Ok(path.with_file_name(copy))),
        Ok(false) => None,
        Err(e) => Some(Err(e)),
    });
    let Some(copy) = made.transpose().advise()? else { return Ok(None) };
    report::done(global, &format!("kept     {} as {}", path.display(), copy.display()));
    Ok(Some(copy))
}
