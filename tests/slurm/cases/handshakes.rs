//! What came back from slurmctld, in Slurm's TLS library.

use anyhow::{Result, ensure};
use interop::making::{Kind, Shape};
use pki::loads_in_s2n::pad_bundle;

use super::Case;
use super::enrolment::enrols;
use crate::cluster::Cluster;
use crate::tls;

pub(super) const CASES: &[Case] = &[
    ("s2n, policy 20230317: slurmctld and the node in both directions", both_directions),
    ("s2n: a CA file with several roots, in any order, with comments", several_roots),
    ("s2n: text after the last certificate of the CA file is refused by us too", trailing_text),
    ("s2n: a CA file of whole pages is refused by us, and padded", whole_pages),
];

fn both_directions(cluster: &mut Cluster<'_>) -> Result<()> {
    let pair = enrols(cluster, "n7")?;
    tls::both_directions(cluster.lab, &pair, &tls::trust(cluster.lab)?)
}

fn several_roots(cluster: &mut Cluster<'_>) -> Result<()> {
    let pair = enrols(cluster, "n7")?;
    let (ours, other) = (tls::trust(cluster.lab)?, interop::making::site(Kind::P256, Shape::Root).trust);
    for bundle in [
        format!("{ours}{other}"),
        format!("{other}{ours}"),
        format!("# the old one\n{other}# the new one\n{ours}"),
    ] {
        tls::both_directions(cluster.lab, &pair, &bundle)?;
    }
    ensure!(tls::both_directions(cluster.lab, &pair, &other).is_err(), "another CA alone is enough");
    Ok(())
}

fn trailing_text(cluster: &mut Cluster<'_>) -> Result<()> {
    let ours = tls::trust(cluster.lab)?;
    tls::expect_unloadable(cluster.lab, &format!("{ours}# the end\n"))
}

fn whole_pages(cluster: &mut Cluster<'_>) -> Result<()> {
    let pair = enrols(cluster, "n7")?;
    let ours = tls::trust(cluster.lab)?;
    let whole = format!("{}{ours}", "#".repeat(4095 - ours.len() % 4096) + "\n");
    ensure!(whole.len().is_multiple_of(4096));
    ensure!(pki::loads_in_s2n::trust_bundle(whole.as_bytes()).is_err(), "our own check lets it pass");
    tls::both_directions(cluster.lab, &pair, &pad_bundle(whole))
}
