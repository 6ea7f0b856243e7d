//! Shell text on its way through tools that each quote in their own way.

use data_encoding::BASE64;

/// Begins every line of a script's result. Tools put words of their own around lines, some before them.
const MARK: &str = "slurm-pki: ";

/// The last line of a script that came to its end.
const DONE: &str = "slurm-pki-done";

/// One word of shell, whatever is in it.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The whole script: it stops at the first failure, reads nothing from stdin, and says when it is through.
pub(super) fn whole(script: &str) -> String {
    // Braces: all of it is read before any of it runs, so that what it runs cannot eat the rest of it.
    format!(
        "{{\nset -eu\nPATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH\nLC_ALL=C\nexport PATH LC_ALL\n\
         say() {{ printf '{MARK}%s\\n' \"$*\"; }}\n{script}\nsay {DONE}\n}} </dev/null\n"
    )
}

/// A whole script as one line of letters, digits and a few harmless signs: pdsh replaces `%`, ansible braces, and every
/// tool something else.
pub(super) fn one_line(whole: &str) -> String {
    format!("echo {} | base64 -d | sh", BASE64.encode(whole.as_bytes()))
}

/// The lines of a result; `None` when the script did not come to its end.
pub(super) fn said(output: &str) -> Option<Vec<String>> {
    let marked = output.lines().filter_map(|line| line.split_once(MARK).map(|(_, said)| said.trim_end()));
    let mut said: Vec<String> = marked.map(str::to_owned).collect();
    (said.pop()? == DONE).then_some(said)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn sh(script: &str) -> (bool, String) {
        let output = Command::new("/bin/sh").args(["-c", &one_line(&whole(script))]).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    }

    #[test]
    fn what_a_script_says_arrives_whatever_signs_are_in_it() {
        let text = "a'b \"c\" %h {{x}} $HOME `id` \\n ;&|";
        let (ended, output) = sh(&format!("echo noise\nsay {}", quoted(text)));
        assert!(ended);
        assert_eq!(said(&format!("n1: {}", output.replace('\n', "\nn1: "))).unwrap(), [text]);
    }

    #[test]
    fn a_script_that_fails_half_way_has_not_come_to_its_end() {
        for script in ["say one\nfalse\nsay two", "say one\n$no_such_variable", "exit 0"] {
            let (_, output) = sh(script);
            assert_eq!(said(&output), None, "{script}: {output}");
        }
    }

    #[test]
    fn what_reads_stdin_does_not_eat_the_rest() {
        assert_eq!(said(&sh("cat\nsay after").1).unwrap(), ["after"]);
    }
}
