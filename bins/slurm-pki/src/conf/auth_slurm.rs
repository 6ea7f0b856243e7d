//! auth/slurm instead of munge: the key that every host must have before its daemons start with it
//! (docs/slurm-contract.md 5).

use std::path::{Path, PathBuf};

use site::clock;
use site::file;

use super::plan::Wishes;
use super::still;
use super::wish::Wish;
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::check::must_load;
use crate::fleet::{Fleet, Job, Missed, Skips, digest, quoted};
use crate::global::Global;
use crate::key_files::KeyFile;
use crate::members::{Member, Members, Role};
use crate::{hostlist, report};

/// Longest file of keys.
const MAX: usize = 1024 * 1024;

/// The list comes first: where it is, the other is not read.
const FILES: [&str; 2] = ["slurm.jwks", "slurm.key"];

/// What both files are to say.
pub(super) fn wishes() -> Wishes {
    Wishes { slurm: vec![Wish::auth_slurm(), Wish::cred_slurm()], dbd: vec![Wish::auth_slurm()] }
}

/// The file that Slurm reads beside slurm.conf.
pub(super) fn key_file(slurm_conf: &Path) -> PathBuf {
    let [jwks, key] = FILES.map(|name| slurm_conf.with_file_name(name));
    if jwks.symlink_metadata().is_ok() { jwks } else { key }
}

/// Refuses when there is no key here that daemons start with.
///
/// # Errors
/// Then.
pub(super) fn must_have_key(admin: &Admin, slurm_conf: &Path) -> anyhow::Result<()> {
    let path = key_file(slurm_conf);
    if path.symlink_metadata().is_err() {
        let [jwks, key] = FILES.map(|name| slurm_conf.with_file_name(name).display().to_string());
        return Err(Advice::new(
            format!("there is neither {jwks} nor {key}: with auth/slurm no daemon starts"),
            "make it and give it to all hosts: slurm-pki auth-key init",
        )
        .into());
    }
    let is_list = path.extension().is_some_and(|ending| ending == "jwks");
    let kind = if is_list { KeyFile::AuthJwks } else { KeyFile::AuthKey };
    must_load(admin.slurm_user().ok(), kind, &path)
}

/// Asks every host that slurm.conf and `[fleet]` name whether it has the same key, and whether its daemons are down.
///
/// # Errors
/// When one does not answer, has another key, or has a daemon up.
pub(super) fn must_be_everywhere(
    global: &Global,
    admin: &Admin,
    slurm_conf: &Path,
    skip: &[String],
    may_run: bool,
) -> anyhow::Result<()> {
    let path = key_file(slurm_conf);
    let here = digest(file::read_with_metadata(&path, MAX).advise()?.0.expose());
    let members = Members::of(admin)?;
    let (away, asked): (Vec<_>, Vec<_>) = members.all().iter().partition(|member| member.comes_and_goes());
    if !away.is_empty() {
        let away = hostlist::fold_texts(away.iter().map(|member| member.host.as_str()));
        report::warning(&format!(
            "not checked: {away} (nodes that come and go): their images need the key too"
        ));
    }
    let hosts = asked.iter().map(|member| member.host.clone()).collect();
    let skip: Vec<_> = skip.iter().map(|name| members.host_of(name)).collect();
    let hosts = Skips::load(admin)?.leave_out(global, hosts, &skip, Missed::Look, clock::now())?;
    let asked = asked.into_iter().filter(|member| hosts.contains(&member.host));
    let jobs = asked.map(|member| Job { host: member.host.clone(), script: script(member, &path, may_run) });
    let outcomes = Fleet::of(admin)?.run(global, "asking hosts", jobs.collect());
    outcomes.judge(|_, said| judge(&here, said)).into_result("the check of the auth/slurm key")
}

/// slurmrestd and commands ask a daemon of their host, and have no key of their own.
fn script(member: &Member, path: &Path, may_run: bool) -> String {
    let has_key = member.roles.iter().any(|role| !matches!(role, Role::Restd | Role::Also));
    let mut script = String::new();
    if has_key {
        let files = FILES.map(|name| quoted(&path.with_file_name(name).display().to_string()));
        script += &format!(
            "file=\nfor each in {}; do [ -n \"$file\" ] || [ ! -e \"$each\" ] || file=$each; done\n\
             if [ -z \"$file\" ]; then say no auth/slurm key\n\
             else say \"key $(sha256sum <\"$file\" 2>/dev/null | cut -d ' ' -f 1)\"; fi\n",
            files.join(" ")
        );
    } else {
        script += "say needs no key\n";
    }
    if !may_run {
        script += still::WHO_IS_UP;
    }
    script
}

fn judge(here: &str, said: &[String]) -> Result<(), String> {
    let mut wrong: Vec<String> = Vec::new();
    if said.is_empty() {
        wrong.push("no word about its key".into());
    }
    for line in said {
        match line.strip_prefix("key") {
            Some(digest) if digest.trim() == here => {}
            Some(digest) if digest.trim().is_empty() => {
                wrong.push("its auth/slurm key cannot be read".into());
            }
            Some(_) => wrong.push("another auth/slurm key than here".into()),
            None if line == "needs no key" || wrong.contains(line) => {}
            None => wrong.push(line.clone()),
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_ready_when_it_has_the_same_key_and_nothing_to_say() {
        let judged =
            |said: &[&str]| judge("ab12", &said.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>());
        assert!(judged(&["key ab12"]).is_ok());
        assert!(judged(&["needs no key"]).is_ok());
        assert_eq!(judged(&["key cd34"]).unwrap_err(), "another auth/slurm key than here");
        assert_eq!(judged(&["key "]).unwrap_err(), "its auth/slurm key cannot be read");
        assert_eq!(judged(&["slurmd is up", "slurmd is up", "key ab12"]).unwrap_err(), "slurmd is up");
        assert_eq!(judged(&["no auth/slurm key"]).unwrap_err(), "no auth/slurm key");
        assert!(judged(&[]).is_err());
    }
}
