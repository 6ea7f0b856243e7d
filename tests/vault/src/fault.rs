//! How a server fails.

use std::time::Duration;

/// One way to fail, in place of the answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It waits before it answers.
    Slow(Duration),
    /// A status with a body.
    Status(u16, &'static str),
    /// 429 with Retry-After in seconds.
    TooMany(u64),
    /// 307 to this address, with the same path.
    Redirect(String),
    /// The connection ends in the middle of the body.
    Truncated,
    /// A body without end in sight.
    Huge,
    /// The page of a proxy.
    Page,
    /// The connection is closed without an answer, and nothing was done.
    Closed,
    /// It is done, and the answer is lost.
    Lost,
    /// It is done, and the answer has this warning.
    Warned(&'static str),
}

/// A fault that waits for its path.
#[derive(Clone, Debug)]
pub(crate) struct Armed {
    pub(crate) prefix: String,
    pub(crate) fault: Fault,
    pub(crate) times: u32,
}

/// Takes the fault that is meant for a path, or for a method and a path.
pub(crate) fn take(armed: &mut Vec<Armed>, method: &str, path: &str) -> Option<Fault> {
    let both = format!("{method} {path}");
    let place =
        armed.iter().position(|one| path.starts_with(&one.prefix) || both.starts_with(&one.prefix))?;
    let one = &mut armed[place];
    one.times -= 1;
    let fault = one.fault.clone();
    if one.times == 0 {
        armed.remove(place);
    }
    Some(fault)
}
