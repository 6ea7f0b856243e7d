//! Token lists that others keep: SchedMD's bare tokens (slurm-contract.md 1.2), the lab's `name token` lines.

use std::path::Path;

use pki::name::NodeName;
use pki::token::NodeSecret;

use crate::error::Error;
use crate::file::{self, Keep};

/// Most lines that are read: every one of them is tried for every request.
const MAX_LINES: usize = 10_000;

const MAX_LIST: usize = 4 * 1024 * 1024;

/// The secrets of the lines that apply to a node without records: those that name it; else, where no
/// line names it, the bare tokens.
///
/// # Errors
/// When the list cannot be used, has more than 10,000 lines, or a line that is neither form.
pub fn applying_to(name: &NodeName, path: &Path) -> Result<Vec<NodeSecret>, Error> {
    let text = file::read(path, Keep::Secret, MAX_LIST)?;
    let lines = parse(text.expose()).map_err(|problem| problem.at(path))?;
    let named: Vec<_> = lines.iter().filter(|line| line.name == Some(name.as_str().as_bytes())).collect();
    let applying =
        if named.is_empty() { lines.iter().filter(|line| line.name.is_none()).collect() } else { named };
    applying.into_iter().map(|line| NodeSecret::foreign(line.token).map_err(Error::contents(path))).collect()
}

/// Every line of a list, for `node import`.
///
/// # Errors
/// As [`applying_to`], the bound on lines excepted.
pub fn entries(path: &Path) -> Result<Vec<(Option<NodeName>, NodeSecret)>, Error> {
    let text = file::read(path, Keep::Secret, 64 * MAX_LIST)?;
    let lines = lines(text.expose()).map_err(|problem| problem.at(path))?;
    lines
        .iter()
        .map(|line| {
            // Said without the name: where the two stand the wrong way round, it is a token.
            let name = line.name.map(NodeName::parse).transpose();
            let name = name.map_err(|_| Problem::Name(line.number).at(path))?;
            Ok((name, NodeSecret::foreign(line.token).map_err(Error::contents(path))?))
        })
        .collect()
}

struct Line<'a> {
    number: usize,
    name: Option<&'a [u8]>,
    token: &'a [u8],
}

enum Problem {
    TooMany,
    Fields(usize),
    Name(usize),
}

impl Problem {
    fn at(self, path: &Path) -> Error {
        let (why, hint) = match self {
            Self::TooMany => (
                format!("more than {MAX_LINES} tokens"),
                "turn the list into records with: slurm-pki node import FILE".to_owned(),
            ),
            Self::Fields(line) => (
                format!("line {line} is neither TOKEN nor NAME TOKEN"),
                "write one token, or a node's name and its token, or begin the line with #".to_owned(),
            ),
            Self::Name(line) => (
                format!("the first word of line {line} is no node name"),
                "write the node's name first, then its token".to_owned(),
            ),
        };
        Error::Contents { path: path.to_owned(), why, hint }
    }
}

fn parse(text: &[u8]) -> Result<Vec<Line<'_>>, Problem> {
    let lines = lines(text)?;
    if lines.len() > MAX_LINES { Err(Problem::TooMany) } else { Ok(lines) }
}

fn lines(text: &[u8]) -> Result<Vec<Line<'_>>, Problem> {
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let fields: Vec<_> = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty()).collect();
        match fields.as_slice() {
            [] => {}
            [first, ..] if first.starts_with(b"#") => {}
            [token] => lines.push(Line { number, name: None, token }),
            [name, token] => lines.push(Line { number, name: Some(name), token }),
            _ => return Err(Problem::Fields(number)),
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn tokens(list: &str, node: &str) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        fs::write(&path, list).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let name = NodeName::parse(node.as_bytes()).unwrap();
        let secrets = applying_to(&name, &path).map_err(|e| e.to_string())?;
        Ok(secrets.iter().map(|s| String::from_utf8(s.token().secret().expose().to_vec()).unwrap()).collect())
    }

    #[test]
    fn a_named_line_serves_its_name_and_a_bare_one_the_names_without() {
        let list = "# tokens\n\naaa\nn1 bbb\r\n  ccc  \n";
        assert_eq!(tokens(list, "n1").unwrap(), ["bbb"]);
        assert_eq!(tokens(list, "n2").unwrap(), ["aaa", "ccc"]);
    }

    #[test]
    fn a_line_that_is_neither_form_is_named() {
        assert!(tokens("a b c\n", "n1").unwrap_err().contains("line 1"));
    }

    #[test]
    fn a_token_in_the_place_of_a_name_is_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        fs::write(&path, "n1 aaa\nc2VjcmV0+w== n2\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let said = entries(&path).unwrap_err().to_string();
        assert!(said.contains("line 2") && !said.contains("c2Vj"), "{said}");
    }

    #[test]
    fn more_than_ten_thousand_lines_are_refused() {
        assert!(tokens(&"t\n".repeat(MAX_LINES), "n1").is_ok());
        assert!(tokens(&"t\n".repeat(MAX_LINES + 1), "n1").unwrap_err().contains("10000"));
    }
}
