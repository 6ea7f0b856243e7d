//! The pages of `slurm-pki` and each of its commands, from what `--help` shows.

use clap::builder::PossibleValue;
use clap::{Arg, Command};
use clap_mangen::Man;

use super::page::{Frame, Page};
use super::surroundings;
use super::text::{Item, Part, Section, Text};

const SECTION: char = '8';

/// All of them: a command's before those of its own commands.
pub(super) fn pages(frame: &Frame) -> anyhow::Result<Vec<Page>> {
    let mut root = without_help_commands(crate::cli::command());
    root.build();
    let mut pages = Vec::new();
    add(&root, &[], frame, &mut pages)?;
    Ok(pages)
}

/// `slurm-pki help` says what the pages say.
fn without_help_commands(command: Command) -> Command {
    command.disable_help_subcommand(true).mut_subcommands(without_help_commands)
}

fn add(command: &Command, above: &[&str], frame: &Frame, pages: &mut Vec<Page>) -> anyhow::Result<()> {
    let path = [above, &[command.get_name()]].concat();
    pages.push(page(command, &path, frame)?);
    command.get_subcommands().try_for_each(|sub| add(sub, &path, frame, pages))
}

fn page(command: &Command, path: &[&str], frame: &Frame) -> anyhow::Result<Page> {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let text = Text::parse(&command.get_after_help().map(ToString::to_string).unwrap_or_default());
    let mut page = Page::new(&path.join("-"), SECTION, about.trim_end_matches('.'), frame);
    page.synopsis(&path.join(" "), &usage(command));
    page.section(Section::Description, &description(&about, &text));
    if command.has_subcommands() {
        page.titled("COMMANDS", &commands(command, path), false);
    }
    options(&mut page, command.clone().mut_args(argument))?;
    options(&mut page, command.clone().mut_args(option))?;
    page.section(Section::ExitStatus, text.section(Section::ExitStatus));
    page.section(Section::Environment, &surroundings::environment(path));
    page.section(Section::Files, &surroundings::files(path));
    page.section(Section::Examples, text.section(Section::Examples));
    page.section(Section::SeeAlso, &[Part::Paragraph(see_also(command, path))]);
    Ok(page)
}

/// The line after "Usage:".
fn usage(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    usage.strip_prefix("Usage: ").unwrap_or(&usage).trim().to_owned()
}

fn options(page: &mut Page, command: Command) -> anyhow::Result<()> {
    if command.get_arguments().all(Arg::is_hide_set) {
        return Ok(());
    }
    let mut roff = Vec::new();
    Man::new(command).render_options_section(&mut roff)?;
    page.append(&String::from_utf8(roff)?);
    Ok(())
}

/// Arguments without a name, as `--help` has them: before the options, under a heading of their own.
fn argument(argument: Arg) -> Arg {
    let hidden = argument.is_hide_set() || !argument.is_positional();
    values_in_line(argument).help_heading("Arguments").hide(hidden)
}

fn option(option: Arg) -> Arg {
    let hidden = option.is_hide_set() || option.is_positional();
    values_in_line(option).hide(hidden)
}

/// Words of which nothing is said need no list.
fn values_in_line(argument: Arg) -> Arg {
    let values = argument.get_possible_values();
    if values.is_empty()
        || values.iter().any(|value| value.get_help().is_some())
        || !argument.get_action().takes_values()
    {
        return argument;
    }
    let words: Vec<&str> =
        values.iter().filter(|value| !value.is_hide_set()).map(PossibleValue::get_name).collect();
    let said = argument.get_help().map(ToString::to_string).unwrap_or_default();
    argument.hide_possible_values(true).help(format!("{said} [possible values: {}]", words.join(", ")))
}

/// The line at the top of `--help`, and what `--help` says below the options.
fn description(about: &str, text: &Text) -> Vec<Part> {
    let first = Part::Paragraph(format!("{}.", about.trim_end_matches('.')));
    std::iter::once(first).chain(text.section(Section::Description).iter().cloned()).collect()
}

fn commands(command: &Command, path: &[&str]) -> Vec<Part> {
    let item = |sub: &Command| {
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        Item::new(&format!("{}-{}({SECTION})", path.join("-"), sub.get_name()), &about)
    };
    vec![Part::Items(command.get_subcommands().map(item).collect())]
}

/// The pages above, those below, and the config.
fn see_also(command: &Command, path: &[&str]) -> String {
    let above = (1..path.len()).filter_map(|length| path.get(..length)).map(|above| above.join("-"));
    let below = command.get_subcommands().map(|sub| format!("{}-{}", path.join("-"), sub.get_name()));
    let mut pages: Vec<String> = above.chain(below).map(|name| format!("{name}({SECTION})")).collect();
    pages.push("slurm-pki.toml(5)".to_owned());
    pages.extend(surroundings::see_also(path).into_iter().map(str::to_owned));
    pages.join(", ")
}
