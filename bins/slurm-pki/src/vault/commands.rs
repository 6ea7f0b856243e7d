//! What is asked of Vault as a person would type it: for `--dry-run`, and for whoever has to repeat it by hand.

use serde_json::Value;

/// One command of `vault`, or of `bao`, which takes the same words; with what goes to its stdin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VaultCommand {
    words: Vec<String>,
    input: Option<String>,
}

impl VaultCommand {
    /// `vault WORDS…`.
    pub(crate) fn new(words: &[&str]) -> Self {
        Self { words: words.iter().map(|word| (*word).to_owned()).collect(), input: None }
    }

    /// `vault write PATH -`, its parameters as JSON on stdin: the one form that keeps lists and truth values.
    pub(crate) fn write(path: &str, body: &Value) -> Self {
        Self::new(&["write", path, "-"]).with_input(&format!("{body:#}"))
    }

    /// The same with a text for its stdin.
    pub(crate) fn with_input(self, input: &str) -> Self {
        Self { input: Some(input.trim_end().to_owned()), ..self }
    }

    /// The text for a POSIX shell.
    pub(crate) fn to_shell(&self) -> String {
        let words: Vec<_> = self.words.iter().map(|word| quoted(word)).collect();
        let command = format!("vault {}", words.join(" "));
        match &self.input {
            // A quoted word after << keeps the shell's hands off all that follows.
            Some(input) => format!("{command} <<'END_OF_INPUT'\n{input}\nEND_OF_INPUT"),
            None => command,
        }
    }
}

/// A word as the shell reads it back.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./=:@,+%".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_shell() {
        for (word, shown) in [
            ("pki/roles/slurm", "pki/roles/slurm"),
            ("a b", "'a b'"),
            ("it's", "'it'\\''s'"),
            ("$(reboot)", "'$(reboot)'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), shown);
        }
    }

    #[test]
    fn parameters_go_to_stdin_as_json() {
        let command = VaultCommand::write("pki/roles/slurm", &serde_json::json!({ "no_store": true }));
        assert_eq!(
            command.to_shell(),
            "vault write pki/roles/slurm - <<'END_OF_INPUT'\n{\n  \"no_store\": true\n}\nEND_OF_INPUT"
        );
    }
}
