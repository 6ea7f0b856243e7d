//! The blocks of commands of a section.

const TEXT: &str = include_str!("../../../docs/operations.md");

/// In their order; indented lines are commands, as documented.rs has it.
pub(crate) fn blocks(section: &str) -> Vec<String> {
    let title = format!("### {section}");
    let inside = TEXT.lines().skip_while(|line| *line != title).skip(1);
    let mut blocks = vec![String::new()];
    for line in inside.take_while(|line| !line.starts_with('#')) {
        match line.strip_prefix("    ") {
            Some(command) => *blocks.last_mut().unwrap() += &format!("{}\n", command.trim_start()),
            None => blocks.push(String::new()),
        }
    }
    blocks.retain(|block| !block.is_empty());
    assert!(!blocks.is_empty(), "{section} has no commands");
    blocks
}
