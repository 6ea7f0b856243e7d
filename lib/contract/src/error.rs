//! The one error of a program: what happened, and what to do.

use pki::explain::Explain;

/// Two lines for the daemon's log. Whatever others chose was escaped where it was put in; this is made
/// sure of once more here.
#[derive(Debug)]
pub struct Error {
    what: String,
    hint: String,
}

impl Error {
    /// An error of the contract itself.
    #[must_use]
    pub fn new(what: &str, hint: &str) -> Self {
        Self { what: what.into(), hint: hint.into() }
    }

    /// The two lines, as `program: error: …` and `program: hint: …`.
    pub(crate) fn lines(&self, program: &str) -> String {
        format!("{program}: error: {}\n{program}: hint: {}\n", one_line(&self.what), one_line(&self.hint))
    }
}

impl<E: Explain> From<E> for Error {
    fn from(error: E) -> Self {
        Self { what: error.to_string(), hint: error.hint() }
    }
}

/// Printable ASCII stays; everything else is escaped.
fn one_line(text: &str) -> String {
    let escape = |c: char| match c {
        ' '..='~' => c.to_string(),
        _ => c.escape_default().to_string(),
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_two_lines_whatever_is_in_it() {
        let error = Error::new("a\nb\u{202e}\x1b[2J", "c\r");
        assert_eq!(
            error.lines("sign_csr"),
            "sign_csr: error: a\\nb\\u{202e}\\u{1b}[2J\nsign_csr: hint: c\\r\n"
        );
    }
}
