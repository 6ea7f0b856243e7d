//! `--rounds N`.

/// What was asked for.
pub(crate) struct Options {
    /// How often each program runs.
    pub(crate) rounds: usize,
}

impl Options {
    /// Enough for medians that agree within a few per cent from run to run on a quiet machine.
    const ROUNDS: usize = 200;

    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        // `cargo bench` says --bench to everything that it starts.
        let mut arguments = arguments.filter(|argument| argument != "--bench");
        let mut rounds = Self::ROUNDS;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--rounds" => rounds = at_least_one(arguments.next())?,
                other => return Err(format!("no such option: {}", other.escape_debug())),
            }
        }
        Ok(Self { rounds })
    }
}

fn at_least_one(given: Option<String>) -> Result<usize, String> {
    let number = given.as_deref().and_then(|text| text.parse().ok());
    number.filter(|n| *n > 0).ok_or_else(|| "--rounds takes a number from 1 on".into())
}
