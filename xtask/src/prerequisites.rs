//! What a machine must have before a build or the tests can start, and how it is asked for.
//!
//! The C compiler is looked for once more, earlier, by `.cargo/compiler-present`: without it xtask itself cannot be linked.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

/// One thing that has to be on the machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tool {
    name: &'static str,
    kind: Kind,
    debian: &'static str,
    rhel: &'static str,
    /// Who needs it.
    purpose: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// A program on PATH.
    Program,
    /// A file that the C compiler finds when it links.
    Linked,
}

const fn program(name: &'static str, package: &'static str, purpose: &'static str) -> Tool {
    Tool { name, kind: Kind::Program, debian: package, rhel: package, purpose }
}

/// What `cargo xtask build` needs.
pub(crate) const BUILD: &[Tool] = &[
    program("cc", "gcc", "compiles the C in ring, and links"),
    program("ar", "binutils", "packs the C in ring"),
    program("ld", "binutils", "links"),
    program("strip", "binutils", "makes the programs small"),
    Tool {
        name: "crt1.o",
        kind: Kind::Linked,
        debian: "libc6-dev",
        rhel: "glibc-devel",
        purpose: "part of every program",
    },
    Tool {
        name: "libc.a",
        kind: Kind::Linked,
        debian: "libc6-dev",
        rhel: "glibc-static",
        purpose: "part of the static programs",
    },
];

/// What the step `fmt` needs.
pub(crate) const FORMAT: &[Tool] = &[program("cargo-fmt", "rustfmt", "checks the layout of the code")];

/// What the step `clippy` needs.
pub(crate) const LINT: &[Tool] = &[Tool {
    name: "cargo-clippy",
    kind: Kind::Program,
    debian: "rust-clippy",
    rhel: "clippy",
    purpose: "checks the code",
}];

/// What the step `static` needs.
pub(crate) const LINKAGE: &[Tool] = &[
    program("readelf", "binutils", "shows that a program is static"),
    Tool {
        name: "ldd",
        kind: Kind::Program,
        debian: "libc-bin",
        rhel: "glibc-common",
        purpose: "shows that a program is static",
    },
];

/// What the step `hvac` needs.
pub(crate) const HVAC: &[Tool] =
    &[program("python3", "python3-venv", "runs hvac, the judge of the stand-in for Vault")];

/// What the step `tests` needs.
pub(crate) const TESTS: &[Tool] = &[
    program("nm", "binutils", "lists what a static program links"),
    program("openssl", "openssl", "reads back what the programs write"),
    program("strace", "strace", "shows what the programs open"),
    Tool {
        name: "faketime",
        kind: Kind::Program,
        debian: "faketime",
        rhel: "libfaketime",
        purpose: "comes with the library that simulates twenty minutes",
    },
    program("systemd-analyze", "systemd", "checks the units (systemd itself need not run)"),
    program("logrotate", "logrotate", "rotates a ledger that is written to"),
    Tool {
        name: "promtool",
        kind: Kind::Program,
        debian: "prometheus",
        rhel: "golang-github-prometheus",
        purpose: "reads metrics and alerts (Prometheus itself need not run)",
    },
    program("unshare", "util-linux", "makes hosts of one machine"),
    program("man", "man-db", "shows the manual pages"),
    program("mandoc", "mandoc", "judges the manual pages"),
    program("zsh", "zsh", "completes commands"),
    program("fish", "fish", "completes commands"),
    program("ansible-playbook", "ansible-core", "lays bundles out"),
    program(
        "cloud-init",
        "cloud-init",
        "lays bundles out (and should be disabled: touch /etc/cloud/cloud-init.disabled)",
    ),
];

/// What the step `fleet` needs.
pub(crate) const FLEET: &[Tool] = &[
    program("unshare", "util-linux", "makes hosts of one machine"),
    program("sshd", "openssh-server", "is the hosts that the tests reach"),
    Tool {
        name: "ssh",
        kind: Kind::Program,
        debian: "openssh-client",
        rhel: "openssh-clients",
        purpose: "reaches the tests' hosts",
    },
    program("clush", "clustershell", "reaches the tests' hosts"),
    program("pdsh", "pdsh", "reaches the tests' hosts"),
    program("ansible", "ansible-core", "reaches the tests' hosts"),
];

/// What `cargo xtask bench` needs besides the build: what the shell scripts run.
pub(crate) const BENCH: &[Tool] = &[program("openssl", "openssl", "does the work of the shell scripts")];

