//! A cluster of hosts with auth/slurm, JWT and accounting: ctl1 (slurmctld, the admin), dbd1 (slurmdbd, MariaDB), n1 and n2
//! (slurmd), rest1 (slurmrestd, its proxies, the OpenID provider). Each has an /etc/slurm of its own.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::cluster::PATIENCE;
use crate::host::{self, Host};
use crate::lab::{Lab, User};
use crate::shell::{outcome, said, wait_until};
use crate::table::Table;

/// A case on such a cluster; what it returns is printed below the table.
pub(super) type Case = (&'static str, fn(&mut Hosts<'_>) -> Result<Vec<String>>);

/// Starts the hosts and runs their cases; all of them fail when they do not start.
pub(super) fn group(table: &mut Table, lab: &Lab, cases: &[Case]) {
    let mut hosts = Hosts::up(lab);
    for (name, case) in cases {
        let mut notes = Vec::new();
        table.run(name, || match &mut hosts {
            Ok(hosts) => case(hosts).map(|says| notes = says),
            Err(failure) => bail!("no cluster: {failure:#}"),
        });
        notes.into_iter().for_each(|note| table.note(note));
    }
}

pub(super) const HOSTS: [&str; 5] = ["ctl1", "dbd1", "n1", "n2", "rest1"];

/// Who reads the key of auth/slurm; slurmrestd does not.
pub(super) const READERS: [&str; 4] = ["ctl1", "dbd1", "n1", "n2"];

/// The public keys of RS256, for slurmctld and slurmdbd alike.
pub(super) const JWKS: &str = "/etc/slurm/jwks.json";

/// Short, so that what was signed with a former key has soon ended.
const TTL: &str = "AuthInfo=ttl=10\n";

const SLURM: &str = "\
ClusterName=suite
SlurmctldHost=ctl1(127.0.0.11)
MessageTimeout=20
SlurmUser=slurm
SlurmdUser=root
AuthType=auth/slurm
CredType=auth/slurm
CommunicationParameters=NoCtldInAddrAny
StateSaveLocation=/var/lib/slurm-state
SlurmdSpoolDir=/var/spool/slurmd-%n
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldDebug=verbose
SlurmdDebug=verbose
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=dbd1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
NodeName=n1 NodeAddr=127.0.0.21 Port=6821 CPUs=4 RealMemory=256
NodeName=n2 NodeAddr=127.0.0.22 Port=6822 CPUs=4 RealMemory=256
PartitionName=main Nodes=n1,n2 Default=YES State=UP OverSubscribe=FORCE:4
";

const SLURMDBD: &str = "\
AuthType=auth/slurm
DbdHost=dbd1
DbdAddr=127.0.0.41
SlurmUser=slurm
DebugLevel=verbose
PidFile=/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StorageLoc=slurm_acct_db
";

const JWT: &str =
    "AuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key=/etc/slurm/jwt_hs256.key,jwks=/etc/slurm/jwks.json\n";

/// What slurm-pki finds in the place of clush and systemctl.
const SLURM_PKI: &str = r#"
[fleet]
run = ["/slurm-pki/on", "{host}", "sh", "-c", "{command}"]
copy = ["/slurm-pki/to", "{host}", "{from}", "{to}"]

[daemons.ctld]
command = ["/slurm-pki/systemctl", "restart", "slurmctld"]

[daemons.dbd]
command = ["/slurm-pki/systemctl", "restart", "slurmdbd"]

[keys]
reload_slurmd = ["/slurm-pki/systemctl", "reload", "slurmd"]
"#;

/// No keys yet, as far as a list can be without any: Slurm starts with it.
const NO_KEYS: &str = "{\"keys\":[]}\n";

/// Everything of it ends with the value.
#[derive(Debug)]
pub(super) struct Hosts<'a> {
    pub(super) lab: &'a Lab,
    // The admin's host goes last: from it the others are entered.
    pub(super) rest1: Host<'a>,
    pub(super) n1: Host<'a>,
    pub(super) n2: Host<'a>,
    pub(super) dbd1: Host<'a>,
    pub(super) ctl1: Host<'a>,
}

impl<'a> Hosts<'a> {
    /// Starts it with an empty state and database, and waits until the nodes are idle.
    pub(super) fn up(lab: &'a Lab) -> Result<Self> {
        host::tools(lab)?;
        files(lab)?;
        lab.folder("/var/lib/slurm-state", User::Slurm)?;
        let start = |name| Host::start(lab, name);
        let hosts = Self {
            lab,
            rest1: start("rest1")?,
            n1: start("n1")?,
            n2: start("n2")?,
            dbd1: start("dbd1")?,
            ctl1: Host::start_head(lab, "ctl1")?,
        };
        hosts.start_slurmdbd()?;
        hosts.ctl1.systemctl("start", "slurmctld")?;
        hosts.wait("slurmctld answers", "scontrol ping | grep -q UP")?;
        for node in [&hosts.n1, &hosts.n2] {
            node.systemctl("start", "slurmd")?;
        }
        hosts.wait_idle()?;
        hosts.rest1.systemctl("start", "slurmrestd")?;
        Ok(hosts)
    }

