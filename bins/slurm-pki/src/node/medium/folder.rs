//! `--format dir`: a tree for each node, and beside it the line for its daemon's options.

use site::Error;
use site::batch;
use site::file::NewFile;
use site::folder::Folder;

use super::{Medium, Ready};
use crate::advice::Advise as _;
use crate::global::Global;
use crate::node::tree::{self, Tree};
use crate::report;

/// Ending of the file beside a bundle.
pub(super) const OPTIONS: &str = ".options";

pub(super) fn lay_out(medium: &Medium<'_>, global: &Global, ready: &[Ready]) -> anyhow::Result<()> {
    let bar = report::progress(global, ready.len(), "bundles");
    let out = tree::open(medium.out).advise()?;
    let mut trees = Vec::new();
    batch::sweep(medium.out, OPTIONS).advise()?;
    for one in ready {
        trees.push(tree_of(medium, &out, one).advise()?);
        if !medium.own_only {
            let options = medium.out.join(format!("{}{OPTIONS}", one.name));
            let file = NewFile::new(&options, 0o644).owned_by(Some(medium.format.root())).not_synced();
            file.replace(medium.options().as_bytes()).advise()?;
        }
        bar.inc(1);
    }
    tree::sync(&out).advise()?;
    for tree in &trees {
        tree.put().advise()?;
    }
    tree::sync(&out).advise()?;
    bar.finish_and_clear();
    Ok(())
}

fn tree_of(medium: &Medium<'_>, out: &Folder, one: &Ready) -> Result<Tree, Error> {
    let tree = Tree::new(out, one.name.as_str())?;
    medium.files(one).try_for_each(|file| tree.add(file))?;
    Ok(tree)
}
