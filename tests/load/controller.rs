//! A controller host: it runs the two programs of slurmctld, under its own host name where it has one.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use pki::x509::X509;
use support::programs;
use support::site::Site;

/// A host that runs validate_node_token and sign_csr.
pub(crate) enum Controller {
    /// This one.
    Here,
    /// One with another host name: a UTS namespace that lives as long as this value.
    Named(Namespace),
}

/// What sign_csr printed for a node.
pub(crate) struct Issued {
    pub(crate) node: String,
    pub(crate) serial: String,
    pub(crate) spki: Vec<u8>,
}

impl Controller {
    /// A second host as far as names go. Needs root.
    pub(crate) fn named(name: &str) -> Self {
        Self::Named(Namespace::new(name))
    }

    /// validate_node_token.
    pub(crate) fn validates(&self, site: &Site, node: &str, token: &str) -> bool {
        self.run(site, "validate_node_token", &[node, token]).status.success()
    }

    /// sign_csr, which must print a certificate.
    #[track_caller]
    pub(crate) fn signs(&self, site: &Site, node: &str, request: &str) -> Issued {
        let Output { status, stdout, stderr } = self.run(site, "sign_csr", &[request]);
        assert!(status.success() && stderr.is_empty(), "{node}: {}", String::from_utf8_lossy(&stderr));
        let certificates = X509::all_from_pem(&stdout, stdout.len()).unwrap();
        let leaf = certificates[0].facts();
        assert_eq!(leaf.common_names, [node.as_bytes()]);
        Issued { node: node.to_owned(), serial: leaf.serial.clone(), spki: leaf.spki.clone() }
    }

    /// One of the two programs.
    pub(crate) fn run(&self, site: &Site, program: &str, argv: &[&str]) -> Output {
        let program = programs::program(program);
        match self {
            Self::Here => site.slurm().run_apart(&program, argv),
            Self::Named(namespace) => {
                let mut words = vec![namespace.option(), program.into_os_string()];
                words.extend(argv.iter().map(OsString::from));
                site.slurm().run_apart(Path::new("/usr/bin/nsenter"), &words)
            }
        }
    }
}

/// A UTS namespace, kept by a process that waits for its stdin to close.
pub(crate) struct Namespace(Child);

impl Namespace {
    fn new(name: &str) -> Self {
        let rename = format!("echo {name} > /proc/sys/kernel/hostname && echo ready && exec cat");
        let mut unshare = Command::new("unshare");
        unshare.args(["--uts", "sh", "-c", &rename]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = unshare.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let namespace = Self(keeper);
        assert_eq!(line, "ready\n", "no UTS namespace called {name}");
        namespace
    }

    fn option(&self) -> OsString {
        format!("--uts=/proc/{}/ns/uts", self.0.id()).into()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