    fn start_slurmdbd(&self) -> Result<()> {
        const ACCOUNT: &str = "mariadb -S /run/mysqld/mysqld.sock -e \"CREATE DATABASE IF NOT EXISTS slurm_acct_db; \
             CREATE OR REPLACE USER slurm IDENTIFIED VIA unix_socket; GRANT ALL ON slurm_acct_db.* TO slurm\"";
        self.dbd1.systemctl("start", "mariadb")?;
        wait_on(&self.dbd1, "MariaDB takes slurmdbd's account", ACCOUNT)?;
        self.dbd1.systemctl("start", "slurmdbd")?;
        wait_on(&self.dbd1, "slurmdbd answers", "sacctmgr -n show cluster")
    }

    /// Waits on ctl1 for a line of shell to succeed.
    pub(super) fn wait(&self, what: &str, line: &str) -> Result<()> {
        wait_on(&self.ctl1, what, line)
    }

    /// Both nodes answer.
    pub(super) fn wait_idle(&self) -> Result<()> {
        self.wait("n1 and n2 are up", "[ \"$(sinfo -h -N -t idle,mixed -o %N | sort | xargs)\" = 'n1 n2' ]")
    }

    /// slurm-pki on ctl1, as root.
    pub(super) fn slurm_pki(&self, words: &[&str]) -> Result<String> {
        let output = outcome(&mut self.slurm_pki_command(words))?;
        ensure!(output.status.success(), "slurm-pki {}: {}", words.join(" "), said(&output));
        Ok(said(&output))
    }

    /// The same, to be started.
    pub(super) fn slurm_pki_command(&self, words: &[&str]) -> Command {
        let mut command = self.ctl1.command("/slurm-pki/bin/slurm-pki", User::Root);
        command.args(words);
        command
    }

    /// A file of mode 0600 and SlurmUser's into /etc/slurm of a host.
    pub(super) fn put(&self, host: &str, name: &str, bytes: &[u8]) -> Result<()> {
        put(self.lab, host, name, bytes)
    }

    /// The same file's bytes.
    pub(super) fn get(&self, host: &str, name: &str) -> Result<Vec<u8>> {
        let path = self.lab.path(&format!("/hosts/{host}/{name}"));
        fs::read(&path).with_context(|| path.display().to_string())
    }

    /// slurmctld and slurmdbd load their JWT keys anew.
    pub(super) fn load_jwt_keys(&self) -> Result<()> {
        self.dbd1.systemctl("restart", "slurmdbd")?;
        wait_on(&self.dbd1, "slurmdbd answers", "sacctmgr -n show cluster")?;
        self.ctl1.systemctl("restart", "slurmctld")?;
        self.wait("slurmctld answers", "scontrol ping | grep -q UP && scontrol show nodes > /dev/null")
    }

    /// A token as scontrol makes it.
    pub(super) fn scontrol_token(&self, user: &str, lifespan: u32) -> Result<String> {
        let line = format!("scontrol token username={user} lifespan={lifespan}");
        let said = self.ctl1.sh(&line)?;
        let token = said.trim().strip_prefix("SLURM_JWT=").context("scontrol token")?.to_owned();
        self.lab.keep_secret(token.clone());
        Ok(token)
    }
}

pub(super) fn wait_on(host: &Host<'_>, what: &str, line: &str) -> Result<()> {
    let mut last = String::new();
    let limited = format!("timeout 30 sh -c {}", quoted(line));
    wait_until(what, PATIENCE, || {
        let output = outcome(host.command("sh", User::Root).args(["-c", &limited]))?;
        last = said(&output);
        Ok(output.status.success())
    })
    .with_context(|| format!("on {}: {}\n{}", host.name, last.trim(), host.logs()))
}

/// As one word of a shell.
pub(super) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

fn files(lab: &Lab) -> Result<()> {
    let random = || site::random::bytes::<32>().map_err(anyhow::Error::msg);
    let (auth, jwt) = (random()?, random()?);
    for host in HOSTS {
        let folder = lab.path(&format!("/hosts/{host}"));
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("slurm.conf"), format!("{SLURM}{TTL}{JWT}"))?;
        fs::write(folder.join("cgroup.conf"), "CgroupPlugin=disabled\n")?;
        if READERS.contains(&host) {
            put(lab, host, "slurm.key", &auth)?;
        }
        if ["ctl1", "dbd1"].contains(&host) {
            put(lab, host, "jwt_hs256.key", &jwt)?;
            put(lab, host, "jwks.json", NO_KEYS.as_bytes())?;
            put(lab, host, "slurmdbd.conf", format!("{SLURMDBD}{TTL}{JWT}").as_bytes())?;
        }
    }
    fs::write(lab.path("/hosts/ctl1/slurm-pki.toml"), SLURM_PKI)?;
    let _ = fs::remove_dir_all(lab.path("/var/lib/slurm-pki"));
    let _ = fs::remove_dir_all(lab.path("/var/lib/mysql"));
    // A slurmd would keep the pair that an earlier cluster's CA signed.
    for node in ["n1", "n2"] {
        let _ = fs::remove_dir_all(lab.path(&format!("/var/spool/slurmd-{node}")));
    }
    Ok(())
}

fn put(lab: &Lab, host: &str, name: &str, bytes: &[u8]) -> Result<()> {
    let path = lab.path(&format!("/hosts/{host}/{name}"));
    let fresh = path.with_extension("fresh");
    fs::write(&fresh, bytes)?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600))?;
    let (uid, gid) = lab.ids(User::Slurm);
    chown(&fresh, Some(uid), Some(gid))?;
    Ok(fs::rename(fresh, path)?)
}
