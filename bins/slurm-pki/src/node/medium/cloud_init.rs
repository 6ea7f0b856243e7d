//! `--format cloud-init`: user-data that has cloud-init write the files (its module write_files).
//!
//! They are written before the network counts as up, which is what Slurm's units wait for. The owner must be in the
//! image: `defer` would write them too late.

use data_encoding::BASE64;
use pki::secret::Secret;

use super::{Medium, Ready, names_of, yaml};
use crate::fleet::Placed;
use crate::node::add::count;
use crate::report;

/// Ending of a node's user-data.
pub(super) const ENDING: &str = ".yaml";

/// Who can read it on its way.
pub(super) const WHO_READS: &str = "user-data is read by whoever reaches the metadata service, any process of the node among them, and by whoever may \
     look at instances in the cloud: keep users of the nodes from 169.254.169.254, and prefer slurm-pki resume-hook, \
     whose tokens are for one boot";

/// EC2's limit; other clouds have more.
const USUAL_LIMIT: usize = 16 * 1024;

pub(super) fn user_data(medium: &Medium<'_>, one: &Ready) -> anyhow::Result<Secret> {
    let contents = |file: &Placed| 2 * file.contents.expose().len() + file.path.as_os_str().len() + 256;
    // Large enough from the start: growing would leave unwiped copies behind.
    let room = medium.files(one).map(contents).sum::<usize>() + 256;
    let mut text = String::with_capacity(room);
    text.push_str("#cloud-config\n");
    text.push_str(&format!("# What {} needs for Slurm: its token is a secret.\nwrite_files:\n", one.name));
    for file in medium.files(one) {
        let (user, group) = names_of(file.owner);
        text.push_str(&format!("  - path: {}\n", yaml(&file.path.to_string_lossy())?));
        text.push_str(&format!("    owner: {}\n", yaml(&format!("{user}:{group}"))?));
        text.push_str(&format!("    permissions: \"{:04o}\"\n    encoding: b64\n    content: ", file.mode));
        BASE64.encode_append(file.contents.expose(), &mut text);
        text.push('\n');
    }
    Ok(Secret::new(text.into_bytes()))
}

pub(super) fn warn_of_size(medium: &Medium<'_>, ready: &[Ready]) {
    let is_large = |one: &&Ready| {
        std::fs::metadata(medium.place(&one.name)).is_ok_and(|file| file.len() > USUAL_LIMIT as u64)
    };
    let large = ready.iter().filter(is_large).count();
    if large > 0 {
        report::warning(&format!(
            "user-data of {} is longer than 16 KiB, which is all that EC2 takes: have the CA bundle and the config in \
             the image, and add --own-only",
            count(large)
        ));
    }
}
