//! What a client command pays for its key and certificate.

use std::fs;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::bench::crowd::{self, Answer};
use crate::bench::figures::Figures;
use crate::bench::table::{Table, rounded};
use crate::conf::{Conf, PROGRAMS};
use crate::lab::Lab;

/// Name, folder of its slurm.conf, CertgenParameters.
const SIDES: [(&str, &str, &str); 3] = [
    (
        "slurm-pki",
        "/etc/certgen-ours",
        "keygen_script=/slurm-pki/bin/keygen,certgen_script=/slurm-pki/bin/certgen",
    ),
    ("Slurm's own scripts", "/etc/certgen-slurm", ""),
    (
        "programs that do nothing",
        "/etc/certgen-nothing",
        "keygen_script=/slurm-pki/fixed,certgen_script=/slurm-pki/fixed",
    ),
];

/// In turns, so that a busy moment meets all of them.
pub(crate) fn measured(lab: &Lab, [turns, rounds]: [u32; 2]) -> Result<Table> {
    for (_, folder, certgen_parameters) in SIDES {
        fs::create_dir_all(lab.path(folder))?;
        let conf = Conf { certgen_parameters, ..Conf::default() };
        fs::write(lab.path(&format!("{folder}/slurm.conf")), conf.text(PROGRAMS))?;
    }
    let mut all = SIDES.map(|_| Vec::new());
    for _ in 0..turns {
        for (answers, (name, folder, _)) in all.iter_mut().zip(SIDES) {
            let more = crowd::certgen(lab, &format!("{folder}/slurm.conf"), rounds)?;
            ensure!(more.iter().all(|answer| answer.good), "no certificate by {name}:\n{}", crowd::log(lab));
            answers.extend(more);
        }
    }
    Ok(Table {
        name: "slurm-client",
        title: format!(
            "Key and certificate of a client command, made through Slurm's certgen/script as every squeue does under TLS, \
             {} times by each; ms. Slurm sleeps 10 ms or more after each of the two scripts.",
            turns * rounds
        ),
        columns: vec!["with", "min", "median", "longest", "CPU of the two scripts"],
        rows: all.iter().zip(SIDES).map(|(answers, (name, ..))| row(name, answers)).collect(),
    })
}

fn row(name: &str, answers: &[Answer]) -> Vec<Value> {
    let times = Figures::of(answers);
    let mut processor: Vec<_> = answers.iter().map(|answer| answer.more).collect();
    processor.sort_unstable();
    let processor = processor.get(processor.len() / 2).copied().unwrap_or_default();
    let millis = |seconds: f64| rounded(seconds * 1e3, 1);
    vec![
        json!(name),
        millis(times.shortest()),
        millis(times.median()),
        millis(times.longest()),
        rounded(f64::from(processor) / 1e3, 1),
    ]
}
