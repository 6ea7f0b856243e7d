//! Commands and waiting.

use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(50);

/// What a command printed on stdout; anything but exit 0 is an error with all it had to say.
pub fn answer(command: &mut Command) -> Result<String> {
    let output = outcome(command)?;
    if !output.status.success() {
        bail!("{} ended with {}\n{}", shown(command), output.status, said(&output));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs a command to its end, whatever that is.
pub fn outcome(command: &mut Command) -> Result<Output> {
    command.output().with_context(|| format!("cannot start {}", shown(command)))
}

/// stdout and stderr of a command.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Looks again and again whether something has come about; the limit is for a machine that hangs.
pub fn wait_until(what: &str, limit: Duration, mut happened: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !happened()? {
        if begun.elapsed() > limit {
            bail!("waited {} s in vain: {what}", limit.as_secs());
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

fn shown(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    words.join(" ")
}