/// What `cargo xtask dist` needs besides the build.
pub(crate) const DIST: &[Tool] = &[
    program("dpkg-deb", "dpkg", "makes packages for Debian"),
    Tool {
        name: "rpmbuild",
        kind: Kind::Program,
        debian: "rpm",
        rhel: "rpm-build",
        purpose: "makes packages for RHEL and kin",
    },
    program("readelf", "binutils", "shows what a program needs"),
    program("lintian", "lintian", "looks packages for Debian through"),
    program("rpmlint", "rpmlint", "looks packages for RHEL and kin through"),
    program("python3", "python3-venv", "installs zig, which builds for an older C library"),
];

/// What `cargo xtask slurm` needs.
pub(crate) const SLURM: &[Tool] = &[
    program("cc", "gcc", "compiles the probe of Slurm's library"),
    program("unshare", "util-linux", "makes namespaces for Slurm"),
    program("ip", "iproute2", "brings their loopback up"),
    program("npm", "npm", "installs the OpenID provider, once"),
];

/// What it needs to build a root with Debian's Slurm.
pub(crate) const SLURM_ROOT: &[Tool] = &[program("debootstrap", "debootstrap", "builds a root for Slurm")];

/// What `cargo xtask packages` needs besides `dist`.
pub(crate) const PACKAGES: &[Tool] = &[
    program("unshare", "util-linux", "makes namespaces for the systems"),
    program("ip", "iproute2", "brings their loopback up"),
    program("debootstrap", "debootstrap", "makes systems to install packages in"),
];

/// The names of those that are not there.
pub(crate) fn missing(tools: &[Tool]) -> Vec<&'static str> {
    tools.iter().filter(|tool| !present(tool)).map(|tool| tool.name).collect()
}

/// An error that names all of these that are missing, and the packages to install.
pub(crate) fn require(tools: &[Tool]) -> Result<()> {
    let missing: Vec<Tool> = tools.iter().filter(|tool| !present(tool)).copied().collect();
    if missing.is_empty() { Ok(()) } else { bail!(request(&missing)) }
}

fn present(tool: &Tool) -> bool {
    match tool.kind {
        Kind::Program => on_path(tool.name),
        Kind::Linked => compiler_finds(tool.name),
    }
}

/// Whether there is a program of this name.
pub(crate) fn on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Programs for root are not on everybody's PATH; the tests that run them look there too.
    let for_root = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(for_root).any(|folder| executable(&folder.join(name)))
}

fn executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// The compiler answers with the full path of a file that it has, and with the bare name of one that it has not.
fn compiler_finds(name: &str) -> bool {
    let answer = Command::new("cc").arg(format!("-print-file-name={name}")).output();
    answer.is_ok_and(|answer| String::from_utf8_lossy(&answer.stdout).contains('/'))
}

fn request(missing: &[Tool]) -> String {
    let mut text = String::from("something is missing on this machine:\n");
    for tool in missing {
        text += &format!("  {:12} {}\n", tool.name, tool.purpose);
    }
    let rhel = packages(missing, |tool| tool.rhel);
    text += &format!("Debian, Ubuntu:  apt install {}\n", packages(missing, |tool| tool.debian));
    text += &format!("RHEL and kin:    dnf install {rhel}");
    if rhel.contains("glibc-static") {
        text += "\n                 (glibc-static comes from the CRB repository: dnf config-manager --set-enabled crb)";
    }
    if missing.iter().any(|tool| tool.name.starts_with("cargo-")) {
        text += "\nRust by rustup:  rustup component add rustfmt clippy";
    }
    text
}

/// Each package once, in the order of the tools.
fn packages(missing: &[Tool], of: impl Fn(&Tool) -> &'static str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in missing.iter().map(of) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_every_tool_and_each_package_once() {
        let text = request(BUILD);
        assert!(text.contains("  strip        makes the programs small\n"), "{text}");
        assert!(text.contains("apt install gcc binutils libc6-dev\n"), "{text}");
        assert!(text.contains("dnf install gcc binutils glibc-devel glibc-static\n"), "{text}");
        assert!(text.contains("CRB"), "{text}");
    }

    #[test]
    fn a_request_without_static_parts_does_not_mention_their_repository() {
        assert!(!request(TESTS).contains("CRB"));
    }

    #[test]
    fn a_missing_program_is_an_error_and_a_present_one_is_not() {
        let error = require(&[program("no-such-program-here", "nosuch", "nothing")]).unwrap_err().to_string();
        assert!(error.contains("apt install nosuch\n"), "{error}");
        assert!(require(&[program("sh", "dash", "everything")]).is_ok());
    }

    #[test]
    fn the_compiler_finds_its_start_file_and_not_an_invented_one() {
        assert!(compiler_finds("crt1.o"));
        assert!(!compiler_finds("no-such-file.a"));
    }
}
