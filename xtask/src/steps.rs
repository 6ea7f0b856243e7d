//! The steps of `cargo xtask test`, in their order, and the way through them.

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Result;

use crate::prerequisites::{self, Tool};
use crate::report::{Line, Report, Verdict};
use crate::test_options::TestOptions;
use crate::workspace::{Workspace, is_root, run};
use crate::{linkage, programs, rust_version, slurm, terminal};

/// One step.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    /// Looks at the built programs: has nothing to look at when the build failed.
    after_build: bool,
    needs: &'static [&'static [Tool]],
    what: fn(&Workspace) -> Result<Verdict>,
}

const BUILD: &str = "build";

/// All steps. The tests and the table of the real Slurm come last, near the end of the output.
pub(crate) const STEPS: &[Step] = &[
    Step { name: "fmt", after_build: false, needs: &[prerequisites::FORMAT], what: format },
    Step {
        name: "clippy",
        after_build: false,
        needs: &[prerequisites::BUILD, prerequisites::LINT],
        what: lint,
    },
    Step { name: "fuzz", after_build: false, needs: &[prerequisites::BUILD], what: fuzz },
    Step { name: "rust-version", after_build: false, needs: &[], what: rust_version },
    Step { name: "doc", after_build: false, needs: &[prerequisites::BUILD], what: document },
    Step { name: "deny", after_build: false, needs: &[], what: deny },
    Step { name: BUILD, after_build: false, needs: &[prerequisites::BUILD], what: build },
    Step { name: "static", after_build: true, needs: &[prerequisites::LINKAGE], what: linkage },
    Step { name: "hvac", after_build: false, needs: &[prerequisites::HVAC], what: hvac },
    Step { name: "vaultrs", after_build: false, needs: &[prerequisites::BUILD], what: vaultrs },
    Step {
        name: "tests",
        after_build: true,
        needs: &[prerequisites::BUILD, prerequisites::TESTS],
        what: tests,
    },
    Step { name: "fleet", after_build: true, needs: &[prerequisites::BUILD], what: fleet },
    Step { name: "slurm", after_build: true, needs: &[prerequisites::BUILD], what: real_slurm },
];

/// Runs the chosen steps, whatever becomes of each, and reports them all.
pub(crate) fn test(options: &TestOptions) -> Result<ExitCode> {
    let steps = chosen(&options.only);
    if options.list {
        steps.iter().for_each(|step| terminal::line(step.name));
        return Ok(ExitCode::SUCCESS);
    }
    prerequisites::require(&needed(&steps))?;
    let workspace = Workspace::find()?;
    let mut report = Report::default();
    for step in steps {
        terminal::line(&format!("\n== {} ==", step.name));
        let line = take(step, &workspace, &report);
        report.add(line);
    }
    terminal::line(&report.table());
    Ok(if report.passed(options.no_skips) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The steps of these names, all when there are none, and the build where one of them needs it.
fn chosen(only: &[String]) -> Vec<&'static Step> {
    let named = |step: &Step| only.is_empty() || only.iter().any(|name| name == step.name);
    let wants_build = STEPS.iter().any(|step| step.after_build && named(step));
    STEPS.iter().filter(|step| named(step) || (wants_build && step.name == BUILD)).collect()
}

fn needed(steps: &[&Step]) -> Vec<Tool> {
    let mut tools: Vec<Tool> = Vec::new();
    for tool in steps.iter().flat_map(|step| step.needs).copied().flatten() {
        if !tools.contains(tool) {
            tools.push(*tool);
        }
    }
    tools
}

fn take(step: &Step, workspace: &Workspace, before: &Report) -> Line {
    let start = Instant::now();
    let verdict = if step.after_build && before.failed(BUILD) {
        Verdict::NotRun("the build failed".into())
    } else {
        (step.what)(workspace).unwrap_or_else(|failure| Verdict::Failed(format!("{failure:#}")))
    };
    Line { name: step.name, verdict, time: start.elapsed() }
}

fn format(workspace: &Workspace) -> Result<Verdict> {
    run(workspace.cargo().args(["fmt", "--all", "--check"]))?;
    Ok(Verdict::Passed)
}

fn lint(workspace: &Workspace) -> Result<Verdict> {
    let mut cargo = workspace.cargo();
    cargo.args(["clippy", "--locked", "--workspace", "--all-targets", "--features", "tests/hosts"]);
    run(cargo.args(["--keep-going", "--", "-D", "warnings"]))?;
    Ok(Verdict::Passed)
}

/// The fuzz targets take modules of the programs by their paths, from a workspace of their own: nothing else would notice
/// that one does not compile any more. Running them is for nightly Rust, and libFuzzer's C++ is not needed for this.
fn fuzz(workspace: &Workspace) -> Result<Verdict> {
    let mut cargo = workspace.cargo();
    cargo.args(["check", "--locked", "--quiet", "--manifest-path", "fuzz/Cargo.toml"]);
    cargo.arg("--target-dir").arg(workspace.root.join("target/fuzz"));
    run(cargo.env("CUSTOM_LIBFUZZER_PATH", "/nowhere/libfuzzer.a"))?;
    Ok(Verdict::Passed)
}

fn rust_version(workspace: &Workspace) -> Result<Verdict> {
    rust_version::check(workspace)?;
    Ok(Verdict::Passed)
}

fn document(workspace: &Workspace) -> Result<Verdict> {
    let arguments = ["doc", "--locked", "--no-deps", "--workspace", "--document-private-items"];
    run(workspace.cargo().args(arguments).env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Verdict::Passed)
}

/// Licences, sources and banned packages by `deny.toml`. Advisories are left out: they change without a change of ours.
fn deny(workspace: &Workspace) -> Result<Verdict> {
    let installed = workspace.cargo().args(["deny", "--version"]).output()?;
    if !installed.status.success() {
        return Ok(Verdict::Skipped("not installed: cargo install cargo-deny --locked".into()));
    }
    run(workspace.cargo().args(["deny", "--locked", "check", "licenses", "bans", "sources"]))?;
    Ok(Verdict::Passed)
}

fn build(workspace: &Workspace) -> Result<Verdict> {
    programs::build(workspace)?;
    Ok(Verdict::Passed)
}

fn linkage(workspace: &Workspace) -> Result<Verdict> {
    linkage::check(workspace)?;
    Ok(Verdict::Passed)
}

/// Both of the clients of Vault that the tests hold their stand-in against.
pub(crate) fn foreign_clients(workspace: &Workspace) -> Result<()> {
    prerequisites::require(prerequisites::HVAC)?;
    hvac(workspace)?;
    vaultrs(workspace)?;
    Ok(())
}

/// A client of Vault that is not ours, for the tests to hold their stand-in against: from PyPI, once, into a folder of the
/// build's.
fn hvac(workspace: &Workspace) -> Result<Verdict> {
    let folder = workspace.root.join("target/hvac");
    let imports = Command::new(folder.join("bin/python")).args(["-c", "import hvac"]).output();
    if imports.is_ok_and(|output| output.status.success()) {
        return Ok(Verdict::Passed);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut pip = Command::new(folder.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "-r"]);
    run(pip.arg(workspace.root.join("tests/in_vault/requirements.txt")))?;
    Ok(Verdict::Passed)
}

/// Another one, in Rust: a workspace of its own, since it stands on what this one bans.
fn vaultrs(workspace: &Workspace) -> Result<Verdict> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--locked", "--quiet", "--manifest-path", "tests/vaultrs/Cargo.toml"]);
    run(cargo.arg("--target-dir").arg(workspace.root.join("target/vaultrs")))?;
    Ok(Verdict::Passed)
}

