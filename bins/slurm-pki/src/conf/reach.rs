//! Whether every host is ready: the programs at the same path, the nodes' tokens, the same CA certificate.

use std::path::Path;

use pki::name::NodeName;
use site::clock;

use super::lines::Lines;
use crate::admin::Admin;
use crate::fleet::{Fleet, Job, Skips, quoted};
use crate::global::Global;
use crate::members::{Member, Members, Role};
use crate::programs::{GET_NODE_TOKEN, SEVEN};
use crate::{hostlist, report};

/// What is asked of every host.
#[derive(Debug)]
pub(super) struct Reach<'a> {
    pub(super) programs: &'a Path,
    pub(super) lines: &'a Lines,
    pub(super) ca_cert: &'a Path,
    /// The digest of the CA certificate here.
    pub(super) ca_digest: String,
    /// Whether nodes ask slurmctld, and so need their tokens.
    pub(super) with_certmgr: bool,
    /// Whether no daemon may run there.
    pub(super) must_stand_still: bool,
}

impl Reach<'_> {
    /// Asks all hosts that slurm.conf and `[fleet]` name.
    ///
    /// # Errors
    /// When one does not answer, or is not ready.
    pub(super) fn must_be_ready(
        &self,
        global: &Global,
        admin: &Admin,
        skip: &[NodeName],
    ) -> anyhow::Result<()> {
        let members = Members::of(admin)?;
        let (away, asked): (Vec<_>, Vec<_>) = members.all().iter().partition(|member| comes_and_goes(member));
        if !away.is_empty() {
            let away = hostlist::fold_texts(away.iter().map(|member| member.host.as_str()));
            report::warning(&format!("not checked: {away} (nodes that come and go)"));
        }
        let hosts = asked.iter().map(|member| member.host.clone()).collect();
        let mut skips = Skips::load(admin)?;
        let hosts = skips.leave_out(global, hosts, skip, "TLS in slurm.conf", clock::now())?;
        let asked = asked.into_iter().filter(|member| hosts.contains(&member.host));
        let jobs =
            asked.map(|member| Job { host: member.host.clone(), script: self.script(member) }).collect();
        let outcomes = Fleet::of(admin)?.run(global, "asking hosts", jobs).judge(|_, said| self.judge(said));
        outcomes.into_result("the check of programs, tokens and the CA certificate")
    }

    /// It prints findings and no secret: what get_node_token says is thrown away.
    fn script(&self, member: &Member) -> String {
        let folder = quoted(&self.programs.display().to_string());
        let ca_cert = quoted(&self.ca_cert.display().to_string());
        let mut script = format!(
            "folder={folder}\nfor program in {}; do\n  \
             [ -f \"$folder/$program\" ] && [ -r \"$folder/$program\" ] && [ -x \"$folder/$program\" ] || \
             say \"no program $folder/$program\"\ndone\n\
             say \"ca $(sha256sum <{ca_cert} 2>/dev/null | cut -d ' ' -f 1)\"\n",
            SEVEN.join(" ")
        );
        let environment = self.lines.environment.as_deref().map(quoted).unwrap_or_default();
        let nodes = member.nodes.iter().filter(|_| self.with_certmgr).map(|node| quoted(node.name.as_str()));
        for node in nodes {
            script += &format!(
                "env {environment} \"$folder/{GET_NODE_TOKEN}\" {node} >/dev/null 2>&1 || say no token for {node}\n"
            );
        }
        if self.must_stand_still {
            script += "for file in /proc/[0-9]*/comm; do\n  name=\n  { read -r name <\"$file\"; } 2>/dev/null || true\n  \
                       case $name in slurmctld|slurmdbd|slurmrestd|slurmd|sackd|slurmstepd) say \"$name is up\";; esac\n\
                       done\n";
        }
        script
    }

    fn judge(&self, said: &[String]) -> Result<(), String> {
        let mut wrong: Vec<String> = Vec::new();
        for line in said {
            match line.strip_prefix("ca") {
                Some(digest) if digest.trim() == self.ca_digest => {}
                Some(digest) if digest.trim().is_empty() => wrong.push("no CA certificate".into()),
                Some(_) => wrong.push("another CA certificate than here".into()),
                None if !wrong.contains(line) => wrong.push(line.clone()),
                None => {}
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }
}

/// A cloud node may be away for months, and asks for its own certificate when it comes.
fn comes_and_goes(member: &Member) -> bool {
    member.roles.iter().all(|role| *role == Role::Slurmd)
        && !member.nodes.is_empty()
        && member.nodes.iter().all(|node| node.comes_and_goes)
}
