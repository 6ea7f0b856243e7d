//! An empty root: no /proc, no /etc, no /dev, no library; the program and the files of its own.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use support::programs::{self, SEVEN};
use support::site::Site;
use support::slurm::Slurm;

use crate::exchange::Exchange;

/// What each program needs of the site, files and folders.
const OWN: [(&str, &[&str]); 7] = [
    ("get_node_token", &["slurm-pki.toml", "node/n1_token.txt"]),
    ("generate_csr", &["slurm-pki.toml", "node/n1_token.txt"]),
    ("get_cert_key", &["slurm-pki.toml", "node/n1_token.txt", "node/keys"]),
    ("validate_node_token", &["slurm-pki.toml", "state/tokens"]),
    ("sign_csr", &["slurm-pki.toml", "ca_cert.pem", "state/ca", "state/tokens", "state/ledger"]),
    ("keygen", &[]),
    ("certgen", &[]),
];

/// Where the files of a site lie when no config says otherwise.
const DEFAULT_PATHS: [(&str, &str); 5] = [
    ("ca_cert.pem", "etc/slurm/ca_cert.pem"),
    ("node/n1_token.txt", "etc/slurm/certmgr/n1_token.txt"),
    ("state/ca", "var/lib/slurm-pki/ca"),
    ("state/tokens", "var/lib/slurm-pki/tokens"),
    ("state/ledger", "var/lib/slurm-pki/ledger"),
];

pub(crate) fn is_enough() {
    Exchange::new().run(|site, program, argv| {
        let root = tempfile::tempdir().unwrap();
        let own = OWN.iter().find(|(name, _)| *name == program).unwrap().1;
        let within = |path: &Path| root.path().join(path.strip_prefix("/").unwrap());
        own.iter().for_each(|name| copy(&site.path(name), &within(&site.path(name))));
        copy(&programs::program(program), &root.path().join(program));
        let before = names(root.path());
        let answer = answer(&site.slurm(), root.path(), program, argv);
        // The node's next program finds what this one made.
        bring_back(site, &within(&site.path("node/keys")));
        answer.unwrap_or_else(|said| panic!("{program} on {before:?}: {said}"))
    });
}

/// A host without a config, and with no SLURM_PKI_CONF in its daemons' environment.
pub(crate) fn needs_no_config() {
    let mut exchange = Exchange::new();
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    DEFAULT_PATHS.iter().for_each(|(name, place)| copy(&exchange.site.path(name), &root.join(place)));
    fs::create_dir(root.join("run")).unwrap();
    SEVEN.iter().for_each(|program| copy(&programs::program(program), &root.join(program)));
    exchange.run(|_, program, argv| {
        let answer = answer(&Slurm::bare(), root, program, argv);
        answer.unwrap_or_else(|said| panic!("{program}: {said}"))
    });
    let made = names(root);
    let is_made = |folder: &str, end: &str| {
        made.iter().any(|path| path.starts_with(root.join(folder)) && path.to_str().unwrap().ends_with(end))
    };
    assert!(is_made("run/slurm-pki/node", ".key"), "{made:?}");
    assert!(is_made("var/lib/slurm-pki/ledger", ".jsonl"), "{made:?}");
}

/// What a program says with this folder as its root; what it complains about, when it does.
fn answer(slurm: &Slurm, root: &Path, program: &str, argv: &[&str]) -> Result<String, String> {
    let mut words = vec![root.to_str().unwrap().to_owned(), format!("/{program}")];
    words.extend(argv.iter().map(|word| (*word).to_owned()));
    let output = slurm.run_apart(&chroot(), &words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() && said.is_empty() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(said)
    }
}

fn bring_back(site: &Site, keys: &Path) {
    if keys.is_dir() {
        copy(keys, &site.path("node/keys"));
    }
}

/// A file or a folder with all that is in it, modes included.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    if from.is_file() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

fn names(folder: &Path) -> Vec<PathBuf> {
    support::site::files_below(folder).into_iter().map(|(path, _)| path).collect()
}

/// Debian keeps it out of a user's PATH.
fn chroot() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join("chroot")).find(|file| file.is_file()).expect("chroot, of coreutils")
}
