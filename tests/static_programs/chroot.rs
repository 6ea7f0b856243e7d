//! An empty root: no /proc, no /etc, no /dev, no library; the program and the files of its own.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use support::programs;
use support::site::Site;

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

pub(crate) fn is_enough() {
    Exchange::new().run(|site, program, argv| {
        let root = tempfile::tempdir().unwrap();
        let own = OWN.iter().find(|(name, _)| *name == program).unwrap().1;
        let within = |path: &Path| root.path().join(path.strip_prefix("/").unwrap());
        own.iter().for_each(|name| copy(&site.path(name), &within(&site.path(name))));
        copy(&programs::program(program), &root.path().join(program));
        let before = names(root.path());
        let mut words = vec![root.path().to_str().unwrap().to_owned(), format!("/{program}")];
        words.extend(argv.iter().map(|word| (*word).to_owned()));
        let output = site.slurm().run_apart(&chroot(), &words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{program} on {before:?}: {said}");
        // The node's next program finds what this one made.
        bring_back(site, &within(&site.path("node/keys")));
        String::from_utf8(output.stdout).unwrap()
    });
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
