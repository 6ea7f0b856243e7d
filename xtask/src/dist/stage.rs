//! Lays out what each package holds, as it will be on a system: `<out>/<package>/root`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::architecture::Architecture;
use super::contents::{Item, PACKAGES, PROGRAMS, Package};
use super::crates::Crates;
use super::licences;
use super::tree::{READ, RUN, Tree};
use crate::documents;
use crate::workspace::{self, Workspace};

/// A package and the tree of its files.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) package: &'static Package,
    pub(crate) tree: Tree,
}

/// Where the parts come from.
#[derive(Debug)]
pub(crate) struct Sources<'a> {
    pub(crate) workspace: &'a Workspace,
    /// The folder of the built programs.
    pub(crate) programs: &'a Path,
    pub(crate) architecture: Architecture,
    /// What is in the programs.
    pub(crate) crates: &'a Crates,
}

/// Lays out all packages.
pub(crate) fn all(sources: &Sources<'_>, out: &Path, date: i64) -> Result<Vec<Staged>> {
    let staged: Result<Vec<_>> = PACKAGES.iter().map(|package| one(sources, package, out, date)).collect();
    let staged = staged?;
    has_all_pages(sources, &staged)?;
    Ok(staged)
}

fn one(sources: &Sources<'_>, package: &'static Package, out: &Path, date: i64) -> Result<Staged> {
    let tree = Tree::new(out.join(package.name).join("root"))?;
    for item in package.contents {
        lay(sources, &tree, item).with_context(|| format!("package {}", package.name))?;
    }
    documents(sources, &tree, package)?;
    tree.date(date)?;
    Ok(Staged { package, tree })
}

fn lay(sources: &Sources<'_>, tree: &Tree, item: &Item) -> Result<()> {
    let source = |path: &str| sources.workspace.root.join(path);
    match *item {
        Item::Program(name) => program(sources, tree, name),
        Item::File { from, to } => tree.copy(&source(from), to, READ),
        Item::Script { from, to } => tree.copy(&source(from), to, RUN),
        Item::Folder { from, beginning, to } => folder(tree, &source(from), beginning, Path::new(to)),
        Item::Licences => licences(sources, tree),
        Item::Link { at, to } => tree.link(at, to),
        Item::Manual(pages) => pages.iter().try_for_each(|page| manual(sources, tree, page)),
        Item::ManualSection(section) => manual_section(sources, tree, section),
        Item::Completions(command) => completions(sources, tree, command),
    }
}

/// Stripped here: what a build leaves still has its symbols.
fn program(sources: &Sources<'_>, tree: &Tree, name: &str) -> Result<()> {
    let (from, at) = (sources.programs.join(name), Path::new(PROGRAMS).join(name));
    tree.copy(&from, &at, RUN)?;
    let mut strip = Command::new(sources.architecture.tool("strip"));
    // As Debian's own packages are; which compiler made it, the bill of materials says.
    strip.arg("--remove-section=.comment").arg(tree.path(&at));
    workspace::answer(&mut strip).map(drop)
}

fn folder(tree: &Tree, from: &Path, beginning: &str, to: &Path) -> Result<()> {
    let mut found = 0;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        if !name.to_string_lossy().starts_with(beginning) {
            continue;
        }
        found += 1;
        let path = entry.path();
        if path.is_dir() {
            folder(tree, &path, "", &to.join(&name))?;
        } else {
            tree.copy(&path, to.join(&name), READ)?;
        }
    }
    if found == 0 { bail!("nothing in {} begins with {beginning}", from.display()) } else { Ok(()) }
}

/// Beside the copyright file of the package that all others require.
fn licences(sources: &Sources<'_>, tree: &Tree) -> Result<()> {
    let text = licences::text(sources.workspace, sources.crates)?;
    tree.write_packed("/usr/share/doc/slurm-pki-client/licenses-of-crates", text.as_bytes())
}

/// `keygen.1` goes to man1, packed.
fn manual(sources: &Sources<'_>, tree: &Tree, page: &str) -> Result<()> {
    let Some((_, section)) = page.rsplit_once('.') else { bail!("{page} has no section") };
    let from = documents::manual(sources.workspace).join(page);
    tree.pack(&from, format!("/usr/share/man/man{section}/{page}"))
}

/// All pages of a section: `8`.
fn manual_section(sources: &Sources<'_>, tree: &Tree, section: &str) -> Result<()> {
    let folder = documents::manual(sources.workspace);
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let name = entry?.file_name();
        let page = name.to_string_lossy();
        if page.rsplit_once('.').is_some_and(|(_, of)| of == section) {
            manual(sources, tree, &page)?;
        }
    }
    Ok(())
}

/// A page that is in no package would be missed by nobody until somebody asked for it.
fn has_all_pages(sources: &Sources<'_>, staged: &[Staged]) -> Result<()> {
    let written = Tree::at(documents::manual(sources.workspace)).entries()?.len();
    let held: Result<Vec<usize>> = staged.iter().map(|one| pages_of(&one.tree)).collect();
    let held: usize = held?.iter().sum();
    ensure!(
        held == written,
        "{written} manual pages were written, and the packages hold {held}: see xtask/src/dist/contents.rs"
    );
    Ok(())
}

fn pages_of(tree: &Tree) -> Result<usize> {
    let entries = tree.entries()?;
    Ok(entries.iter().filter(|entry| entry.file && entry.at.starts_with("/usr/share/man")).count())
}

/// Where each shell looks, by the names that it looks for.
fn completions(sources: &Sources<'_>, tree: &Tree, command: &str) -> Result<()> {
    let from = documents::completions(sources.workspace);
    tree.copy(
        &from.join(format!("{command}.bash")),
        format!("/usr/share/bash-completion/completions/{command}"),
        READ,
    )?;
    tree.copy(&from.join(format!("_{command}")), format!("/usr/share/zsh/site-functions/_{command}"), READ)?;
    let fish = format!("{command}.fish");
    tree.copy(&from.join(&fish), format!("/usr/share/fish/vendor_completions.d/{fish}"), READ)
}

/// What every package says about itself.
fn documents(sources: &Sources<'_>, tree: &Tree, package: &Package) -> Result<()> {
    let folder = Path::new("/usr/share/doc").join(package.name);
    let root = &sources.workspace.root;
    tree.copy(&root.join("packaging/copyright"), folder.join("copyright"), READ)?;
    tree.pack(&root.join("CHANGELOG.md"), folder.join("changelog"))
}
