//! What every error of ours can say: what happened, and what to do about it.

use std::fmt;

/// An error for someone at 3 a.m. who has only slurmctld.log: `Display` says what happened, on one
/// line and without a secret; [`hint`](Explain::hint) says what to do.
pub trait Explain: fmt::Display {
    /// What to do, on one line: a command, a file, a config key.
    fn hint(&self) -> String;
}

/// Longest stretch of somebody else's bytes that goes into one of our lines.
const SHOWN: usize = 80;

/// Shows bytes that somebody else chose (a node name, a CSR's subject, a file's line) so that they
/// can do no harm in a log or a terminal: ASCII only, everything else escaped, cut at 80 bytes.
pub fn shown(bytes: &[u8]) -> impl fmt::Display + use<> {
    let cut = bytes.get(..SHOWN).unwrap_or(bytes);
    let dots = if cut.len() < bytes.len() { "..." } else { "" };
    format!("\"{}\"{dots}", cut.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn control_and_bidi_characters_are_escaped() {
        assert_eq!(shown("a\u{202e}b\n".as_bytes()).to_string(), "\"a\\xe2\\x80\\xaeb\\n\"");
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(shown(&[b'x'; 200]).to_string().len(), 80 + 2 + 3);
    }
}
