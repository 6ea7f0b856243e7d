//! What the documents name is there: files, links, tests, and the sections that comments cite.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use support::programs::workspace;

/// Documents that say where things live, and which test holds the project to what.
const MAPS: [&str; 3] = ["ARCHITECTURE.md", "CONTRIBUTING.md", CONTRACT];

const CONTRACT: &str = "docs/slurm-contract.md";

/// What is not the project's own.
const LEFT_OUT: [&str; 2] = ["target", ".git"];

/// All files of the project, from its top.
fn files() -> Vec<PathBuf> {
    fn add(folder: &Path, all: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let left_out = LEFT_OUT.iter().any(|name| entry.file_name() == *name);
            if entry.file_type().unwrap().is_dir() && !left_out {
                add(&entry.path(), all);
            } else if entry.file_type().unwrap().is_file() {
                all.push(entry.path().strip_prefix(workspace()).unwrap().to_owned());
            }
        }
    }
    let mut all = Vec::new();
    add(&workspace(), &mut all);
    all
}

fn with_ending(ending: &str) -> Vec<PathBuf> {
    files().into_iter().filter(|file| file.extension().is_some_and(|is| is == ending)).collect()
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(workspace().join(&path)).unwrap_or_else(|e| panic!("{}: {e}", path.as_ref().display()))
}

/// What stands between backticks, one text for each line and mark: a block of code has its own marks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

#[track_caller]
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The word in a link that leads to a heading.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let words: String = heading.trim_start_matches('#').trim().chars().filter(kept).collect();
    words.to_lowercase().replace(' ', "-")
}

/// The path that a link in a document of this folder leads to, from the top of the project.
fn target(folder: &Path, link: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for part in folder.join(link).components() {
        match part {
            Component::ParentDir => assert!(path.pop(), "{link} leads out of the project"),
            part => path.push(part),
        }
    }
    path
}

#[test]
fn every_link_in_a_document_leads_somewhere() {
    let mut wrong = Vec::new();
    let mut found = 0;
    for document in with_ending("md") {
        let text = read(&document);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.starts_with("http")) {
            found += 1;
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let path = match path {
                "" => document.clone(),
                path => target(document.parent().unwrap(), path),
            };
            let there = workspace().join(&path).exists()
                && (heading.is_empty()
                    || read(&path).lines().any(|line| line.starts_with('#') && anchor(line) == heading));
            wrong.extend((!there).then(|| format!("{}: {link}", document.display())));
        }
    }
    assert!(found > 60, "only {found} were found");
    none(&wrong);
}

#[test]
fn every_file_and_folder_on_the_maps_is_there() {
    let files: Vec<String> = files().iter().map(|file| format!("/{}", file.display())).collect();
    let is_there = |name: &str| match name.strip_suffix('/') {
        Some(folder) => files.iter().any(|file| file.contains(&format!("/{folder}/"))),
        None => files.iter().any(|file| file.ends_with(&format!("/{name}"))),
    };
    let mut wrong = Vec::new();
    let mut found = 0;
    for map in MAPS {
        let text = read(map);
        let paths = code(&text).map(|word| word.split("::").next().unwrap_or_default());
        let ours = |word: &&str| !word.starts_with('/') && !word.contains([' ', '<']);
        for path in paths.filter(ours).filter(|word| word.ends_with(".rs") || word.ends_with('/')) {
            found += 1;
            wrong.extend((!is_there(path)).then(|| format!("{map}: {path}")));
        }
    }
    assert!(found > 100, "only {found} were found");
    none(&wrong);
}

/// In `module::name`, `name` where it is a sentence, and `file.rs` (`name`).
#[test]
fn every_test_that_the_contract_names_is_there() {
    let sources: String = with_ending("rs").iter().map(read).collect();
    let text = read(CONTRACT);
    let parameter = |word: &str| word.ends_with("_script");
    let sentence =
        |word: &&str| word.matches('_').count() > 3 && !word.contains(['/', '.', ' ']) && !parameter(word);
    let qualified = |word: &&str| word.contains("::") && !word.ends_with('…');
    let mut tests: BTreeSet<&str> = code(&text).filter(|word| sentence(word) || qualified(word)).collect();
    for after_file in text.split(".rs` (`").skip(1) {
        let names = after_file.split(')').next().unwrap_or_default();
        tests.extend(
            names.split("`, `").map(|name| name.trim_end_matches('`')).filter(|name| !name.contains(' ')),
        );
    }
    assert!(tests.len() > 25, "only {} were found", tests.len());
    let is_there =
        |test: &&&str| sources.contains(&format!("fn {}", test.rsplit("::").next().unwrap_or(test)));
    none(&tests.iter().filter(|test| !is_there(test)).map(ToString::to_string).collect::<Vec<_>>());
}

/// The numbers after the page's name: `1.3`, `1.3 and 1.4`, `3, 5`, `3.1-3.4`, `section 2`.
fn cited(after: &str) -> Vec<String> {
    let after = after.trim_start_matches(['`', ')', ',']).trim_start().trim_start_matches("section ");
    let is_number = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    let words = after.split([' ', '-']).take_while(|word| *word == "and" || is_number(word));
    words.filter(is_number).map(|word| word.trim_end_matches(['.', ',', ';', ':', ')']).to_owned()).collect()
}

#[test]
fn every_section_of_the_contract_that_is_cited_is_there() {
    let text = read(CONTRACT);
    let headings = text.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
    let sections: BTreeSet<&str> = headings
        .filter_map(|heading| heading.split(' ').next())
        .map(|number| number.trim_end_matches('.'))
        .collect();
    let mut wrong = Vec::new();
    let mut found = 0;
    for file in ["rs", "md", "c", "toml", "sh"].into_iter().flat_map(with_ending) {
        let text = read(&file);
        for line in text.lines() {
            let cited: Vec<String> = line.split("slurm-contract.md").skip(1).flat_map(cited).collect();
            found += cited.len();
            let gone = cited.iter().filter(|number| !sections.contains(number.as_str()));
            wrong.extend(gone.map(|number| format!("{}: {number}", file.display())));
        }
    }
    assert!(found > 90, "only {found} were found");
    none(&wrong);
}
