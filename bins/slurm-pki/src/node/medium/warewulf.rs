//! `--format warewulf`: a site overlay for Warewulf 4, the same for all nodes, with a template in place of what is a
//! node's own; the secrets lie beside it, and wwctl takes each node's into the overlay that it builds for this node.
//!
//! A template's owner and mode are those of the file that it becomes. A node without a secret here gets no file at all:
//! an empty one would stop slurmd with a worse word.

use std::path::{Path, PathBuf};

use pki::name::NodeName;
use pki::secret::Secret;
use site::batch::{self, Batch};
use site::config::Daemon;
use site::file::make_folder;

use super::{FILE_MODE, Medium, Ready, yaml};
use crate::advice::{Advice, Advise as _};
use crate::fleet::Placed;
use crate::global::Global;
use crate::node::tree::{self, Tree};
use crate::report;

/// Who can read it on its way.
pub(super) const WHO_READS: &str = "Warewulf gives a node's overlays to whoever asks in its name: have this one among the runtime overlays, not the \
     system overlays, with secure: true or tls: true in warewulf.conf (asset keys guard both kinds), or users of any \
     node can fetch every node's secret";

/// Where the files of an overlay begin.
const ROOTFS: &str = "/rootfs";

/// Ending of a template.
const TEMPLATE: &str = ".ww";

/// One overlay for each kind of node, since owner and names of the files are the overlay's.
fn overlay(medium: &Medium<'_>) -> String {
    let login = if medium.daemon == Daemon::Sackd { "-login" } else { "" };
    let pair = if medium.own.len() > 1 { "-static" } else { "" };
    format!("slurm-pki{login}{pair}")
}

fn secrets(medium: &Medium<'_>) -> PathBuf {
    medium.out.join(format!("{}.nodes", overlay(medium)))
}

/// The first of a node's own files.
pub(super) fn place(medium: &Medium<'_>, name: &NodeName) -> PathBuf {
    let what = medium.own.first().map_or("", |(what, _)| what);
    secrets(medium).join(format!("{name}.{what}"))
}

/// A template can have its own name changed, and not its folder's.
pub(super) fn refuse_what_has_no_template(medium: &Medium<'_>) -> anyhow::Result<()> {
    let has_names =
        |path: &&str| Path::new(path).parent().is_some_and(|folder| folder.to_string_lossy().contains('%'));
    match medium.own.iter().map(|(_, path)| path.as_str()).find(has_names) {
        None => Ok(()),
        Some(path) => Err(Advice::new(
            format!(
                "{path} has a node's name in the name of a folder, which no template of Warewulf can make"
            ),
            "have %n in the last part alone, in token_file of [node], or use --format tar",
        )
        .into()),
    }
}

pub(super) fn lay_out(medium: &Medium<'_>, global: &Global, ready: &[Ready]) -> anyhow::Result<()> {
    let bar = report::progress(global, ready.len(), "bundles");
    let folder = secrets(medium);
    make_folder(&folder, 0o700, None).advise()?;
    // The one that says that a bundle is there comes last.
    for (at, (what, _)) in medium.own.iter().enumerate().rev() {
        batch::sweep(&folder, &format!(".{what}")).advise()?;
        let mut files = Batch::new(&folder, FILE_MODE).advise()?;
        for one in ready {
            if let Some(file) = one.files.get(at) {
                files.add(&format!("{}.{what}", one.name), file.contents.expose()).advise()?;
            }
        }
        files
            .commit(|| {
                if at == 0 {
                    bar.inc(1);
                }
            })
            .advise()?;
    }
    bar.finish_and_clear();
    if let Some(one) = ready.first() {
        lay_out_overlay(medium, one)?;
    }
    Ok(())
}

fn lay_out_overlay(medium: &Medium<'_>, one: &Ready) -> anyhow::Result<()> {
    let out = tree::open(medium.out).advise()?;
    let tree = Tree::new(&out, &overlay(medium)).advise()?;
    let inside = |path: &Path| {
        let mut inside = PathBuf::from(ROOTFS);
        inside.extend(path.components().skip(1));
        inside
    };
    for file in medium.shared() {
        tree.add(&Placed { path: inside(&file.path), ..file.clone() }).advise()?;
    }
    for ((what, path), file) in medium.own.iter().zip(&one.files) {
        let folder = Path::new(path).parent().unwrap_or(Path::new("/"));
        let path_of_template = inside(&folder.join(format!("slurm-pki-{what}{TEMPLATE}")));
        let contents = Secret::new(template(medium, what, path)?.into_bytes());
        tree.add(&Placed { path: path_of_template, contents, ..file.clone() }).advise()?;
    }
    tree::sync(&out).advise()?;
    tree.put().advise()?;
    tree::sync(&out).advise()
}

/// In the words of Go's text/template and Warewulf's functions: `Include` reads a file of the server, `file` names the
/// one that is written.
fn template(medium: &Medium<'_>, what: &str, path: &str) -> anyhow::Result<String> {
    let folder = std::path::absolute(secrets(medium))?;
    let (folder, ending) = (yaml(&format!("{}/", folder.display()))?, yaml(&format!(".{what}"))?);
    let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
    Ok(format!(
        "{{{{- $own := Include (print {folder} .Id {ending}) -}}}}\n\
         {{{{- if $own -}}}}\n\
         {{{{ nobackup }}}}{{{{ file (print {}) }}}}\n\
         {{{{ $own }}}}\n\
         {{{{- else -}}}}\n\
         {{{{ abort }}}}\n\
         {{{{- end -}}}}\n",
        name_of_file(&name)?
    ))
}

/// `%n_token.txt` as the words that print(…) puts together.
fn name_of_file(name: &str) -> anyhow::Result<String> {
    let mut words = Vec::new();
    for (at, part) in name.split('%').enumerate() {
        let text = match part.chars().next() {
            Some('n') if at > 0 => {
                words.push(".Id".to_owned());
                part.get(1..)
            }
            Some('h') if at > 0 => {
                words.push("(index (splitList \".\" .Id) 0)".to_owned());
                part.get(1..)
            }
            _ => Some(part),
        };
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            words.push(yaml(text)?);
        }
    }
    Ok(words.join(" "))
}

pub(super) fn next(medium: &Medium<'_>) -> String {
    let (out, overlay) = (medium.out.display(), overlay(medium));
    format!(
        "cp -a {out}/{overlay} /var/lib/warewulf/overlays/, name {overlay} in --runtime-overlays of the nodes' profile, \
         wwctl overlay build; {out}/{overlay}.nodes stays"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_places_in_it_becomes_words() {
        for (name, words) in [
            ("%n_token.txt", ".Id \"_token.txt\""),
            ("token", "\"token\""),
            ("a%n", "\"a\" .Id"),
            ("%h.%n", "(index (splitList \".\" .Id) 0) \".\" .Id"),
        ] {
            assert_eq!(name_of_file(name).unwrap(), words);
        }
    }
}
