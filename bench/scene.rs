//! Scratch sites with one node each, and how every program is called on them.

use std::env;
use std::ffi::OsString;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::programs::{SEVEN, program, reference};
use support::site::Site;
use support::slurm::Slurm;
use tempfile::TempDir;

pub(crate) const NODE: &str = "n1";

/// One program with its arguments, ready to be started again and again.
pub(crate) struct Call {
    /// As the tables name it.
    pub(crate) name: String,
    file: PathBuf,
    argv: Vec<OsString>,
    slurm: Slurm,
    /// It writes to stderr though all is well.
    pub(crate) is_talkative: bool,
}

impl Call {
    pub(crate) fn new(slurm: &Slurm, name: &str, file: PathBuf, argv: &[&str]) -> Self {
        let argv = argv.iter().map(OsString::from).collect();
        Self { name: name.to_owned(), file, argv, slurm: slurm.clone(), is_talkative: false }
    }

    /// The program and its arguments.
    pub(crate) fn words(&self) -> Vec<OsString> {
        [vec![self.file.clone().into_os_string()], self.argv.clone()].concat()
    }

    /// Who runs it.
    pub(crate) fn slurm(&self) -> &Slurm {
        &self.slurm
    }

    /// Started by another program, as its last arguments.
    pub(crate) fn through(&self, starter: &str, options: &[&str]) -> Command {
        let options = options.iter().map(OsString::from);
        self.slurm.command(Path::new(starter), &options.chain(self.words()).collect::<Vec<_>>())
    }

    /// How long the program is, in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.file.metadata().unwrap().len()
    }
}

/// Everything that is measured as one process. The sites live as long as this value.
pub(crate) struct Scene {
    /// A static C program that does nothing, and a static Rust program: with glibc, and as the seven are built.
    pub(crate) floors: Vec<Call>,
    /// The seven, with a synced ledger.
    pub(crate) ours: Vec<Call>,
    /// The one that keeps a ledger, with that in memory: what it costs without waiting for a disk.
    pub(crate) unsynced: Call,
    /// The seven as shell scripts.
    pub(crate) twins: Vec<Call>,
    /// Where the scripts keep their files.
    pub(crate) theirs: Site,
    _sites: Vec<Site>,
    _memory: TempDir,
}

impl Scene {
    /// Ours on a site as `init` lays it out, with records, bound requests, a key for each request and a synced
    /// ledger; the scripts on SchedMD's layout, with a list and one lasting key, and nothing synced.
    pub(crate) fn new() -> Self {
        let memory = tempfile::tempdir_in("/dev/shm").unwrap();
        let (ours, unsynced) = (our_site(memory.path(), None), our_site(memory.path(), Some("ledger")));
        let mut theirs = Site::foreign();
        let their_token = theirs.enrol_by_list(NODE);
        let mut unsynced_calls = seven(&unsynced);
        unsynced_calls.retain(|call| call.name == "sign_csr");
        let mut in_memory = unsynced_calls.remove(0);
        in_memory.name += ", ledger in memory";
        Self {
            floors: floors(),
            ours: seven(&ours),
            unsynced: in_memory,
            twins: calls(&theirs.slurm(), &their_token, reference),
            theirs,
            _sites: vec![ours, unsynced],
            _memory: memory,
        }
    }
}

/// Our seven on a site where [`NODE`] is enrolled.
pub(crate) fn seven(site: &Site) -> Vec<Call> {
    calls(&site.slurm(), &site.token(NODE), program)
}

/// Node keys lie in memory, as they do in /run on a host; the ledger does where a folder for it is named.
pub(crate) fn our_site(memory: &Path, ledger: Option<&str>) -> Site {
    let mut site = Site::new();
    site.enrol(NODE);
    let text = |name: &str| memory.join(name).to_str().unwrap().to_owned();
    site.set("node", "key_dir", text("keys"));
    if let Some(name) = ledger {
        DirBuilder::new().mode(0o700).create(memory.join(name)).unwrap();
        site.set("controller", "ledger", text(name));
    }
    site.write_config();
    site
}

/// The seven in the order of an enrolment. What one answers is the argument of another.
fn calls(slurm: &Slurm, token: &str, file: fn(&str) -> PathBuf) -> Vec<Call> {
    let answer = |name: &str, argv: &[&str]| slurm.run(&file(name), argv).text();
    let csr = answer("generate_csr", &[NODE]);
    let key = answer("keygen", &[]);
    let argv_of = |name: &str| match name {
        "validate_node_token" => vec![NODE, token],
        "sign_csr" => vec![csr.as_str()],
        "keygen" => vec![],
        "certgen" => vec![key.as_str()],
        _ => vec![NODE],
    };
    SEVEN.iter().map(|name| Call::new(slurm, name, file(name), &argv_of(name))).collect()
}

fn floors() -> Vec<Call> {
    let call = |name: &str, file: &str| Call::new(&Slurm::bare(), name, floor(file), &[]);
    vec![
        call("exit (static C, glibc)", "exit"),
        call("nothing (static Rust, glibc)", "nothing-gnu"),
        call("nothing (static Rust)", "nothing"),
    ]
}

/// A program of `floor/`; `cargo xtask bench` builds them and says where.
pub(crate) fn floor(file: &str) -> PathBuf {
    let folder = env::var_os("SLURM_PKI_FLOOR").expect("cargo xtask bench sets SLURM_PKI_FLOOR");
    Path::new(&folder).join(file)
}
