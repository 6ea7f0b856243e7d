//! The pages of the programs that Slurm runs. They have no `--help`: their arguments are Slurm's, and a node may have that
//! name. So each has a text of its own beside its source, of the same form as a help text.

use super::page::{Frame, Page};
use super::text::{Section, Text};

const SECTION: char = '1';

const TEXTS: [&str; 8] = [
    include_str!("../../../scripts/manual/get_node_token.txt"),
    include_str!("../../../scripts/manual/generate_csr.txt"),
    include_str!("../../../scripts/manual/get_cert_key.txt"),
    include_str!("../../../scripts/manual/validate_node_token.txt"),
    include_str!("../../../scripts/manual/sign_csr.txt"),
    include_str!("../../../scripts/manual/keygen.txt"),
    include_str!("../../../scripts/manual/certgen.txt"),
    // What it prints for `--help`.
    signer::HELP,
];

/// All of them.
pub(super) fn pages(frame: &Frame) -> Vec<Page> {
    TEXTS.map(|text| page(text, frame)).into()
}

fn page(text: &str, frame: &Frame) -> Page {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let (name, summary) = first.split_once(" - ").unwrap_or((first, ""));
    let mut page = Page::new(name, SECTION, summary, frame);
    let text = Text::parse(rest);
    for section in Section::ALL {
        page.section(section, text.section(section));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_has_a_page_that_says_all_that_an_admin_asks() {
        for text in TEXTS {
            let (first, rest) = text.split_once('\n').unwrap();
            assert!(first.contains(" - "), "{first}");
            let text = Text::parse(rest);
            for section in Section::ALL {
                assert!(!text.section(section).is_empty(), "{first}: {section:?}");
            }
        }
    }
}
