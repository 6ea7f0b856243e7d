//! One datagram to the local syslog (RFC 3164 form), never waited for: a refusal must be seen, but a
//! log that is full or away must not slow a signature.

use std::os::unix::net::UnixDatagram;

const SOCKET: &str = "/dev/log";

/// Facility authpriv (10), severity warning (4).
const PRIORITY: u8 = 10 * 8 + 4;

/// Says `text` (ASCII, escaped by the caller) under the name of `program`.
pub fn warn(program: &str, text: &str) {
    let line = format!("<{PRIORITY}>{program}[{}]: {text}", std::process::id());
    // No socket, a full one, a read-only root: the refusal stands with or without its log line.
    if let Ok(socket) = UnixDatagram::unbound()
        && socket.set_nonblocking(true).is_ok()
    {
        let _ = socket.send_to(line.as_bytes(), SOCKET);
    }
}
