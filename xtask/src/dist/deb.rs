//! Packages for Debian and Ubuntu, by dpkg-deb.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::contents::{PROGRAMS, Package};
use super::needs::Needs;
use super::release::Release;
use super::scripts;
use super::stage::Staged;
use super::tree::{Entry, READ, RUN, Tree};
use crate::workspace::{self, Workspace};

/// What dpkg may run.
const SCRIPTS: [&str; 4] = ["preinst", "postinst", "prerm", "postrm"];

/// Makes one package from its staged tree.
pub(crate) fn make(workspace: &Workspace, staged: &Staged, release: &Release, out: &Path) -> Result<PathBuf> {
    let package = staged.package;
    let tree = Tree::new(out.join(package.name).join("deb"))?;
    tree.take(&staged.tree)?;
    debian_changelog(&tree, package, release)?;
    debian_zsh(&tree)?;
    overrides(workspace, &tree, package)?;
    let entries = tree.entries()?;
    control_files(workspace, &tree, package, release, &entries)?;
    tree.date(release.date)?;
    let name = format!("{}_{}_{}.deb", package.name, release.full_version(), release.architecture.debian());
    let file = out.join(name);
    let mut build = Command::new("dpkg-deb");
    build.env("SOURCE_DATE_EPOCH", release.date.to_string());
    // One thread: several would pack differently. xz: every dpkg reads it.
    build.args(["--root-owner-group", "--threads-max=1", "-Zxz", "--build"]);
    workspace::answer(build.arg(tree.root()).arg(&file))?;
    fs::remove_dir_all(tree.root()).with_context(|| format!("cannot remove {}", tree.root().display()))?;
    Ok(file)
}

fn control_files(
    workspace: &Workspace,
    tree: &Tree,
    package: &Package,
    release: &Release,
    entries: &[Entry],
) -> Result<()> {
    let control = control(package, release, &depends(tree, package, release, entries)?, size(tree, entries)?);
    tree.write("/DEBIAN/control", control.as_bytes(), READ)?;
    tree.write("/DEBIAN/md5sums", sums(tree, entries)?.as_bytes(), READ)?;
    let kept: Vec<&Entry> = entries.iter().filter(|entry| is_config(entry)).collect();
    if !kept.is_empty() {
        let list: String = kept.iter().map(|entry| format!("{}\n", entry.at.display())).collect();
        tree.write("/DEBIAN/conffiles", list.as_bytes(), READ)?;
    }
    for name in SCRIPTS {
        if let Some(text) = scripts::debian(workspace, package, name)? {
            tree.write(format!("/DEBIAN/{name}"), text.as_bytes(), RUN)?;
        }
    }
    Ok(())
}

/// The admin's files: dpkg asks before it replaces a changed one.
fn is_config(entry: &Entry) -> bool {
    entry.file && entry.at.starts_with("/etc")
}

fn control(package: &Package, release: &Release, depends: &str, size: u64) -> String {
    let mut text = format!(
        "Package: {}\nVersion: {}\nArchitecture: {}\nMaintainer: {}\nInstalled-Size: {size}\n",
        package.name,
        release.full_version(),
        release.architecture.debian(),
        release.publisher,
    );
    let recommends = package.recommends.join(", ");
    for (field, value) in [("Depends", depends), ("Recommends", &recommends)] {
        if !value.is_empty() {
            text += &format!("{field}: {value}\n");
        }
    }
    text += &format!("Section: admin\nPriority: optional\nDescription: {}\n", package.summary);
    text + &package.description.lines().map(|line| format!(" {line}\n")).collect::<String>()
}

/// The C library as new as the programs need it, and packages of ours in the same version.
fn depends(tree: &Tree, package: &Package, release: &Release, entries: &[Entry]) -> Result<String> {
    let mut depends: Vec<String> = Vec::new();
    let programs = entries.iter().filter(|entry| entry.file && entry.at.starts_with(PROGRAMS));
    let mut newest = None;
    for entry in programs {
        let path = tree.path(&entry.at);
        if !is_elf(&path)? {
            continue;
        }
        let needs = Needs::of(&path)?;
        newest = newest.max(needs.glibc);
        for library in needs.others {
            let provider = match library.as_str() {
                "libgcc_s.so.1" => "libgcc-s1",
                _ => anyhow::bail!("{} needs {library}, and no package is known for it", entry.at.display()),
            };
            if !depends.iter().any(|known| known == provider) {
                depends.push(provider.to_owned());
            }
        }
    }
    if let Some(newest) = newest {
        depends.insert(0, format!("libc6 (>= {newest})"));
    }
    let same = |name: &&str| format!("{name} (= {})", release.full_version());
    depends.extend(package.requires.iter().map(same));
    depends.extend(package.scripts_run.iter().map(|&(debian, _)| debian.to_owned()));
    Ok(depends.join(", "))
}

fn is_elf(file: &Path) -> Result<bool> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(bytes.starts_with(b"\x7fELF"))
}

