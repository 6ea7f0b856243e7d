//! Whether every host is ready: the programs at the same path, the nodes' tokens, the same CA certificate, and no Slurm
//! without TLS.

use std::path::{Path, PathBuf};

use site::clock;
use site::config::{Daemon, DaemonConfig};

use super::lines::Lines;
use super::still;
use crate::admin::{Admin, owner_name};
use crate::advice::Advise as _;
use crate::fleet::{Fleet, Job, Missed, Outcomes, Skips, quoted};
use crate::global::Global;
use crate::members::{Member, Members, Role};
use crate::programs::{GET_NODE_TOKEN, KEYGEN, SEVEN};
use crate::slurm_plugins::TLS;
use crate::{hostlist, report};

/// What is asked of every host.
#[derive(Debug)]
pub(super) struct Reach<'a> {
    pub(super) programs: &'a Path,
    /// Where Slurm's plugins may be.
    pub(super) plugins: &'a [PathBuf],
    pub(super) lines: &'a Lines,
    pub(super) ca_cert: &'a Path,
    /// The digest of the CA certificate here.
    pub(super) ca_digest: String,
    /// Whose daemons ask slurmctld, and so need their tokens; `None`: nobody's.
    pub(super) asking: Option<Asking>,
    /// Whether no daemon may run there.
    pub(super) must_stand_still: bool,
}

/// What decides over a token. A daemon that finds a certificate on its disk never asks (docs/slurm-contract.md 2).
#[derive(Debug)]
pub(super) struct Asking {
    /// slurmd's and sackd's static certificates.
    certs: [PathBuf; 2],
    /// SlurmUser's name: sackd runs as SlurmUser, and get_node_token takes no file of another.
    slurm_user: String,
}

impl Asking {
    /// As the config says.
    ///
    /// # Errors
    /// When it has no meaning, or nobody says who SlurmUser is.
    pub(super) fn of(admin: &Admin) -> anyhow::Result<Self> {
        let cert = |daemon| DaemonConfig::read(&admin.config, &admin.controller, daemon).advise();
        let certs = [cert(Daemon::Slurmd)?.cert, cert(Daemon::Sackd)?.cert];
        Ok(Self { certs, slurm_user: owner_name(admin.slurm_user()?) })
    }

    /// What get_node_token says is thrown away.
    fn script(&self, member: &Member, environment: &str) -> String {
        let [slurmd, sackd] = self.certs.each_ref().map(|cert| quoted(&cert.display().to_string()));
        let run = format!("env {environment} \"$folder/{GET_NODE_TOKEN}\"");
        let mut script = String::new();
        for node in member.nodes.iter().map(|node| quoted(node.name.as_str())) {
            script +=
                &format!("[ -e {slurmd} ] || {run} {node} >/dev/null 2>&1 || say no token for {node}\n");
        }
        if member.roles.contains(&Role::Sackd) {
            let user = quoted(&self.slurm_user);
            script += &format!(
                "as=\nif [ \"$(id -u)\" = 0 ] && [ {user} != root ]; then as=\"runuser -u \"{user}\" --\"; fi\n\
                 [ -e {sackd} ] || $as {run} \"$(uname -n)\" >/dev/null 2>&1 || say no token for sackd, as {user}\n"
            );
        }
        script
    }
}

/// Hosts of slurmdbd and slurmrestd need it too, and no bundle of a node goes there.
const BRINGS_CA: &str = "slurm-pki node push HOST --ca-only brings it";

/// What a host says that has none of the folders.
const UNSEEN: &str = "no folder of plugins";

