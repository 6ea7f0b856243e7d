//! What other users see of a running program: none of its arguments, none of its memory, no core dump.
//!
//! The program is held at its very last step: whoever reads its answer has not made room for it yet.

use std::fs;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use pki::key::{KeyKind, PrivateKey};
use rustix::fs::{OFlags, fcntl_setfl};
use support::bound_request::bound_request;
use support::programs;
use support::site::Site;
use support::slurm::Slurm;

const NOBODY: u32 = 65534;

#[test]
fn nobody_sees_the_key_that_certgen_was_given() {
    let key = PrivateKey::generate(KeyKind::P256).unwrap().to_pem();
    let key = String::from_utf8(key.expose().to_vec()).unwrap();
    let mut certgen = command(&Slurm::bare(), "certgen", &[&key]);
    let (reader, pipe) = full_pipe();
    certgen.stdout(pipe);
    let (status, said) = Held::start(certgen, reader).wait_until_concealed().let_go();
    assert!(status.success());
    assert!(said.contains("BEGIN CERTIFICATE"));
}

#[test]
fn nobody_sees_the_request_that_sign_csr_was_given() {
    let site = site();
    let request = bound_request(site.secret("n1"), "n1");
    let mut sign_csr = command(&site.slurm(), "sign_csr", &[&request]);
    let (reader, pipe) = full_pipe();
    sign_csr.stdout(pipe);
    let (status, said) = Held::start(sign_csr, reader).wait_until_concealed().let_go();
    assert!(status.success());
    assert!(said.contains("BEGIN CERTIFICATE"));
}

#[test]
fn nobody_sees_the_token_that_validate_node_token_was_given() {
    let site = site();
    let token = site.token("n1") + "x";
    let mut validate = command(&site.slurm(), "validate_node_token", &["n1", &token]);
    let (reader, pipe) = full_pipe();
    validate.stderr(pipe);
    let (status, said) = Held::start(validate, reader).wait_until_concealed().let_go();
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("token rejected") && !said.contains(&token), "{said}");
}

/// A site of the user who will run the program.
fn site() -> Site {
    let mut site = Site::new();
    site.enrol("n1");
    if rustix::process::geteuid().is_root() {
        site.give_to(NOBODY, NOBODY);
    }
    site
}

/// Never as root, who may look at everything: the kernel then shows no difference.
fn command(slurm: &Slurm, program: &str, argv: &[&str]) -> Command {
    let slurm = slurm.clone();
    let root = rustix::process::geteuid().is_root();
    let slurm = if root { slurm.as_user(NOBODY, NOBODY) } else { slurm };
    slurm.command(&programs::program(program), argv)
}

/// A pipe without room for another byte.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = io::pipe().unwrap();
    fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
    // A pipe takes so few bytes whole or not at all.
    let full = loop {
        if let Err(e) = writer.write_all(&[b' '; 512]) {
            break e.kind();
        }
    };
    assert_eq!(full, ErrorKind::WouldBlock);
    fcntl_setfl(&writer, OFlags::empty()).unwrap();
    (reader, writer)
}

/// A program that cannot end before we read from its pipe.
struct Held {
    child: Child,
    pipe: PipeReader,
}

impl Held {
    /// The command goes with its end of the pipe, so that the other end has an end.
    fn start(mut command: Command, pipe: PipeReader) -> Self {
        Self { child: command.spawn().unwrap(), pipe }
    }

    /// Waits until its arguments are gone, its memory is closed and its core dumps are off.
    #[track_caller]
    fn wait_until_concealed(mut self) -> Self {
        self.reaches("arguments of zeros", |proc| {
            let cmdline = fs::read(format!("{proc}/cmdline")).unwrap();
            let own_name = cmdline.split(|b| *b == 0).next().unwrap().len();
            own_name > 0 && cmdline[own_name..].iter().all(|b| *b == 0)
        });
        self.reaches("memory that belongs to root", |proc| {
            fs::metadata(format!("{proc}/mem")).unwrap().uid() == 0
        });
        self.reaches("a core limit of 0", |proc| {
            let limits = fs::read_to_string(format!("{proc}/limits")).unwrap();
            let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
            core.split_ascii_whitespace().filter(|word| *word == "0").count() == 2
        });
        self
    }

    #[track_caller]
    fn reaches(&mut self, what: &str, holds: impl Fn(&str) -> bool) {
        let proc = format!("/proc/{}", self.child.id());
        let begun = Instant::now();
        while !holds(&proc) {
            assert!(self.child.try_wait().unwrap().is_none(), "it ended before it was read from");
            assert!(begun.elapsed() < Duration::from_secs(20), "it never has {what}");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Makes room, and returns how it ended and what it said.
    fn let_go(mut self) -> (ExitStatus, String) {
        let mut said = String::new();
        self.pipe.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap(), said.trim_start().to_owned())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
