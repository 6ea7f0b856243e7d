//! Scratch sites with one node each, and how every program is called on them.

use std::env;
use std::ffi::OsString;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::programs::{SEVEN, program, reference};
use support::site::Site;
use support::slurm::Slurm;
use tempfile::TempDir;
use vault_stand_in::Fault;

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
    /// The seven, and what sign_csr costs without waiting for a disk.
    pub(crate) pairs: Vec<Pair>,
    /// The two that ask a Vault, each beside itself with everything in files.
    pub(crate) vaults: Vec<Pair>,
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
        let twins = || calls(&theirs.slurm(), &their_token, reference);
        let seven = |site: &Site| calls(&site.slurm(), &site.token(NODE), program);
        let mut pairs = pairs(seven(&ours), twins());
        pairs.extend(pairs_of_sign_csr(seven(&unsynced), twins()));
        let mut sites = vec![ours, unsynced, theirs];
        let mut vaults = Vec::new();
        for delay in DELAYS {
            let site = vault_site(memory.path(), delay);
            vaults.extend(pairs_of_vault(seven(&site), seven(sites.first().unwrap()), delay));
            sites.push(site);
        }
        Self { floors: floors(), pairs, vaults, _sites: sites, _memory: memory }
    }
}

/// How long the stand-in for Vault waits before each answer.
const DELAYS: [Duration; 2] = [Duration::ZERO, Duration::from_millis(20)];

/// CA and records in a Vault of its own; everything else as in our site.
fn vault_site(memory: &Path, delay: Duration) -> Site {
    let mut site = Site::in_vault();
    site.enrol(NODE);
    site.set("node", "key_dir", memory.join("keys").to_str().unwrap());
    site.write_config();
    if !delay.is_zero() {
        site.vault().server.fail("", Fault::Slow(delay), u32::MAX);
    }
    site
}

/// The two that ask, under names of their own.
fn pairs_of_vault(ours: Vec<Call>, local: Vec<Call>, delay: Duration) -> Vec<Pair> {
    let mut found = pairs(ours, local);
    found.retain(|pair| ["validate_node_token", "sign_csr"].contains(&pair.ours.name.as_str()));
    found.iter_mut().for_each(|pair| pair.ours.name += &format!(", Vault stand-in {} ms", delay.as_millis()));
    found
}

/// Node keys lie in memory, as they do in /run on a host; the ledger does where a folder for it is named.
fn our_site(memory: &Path, ledger: Option<&str>) -> Site {
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

fn pairs(ours: Vec<Call>, twins: Vec<Call>) -> Vec<Pair> {
    ours.into_iter().zip(twins).map(|(ours, twin)| Pair { ours, twin }).collect()
}

/// sign_csr alone, under a name of its own.
fn pairs_of_sign_csr(ours: Vec<Call>, twins: Vec<Call>) -> Vec<Pair> {
    let mut found = pairs(ours, twins);
    found.retain(|pair| pair.ours.name == "sign_csr");
    found.iter_mut().for_each(|pair| pair.ours.name += ", ledger in memory");
    found
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
