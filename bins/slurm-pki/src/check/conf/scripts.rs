//! The programs that slurm.conf names: there, with an absolute path, and for the user who runs them.

use std::path::Path;

use rustix::fs::StatVfsMountFlags;
use site::file::Owner;

use super::super::access::{Blocked, EXECUTE, READ, Who};
use super::super::finding::Findings;
use super::super::scene::Scene;
use super::SHOW;
use crate::admin::owner_name;
use crate::parameters::Parameters;

/// Who runs a program, and so where it has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runs {
    Node,
    Controller,
    Everywhere,
}

struct Script {
    parameters: &'static str,
    key: &'static str,
    runs: Runs,
    /// Whether the plugin refuses to start without it.
    required: bool,
}

const fn certmgr(key: &'static str, runs: Runs, required: bool) -> Script {
    Script { parameters: "CertmgrParameters", key, runs, required }
}

const fn certgen(key: &'static str) -> Script {
    Script { parameters: "CertgenParameters", key, runs: Runs::Everywhere, required: false }
}

/// docs/slurm-contract.md 1.1, 4.
const SCRIPTS: [Script; 7] = [
    certmgr("get_node_token_script", Runs::Node, true),
    certmgr("generate_csr_script", Runs::Node, true),
    certmgr("get_node_cert_key_script", Runs::Node, true),
    certmgr("validate_node_script", Runs::Controller, false),
    certmgr("sign_csr_script", Runs::Controller, true),
    certgen("keygen_script"),
    certgen("certgen_script"),
];

/// Looks at every program that this host has to have.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    for script in &SCRIPTS {
        let certmgr = script.parameters == "CertmgrParameters";
        if (certmgr && scene.get("CertmgrType").is_none()) || (!certmgr && !scene.tls_is_on()) {
            continue;
        }
        match Parameters::of(scene.get(script.parameters)).get(script.key) {
            Some(path) => file(scene, script, path, found),
            None if script.required => found.critical(
                "script-missing",
                format!("{} has no {}=: certmgr does not start", script.parameters, script.key),
                SHOW,
            ),
            None if script.key == "validate_node_script" => found.warning(
                "script-missing",
                "CertmgrParameters has no validate_node_script=: only nodes with a CertToken get a first certificate",
                SHOW,
            ),
            // Built-in programs take the place of keygen and certgen: certgen.rs has a word on them.
            None => {}
        }
    }
}

fn file(scene: &Scene, script: &Script, text: &str, found: &mut Findings) {
    let name = format!("{}={text}", script.key);
    let path = Path::new(text);
    if !path.is_absolute() {
        return found.critical(
            "script-path",
            format!("{name} is not an absolute path: Slurm does not run it"),
            SHOW,
        );
    }
    let Some((who, whose)) = runs_here(scene, script.runs) else { return };
    match who.reaches(path, READ | EXECUTE) {
        Ok(file) if !file.is_file() => {
            found.critical("script-run", format!("{name} is no file"), "install slurm-pki's programs there");
        }
        Ok(_) if is_noexec(path) => {
            let fix = "mount that file system without noexec, or install the programs elsewhere";
            found.critical("script-run", format!("{name} is on a file system mounted noexec"), fix);
        }
        Ok(_) => found.ok("script-run", format!("{name} runs as {whose}")),
        Err(blocked) => not_run(&name, &whose, path, &blocked, found),
    }
}

fn not_run(name: &str, whose: &str, path: &Path, blocked: &Blocked, found: &mut Findings) {
    let shown = path.display();
    match blocked {
        Blocked::Missing => {
            let fix = "install slurm-pki's programs there: every host needs them at the same path";
            found.critical("script-run", format!("{name} is not there"), fix);
        }
        Blocked::Mode(mode) => {
            let what = format!("{name} has mode {mode:04o}: {whose} must read and execute it");
            found.critical("script-run", what, format!("chmod 0755 {shown}"));
        }
        Blocked::Folder(folder) => {
            let what = format!("{name}: {whose} does not get through {}", folder.display());
            found.critical("script-run", what, format!("chmod o+x {}", folder.display()));
        }
        Blocked::Unseen(why) => {
            found.unknown("script-run", format!("{name} cannot be looked at: {why}"), "run this as root");
        }
    }
}

/// The user who runs it on this host; `None` where nobody does.
fn runs_here(scene: &Scene, runs: Runs) -> Option<(Who, String)> {
    let user = |owner: Owner| (Who::user(owner), owner_name(owner));
    match runs {
        Runs::Everywhere => Some((Who::Everybody, "every user".to_owned())),
        Runs::Controller => scene.controller.then_some(scene.slurm_user).flatten().map(user),
        Runs::Node => (scene.node.is_some() || scene.sackd).then(|| user(node_user(scene))),
    }
}

/// slurmd is root; sackd's token file belongs to the user that sackd runs as.
fn node_user(scene: &Scene) -> Owner {
    let token = scene.token.as_ref().and_then(|here| std::fs::metadata(&here.token_file).ok());
    token.map_or(Owner { uid: 0, gid: 0 }, |file| {
        use std::os::unix::fs::MetadataExt as _;
        Owner { uid: file.uid(), gid: file.gid() }
    })
}

fn is_noexec(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|fs| fs.f_flag.contains(StatVfsMountFlags::NOEXEC))
}
