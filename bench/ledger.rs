//! A ledger of many years.

use std::fs::File;
use std::io::{BufWriter, Write as _};

use serde_json::json;
use support::site::files_below;

use crate::nodes::row;
use crate::scale::Scale;
use crate::scene::{our_site, seven};
use crate::table::Table;

pub(crate) fn measured(scale: Scale) -> Table {
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut site = our_site(memory.path(), Some("ledger"));
    site.set("", "slurm_user", "root");
    site.write_config();
    // One line is real; the others are like it.
    let sign_csr = seven(&site).into_iter().find(|call| call.name == "sign_csr").unwrap();
    assert!(sign_csr.through("/usr/bin/env", &[]).output().unwrap().status.success());
    let folder = memory.path().join("ledger");
    let files = files_below(&folder);
    let is_ledger = |name: &str| name.starts_with("issued.") && name.ends_with(".jsonl");
    let (path, line) =
        files.iter().find(|(path, _)| is_ledger(path.file_name().unwrap().to_str().unwrap())).unwrap();
    let mut line: serde_json::Value = serde_json::from_slice(line.trim_ascii()).unwrap();
    let mut file = BufWriter::new(File::options().append(true).open(path).unwrap());
    for n in 1..scale.lines {
        line["node"] = json!(format!("n{:05}", n % 10_000));
        line["serial"] = json!(format!("{n:040x}"));
        writeln!(file, "{line}").unwrap();
    }
    file.into_inner().unwrap();
    let commands: [&[&str]; 3] = [
        &["ledger", "show", "n00042"],
        &["ledger", "list", "--node", "n[00001-00010]", "--json"],
        &["ledger", "list", "--since", "1h", "--json"],
    ];
    Table {
        name: "ledger",
        caption: format!(
            "slurm-pki on a ledger of {} lines in memory (tmpfs), one run of each.",
            scale.lines
        ),
        columns: vec!["command", "seconds", "CPU seconds", "peak KiB"],
        rows: commands.iter().map(|words| row(&site, words)).collect(),
    }
}
