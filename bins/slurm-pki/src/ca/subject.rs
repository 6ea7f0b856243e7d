//! `--subject "O=Site, C=DE"`: what stands beside the common name.

use pki::policy::SubjectAttribute;

/// Upper bound of most attributes (RFC 5280, appendix A.1).
const MAX_VALUE: usize = 64;

/// Subject attributes in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject(pub(crate) Vec<(SubjectAttribute, String)>);

/// Reads `KEY=VALUE` pairs, parted by commas; `\,` is a comma in a value.
///
/// # Errors
/// What is wrong with it, for clap.
pub(crate) fn parse(text: &str) -> Result<Subject, String> {
    parts(text).iter().map(|part| attribute(part)).collect::<Result<_, _>>().map(Subject)
}

fn parts(text: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        let c = match c {
            ',' => {
                all.push(String::new());
                continue;
            }
            '\\' => characters.next().unwrap_or('\\'),
            other => other,
        };
        if let Some(open) = all.last_mut() {
            open.push(c);
        }
    }
    all
}

fn attribute(part: &str) -> Result<(SubjectAttribute, String), String> {
    let (key, value) = part.split_once('=').ok_or_else(|| format!("{part:?} is not KEY=VALUE"))?;
    let value = value.trim().to_owned();
    let attribute = match key.trim() {
        "C" => SubjectAttribute::C,
        "ST" => SubjectAttribute::ST,
        "L" => SubjectAttribute::L,
        "O" => SubjectAttribute::O,
        "OU" => SubjectAttribute::OU,
        "CN" => return Err("the common name is given with --common-name".into()),
        other => return Err(format!("{other:?} is none of C, ST, L, O, OU")),
    };
    let fits = match attribute {
        SubjectAttribute::C => value.len() == 2 && value.bytes().all(|b| b.is_ascii_uppercase()),
        _ => is_name(&value, MAX_VALUE),
    };
    if fits { Ok((attribute, value)) } else { Err(format!("{key} = {value:?} cannot stand in a subject")) }
}

/// Text of 1 to `most` characters without control characters.
pub(crate) fn is_name(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_in_order_with_commas_inside() {
        let subject = parse("O=ACME\\, Inc., C=DE").unwrap();
        assert_eq!(
            subject.0,
            [(SubjectAttribute::O, "ACME, Inc.".into()), (SubjectAttribute::C, "DE".into())]
        );
    }

    #[test]
    fn what_cannot_stand_in_a_subject_is_refused() {
        for bad in ["", "O", "O=", "X=1", "CN=a", "C=Germany", "C=de", "O=a\nb", "O=a,"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
