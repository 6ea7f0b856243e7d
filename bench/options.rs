//! What was asked for.

use std::path::PathBuf;

use crate::scale::Scale;
use crate::section::Section;

pub(crate) struct Options {
    pub(crate) scale: Scale,
    pub(crate) sections: Vec<Section>,
    /// Where the figures go as JSON.
    pub(crate) json: Option<PathBuf>,
    /// Where the plot goes.
    pub(crate) svg: Option<PathBuf>,
    /// A Markdown file whose tables are replaced.
    pub(crate) into: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        // `cargo bench` says --bench to everything that it starts.
        let mut arguments = arguments.filter(|argument| argument != "--bench");
        let mut options =
            Self { scale: Scale::WHOLE, sections: Section::ALL.to_vec(), json: None, svg: None, into: None };
        let (mut rounds, mut only) = (None, Vec::new());
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} wants a value"));
            match argument.as_str() {
                "--rounds" => rounds = Some(at_least_one(&value()?)?),
                "--only" => only.push(Section::parse(&value()?)?),
                "--json" => options.json = Some(value()?.into()),
                "--svg" => options.svg = Some(value()?.into()),
                "--into" => options.into = Some(value()?.into()),
                "--quick" => options.scale = Scale::QUICK,
                other => return Err(format!("no such option: {}", other.escape_debug())),
            }
        }
        options.scale.rounds = rounds.unwrap_or(options.scale.rounds);
        if !only.is_empty() {
            options.sections = only;
        }
        Ok(options)
    }
}

fn at_least_one(given: &str) -> Result<usize, String> {
    let number = given.parse().ok().filter(|n| *n > 0);
    number.ok_or_else(|| "--rounds takes a number from 1 on".into())
}
