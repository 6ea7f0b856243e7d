//! What the admin command costs on a large site.

use support::programs::program;
use support::site::Site;

use crate::meter::Meter;
use crate::scale::Scale;
use crate::scene::Call;
use crate::table::{Cell, Table};

pub(crate) fn measured(scale: Scale) -> Table {
    let mut site = Site::new();
    site.set("", "slurm_user", "root");
    site.write_config();
    let all = format!("n[00001-{:05}]", scale.nodes);
    let commands: [&[&str]; 3] = [&["node", "add", &all], &["node", "list"], &["node", "show", "n00042"]];
    Table {
        name: "nodes",
        caption: format!(
            "slurm-pki on a site of {} nodes, one run of each; each record is on the disk when it ends.",
            scale.nodes
        ),
        columns: vec!["command", "seconds", "CPU seconds", "peak KiB"],
        rows: commands.iter().map(|words| row(&site, words)).collect(),
    }
}

/// The first of them makes what the others look at.
pub(crate) fn row(site: &Site, words: &[&str]) -> Vec<Cell> {
    let config = site.path("slurm-pki.toml").to_str().unwrap().to_owned();
    let argv = [&["--config", config.as_str(), "--quiet"][..], words].concat();
    let mut meter = Meter::of(&Call::new(&site.slurm(), "slurm-pki", program("slurm-pki"), &argv));
    meter.run();
    vec![
        Cell::text(format!("`slurm-pki {}`", words.join(" "))),
        Cell::Number(meter.wall().median(), 2),
        Cell::Number(meter.cpu().median(), 2),
        Cell::Number(meter.peak_kib().median(), 0),
    ]
}
