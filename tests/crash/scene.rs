//! A program about to run on a site of its own, and what the site's files were before and are after.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use support::programs;
use support::site::{Site, files_below};
use support::strace::{self, Call, Fault};

/// A program about to run.
pub(crate) struct Scene {
    pub(crate) site: Site,
    pub(crate) program: &'static str,
    pub(crate) argv: Vec<OsString>,
}

impl Scene {
    pub(crate) fn new(site: Site, program: &'static str, argv: &[&str]) -> Self {
        Self { site, program, argv: argv.iter().map(OsString::from).collect() }
    }

    /// Runs it undisturbed.
    #[track_caller]
    pub(crate) fn run(&self) -> Output {
        self.run_other(self.program, &self.argv)
    }

    /// Runs another of the seven on the same site. Its parent is this test, as it is that of all others.
    #[track_caller]
    pub(crate) fn run_other(&self, program: &str, argv: &[OsString]) -> Output {
        self.site.slurm().run_apart(&programs::program(program), argv)
    }

    /// Runs it, and lists its system calls.
    #[track_caller]
    pub(crate) fn calls(&self) -> Vec<Call> {
        strace::trace(&self.site.slurm(), &programs::program(self.program), &self.argv).0
    }

    /// Runs it with one call struck.
    #[track_caller]
    pub(crate) fn run_struck(&self, call: &Call, fault: Fault) -> Output {
        let program = programs::program(self.program);
        strace::strike(&self.site.slurm(), &program, &self.argv, call, fault)
    }

    /// Every file of the site.
    pub(crate) fn files(&self) -> Files {
        let root = self.site.path("");
        let relative = |path: &Path| path.strip_prefix(&root).unwrap().to_owned();
        let file = |(path, contents): (PathBuf, Vec<u8>)| {
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
            (relative(&path), File { mode, contents })
        };
        Files(files_below(&root).into_iter().map(file).collect())
    }
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) mode: u32,
    pub(crate) contents: Vec<u8>,
}

/// The files of a site, by their paths in it.
pub(crate) struct Files(BTreeMap<PathBuf, File>);

impl Files {
    /// The files whose path ends so.
    pub(crate) fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = (&'a Path, &'a File)> {
        let files = self.0.iter().map(|(path, file)| (path.as_path(), file));
        files.filter(move |(path, _)| path.to_str().unwrap().ends_with(end))
    }

    /// The text of the only file whose path ends so, empty when there is none.
    #[track_caller]
    pub(crate) fn text(&self, end: &str) -> String {
        let found: Vec<_> = self.ending(end).collect();
        assert!(found.len() <= 1, "{found:?}");
        found.first().map_or_else(String::new, |(_, file)| String::from_utf8(file.contents.clone()).unwrap())
    }

    /// What is half written is readable for its owner alone.
    #[track_caller]
    pub(crate) fn assert_leftovers_are_private(&self) {
        for (path, file) in self.ending(".tmp") {
            assert_eq!(file.mode, 0o600, "{}", path.display());
        }
    }

    /// Nothing that was there changed, and nothing came, except where `may_change` says so.
    #[track_caller]
    pub(crate) fn assert_unchanged_since(&self, before: &Self, may_change: impl Fn(&str) -> bool) {
        for path in self.0.keys().chain(before.0.keys()) {
            let text = path.to_str().unwrap();
            if !may_change(text) {
                assert_eq!(self.0.get(path), before.0.get(path), "{text}");
            }
        }
    }
}
