//! The one place that talks to the person: results on stdout, everything else on stderr.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::advice::Advice;
use crate::global::Global;

/// More than a screenful of nodes gets a progress bar.
const SCREENFUL: usize = 50;

/// Two lines, as the seven have them: what happened, and what to do.
pub(crate) fn error(error: &anyhow::Error) {
    let whole = error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
    told(&format!("slurm-pki: error: {}", one_line(&whole)));
    let hint = error.chain().find_map(|cause| cause.downcast_ref::<Advice>());
    if let Some(advice) = hint {
        told(&format!("slurm-pki: hint: {}", one_line(&advice.hint)));
    }
}

/// A line on stderr. When nobody reads it any more, a cut connection, say, what is under way goes on to its end.
fn told(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A result, for a person or a pipe. A closed pipe (`| head`) is not an error.
pub(crate) fn line(text: &str) {
    raw_line(&printable(text));
}

/// A result that is no text, for a pipe, to the last byte: what cannot be written is an error.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    written.map_err(|e| Advice::new(format!("stdout: {e}"), "see what became of the other end").into())
}

/// The same for text with colours, every other part of which is known to be printable.
pub(crate) fn raw_line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// What was done, unless `--quiet`.
pub(crate) fn done(global: &Global, text: &str) {
    if !global.quiet {
        told(&printable(text));
    }
}

/// What the person should know even with `--quiet`.
pub(crate) fn warning(text: &str) {
    told(&format!("slurm-pki: warning: {}", one_line(text)));
}

/// A result as JSON; `schema` names its form and version (`slurm-pki.node.list.v1`).
pub(crate) fn json(schema: &str, data: &impl Serialize) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Document<'a, T> {
        schema: &'a str,
        data: &'a T,
    }
    raw_line(&escaped_json(&serde_json::to_string_pretty(&Document { schema, data })?));
    Ok(())
}

/// JSON escapes by itself what is below a space, and leaves the rest of what moves a terminal's cursor. Such signs stand in
/// its strings alone.
fn escaped_json(text: &str) -> String {
    let escaped = |c: char| match c {
        '\n' => c.to_string(),
        c if moves(c) => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
        c => c.to_string(),
    };
    text.chars().map(escaped).collect()
}

/// A result of several columns, for a person. A script asks for `--json`.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<String>>) {
    line(&laid_out(header, rows));
}

/// What a row is to look like on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// As it is.
    Plain,
    /// Worth a look: yellow.
    Warn,
    /// Trouble: red.
    Bad,
}

/// The same with rows that stand out on a terminal.
pub(crate) fn moody_table(header: &[&str], rows: Vec<(Mood, Vec<String>)>) {
    let (moods, rows): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    let text = printable(&laid_out(header, rows));
    // A cell is never broken, so each row is one line, after that of the header.
    for (line, mood) in text.lines().zip(std::iter::once(Mood::Plain).chain(moods)) {
        match mood {
            Mood::Warn if colours() => raw_line(&format!("\x1b[33m{line}\x1b[0m")),
            Mood::Bad if colours() => raw_line(&format!("\x1b[31m{line}\x1b[0m")),
            _ => raw_line(line),
        }
    }
}

fn laid_out(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(header.iter().copied());
    // A line break in a name would pass for another row.
    let shown = |cell: String| one_line(&cell);
    table.add_rows(rows.into_iter().map(|row| row.into_iter().map(shown).collect::<Vec<_>>()));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// Whether to colour what goes to stdout: only on a terminal, and not with NO_COLOR.
pub(crate) fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
}

/// A progress bar over `steps`, on a terminal's stderr only, and only for long work.
pub(crate) fn progress(global: &Global, steps: usize, what: &str) -> ProgressBar {
    if global.quiet || steps <= SCREENFUL || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(u64::try_from(steps).ok(), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// That something is waited for, on a terminal's stderr only; whoever began it clears it.
pub(crate) fn waiting(global: &Global, what: String) -> ProgressBar {
    if global.quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(ProgressStyle::default_spinner());
    bar.set_message(what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Asks before something that cannot be undone. Without a terminal there is no prompt: `--yes` or
/// nothing.
///
/// # Errors
/// When the answer is not yes, or there is nobody to ask.
pub(crate) fn confirm(global: &Global, question: &str) -> anyhow::Result<()> {
    if global.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(
            Advice::new(format!("{question} Nobody is there to ask"), "say --yes if it is meant").into()
        );
    }
    let _ = write!(std::io::stderr(), "{} [y/N] ", printable(question));
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(Advice::new("nothing was changed", "answer y, or say --yes").into())
    }
}

/// Names that others chose must not move a terminal's cursor. Line breaks stay.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if moves(c) && c != '\n' { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

/// Whether a sign is no sign but an order to the terminal: to move its cursor, or to show what follows from right to left,
/// or not at all.
fn moves(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The same where a line break in a name would pass for another line of ours.
fn one_line(text: &str) -> String {
    printable(text).replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What root on a node could have its host answer: colours, a cleared screen (in the one-byte form too), a line that
    /// is read from right to left.
    const EVIL: &str = "a\u{1b}[31m\u{9b}2J\u{7f}\u{202e}b\u{e0041}\tä";

    #[test]
    fn what_others_chose_never_moves_a_cursor() {
        assert_eq!(
            one_line(&format!("{EVIL}\nc")),
            "a\\u{1b}[31m\\u{9b}2J\\u{7f}\\u{202e}b\\u{e0041}\\tä\\nc"
        );
    }

    #[test]
    fn json_is_as_harmless_and_says_the_same() {
        let text = escaped_json(&serde_json::to_string_pretty(&[EVIL]).unwrap());
        assert!(text.chars().all(|c| !moves(c) || c == '\n'), "{text:?}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&text).unwrap(), [EVIL]);
    }
}
