//! What rpm has to know of a system before it installs there.
//!
//! No package of EL is to be had where this runs, so the rest of the system is one package of ours that provides what EL 9's
//! own packages do: the C library with the versions of its symbols, the shell, systemd's tools. rpm judges by these, and
//! anything that ours ask for beyond them is refused as it would be there.

use anyhow::Result;

use crate::system::System;

/// The versions of the C library's symbols up to EL 9's 2.34.
const GLIBC: [&str; 28] = [
    "2.2.5", "2.2.6", "2.3", "2.3.2", "2.3.3", "2.3.4", "2.4", "2.5", "2.6", "2.7", "2.8", "2.9", "2.10",
    "2.11", "2.12", "2.13", "2.14", "2.15", "2.16", "2.17", "2.18", "2.22", "2.23", "2.24", "2.25", "2.26",
    "2.27", "2.28",
];

const LIBRARIES: [&str; 5] = ["libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1"];

const SPEC: &str = "/tmp/system.spec";

/// Makes an EL of a system: an empty database, but for that package.
pub(crate) fn prepare(system: &System<'_>) -> Result<()> {
    // By it the scripts would take it for Debian.
    system.sh("rm /etc/debian_version")?;
    system.write(SPEC, &spec())?;
    system.sh(&format!("rpm --initdb && rpmbuild -bb --quiet --define '_topdir /tmp/top' {SPEC}"))?;
    system.sh("rpm --install /tmp/top/RPMS/noarch/*.rpm && rm -r /tmp/top /tmp/system.spec").map(drop)
}

fn spec() -> String {
    let mut text = String::from(
        "Name: system\nVersion: 9\nRelease: 1\nSummary: What the packages of EL 9 provide\nLicense: MIT\nBuildArch: noarch\n\
         Provides: /bin/sh\nProvides: /usr/bin/systemd-sysusers\nProvides: rtld(GNU_HASH)\n\
         Provides: ld-linux-x86-64.so.2()(64bit)\nProvides: ld-linux-x86-64.so.2(GLIBC_2.3)(64bit)\n",
    );
    for library in LIBRARIES {
        text += &format!("Provides: {library}()(64bit)\n");
        text += &GLIBC.map(|version| format!("Provides: {library}(GLIBC_{version})(64bit)\n")).concat();
    }
    text + "%description\nWhat the packages of EL 9 provide.\n%files\n"
}
