//! The seven as whole processes: beside doing nothing, beside the scripts that they replace, beside other programs.
//!
//! In every round each program runs once, so that a busy moment of the machine meets them all.

use crate::figures::Figures;
use crate::instructions;
use crate::meter::Meter;
use crate::peers;
use crate::scene::{Call, Scene};
use crate::table::{Cell, Table};

/// What was measured, for the tables and for the plot.
pub(crate) struct Programs {
    rounds: usize,
    floors: Vec<Row>,
    /// Ours, and the script that does the same.
    pairs: Vec<(Row, Row)>,
    /// For one of the seven: another program.
    peers: Vec<(&'static str, Row)>,
}

/// One program.
pub(crate) struct Row {
    pub(crate) name: String,
    size: u64,
    pub(crate) wall: Figures,
    cpu: Figures,
    peak_kib: f64,
    page_faults: f64,
    instructions: Option<f64>,
}

impl Row {
    fn of(call: &Call, meter: &Meter, instructions: Option<f64>) -> Self {
        Self {
            name: call.name.clone(),
            size: call.size(),
            wall: meter.wall(),
            cpu: meter.cpu(),
            peak_kib: meter.peak_kib().median(),
            page_faults: meter.page_faults().median(),
            instructions,
        }
    }
}

impl Programs {
    pub(crate) fn measured(rounds: usize) -> Self {
        let scene = Scene::new();
        let peers = peers::installed(&scene.theirs);
        let sign_csr = scene.twins.iter().find(|twin| twin.name == "sign_csr").unwrap();
        let ours: Vec<&Call> = scene.ours.iter().chain([&scene.unsynced]).collect();
        let twins: Vec<&Call> = scene.twins.iter().chain([sign_csr]).collect();
        let others = peers.iter().map(|(_, call)| call);
        let all: Vec<&Call> =
            scene.floors.iter().chain(ours.iter().copied()).chain(twins).chain(others).collect();
        let (mut meters, mut rest) = (Vec::new(), all.as_slice());
        for together in [scene.floors.len(), scene.ours.len(), 1, scene.twins.len()] {
            let (some, others) = rest.split_at(together);
            meters.extend(Meter::together(some));
            rest = others;
        }
        meters.extend(rest.iter().map(|call| Meter::of(call)));
        for _ in 0..rounds {
            meters.iter_mut().for_each(Meter::run);
        }
        let counted = scene.floors.len() + ours.len();
        let rows = all.iter().zip(&meters).enumerate();
        let mut rows = rows.map(|(n, (call, meter))| {
            Row::of(call, meter, (n < counted).then(|| instructions::counted(call)).flatten())
        });
        let floors = rows.by_ref().take(scene.floors.len()).collect();
        let ours: Vec<Row> = rows.by_ref().take(ours.len()).collect();
        let twins: Vec<Row> = rows.by_ref().take(ours.len()).collect();
        let peers = peers.iter().map(|(whose, _)| *whose).zip(rows).collect();
        Self { rounds, floors, pairs: ours.into_iter().zip(twins).collect(), peers }
    }

    /// The static Rust program that does nothing, on glibc: what `rustc` makes of it where nobody chose.
    fn nothing_on_glibc(&self) -> &Row {
        self.floors.iter().rev().nth(1).unwrap()
    }

    /// The static Rust program that does nothing, built as the seven are.
    pub(crate) fn nothing(&self) -> &Row {
        self.floors.last().unwrap()
    }

    pub(crate) fn pairs(&self) -> &[(Row, Row)] {
        &self.pairs
    }

    pub(crate) fn tables(&self) -> Vec<Table> {
        vec![self.costs(), self.ratios(), self.others()]
    }

    fn costs(&self) -> Table {
        let rows = self.floors.iter().chain(self.pairs.iter().map(|(ours, _)| ours));
        let row = |row: &Row| {
            vec![
                Cell::text(&row.name),
                Cell::micros(row.wall.min()),
                Cell::micros(row.wall.median()),
                Cell::Number(row.wall.spread(), 0),
                Cell::ratio(row.wall.median(), self.nothing().wall.median()),
                Cell::ratio(row.wall.median(), self.nothing_on_glibc().wall.median()),
                Cell::micros(row.cpu.median()),
                Cell::ratio(row.cpu.median(), self.nothing().cpu.median()),
                Cell::Number(row.peak_kib, 0),
                Cell::Number(row.page_faults, 0),
                row.instructions.map_or(Cell::Nothing, |count| Cell::Number(count / 1e3, 0)),
                Cell::count(usize::try_from(row.size / 1024).unwrap()),
            ]
        };
        Table {
            name: "programs",
            caption: format!(
                "Whole processes, {} runs of each in turns; times in µs, spread: the middle half, in % of the median.",
                self.rounds
            ),
            columns: vec![
                "program",
                "min",
                "median",
                "spread %",
                "÷ nothing",
                "÷ nothing on glibc",
                "CPU",
                "CPU ÷ nothing",
                "peak KiB",
                "page faults",
                "1000 instructions",
                "file KiB",
            ],
            rows: rows.map(row).collect(),
        }
    }

    fn ratios(&self) -> Table {
        let row = |(ours, twin): &(Row, Row)| {
            vec![
                Cell::text(&ours.name),
                Cell::micros(ours.wall.median()),
                Cell::micros(twin.wall.median()),
                Cell::Number(twin.wall.spread(), 0),
                Cell::ratio(twin.wall.median(), ours.wall.median()),
                Cell::ratio(twin.cpu.median(), ours.cpu.median()),
                Cell::Number(twin.peak_kib, 0),
            ]
        };
        Table {
            name: "twins",
            caption: "Beside the shell script that does the same by `openssl` (`tests/reference`), medians of the same runs in µs.".into(),
            columns: vec!["program", "ours", "script", "its spread %", "script ÷ ours", "its CPU ÷ ours", "its peak KiB"],
            rows: self.pairs.iter().map(row).collect(),
        }
    }

    fn others(&self) -> Table {
        let row = |(whose, peer): &(&str, Row)| {
            let ours = self.pairs.iter().map(|(ours, _)| ours).find(|ours| ours.name == *whose).unwrap();
            vec![
                Cell::text(*whose),
                Cell::text(&peer.name),
                Cell::micros(peer.wall.median()),
                Cell::ratio(peer.wall.median(), ours.wall.median()),
                Cell::ratio(peer.cpu.median(), ours.cpu.median()),
                Cell::Number(peer.peak_kib, 0),
            ]
        };
        Table {
            name: "peers",
            caption: "Beside other programs that are installed here: one process, no shell, no check of the name. Medians of the same runs in µs.".into(),
            columns: vec!["instead of", "program", "median", "÷ ours", "CPU ÷ ours", "peak KiB"],
            rows: self.peers.iter().map(row).collect(),
        }
    }
}
