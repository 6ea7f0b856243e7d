//! The other controllers: `slurm-pki check` there, through the site's own tools; and slurmdbd's copy of a key, where its host is
//! another one.

use super::finding::{Findings, Group, Severity};
use super::scene::Scene;
use crate::fleet::{Fleet, Job, quoted};
use crate::global::Global;
use crate::jwt::rotate::copies;
use crate::key_facts;
use crate::key_files::KeyFiles;
use crate::members::{self, Role};

/// What it is about, where one key should be in two places.
const SAME: &str = "auth-jwt-same";

/// Asks them where that is wanted, with these options; else says who was not asked. A monitor does not go to other hosts
/// every minute.
pub(super) fn look(scene: &Scene, global: &Global, wanted: Option<String>, found: &mut Findings) {
    if !scene.controller {
        return;
    }
    let Ok(members) = &scene.members else { return };
    let others = members.with(Role::Ctld).map(|member| member.host.clone());
    let others: Vec<String> = others.filter(|host| !members::is_this_host(host)).collect();
    found.begin(Group::Fleet);
    let Some(options) = wanted else {
        if others.len() > usize::from(!this_host_is_named(scene)) {
            found
                .not_looked_at(format!("other controllers, {}: --fleet runs check there", others.join(", ")));
        }
        return;
    };
    let fleet = match Fleet::of(&scene.admin) {
        Ok(fleet) => fleet,
        Err(e) => return found.error(Severity::Unknown, "fleet", &e),
    };
    let script = script(scene, &options);
    let jobs = others.into_iter().map(|host| Job { host, script: script.clone() }).collect();
    for (host, result) in fleet.run(global, "checking controllers", jobs).iter() {
        judge(host, result, found);
    }
    slurmdbd(scene, global, &fleet, found);
}

/// The key of tokens on slurmdbd's host, where that is another one.
fn slurmdbd(scene: &Scene, global: &Global, fleet: &Fleet, found: &mut Findings) {
    if !scene.slurm_conf().is_some_and(key_facts::takes_tokens) {
        return;
    }
    let jwt_key = match KeyFiles::of(&scene.admin) {
        Ok(files) => files.jwt_key,
        Err(e) => return found.error(Severity::Unknown, SAME, &e),
    };
    let Some(jwt_key) = jwt_key else { return };
    match copies::on_slurmdbd_elsewhere(global, &scene.admin, fleet, &jwt_key) {
        Err(e) => found.error(Severity::Unknown, SAME, &e),
        Ok((all, _)) if all.is_empty() => {}
        Ok((all, differ)) if differ.is_empty() => {
            found.ok(SAME, format!("slurmdbd on {} has slurmctld's key for tokens", all.join(", ")));
        }
        Ok((_, differ)) => found.critical(
            SAME,
            format!("slurmdbd on {} has no key for tokens, or another than slurmctld", differ.join(", ")),
            "slurm-pki jwt key init brings it where it is missing; where there is another, take that away first, then \
             restart slurmdbd",
        ),
    }
}

/// Where slurm.conf names no host by this one's name, one of those that it names is this one.
fn this_host_is_named(scene: &Scene) -> bool {
    let all = scene.members.as_ref();
    all.is_ok_and(|all| all.with(Role::Ctld).any(|member| members::is_this_host(&member.host)))
}

/// Its own answer is in the first line; the exit status is that answer too, and no failure of the tool.
fn script(scene: &Scene, options: &str) -> String {
    let own = std::env::current_exe().unwrap_or_default().display().to_string();
    let config = scene.admin.config.path();
    let config = if config == std::path::Path::new(site::config::DEFAULT_PATH) {
        String::new()
    } else {
        format!(" --config {}", quoted(&config.display().to_string()))
    };
    let slurm = scene.slurm_conf().map(|conf| quoted(&conf.path().display().to_string()));
    let slurm = slurm.map_or(String::new(), |path| format!("SLURM_CONF={path}; export SLURM_CONF\n"));
    format!(
        "{slurm}p={}\n[ -x \"$p\" ] || p=slurm-pki\nout=$(\"$p\" check --quiet{config}{options} 2>&1) || true\nsay \"$out\"",
        quoted(&own)
    )
}

fn judge(host: &str, result: &Result<Vec<String>, String>, found: &mut Findings) {
    let said = match result {
        Ok(said) => said.first().map(String::as_str).unwrap_or_default(),
        Err(why) => {
            let fix = "see that this host reaches it: [fleet] run in the config";
            return found.unknown("fleet", format!("controller {host} could not be asked: {why}"), fix);
        }
    };
    let what = format!("controller {host}: {said}");
    let fix = format!("run slurm-pki check on {host}: while this is so, it cannot take over");
    let state = said.strip_prefix("SLURM-PKI ").and_then(|rest| rest.split(' ').next());
    match state {
        Some("OK") => found.ok("fleet", what),
        Some("WARNING") => found.warning("fleet", what, fix),
        Some("CRITICAL") => found.critical("fleet", what, fix),
        _ => found.unknown("fleet", what, fix),
    }
}
