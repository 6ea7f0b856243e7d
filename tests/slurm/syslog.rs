//! syslog, as far as it exists in the root: our programs say there whom they refused.

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::thread;

use anyhow::Result;

/// Writes whatever arrives at a socket into a file, a line each, as long as the suite runs.
pub(crate) fn collect(socket: &Path, file: &Path) -> Result<()> {
    let (mut file, arriving) = (File::create(file)?, UnixDatagram::bind(socket)?);
    std::fs::set_permissions(socket, Permissions::from_mode(0o666))?;
    thread::spawn(move || {
        let mut message = [0; 8192];
        while let Ok(length) = arriving.recv(&mut message) {
            let _ = file.write_all(message.get(..length).unwrap_or_default());
            let _ = file.write_all(b"\n");
        }
    });
    Ok(())
}
