//! Packages for RHEL and its kin and for SUSE, by rpmbuild: `packaging/rpm/slurm-pki.spec`, which includes what is written
//! here from the one table of contents.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::contents::Package;
use super::release::Release;
use super::scripts;
use super::stage::Staged;
use super::tree::{Entry, Tree};
use crate::workspace::{self, Workspace};

/// The package that the spec is named after: it comes first, and nothing says its name again.
const MAIN: &str = "slurm-pki";

/// What rpm may run.
const SCRIPTS: [&str; 5] = ["pre", "post", "preun", "postun", "posttrans"];

/// Makes all packages from their staged trees.
pub(crate) fn make(
    workspace: &Workspace,
    staged: &[Staged],
    release: &Release,
    out: &Path,
) -> Result<Vec<PathBuf>> {
    let work = out.join("rpmbuild");
    let all = Tree::new(work.join("staged"))?;
    let (main, others): (Vec<_>, Vec<_>) = staged.iter().partition(|one| one.package.name == MAIN);
    let mut packages = String::new();
    for one in main.into_iter().chain(others) {
        all.take(&one.tree)?;
        packages += &section(workspace, one, release, &work)?;
    }
    let included = work.join("packages.inc");
    fs::write(&included, packages).with_context(|| format!("cannot write {}", included.display()))?;
    build(workspace, release, out, &work)?;
    fs::remove_dir_all(&work).with_context(|| format!("cannot remove {}", work.display()))?;
    let file = |one: &Staged| {
        let (name, version) = (one.package.name, release.full_version());
        out.join(format!("{name}-{version}.{}.rpm", release.architecture.name()))
    };
    Ok(staged.iter().map(file).collect())
}

fn build(workspace: &Workspace, release: &Release, out: &Path, work: &Path) -> Result<()> {
    let mut rpmbuild = Command::new("rpmbuild");
    rpmbuild.env("SOURCE_DATE_EPOCH", release.date.to_string()).args(["-bb", "--quiet"]);
    rpmbuild.arg("--target").arg(format!("{}-linux", release.architecture.name()));
    let folder = |name: &str| work.join(name).display().to_string();
    for (name, value) in [
        ("_topdir", folder("top")),
        ("_rpmdir", out.display().to_string()),
        ("_rpmfilename", "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm".into()),
        ("staged", folder("staged")),
        ("packages", folder("packages.inc")),
        ("upstream_version", release.version.clone()),
        ("revision", release.revision.to_string()),
        ("publisher", release.publisher.clone()),
        ("day", release.dated("%a %b %d %Y")?),
    ] {
        rpmbuild.arg("--define").arg(format!("{name} {value}"));
    }
    workspace::answer(rpmbuild.arg(workspace.root.join("packaging/rpm/slurm-pki.spec"))).map(drop)
}

/// What the spec says about one package.
fn section(workspace: &Workspace, staged: &Staged, release: &Release, work: &Path) -> Result<String> {
    let package = staged.package;
    let name = package.name;
    let of = if name == MAIN { String::new() } else { format!(" -n {name}") };
    let mut text = if name == MAIN { String::new() } else { format!("%package{of}\n") };
    text += &format!("Summary: {}\n", capital(package.summary));
    for required in package.requires {
        text += &format!("Requires: {required} = {}\n", release.full_version());
    }
    for (_, file) in package.scripts_run {
        text += &format!("Requires(post): {file}\n");
    }
    for recommended in package.recommends {
        text += &format!("Recommends: {recommended}\n");
    }
    text += &format!("\n%description{of}\n{}\n\n", package.description);
    for script in SCRIPTS {
        if let Some(content) = scripts::rpm(workspace, package, script)? {
            let file = work.join(format!("{name}.{script}"));
            fs::write(&file, content).with_context(|| format!("cannot write {}", file.display()))?;
            text += &format!("%{script}{of} -f {}\n", file.display());
        }
    }
    text += &format!("%files{of}\n%defattr(-,root,root,-)\n");
    text += &staged.tree.entries()?.iter().filter_map(|entry| listed(entry, package)).collect::<String>();
    Ok(text + "\n")
}

/// The line of one file. Folders that other packages have as well are theirs: rpm would give them our mode and owner.
fn listed(entry: &Entry, package: &Package) -> Option<String> {
    let at = entry.at.display();
    let documents = Path::new("/usr/share/doc").join(package.name);
    if entry.folder {
        return is_ours(&entry.at).then(|| format!("%dir {at}\n"));
    }
    Some(if entry.at.starts_with("/etc") {
        format!("%config(noreplace) {at}\n")
    } else if entry.at == documents.join("copyright") {
        format!("%license {at}\n")
    } else if entry.at.starts_with(&documents) || entry.at.starts_with("/usr/share/man") {
        format!("%doc {at}\n")
    } else {
        format!("{at}\n")
    })
}

/// Folders of shells that a host may have without the shell: whoever has files in them owns them with the others.
const SHELLS: [&str; 4] = [
    "/usr/share/fish",
    "/usr/share/fish/vendor_completions.d",
    "/usr/share/zsh",
    "/usr/share/zsh/site-functions",
];

/// A folder below /usr that is named after us or a daemon of Slurm's, or is in one that is; or one of [`SHELLS`].
fn is_ours(at: &Path) -> bool {
    let named = |part: &std::ffi::OsStr| {
        let part = part.to_string_lossy();
        part.starts_with("slurm") || part.starts_with("sackd")
    };
    at.starts_with("/usr") && (at.iter().any(named) || SHELLS.iter().any(|folder| at == Path::new(folder)))
}

/// As rpm's summaries begin.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_system_and_of_slurms_own_packages_stay_theirs() {
        for theirs in ["/usr", "/usr/libexec", "/etc/slurm", "/usr/share/man/man1", "/usr/lib/systemd/system"]
        {
            assert!(!is_ours(Path::new(theirs)), "{theirs}");
        }
        for ours in [
            "/usr/libexec/slurm-pki",
            "/usr/share/doc/slurm-pki-node",
            "/usr/lib/systemd/system/slurmd.service.d",
        ] {
            assert!(is_ours(Path::new(ours)), "{ours}");
        }
    }

    #[test]
    fn a_summary_begins_with_a_capital() {
        assert_eq!(capital("enrolment of nodes"), "Enrolment of nodes");
    }
}
