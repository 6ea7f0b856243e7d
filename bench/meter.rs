//! Whole runs of programs, measured by a small process that starts them (`floor/meter.c`).

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::rc::Rc;

use crate::figures::Figures;
use crate::scene::{Call, floor};

/// One program with its arguments, environment and folder, ready to be started again and again.
pub(crate) struct Meter {
    name: String,
    starter: Rc<RefCell<Starter>>,
    /// Which of the starter's programs it is.
    index: usize,
    runs: Vec<Run>,
}

/// The process that starts them.
struct Starter {
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

/// What one run cost.
struct Run {
    /// Seconds.
    wall: f64,
    /// Seconds, in the program and in the kernel for it.
    cpu: f64,
    peak_kib: f64,
    page_faults: f64,
}

impl Meter {
    pub(crate) fn of(call: &Call) -> Self {
        Self::together(&[call]).remove(0)
    }

    /// Of programs of one site, which see one daemon as their caller: get_cert_key has no key for another one.
    pub(crate) fn together(calls: &[&Call]) -> Vec<Self> {
        let starter = Rc::new(RefCell::new(Starter::of(calls)));
        let meter = |(index, call): (usize, &&Call)| Self {
            name: call.name.clone(),
            starter: Rc::clone(&starter),
            index,
            runs: Vec::new(),
        };
        calls.iter().enumerate().map(meter).collect()
    }

    /// One run more. A run that fails has no cost.
    pub(crate) fn run(&mut self) {
        let line = self.starter.borrow_mut().start(self.index);
        let numbers: Vec<f64> = line.split_whitespace().map(|number| number.parse().unwrap()).collect();
        let [wall, cpu, peak_kib, page_faults, status, _] = numbers[..] else {
            panic!("{}: {line}", self.name)
        };
        assert!(status == 0.0, "{}: ends with the wait status {status}", self.name);
        self.runs.push(Run { wall: wall / 1e9, cpu: cpu / 1e6, peak_kib, page_faults });
    }

    pub(crate) fn wall(&self) -> Figures {
        Figures::of(self.runs.iter().map(|run| run.wall))
    }

    pub(crate) fn cpu(&self) -> Figures {
        Figures::of(self.runs.iter().map(|run| run.cpu))
    }

    pub(crate) fn peak_kib(&self) -> Figures {
        Figures::of(self.runs.iter().map(|run| run.peak_kib))
    }

    pub(crate) fn page_faults(&self) -> Figures {
        Figures::of(self.runs.iter().map(|run| run.page_faults))
    }
}

impl Starter {
    fn of(calls: &[&Call]) -> Self {
        let meter = floor("meter").to_str().unwrap().to_owned();
        let words = |call: &&Call| [call.words(), vec!["--".into()]].concat();
        let mut command =
            calls[0].slurm().command(meter.as_ref(), &calls.iter().flat_map(words).collect::<Vec<_>>());
        if calls[0].is_talkative {
            command.stderr(Stdio::null());
        }
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Self { process, stdin, stdout: BufReader::new(stdout) }
    }

    /// Starts one of them, and says what it cost.
    fn start(&mut self, index: usize) -> String {
        writeln!(self.stdin, "{index}").unwrap();
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Starter {
    fn drop(&mut self) {
        // It does nothing between two runs.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