fn tests(workspace: &Workspace) -> Result<Verdict> {
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--locked", "--workspace", "--no-fail-fast"]);
    cargo.env("SLURM_PKI_PROGRAMS", programs::folder(workspace));
    cargo.env("SLURM_PKI_UNSTRIPPED", programs::unstripped_folder(workspace));
    run(&mut cargo)?;
    Ok(Verdict::Passed)
}

/// Hosts of one machine, which only root can make: sshd in namespaces of its own, reached by the tools that sites have.
fn fleet(workspace: &Workspace) -> Result<Verdict> {
    if !is_root() {
        return Ok(Verdict::Skipped("other hosts: only root can make them on one machine".into()));
    }
    let missing = prerequisites::missing(prerequisites::FLEET);
    if !missing.is_empty() {
        return Ok(Verdict::Skipped(format!("other hosts: not installed: {}", missing.join(", "))));
    }
    let mut cargo = workspace.cargo();
    // As part of the workspace: alone it would want its dependencies built anew, with other features.
    cargo.args(["test", "--locked", "--workspace", "--features", "tests/hosts", "--test", "fleet"]);
    cargo.args(["--test", "ansible"]);
    run(cargo.env("SLURM_PKI_PROGRAMS", programs::folder(workspace)))?;
    Ok(Verdict::Passed)
}

fn real_slurm(workspace: &Workspace) -> Result<Verdict> {
    if let Some(obstacle) = slurm::obstacle() {
        return Ok(Verdict::Skipped(obstacle));
    }
    slurm::test(workspace, &programs::folder(workspace))?;
    Ok(Verdict::Passed)
}

#[cfg(test)]
mod tests_of_the_choice {
    use super::*;

    fn names(only: &[&str]) -> Vec<&'static str> {
        let only: Vec<String> = only.iter().map(|&name| name.to_owned()).collect();
        chosen(&only).iter().map(|step| step.name).collect()
    }

    #[test]
    fn no_choice_is_every_step() {
        assert_eq!(names(&[]).len(), STEPS.len());
    }

    #[test]
    fn a_step_that_looks_at_the_programs_brings_the_build_with_it() {
        assert_eq!(names(&["static"]), ["build", "static"]);
        assert_eq!(names(&["fmt"]), ["fmt"]);
    }

    #[test]
    fn a_step_after_a_failed_build_is_not_run() {
        let mut report = Report::default();
        let failed = Verdict::Failed("no luck".into());
        report.add(Line { name: BUILD, verdict: failed, time: std::time::Duration::ZERO });
        let workspace = Workspace { root: "/".into(), target: "/".into() };
        for step in STEPS.iter().filter(|step| step.after_build) {
            assert!(matches!(take(step, &workspace, &report).verdict, Verdict::NotRun(_)), "{}", step.name);
        }
    }
}
