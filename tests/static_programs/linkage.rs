//! What the files say about themselves.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use support::programs::{self, SEVEN};

/// A static glibc program that calls one of these loads a library of the host it happens to run on.
const LOOK_UPS: [&str; 9] = [
    "getpw",
    "getgrnam",
    "getgrgid",
    "getaddrinfo",
    "getnameinfo",
    "gethostbyname",
    "gethostbyaddr",
    "getservby",
    "nss_",
];

/// What glibc's fork(2) does about tables that nobody here has asked for. The two that start slurm-pki-signer link it; a
/// look-up would show by other names too.
const FORK: [&str; 2] = ["__nss_database_fork_prepare_parent", "__nss_database_fork_subprocess"];

/// Bytes of one stripped program. sign_csr, the largest, has some 1.9 million on musl and 2.6 on glibc: a library that is
/// drawn in without being needed shows here.
const MOST: u64 = 2_900_000;

pub(crate) fn looks_nobody_up() {
    for name in SEVEN {
        let program = unstripped(name);
        let symbols = tool("nm", &[program.as_os_str()]);
        let symbols: Vec<_> = symbols.lines().filter_map(|line| line.split_whitespace().last()).collect();
        assert!(symbols.contains(&"main"), "{} has no symbols", program.display());
        let bad: Vec<_> = symbols.iter().filter(|symbol| is_look_up(symbol)).collect();
        assert!(bad.is_empty(), "{name} links {bad:?}");
    }
}

fn is_look_up(symbol: &str) -> bool {
    let plain = symbol.trim_start_matches('_');
    !FORK.contains(&symbol) && LOOK_UPS.iter().any(|look_up| plain.starts_with(look_up))
}

pub(crate) fn is_static() {
    for name in SEVEN {
        for program in [programs::program(name), unstripped(name)] {
            let headers =
                tool("readelf", &["-W".as_ref(), "-l".as_ref(), "-d".as_ref(), program.as_os_str()]);
            assert!(headers.contains("LOAD"), "{headers}");
            assert!(!headers.contains("INTERP") && !headers.contains("(NEEDED)"), "{name}: {headers}");
            let ldd = Command::new("ldd").env("LC_ALL", "C").arg(&program).output().unwrap();
            let said = String::from_utf8([ldd.stdout, ldd.stderr].concat()).unwrap();
            let says_so = said.contains("statically linked") || said.contains("not a dynamic executable");
            assert!(says_so, "{name}: {said}");
        }
    }
}

pub(crate) fn is_small() {
    let sizes = SEVEN.map(|name| (name, fs::metadata(programs::program(name)).unwrap().len()));
    let large: Vec<_> = sizes.iter().filter(|(_, bytes)| *bytes > MOST).collect();
    assert!(large.is_empty(), "more than {MOST} bytes: {large:?}");
}

/// The same build, before `strip`.
fn unstripped(name: &str) -> PathBuf {
    let folder = match env::var_os("SLURM_PKI_UNSTRIPPED") {
        Some(folder) => programs::workspace().join(folder),
        None => programs::workspace().join("target/dist/unstripped"),
    };
    let program = folder.join(name);
    assert!(program.is_file(), "no {}: cargo xtask build makes it", program.display());
    program
}

fn tool(name: &str, arguments: &[&OsStr]) -> String {
    let output = Command::new(name).env("LC_ALL", "C").args(arguments).output();
    let output = output.unwrap_or_else(|e| panic!("{name} (package binutils): {e}"));
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
