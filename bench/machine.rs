//! What the measuring was done on, and how quiet it was there.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::programs::Programs;

/// Seen at the beginning.
pub(crate) struct Machine {
    processor: String,
    processors: usize,
    memory_gib: u64,
    kernel: String,
    system: String,
    shell: String,
    openssl: String,
    rustc: String,
    load: String,
    stolen: u64,
}

impl Machine {
    pub(crate) fn seen() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let value = |text: &str, key: &str, sign: char| {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line.map(|rest| rest.trim_start().trim_start_matches(sign).trim().trim_matches('"').to_owned())
                .unwrap_or_default()
        };
        let first_line = |program: &str, option: &str| {
            let output = Command::new(program).arg(option).output();
            let text =
                output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
            text.lines().next().unwrap_or_default().to_owned()
        };
        let kib: u64 =
            value(&read("/proc/meminfo"), "MemTotal", ':').trim_end_matches(" kB").parse().unwrap_or(0);
        let shell = fs::read_link("/bin/sh").map(|path| path.display().to_string()).unwrap_or_default();
        Self {
            processor: value(&read("/proc/cpuinfo"), "model name", ':'),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: kib.div_ceil(1024 * 1024),
            // A version, and not what whoever built it added.
            kernel: read("/proc/sys/kernel/osrelease")
                .trim()
                .splitn(3, '.')
                .take(2)
                .collect::<Vec<_>>()
                .join("."),
            system: value(&read("/etc/os-release"), "PRETTY_NAME", '='),
            shell,
            openssl: first_line("openssl", "version"),
            rustc: first_line("rustc", "--version"),
            load: read("/proc/loadavg").split(' ').take(2).collect::<Vec<_>>().join(" "),
            stolen: stolen(),
        }
    }

    /// One paragraph, and how noisy it was.
    pub(crate) fn described(&self, programs: Option<&Programs>) -> String {
        format!(
            "{}; {} processors of {}, {} GiB; Linux {}; /bin/sh is {}; {}; {}. Load before the run: {} (1 and 5 minutes); time \
             stolen by other machines during it: {} ms.{}\n",
            self.system,
            self.processors,
            self.processor,
            self.memory_gib,
            self.kernel,
            self.shell,
            self.openssl,
            self.rustc,
            self.load,
            (stolen() - self.stolen) * 10,
            programs.map(|programs| format!(" {}", noise(programs))).unwrap_or_default()
        )
    }

    pub(crate) fn json(&self, programs: Option<&Programs>) -> Value {
        json!({
            "processor": self.processor, "processors": self.processors, "memory_gib": self.memory_gib, "kernel": self.kernel,
            "system": self.system, "sh": self.shell, "openssl": self.openssl, "rustc": self.rustc,
            "load_before": self.load, "stolen_ms": (stolen() - self.stolen) * 10,
            "spread_of_doing_nothing_percent": programs.map(|programs| programs.nothing().wall.spread()),
        })
    }
}

/// How far apart the runs of the program that does nothing are: that is the machine's part in everything.
fn noise(programs: &Programs) -> String {
    let wall = &programs.nothing().wall;
    let (spread, far) = (wall.spread(), wall.median() / wall.min());
    let judged = match spread {
        spread if spread < 10.0 => "a quiet machine: ratios are good to a few hundredths",
        spread if spread < 30.0 => "a machine with some noise: ratios are good to a tenth",
        _ => "A NOISY MACHINE: ratios tell the order only, times nothing",
    };
    format!(
        "The middle half of the runs of doing nothing lies within {spread:.0} % of their median, which is {far:.2} times the shortest: {judged}."
    )
}

/// Hundredths of a second that a hypervisor gave to others (proc_stat(5)).
fn stolen() -> u64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let all = stat.lines().next().unwrap_or_default();
    all.split_whitespace().nth(8).and_then(|ticks| ticks.parse().ok()).unwrap_or(0)
}
