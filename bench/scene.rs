//! Two scratch sites with one node each, and how every program is called on them.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::programs::{SEVEN, program, reference};
use support::site::Site;
use support::slurm::Slurm;

const NODE: &str = "n1";

/// One program with its arguments, ready to be started again and again.
pub(crate) struct Call {
    /// As the table names it.
    pub(crate) name: String,
    file: PathBuf,
    argv: Vec<OsString>,
    slurm: Slurm,
}

impl Call {
    fn new(slurm: &Slurm, name: &str, file: PathBuf, argv: &[&str]) -> Self {
        let argv = argv.iter().map(OsString::from).collect();
        Self { name: name.to_owned(), file, argv, slurm: slurm.clone() }
    }

    /// The environment, folder and stdin that Slurm gives it.
    pub(crate) fn command(&self) -> Command {
        self.slurm.command(&self.file, &self.argv)
    }

    /// How long the program is, in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.file.metadata().unwrap().len()
    }
}

/// A program of ours and its shell twin.
pub(crate) struct Pair {
    pub(crate) ours: Call,
    pub(crate) twin: Call,
}

/// Everything that is measured. The sites live as long as this value.
pub(crate) struct Scene {
    /// A static C program, and a static Rust program, that do nothing.
    pub(crate) floors: Vec<Call>,
    /// The seven.
    pub(crate) pairs: Vec<Pair>,
    _sites: [Site; 2],
}

impl Scene {
    /// Ours on a site as `init` lays it out, with records, bound requests, a key for each request and a synced
    /// ledger; the scripts on SchedMD's layout, with a list and one lasting key.
    pub(crate) fn new() -> Self {
        let (mut ours, mut theirs) = (Site::new(), Site::foreign());
        ours.enrol(NODE);
        let their_token = theirs.enrol_by_list(NODE);
        let our_calls = calls(&ours.slurm(), &ours.token(NODE), program);
        let twins = calls(&theirs.slurm(), &their_token, reference);
        let pairs = our_calls.into_iter().zip(twins).map(|(ours, twin)| Pair { ours, twin }).collect();
        Self { floors: floors(), pairs, _sites: [ours, theirs] }
    }
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

/// `cargo xtask bench` builds them and says where.
fn floors() -> Vec<Call> {
    let folder = env::var_os("SLURM_PKI_FLOOR").expect("cargo xtask bench sets SLURM_PKI_FLOOR");
    let call = |name: &str, file: &str| Call::new(&Slurm::bare(), name, Path::new(&folder).join(file), &[]);
    vec![call("exit (static C)", "exit"), call("nothing (static Rust)", "nothing")]
}