/// In KiB: each file rounded up, everything else counted as one.
fn size(tree: &Tree, entries: &[Entry]) -> Result<u64> {
    let mut sum = 0;
    for entry in entries {
        sum += if entry.file { fs::metadata(tree.path(&entry.at))?.len().div_ceil(1024) } else { 1 };
    }
    Ok(sum)
}

/// What `dpkg --verify` compares with.
fn sums(tree: &Tree, entries: &[Entry]) -> Result<String> {
    let files = entries.iter().filter(|entry| entry.file && !is_config(entry));
    let names = files.map(|entry| entry.at.strip_prefix("/").unwrap_or(&entry.at));
    workspace::answer(Command::new("md5sum").current_dir(tree.root()).arg("--").args(names))
}

/// Debian's own history of the package; what changed in the programs stands in changelog.gz.
fn debian_changelog(tree: &Tree, package: &Package, release: &Release) -> Result<()> {
    let text = format!(
        "slurm-pki ({}) unstable; urgency=medium\n\n  * Version {}: see changelog.gz.\n\n -- {}  {}\n",
        release.full_version(),
        release.version,
        release.publisher,
        release.dated("%a, %d %b %Y %H:%M:%S +0000")?,
    );
    tree.write_packed(format!("/usr/share/doc/{}/changelog.Debian", package.name), text.as_bytes())
}

/// What lintian may say of this package.
fn overrides(workspace: &Workspace, tree: &Tree, package: &Package) -> Result<()> {
    let all = workspace.root.join("packaging/deb/lintian-overrides");
    let all = fs::read_to_string(&all).with_context(|| format!("cannot read {}", all.display()))?;
    let ours: String = overrides_of(&all, package.name).map(|line| format!("{line}\n")).collect();
    if ours.is_empty() {
        return Ok(());
    }
    tree.write(format!("/usr/share/lintian/overrides/{}", package.name), ours.as_bytes(), READ)
}

/// The lines that name a package, with the reasons above them.
fn overrides_of<'a>(all: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let mut reason: Vec<&str> = Vec::new();
    all.lines().flat_map(move |line| {
        if line.starts_with('#') {
            reason.push(line);
            return Vec::new();
        }
        // A kind of machine may stand between name and colon.
        let named = line.split_once([':', ' ']).is_some_and(|(package, _)| package == name);
        if line.is_empty() {
            reason.clear();
        }
        if named { reason.drain(..).chain([line]).collect() } else { Vec::new() }
    })
}

/// Debian's zsh looks for the completions of packages in a folder of its own.
fn debian_zsh(tree: &Tree) -> Result<()> {
    let (from, to) = (tree.path("/usr/share/zsh/site-functions"), "/usr/share/zsh/vendor-completions");
    if !from.exists() {
        return Ok(());
    }
    fs::rename(&from, tree.path(to)).context("cannot move zsh's completions")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::architecture::Architecture;
    use crate::dist::contents::PACKAGES;

    fn release() -> Release {
        Release {
            version: "1.2.3".into(),
            revision: 4,
            date: 0,
            architecture: Architecture::Aarch64,
            publisher: "P <p@x>".into(),
        }
    }

    #[test]
    fn a_description_is_indented_and_the_version_carries_the_packages_number() {
        let text = control(&PACKAGES[0], &release(), "libc6 (>= 2.28)", 7);
        assert!(text.contains("\nVersion: 1.2.3-4\nArchitecture: arm64\n"), "{text}");
        assert!(text.contains("\nDepends: libc6 (>= 2.28)\n"), "{text}");
        assert!(
            text.lines()
                .skip_while(|line| !line.starts_with("Description: "))
                .skip(1)
                .all(|line| line.starts_with(' ')),
            "{text}"
        );
    }

    #[test]
    fn no_field_is_empty() {
        let text = control(&PACKAGES[0], &release(), "", 7);
        assert!(!text.contains("Depends"), "{text}");
        assert!(!text.contains("Recommends"), "{text}");
    }

    #[test]
    fn each_package_gets_its_overrides_with_their_reasons() {
        let all = "# of all\n\n# why\na: one *\nb [arm64]: one *\n\n# why two\nb: two\n";
        assert_eq!(overrides_of(all, "a").collect::<Vec<_>>(), ["# why", "a: one *"]);
        assert_eq!(
            overrides_of(all, "b").collect::<Vec<_>>(),
            ["# why", "b [arm64]: one *", "# why two", "b: two"]
        );
        assert_eq!(overrides_of(all, "c").count(), 0);
    }

    #[test]
    fn what_is_below_etc_is_the_admins() {
        let entry = |at: &str, file| Entry { at: at.into(), folder: false, file };
        assert!(is_config(&entry("/etc/slurm/slurm-pki.toml", true)));
        assert!(!is_config(&entry("/etc/slurm", false)));
        assert!(!is_config(&entry("/usr/share/etc", true)));
    }
}
