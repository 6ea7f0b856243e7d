//! With a Slurm that has tls/s2n: TLS turned on for a cluster of hosts as docs/operations.md has it, new pairs for its
//! daemons while steps run, and TLS turned off again.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::hosts::{Case, HOSTS, Hosts, wait_on};
use super::nodes_on_hosts;
use crate::host::Host;
use crate::lab::User;
use crate::shell::{outcome, said};

/// All of them, in their order.
pub(super) fn cases() -> Vec<Case> {
    [ON, nodes_on_hosts::CASES, OFF].concat()
}

const ON: &[Case] = &[
    ("TLS on hosts: conf enable refuses while daemons run, and names each host that has one", refuses),
    (
        "TLS on hosts: conf enable has asked every host; daemons start in its order, and a step runs",
        turned_on,
    ),
    (
        "TLS on hosts: cert renew --activate restarts slurmctld and slurmdbd, and each serves its new pair",
        renewed,
    ),
    (
        "TLS on hosts: a pair that slurmctld does not start with is taken back, and the former one served",
        taken_back,
    ),
];

const OFF: &[Case] = &[(
    "TLS on hosts: conf disable gives both files back byte for byte, and Slurm runs without TLS",
    turned_off,
)];

/// Added to what slurm-pki finds in the place of clush and systemctl.
const CONFIG: &str = "
[daemons.restd]
command = [\"/slurm-pki/systemctl\", \"restart\", \"slurmrestd\"]

[daemons.slurmd]
command = [\"/slurm-pki/systemctl\", \"restart\", \"slurmd\"]
";

/// Where each daemon answers.
const SLURMCTLD: &str = "127.0.0.11:6817";
const SLURMDBD: &str = "127.0.0.41:6819";

/// Both files that `conf` edits lie on the controller.
const EDITED: [&str; 2] = ["slurm.conf", "slurmdbd.conf"];

/// The admin's words of operations.md, up to the last before Slurm's daemons are stopped.
fn refuses(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    let config = hosts.lab.path("/hosts/ctl1/slurm-pki.toml");
    let text = fs::read_to_string(&config)?.replace("[fleet]", "[fleet]\nrestd = \"rest1\"");
    fs::write(&config, text + CONFIG)?;
    hosts.slurm_pki(&["init", "--daemons", "dbd,restd"])?;
    each_has_its_own_disk(hosts)?;
    hosts.slurm_pki(&["node", "add", "n[1-2]"])?;
    hosts.slurm_pki(&["node", "push", "n[1-2]"])?;
    hosts.slurm_pki(&["cert", "renew"])?;
    hosts.slurm_pki(&["node", "push", "dbd1,rest1", "--ca-only"])?;
    hosts.slurm_pki(&["rehearse"])?;
    hosts.slurm_pki(&["node", "verify", "n[1-2]"])?;
    keep_edited(hosts)?;
    let said = said(&outcome(&mut hosts.slurm_pki_command(&["conf", "enable", "--yes"]))?);
    for daemon in ["slurmctld", "slurmd", "slurmdbd"] {
        ensure!(said.contains(daemon), "no {daemon} in: {said}");
    }
    ensure!(!hosts.lab.path("/hosts/ctl1/slurm.conf.new").exists(), "something was written");
    for file in EDITED {
        ensure!(hosts.get("ctl1", file)? == before(hosts, file)?, "{file} was changed all the same");
    }
    Ok(Vec::new())
}

fn turned_on(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    stop(hosts)?;
    let said = hosts.slurm_pki(&["conf", "enable", "--yes"])?;
    let order = ["start slurmdbd", "start slurmctld", "start slurmrestd", "start slurmd"];
    in_this_order(&said, &order)?;
    hand_out(hosts)?;
    start(hosts)?;
    steps(hosts)?;
    serves(hosts, SLURMCTLD, "ctl1", "ctld_cert.pem")?;
    serves(hosts, SLURMDBD, "dbd1", "dbd_cert.pem")?;
    hosts.ctl1.sh("sacctmgr -n show cluster | grep -q suite")?;
    Ok(Vec::new())
}

fn renewed(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    let former = [hosts.get("ctl1", "ctld_cert.pem")?, hosts.get("dbd1", "dbd_cert.pem")?];
    let mut step = hosts.ctl1.command("srun", User::Alice);
    let step = step.args(["--nodes=2", "--ntasks=2", "sleep", "15"]).spawn().context("srun")?;
    hosts.wait("the step runs", "squeue -h -t running -o %u | grep -q alice")?;
    let said = hosts.slurm_pki(&["cert", "renew", "ctld", "dbd", "--force", "--activate"])?;
    ensure!(said.contains("TLS 1."), "nothing is said of what was spoken: {said}");
    let now = [hosts.get("ctl1", "ctld_cert.pem")?, hosts.get("dbd1", "dbd_cert.pem")?];
    ensure!(now[0] != former[0] && now[1] != former[1], "not renewed: {said}");
    serves(hosts, SLURMCTLD, "ctl1", "ctld_cert.pem")?;
    serves(hosts, SLURMDBD, "dbd1", "dbd_cert.pem")?;
    let step = step.wait_with_output()?;
    ensure!(step.status.success(), "the step that ran meanwhile: {}", crate::shell::said(&step));
    hosts.wait_idle()?;
    steps(hosts)?;
    Ok(Vec::new())
}

/// slurmctld starts with no key that everybody may read, and says why at level debug only: a hook stands for whoever
/// meddles with the new one before the restart.
fn taken_back(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    const MEDDLER: &str = "#!/bin/sh\n[ -e /tmp/meddled ] || { : > /tmp/meddled; chmod o+r /etc/slurm/ctld_cert_key.pem; }\nexec /slurm-pki/systemctl restart slurmctld\n";
    let config = hosts.lab.path("/hosts/ctl1/slurm-pki.toml");
    let text = fs::read_to_string(&config)?;
    hosts.lab.script("/slurm-pki/meddler", MEDDLER)?;
    let plain = "[\"/slurm-pki/systemctl\", \"restart\", \"slurmctld\"]";
    ensure!(text.contains(plain), "{text}");
    fs::write(&config, text.replace(plain, "[\"/slurm-pki/meddler\"]"))?;
    let former = hosts.get("ctl1", "ctld_cert.pem")?;
    let output = outcome(&mut hosts.slurm_pki_command(&["cert", "renew", "ctld", "--force", "--activate"]))?;
    fs::write(&config, text)?;
    ensure!(output.status.code() == Some(1), "{}", said(&output));
    ensure!(hosts.get("ctl1", "ctld_cert.pem")? == former, "the former pair is not back: {}", said(&output));
    serves(hosts, SLURMCTLD, "ctl1", "ctld_cert.pem")?;
    hosts.wait_idle()?;
    steps(hosts)?;
    Ok(Vec::new())
}

fn turned_off(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    stop(hosts)?;
    hosts.slurm_pki(&["conf", "disable", "--yes"])?;
    for file in EDITED {
        let (now, before) = (hosts.get("ctl1", file)?, before(hosts, file)?);
        ensure!(now == before, "{file} is not what it was:\n{}", String::from_utf8_lossy(&now));
    }
    hand_out(hosts)?;
    start(hosts)?;
    steps(hosts)?;
    Ok(Vec::new())
}

/// All hosts share one root; the state of the controllers is to be seen on theirs alone.
fn each_has_its_own_disk(hosts: &Hosts<'_>) -> Result<()> {
    for host in [&hosts.n1, &hosts.n2, &hosts.dbd1, &hosts.rest1] {
        host.sh("mount -t tmpfs tmpfs /var/lib/slurm-pki")?;
    }
    Ok(())
}

fn keep_edited(hosts: &Hosts<'_>) -> Result<()> {
    for file in EDITED {
        fs::write(hosts.lab.path(&format!("/tmp/{file}.before")), hosts.get("ctl1", file)?)?;
    }
    Ok(())
}

fn before(hosts: &Hosts<'_>, file: &str) -> Result<Vec<u8>> {
    Ok(fs::read(hosts.lab.path(&format!("/tmp/{file}.before")))?)
}

/// What a site's own tools do after an edit: the files to the hosts that have one.
pub(super) fn hand_out(hosts: &Hosts<'_>) -> Result<()> {
    let slurm_conf = hosts.get("ctl1", "slurm.conf")?;
    for host in HOSTS.into_iter().filter(|host| *host != "ctl1") {
        fs::write(hosts.lab.path(&format!("/hosts/{host}/slurm.conf")), &slurm_conf)?;
    }
    hosts.put("dbd1", "slurmdbd.conf", &hosts.get("ctl1", "slurmdbd.conf")?)
}

/// Last to first.
pub(super) fn stop(hosts: &Hosts<'_>) -> Result<()> {
    for (host, daemon) in daemons(hosts).into_iter().rev() {
        host.systemctl("stop", daemon)?;
    }
    Ok(())
}

pub(super) fn start(hosts: &Hosts<'_>) -> Result<()> {
    for (host, daemon) in daemons(hosts) {
        host.systemctl("start", daemon)?;
        match daemon {
            "slurmdbd" => wait_on(host, "slurmdbd answers", "sacctmgr -n show cluster")?,
            "slurmctld" => hosts.wait("slurmctld answers", "scontrol ping | grep -q UP")?,
            _ => {}
        }
    }
    hosts.wait_idle()
}

fn daemons<'h, 'a>(hosts: &'h Hosts<'a>) -> [(&'h Host<'a>, &'static str); 5] {
    [
        (&hosts.dbd1, "slurmdbd"),
        (&hosts.ctl1, "slurmctld"),
        (&hosts.rest1, "slurmrestd"),
        (&hosts.n1, "slurmd"),
        (&hosts.n2, "slurmd"),
    ]
}

/// A step on both nodes, of an ordinary user.
pub(super) fn steps(hosts: &Hosts<'_>) -> Result<()> {
    let mut srun = hosts.ctl1.command("srun", User::Alice);
    let said = crate::shell::answer(srun.args(["--nodes=2", "--ntasks=2", "hostname"]))?;
    let mut names: Vec<_> = said.lines().collect();
    names.sort_unstable();
    ensure!(names == ["n1", "n2"], "srun: {said}");
    Ok(())
}

/// What openssl is served at an address is the first certificate in a host's file.
fn serves(hosts: &Hosts<'_>, address: &str, host: &str, file: &str) -> Result<()> {
    fs::copy(hosts.lab.path(&format!("/hosts/{host}/{file}")), hosts.lab.path("/tmp/expected.pem"))?;
    let line = format!(
        "served=$(openssl s_client -connect {address} < /dev/null 2> /dev/null | openssl x509 -noout -fingerprint -sha256) && \
         [ \"$served\" = \"$(openssl x509 -in /tmp/expected.pem -noout -fingerprint -sha256)\" ]"
    );
    hosts.wait(&format!("{address} serves {file}"), &line)
}

/// Each is named after the one before it.
fn in_this_order(text: &str, words: &[&str]) -> Result<()> {
    let mut rest = text;
    for word in words {
        let at = rest.find(word).with_context(|| format!("no {word} in its place: {text}"))?;
        rest = rest.get(at + word.len()..).unwrap_or_default();
    }
    Ok(())
}
