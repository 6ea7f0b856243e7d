//! slurm-pki.toml(5), from the file that explains every key.
//!
//! In it prose is `# text`, a setting `#key = value`, a section `[name]` or `#[name]`. What is said right before settings is
//! said of them, what is said right before a section of that; the block at the top is about the whole.

use super::page::{Frame, Page, Setting};
use super::text::{Item, Part, Section, Text};

/// The config as it is shipped.
const SHIPPED: &str = include_str!("../../../../config/slurm-pki.toml");

const SECTION: char = '5';

const ENVIRONMENT: &str = "Another config file, for all programs. The daemons that run some of them need it in their \
    systemd units.";

const FILES: [(&str, &str); 2] = [
    ("/etc/slurm/slurm-pki.toml", "Where it is looked for. Need not exist."),
    (
        "/usr/share/slurm-pki/config/",
        "The file as it is shipped, and examples for sites that come from elsewhere.",
    ),
];

/// What a site might have.
const EXAMPLE: &str = "\
# Two controllers share the state.
state_dir = \"/shared/slurm/pki\"

[controller]
subject = { O = \"Example University\", C = \"NO\" }

# The timer renews slurmctld's certificate, and restarts it on Sunday nights.
[daemons.ctld]
validity = \"180d\"
activate = true
window = \"Sun 02:00-04:00\"

[fleet]
copy = \"pdsh\"
run = \"pdsh\"
";

const SEE_ALSO: &str = "slurm-pki(8), slurm-pki-check(8), slurm-pki-conf(8), get_node_token(1), generate_csr(1), \
    get_cert_key(1), validate_node_token(1), sign_csr(1), keygen(1), certgen(1), slurm-pki-signer(1), slurm.conf(5)";

/// A section of the file and what is in it, in order.
#[derive(Debug)]
struct Table {
    /// As in `[node]`.
    heading: String,
    prose: String,
    settings: Vec<Documented>,
}

/// Settings and what is said of them; prose on its own has no settings.
#[derive(Debug)]
struct Documented {
    lines: Vec<String>,
    prose: String,
}

/// The page.
pub(super) fn page(frame: &Frame) -> Page {
    let (head, body) = SHIPPED.split_once("\n\n").unwrap_or((SHIPPED, ""));
    let head: Vec<&str> = head.lines().map(prose).collect();
    let (title, head) = head.split_first().map_or(("", [].as_slice()), |(title, head)| (*title, head));
    let summary = title.split_once(": ").map_or(title, |(_, summary)| summary);
    let mut page = Page::new("slurm-pki.toml", SECTION, summary.trim_end_matches('.'), frame);
    page.section(Section::Description, Text::parse(&head.join("\n")).section(Section::Description));
    page.titled("KEYS", &[], false);
    for table in tables(body) {
        page.settings(&table.heading, &parts(&table.prose), table.settings.iter().map(setting));
    }
    let items = |pairs: &[(&str, &str)]| {
        [Part::Items(pairs.iter().map(|(term, text)| Item::new(term, text)).collect())]
    };
    page.section(Section::Environment, &items(&[("SLURM_PKI_CONF", ENVIRONMENT)]));
    page.section(Section::Files, &items(&FILES));
    page.verbatim(Section::Examples, EXAMPLE);
    page.section(Section::SeeAlso, &[Part::Paragraph(SEE_ALSO.to_owned())]);
    page
}

fn setting(documented: &Documented) -> Setting {
    Setting { terms: documented.lines.clone(), text: parts(&documented.prose) }
}

fn parts(prose: &str) -> Vec<Part> {
    Text::parse(prose).section(Section::Description).to_vec()
}

/// Everything below the block at the top. The keys above the first section are in one without a name.
fn tables(body: &str) -> Vec<Table> {
    let mut tables =
        vec![Table { heading: "Above all sections".into(), prose: String::new(), settings: Vec::new() }];
    let mut said: Vec<&str> = Vec::new();
    let mut goes_on = false;
    for line in body.lines() {
        let Some(table) = tables.last_mut() else { continue };
        let bare = line.strip_prefix('#').unwrap_or(line);
        if bare.starts_with('[') {
            tables.push(Table { heading: bare.to_owned(), prose: take(&mut said), settings: Vec::new() });
            goes_on = false;
        } else if bare.starts_with(|first: char| first.is_ascii_lowercase()) {
            match table.settings.last_mut().filter(|_| goes_on) {
                Some(last) => last.lines.push(bare.to_owned()),
                None => {
                    table.settings.push(Documented { lines: vec![bare.to_owned()], prose: take(&mut said) });
                }
            }
            goes_on = true;
        } else if line.is_empty() {
            if !said.is_empty() {
                table.settings.push(Documented { lines: Vec::new(), prose: take(&mut said) });
            }
            goes_on = false;
        } else {
            said.push(prose(line));
            goes_on = false;
        }
    }
    tables
}

/// A line of prose without its sign; one with the sign alone is empty.
fn prose(line: &str) -> &str {
    let text = line.strip_prefix('#').unwrap_or(line);
    text.strip_prefix(' ').unwrap_or(text)
}

fn take(said: &mut Vec<&str>) -> String {
    std::mem::take(said).join("\n")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use site::config::ConfigFile;

    use super::*;

    #[test]
    fn something_is_said_of_every_key_and_every_section() {
        let (_, body) = SHIPPED.split_once("\n\n").unwrap();
        let tables = tables(body);
        assert!(tables.len() > 8, "{tables:?}");
        for table in &tables {
            let is_section = table.heading.starts_with('[');
            assert!(!is_section || !table.prose.is_empty(), "nothing is said of {}", table.heading);
            for setting in &table.settings {
                assert!(
                    !setting.prose.is_empty(),
                    "{}: nothing is said of {:?}",
                    table.heading,
                    setting.lines
                );
            }
        }
    }

    /// That the file has every key that there is, and no other, `lib/site/tests/shipped_config.rs` sees.
    #[test]
    fn every_line_of_the_file_that_sets_something_is_in_the_page() {
        let settings = |line: &&str| {
            let bare = line.strip_prefix('#').unwrap_or(line);
            bare.starts_with(|first: char| first == '[' || first.is_ascii_lowercase())
        };
        let (_, body) = SHIPPED.split_once("\n\n").unwrap();
        let in_page = tables(body).into_iter().map(|table| {
            let lines: usize = table.settings.iter().map(|setting| setting.lines.len()).sum();
            lines + usize::from(table.heading.starts_with('['))
        });
        assert_eq!(in_page.sum::<usize>(), SHIPPED.lines().filter(settings).count());
    }

    #[test]
    fn the_example_is_a_config() {
        let config = ConfigFile::parse(Path::new("example"), EXAMPLE.as_bytes()).unwrap();
        config.refuse_unknown().unwrap();
    }
}
