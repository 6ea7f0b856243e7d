//! A site on a system: what an admin has made there with the packages.

use anyhow::{Result, ensure};

use crate::system::System;

/// Everything that a site is made of.
pub(crate) const FOLDERS: [&str; 2] = ["/etc/slurm", "/var/lib/slurm-pki"];

/// The config of all programs.
pub(crate) const CONFIG: &str = "/etc/slurm/slurm-pki.toml";

/// A slurm.conf with one node, which this host is.
pub(crate) fn slurm_conf(system: &System<'_>, slurm_user: &str) -> Result<()> {
    let host = system.run(&["uname", "-n"])?;
    let text = format!(
        "ClusterName=packaged\nSlurmctldHost={}\nSlurmUser={slurm_user}\nNodeName=n1 NodeAddr=127.0.0.1\n\
         PartitionName=main Nodes=n1\n",
        host.trim()
    );
    system.write("/etc/slurm/slurm.conf", &text)
}

/// A CA, a node with its token in place, and one certificate in the ledger, with an edited config.
pub(crate) fn set_up(system: &System<'_>) -> Result<()> {
    slurm_conf(system, "slurm")?;
    let config = system.text(CONFIG)?;
    ensure!(config.contains("#validity = \"168h\""), "no validity in {CONFIG}");
    system.write(CONFIG, &config.replace("#validity = \"168h\"", "validity = \"100h\""))?;
    system.sh("slurm-pki init")?;
    system.sh("slurm-pki node add n1")?;
    system.sh(
        "slurm-pki node bundle n1 --out /root/bundles && cp -a /root/bundles/n1/. / && rm -r /root/bundles",
    )?;
    enrols(system)?;
    let issued = system.run(&["slurm-pki", "ledger", "list"])?;
    ensure!(issued.contains(" n1 ") && issued.contains(" slurmctld "), "{issued}");
    Ok(())
}

/// What slurmd and slurmctld run between them, each as its own user.
fn enrols(system: &System<'_>) -> Result<()> {
    let exchange = "cd /usr/libexec/slurm-pki && token=$(./get_node_token n1) && request=$(./generate_csr n1) && \
                    runuser -u slurm -- ./validate_node_token n1 \"$token\" && \
                    runuser -u slurm -- ./sign_csr \"$request\" && ./get_cert_key n1";
    let said = system.sh(exchange)?;
    ensure!(said.contains("BEGIN CERTIFICATE") && said.contains("PRIVATE KEY"), "{said}");
    Ok(())
}

/// A whole exchange that leaves nothing behind: each of the programs is run as Slurm runs it.
pub(crate) fn works(system: &System<'_>) -> Result<()> {
    system.sh("slurm-pki rehearse n1").map(drop)
}
