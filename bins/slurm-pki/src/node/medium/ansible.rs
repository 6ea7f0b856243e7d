//! `--format ansible`: an inventory of its own, given beside the site's: `-i site -i DIR`. A node's variable
//! `slurm_pki_bundle` lists its files; their contents are base64, which nothing in Ansible takes for a template.

use std::fs;

use data_encoding::BASE64;
use pki::secret::Secret;
use site::Error;
use site::file::{NewFile, make_folder, remove_leftovers};

use super::{Medium, Ready, names_of, yaml};
use crate::advice::Advise as _;
use crate::fleet::Placed;
use crate::global::Global;

/// Where Ansible looks for variables of hosts.
pub(super) const FOLDER: &str = "host_vars";

/// Ending of a host's variables.
pub(super) const ENDING: &str = ".yml";

/// The hosts, as an inventory.
const HOSTS: &str = "hosts.yml";

/// The group that they are in.
const GROUP: &str = "slurm_pki_bundles";

/// Who can read it on its way.
pub(super) const WHO_READS: &str = "the secrets in host_vars are in clear: ansible-vault encrypt host_vars/*.yml before they go into a repository or \
     a backup; tasks that use slurm_pki_bundle want no_log: true";

pub(super) fn lay_out(medium: &Medium<'_>, global: &Global, ready: &[Ready]) -> anyhow::Result<()> {
    let folder = medium.out.join(FOLDER);
    make_folder(&folder, 0o700, None).advise()?;
    medium.one_file_each(global, &folder, ENDING, ready)?;
    let file = medium.out.join(HOSTS);
    remove_leftovers(&file).advise()?;
    NewFile::new(&file, 0o600).replace(hosts(medium).advise()?.as_bytes()).advise()
}

pub(super) fn variables(medium: &Medium<'_>, one: &Ready) -> anyhow::Result<Secret> {
    let contents = |file: &Placed| 2 * file.contents.expose().len() + file.path.as_os_str().len() + 256;
    // Large enough from the start: growing would leave unwiped copies behind.
    let mut text = String::with_capacity(medium.files(one).map(contents).sum::<usize>() + 256);
    text.push_str("---\nslurm_pki_bundle:\n");
    for file in medium.files(one) {
        let (user, group) = names_of(file.owner);
        text.push_str(&format!("  - dest: {}\n", yaml(&file.path.to_string_lossy())?));
        text.push_str(&format!("    owner: {}\n    group: {}\n", yaml(&user)?, yaml(&group)?));
        text.push_str(&format!("    mode: \"{:04o}\"\n    content_b64: ", file.mode));
        // Quoted: what is all digits would be a number.
        text.push('"');
        BASE64.encode_append(file.contents.expose(), &mut text);
        text.push_str("\"\n");
    }
    Ok(Secret::new(text.into_bytes()))
}

/// All nodes that have variables here, those of former runs too.
fn hosts(medium: &Medium<'_>) -> Result<String, Error> {
    let folder = medium.out.join(FOLDER);
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).map_err(Error::read(&folder))? {
        let name = entry.map_err(Error::read(&folder))?.file_name();
        let name = name.to_string_lossy().strip_suffix(ENDING).map(str::to_owned);
        names.extend(name.filter(|name| !name.starts_with('.')));
    }
    names.sort();
    let mut text = format!("---\n{GROUP}:\n  hosts:\n");
    for name in names {
        text.push_str(&format!("    \"{name}\":\n"));
    }
    Ok(text)
}
