//! `--help` of every command, as a person sees it.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::LazyLock;

use support::programs::program;

use crate::answer;

/// A command and what its help names.
pub(crate) struct Help {
    /// As in `slurm-pki node add`.
    pub(crate) path: Vec<String>,
    pub(crate) commands: Vec<String>,
    pub(crate) options: BTreeSet<String>,
    pub(crate) arguments: BTreeSet<String>,
}

/// Every command there is, found from the help of those above.
pub(crate) static ALL: LazyLock<Vec<Help>> = LazyLock::new(|| {
    let mut all = Vec::new();
    gather(vec!["slurm-pki".to_owned()], &mut all);
    let options: usize = all.iter().map(|help: &Help| help.options.len()).sum();
    let arguments: usize = all.iter().map(|help| help.arguments.len()).sum();
    assert!(
        all.len() > 60 && options > 600 && arguments > 20,
        "{} commands, {options} options, {arguments}",
        all.len()
    );
    all
});

fn gather(path: Vec<String>, all: &mut Vec<Help>) {
    let help = read(path.clone());
    let below: Vec<Vec<String>> =
        help.commands.iter().map(|name| [path.as_slice(), std::slice::from_ref(name)].concat()).collect();
    all.push(help);
    below.into_iter().for_each(|path| gather(path, all));
}

fn read(path: Vec<String>) -> Help {
    let text = answer(Command::new(program("slurm-pki")).args(path.iter().skip(1)).arg("--help"));
    let under = |heading: &str| {
        let lines = text.lines().skip_while(|line| *line != heading).skip(1);
        // An empty line stands between long entries too; the next heading is not set in.
        lines
            .take_while(|line| line.is_empty() || line.starts_with(' '))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let commands =
        under("Commands:").iter().filter_map(|line| entry(line, 2)).filter(|name| name != "help").collect();
    let arguments = under("Arguments:").iter().filter_map(|line| entry(line, 2)).collect();
    let options = ["Options:", "Options of every command:"].map(under).concat();
    let options = options.iter().flat_map(|line| options_at_the_start_of(line)).collect();
    Help { path, commands, options, arguments }
}

/// The first word of a line that is set in so far.
fn entry(line: &str, indent: usize) -> Option<String> {
    let text = line.trim_start();
    let word = text.split_whitespace().next()?;
    (line.len() - text.len() == indent).then(|| word.trim_end_matches("...").to_owned())
}

/// `-y, --yes` and `--config` of a line that begins so.
pub(crate) fn options_at_the_start_of(line: &str) -> Vec<String> {
    let words = line.split_whitespace().map(|word| word.trim_end_matches(','));
    words.take_while(|word| word.starts_with('-') && word.len() > 1).map(str::to_owned).collect()
}
