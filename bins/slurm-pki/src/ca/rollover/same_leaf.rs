//! One certificate that several hosts show. Controllers with shared storage have one pair; where each has its own, one of them
//! answers at the other's address (a forwarded port, an address that moved), and that other has shown nothing.

use std::collections::BTreeMap;

use site::config::DaemonConfig;

use super::proof::{Answer, Lack, Target};
use super::site_files::SiteFiles;
use crate::activation;
use crate::advice::Advise as _;
use crate::cert::target::{Place, Target as Pair};
use crate::fleet::Fleet;
use crate::hostlist;
use crate::members::is_this_host;
use crate::report;

/// Takes back what a host has shown with the pair of another. Where nothing is to be run elsewhere, they are named.
///
/// # Errors
/// When the config has no meaning.
pub(super) fn take_back(
    files: &SiteFiles<'_>,
    answers: &mut [Answer],
    asks_nobody: bool,
) -> anyhow::Result<()> {
    for (leaf, places) in of_several_hosts(answers) {
        let targets: Vec<&Target> =
            places.iter().filter_map(|place| answers.get(*place)).map(|(target, _)| target).collect();
        if asks_nobody {
            say_who_is_not_asked(&targets);
            continue;
        }
        let on_disk: Vec<Option<String>> =
            targets.iter().map(|target| leaf_on_disk(files, target)).collect::<anyhow::Result<_>>()?;
        for place in not_their_own(&leaf, &places, &on_disk) {
            if let Some((_, answer)) = answers.get_mut(place) {
                *answer = Err(Lack::PairOfAnother);
            }
        }
    }
    Ok(())
}

/// Leaf certificates that daemons of several hosts show, and where those are among the answers.
fn of_several_hosts(answers: &[Answer]) -> BTreeMap<String, Vec<usize>> {
    let mut all: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, (target, answer)) in answers.iter().enumerate() {
        if let (Some(_), Ok(Some(leaf))) = (target.daemon, answer) {
            all.entry(leaf.clone()).or_default().push(place);
        }
    }
    all.retain(|_, places| places.len() > 1);
    all
}

/// Nobody, where all have one pair on their disks; else those that do not have this one.
fn not_their_own(leaf: &str, places: &[usize], on_disk: &[Option<String>]) -> Vec<usize> {
    let first = on_disk.first().cloned().flatten();
    if first.is_some() && on_disk.iter().all(|other| *other == first) {
        return Vec::new();
    }
    let pairs = places.iter().zip(on_disk);
    pairs.filter(|(_, own)| own.as_deref() != Some(leaf)).map(|(place, _)| *place).collect()
}

/// The certificate (SHA-256) that a daemon's host has for it; none where it cannot be read.
fn leaf_on_disk(files: &SiteFiles<'_>, target: &Target) -> anyhow::Result<Option<String>> {
    let Some(daemon) = target.daemon else { return Ok(None) };
    let config = DaemonConfig::read(&files.admin.config, &files.admin.controller, daemon).advise()?;
    let place = if is_this_host(&target.name) { Place::Here } else { Place::On(target.name.clone()) };
    let pair = Pair { daemon, place, config, nodes: Vec::new() };
    match activation::chain_on_disk(files.global, &Fleet::of(files.admin)?, &pair) {
        Ok(chain) => Ok(chain.first().map(pki::x509::X509::fingerprint)),
        Err(why) => {
            report::warning(&format!("the pair of {pair} cannot be told: {why}"));
            Ok(None)
        }
    }
}

fn say_who_is_not_asked(targets: &[&Target]) {
    let names = hostlist::fold_texts(targets.iter().map(|target| target.name.as_str()));
    report::warning(&format!(
        "{names} show one certificate, and were not asked for the pair on their disks: see that they share it"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_shown_for_its_own_hosts_alone() {
        let of = |text: &str| Some(text.to_owned());
        let lacking = |on_disk: &[Option<String>]| not_their_own("a", &[3, 5], on_disk);
        assert!(lacking(&[of("a"), of("a")]).is_empty());
        assert!(lacking(&[of("b"), of("b")]).is_empty(), "shared, and renewed since");
        assert_eq!(lacking(&[of("a"), of("b")]), [5]);
        assert_eq!(lacking(&[None, of("a")]), [3]);
        assert_eq!(lacking(&[of("b"), of("c")]), [3, 5]);
        assert_eq!(lacking(&[None, None]), [3, 5]);
    }
}
