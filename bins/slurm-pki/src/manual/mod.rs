//! `slurm-pki man`: the manual pages of all programs and of the config, for whoever makes packages.
//!
//! No page has a text of its own where `--help` or the shipped config says the same: `commands` takes what clap has,
//! `config` the comments in config/slurm-pki.toml, `programs` the texts of programs that have no `--help`.

mod commands;
mod config;
mod page;
mod programs;
mod surroundings;
pub(crate) mod text;

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use site::file::{NewFile, make_folder};

use self::page::{Frame, Page};
use crate::advice::{Advice, Advise as _};
use crate::global::Global;
use crate::report;

/// Pages are for everybody.
const MODE: u32 = 0o644;

/// Write all manual pages into a folder, where no package has brought them
#[derive(Args, Debug)]
#[command(
    after_help = "One file per page, such as slurm-pki-node-add.8. They are dated by SOURCE_DATE_EPOCH, a number of \
    seconds since 1970, so that the same source gives the same pages; without it, by today.\n\n\
    Examples:\n  \
    slurm-pki man --out /tmp/man && man /tmp/man/slurm-pki.8\n  \
    SOURCE_DATE_EPOCH=0 slurm-pki man --out target/man"
)]
pub(crate) struct Manual {
    /// The folder, which is made if it is missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Manual {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let pages = pages(&frame()?)?;
        if !global.dry_run {
            write(&self.out, &pages)?;
        }
        let verb = if global.dry_run { "would write" } else { "wrote" };
        report::done(global, &format!("{verb} {} pages into {}", pages.len(), self.out.display()));
        Ok(())
    }
}

fn pages(frame: &Frame) -> anyhow::Result<Vec<Page>> {
    let mut pages = commands::pages(frame)?;
    pages.extend(programs::pages(frame));
    pages.push(config::page(frame));
    Ok(pages)
}

fn write(folder: &Path, pages: &[Page]) -> anyhow::Result<()> {
    make_folder(folder, 0o755, None).advise()?;
    for page in pages {
        NewFile::new(&folder.join(page.file_name()), MODE).replace(page.text().as_bytes()).advise()?;
    }
    Ok(())
}

fn frame() -> anyhow::Result<Frame> {
    let date = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(seconds) => dated(&seconds)?,
        Err(_) => Timestamp::now(),
    };
    Ok(Frame {
        date: TimeZone::UTC.to_datetime(date).date().to_string(),
        source: concat!("slurm-pki ", env!("CARGO_PKG_VERSION")).to_owned(),
    })
}

fn dated(seconds: &str) -> anyhow::Result<Timestamp> {
    let date = seconds.trim().parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    date.ok_or_else(|| {
        Advice::new("SOURCE_DATE_EPOCH is no number of seconds since 1970", "unset it, or set it to one")
            .into()
    })
}