impl Reach<'_> {
    /// Asks all hosts that slurm.conf and `[fleet]` name.
    ///
    /// # Errors
    /// When one does not answer, or is not ready.
    pub(super) fn must_be_ready(
        &self,
        global: &Global,
        admin: &Admin,
        skip: &[String],
    ) -> anyhow::Result<()> {
        let members = Members::of(admin)?;
        let (away, asked): (Vec<_>, Vec<_>) =
            members.all().iter().partition(|member| member.comes_and_goes());
        if !away.is_empty() {
            let away = hostlist::fold_texts(away.iter().map(|member| member.host.as_str()));
            report::warning(&format!("not checked: {away} (nodes that come and go)"));
        }
        let hosts = asked.iter().map(|member| member.host.clone()).collect();
        let mut skips = Skips::load(admin)?;
        let skip: Vec<_> = skip.iter().map(|name| members.host_of(name)).collect();
        let hosts = skips.leave_out(global, hosts, &skip, Missed::Look, clock::now())?;
        let asked = asked.into_iter().filter(|member| hosts.contains(&member.host));
        let jobs =
            asked.map(|member| Job { host: member.host.clone(), script: self.script(member) }).collect();
        let outcomes = Fleet::of(admin)?.run(global, "asking hosts", jobs);
        warn_of_unseen_plugins(&outcomes);
        let outcomes = outcomes.judge(|_, said| self.judge(said));
        outcomes.into_result("the check of programs, tokens, the CA certificate and tls_s2n.so")
    }

    /// Another host's Slurm may be in another of these folders than this one's; one with the plugin is enough, and one without
    /// any is not Slurm's.
    fn look_for_tls(&self) -> String {
        let folders: Vec<_> = self.plugins.iter().map(|path| quoted(&path.display().to_string())).collect();
        format!(
            "has= lacks=\nfor each in {}; do\n  \
             for plugin in \"$each\"/*.so; do\n    \
             [ ! -e \"$plugin\" ] || lacks=\"${{lacks:+$lacks, }}$each\"\n    \
             break\n  done\n  \
             [ ! -f \"$each/{TLS}\" ] || has=yes\ndone\n\
             if [ -z \"$lacks\" ]; then say {UNSEEN}\n\
             elif [ -z \"$has\" ]; then\n  \
             say \"its Slurm has no {TLS}: looked in $lacks; PluginDir in slurm.conf names another folder\"\nfi\n",
            folders.join(" ")
        )
    }

    /// It prints findings and no secret: what get_node_token and keygen say is thrown away. keygen shows that programs of
    /// this kind run there at all, and needs nothing.
    fn script(&self, member: &Member) -> String {
        let folder = quoted(&self.programs.display().to_string());
        let ca_cert = quoted(&self.ca_cert.display().to_string());
        let mut script = format!(
            "folder={folder}\nfor program in {}; do\n  \
             [ -f \"$folder/$program\" ] && [ -r \"$folder/$program\" ] && [ -x \"$folder/$program\" ] || \
             say \"no program $folder/$program\"\ndone\n\
             keygen=\"$folder/{KEYGEN}\"\n\
             [ ! -x \"$keygen\" ] || \"$keygen\" </dev/null >/dev/null 2>&1 || say \"$keygen does not run\"\n\
             say \"ca $(sha256sum <{ca_cert} 2>/dev/null | cut -d ' ' -f 1)\"\n",
            SEVEN.join(" ")
        );
        let environment = self.lines.environment.as_deref().map(quoted).unwrap_or_default();
        script += &self.asking.as_ref().map(|asking| asking.script(member, &environment)).unwrap_or_default();
        script += &self.look_for_tls();
        if self.must_stand_still {
            script += still::WHO_IS_UP;
        }
        script
    }

    fn judge(&self, said: &[String]) -> Result<(), String> {
        let mut wrong: Vec<String> = Vec::new();
        if !said.iter().any(|line| line.starts_with("ca")) {
            wrong.push("no word about the CA certificate".into());
        }
        for line in said {
            match line.strip_prefix("ca") {
                Some(digest) if digest.trim() == self.ca_digest => {}
                Some(digest) if digest.trim().is_empty() => {
                    wrong.push(format!("no CA certificate ({BRINGS_CA})"));
                }
                Some(_) => wrong.push(format!("another CA certificate than here ({BRINGS_CA})")),
                None if line == UNSEEN => {}
                None if !wrong.contains(line) => wrong.push(line.clone()),
                None => {}
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }
}

/// Slurm may be somewhere else there, or not at all.
fn warn_of_unseen_plugins(outcomes: &Outcomes) {
    let is_unseen = |said: &Result<Vec<String>, String>| {
        said.as_ref().is_ok_and(|said| said.iter().any(|line| line == UNSEEN))
    };
    let hosts: Vec<&str> =
        outcomes.iter().filter(|(_, said)| is_unseen(said)).map(|(host, _)| host).collect();
    if !hosts.is_empty() {
        let hosts = hostlist::fold_texts(hosts);
        report::warning(&format!(
            "not checked: {TLS} on {hosts} (no folder of plugins is there where it was looked for: PluginDir in \
             slurm.conf names it)"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(said: &[&str]) -> Result<(), String> {
        let lines = Lines {
            slurm_conf: Vec::new(),
            slurmdbd_conf: Vec::new(),
            slurmd_options: String::new(),
            sackd_options: String::new(),
            environment: None,
            warnings: Vec::new(),
        };
        let reach = Reach {
            programs: Path::new("/p"),
            plugins: &[],
            lines: &lines,
            ca_cert: Path::new("/c"),
            ca_digest: "ab12".into(),
            asking: None,
            must_stand_still: true,
        };
        reach.judge(&said.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_host_is_ready_when_it_has_the_same_ca_and_nothing_to_say() {
        assert!(judged(&["ca ab12"]).is_ok());
        let brings = "(slurm-pki node push HOST --ca-only brings it)";
        assert_eq!(judged(&["ca cd34"]).unwrap_err(), format!("another CA certificate than here {brings}"));
        assert_eq!(judged(&["ca "]).unwrap_err(), format!("no CA certificate {brings}"));
        assert_eq!(judged(&["ca"]).unwrap_err(), format!("no CA certificate {brings}"));
        assert_eq!(judged(&["slurmd is up", "slurmd is up", "ca ab12"]).unwrap_err(), "slurmd is up");
        assert!(judged(&["ca ab12", UNSEEN]).is_ok());
        assert!(judged(&[]).is_err(), "no word about the CA");
    }
}
