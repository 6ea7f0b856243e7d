//! slurm.conf, with documented keys only.

use std::fs;

use anyhow::Result;

use crate::lab::Lab;

/// Where the programs are seen in the root.
pub(crate) const PROGRAMS: &str = "/slurm-pki/bin";

/// How many nodes can enrol at once in the cases; they exist in slurm.conf only.
pub(crate) const CROWD: usize = 200;

/// Where slurmd listens, as the lines of [`REST`] have it.
pub(crate) const SLURMD_PORTS: [(&str, &str); 2] = [("n1", "127.0.0.21:6821"), ("n2", "127.0.0.22:6822")];

/// What differs from one cluster to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conf {
    /// ctl2 stands by.
    pub(crate) backup: bool,
    /// How many nodes there are besides, c1 and so on.
    pub(crate) crowd: usize,
    /// The parameter of this name.
    pub(crate) single_use_tokens: bool,
    /// Judges tokens.
    pub(crate) validate: &'static str,
    /// Signs; ours, or a script around ours.
    pub(crate) sign_csr: &'static str,
    /// CertgenParameters; without them Slurm has scripts of its own.
    pub(crate) certgen_parameters: &'static str,
    /// SlurmctldParameters.
    pub(crate) slurmctld_parameters: &'static str,
    /// Seconds.
    pub(crate) message_timeout: u32,
    /// Without TLS: a request without a token counts as a renewal over mTLS.
    pub(crate) mtls_flag: bool,
    /// Everything over tls/s2n, certificates renewed every minute.
    pub(crate) tls: bool,
    /// Cloud nodes are started by [`RESUME`].
    pub(crate) resume: bool,
    /// With certmgr and certgen; without them it is a slurm.conf from before slurm-pki.
    pub(crate) certmgr: bool,
}

impl Default for Conf {
    fn default() -> Self {
        Self::PLAIN
    }
}

impl Conf {
    /// Certmgr and certgen, without TLS.
    pub(crate) const PLAIN: Self = Self {
        backup: false,
        crowd: CROWD,
        single_use_tokens: false,
        validate: "/slurm-pki/bin/validate_node_token",
        sign_csr: "/slurm-pki/bin/sign_csr",
        certgen_parameters: "keygen_script=/slurm-pki/bin/keygen,certgen_script=/slurm-pki/bin/certgen",
        slurmctld_parameters: "",
        message_timeout: 60,
        mtls_flag: false,
        tls: false,
        resume: false,
        certmgr: true,
    };

    /// Writes it, once for the cluster and once for whoever means ill: the same with other scripts on the node.
    pub(crate) fn write(&self, lab: &Lab) -> Result<()> {
        fs::write(lab.path("/etc/slurm/slurm.conf"), self.text(PROGRAMS))?;
        Ok(fs::write(lab.path("/etc/stray/slurm.conf"), self.text("/slurm-pki/stray"))?)
    }

    /// slurm.conf, with the node's scripts in this folder.
    pub(crate) fn text(&self, node_scripts: &str) -> String {
        let backup = if self.backup { "SlurmctldHost=ctl2(127.0.0.12)\n" } else { "" };
        let tls = if self.tls { TLS } else { "" };
        let resume = if self.resume { POWER } else { "" };
        let certmgr = if self.certmgr { self.certmgr_lines(node_scripts) } else { String::new() };
        format!(
            "ClusterName=suite\n\
             SlurmctldHost=ctl1(127.0.0.11)\n\
             {backup}\
             MessageTimeout={}\n\
             {}{certmgr}{tls}{resume}{REST}{}",
            self.message_timeout,
            line("SlurmctldParameters", self.slurmctld_parameters),
            crowd(self.crowd),
        )
    }

    fn certmgr_lines(&self, node_scripts: &str) -> String {
        format!(
            "CertmgrType=certmgr/script\n\
             CertmgrParameters={}\n\
             CertgenType=certgen/script\n\
             {}",
            self.certmgr_parameters(node_scripts),
            line("CertgenParameters", self.certgen_parameters),
        )
    }

    fn certmgr_parameters(&self, node_scripts: &str) -> String {
        let mut parameters = vec![
            format!("get_node_token_script={node_scripts}/get_node_token"),
            format!("generate_csr_script={node_scripts}/generate_csr"),
            format!("get_node_cert_key_script={node_scripts}/get_cert_key"),
            format!("validate_node_script={}", self.validate),
            format!("sign_csr_script={}", self.sign_csr),
            format!("certificate_renewal_period={}", if self.tls { 1 } else { 1440 }),
        ];
        if self.single_use_tokens {
            parameters.push("single_use_tokens".to_owned());
        }
        parameters.join(",")
    }
}

/// Nothing for what is not given.
fn line(key: &str, value: &str) -> String {
    if value.is_empty() { String::new() } else { format!("{key}={value}\n") }
}

/// So many on each /24 of the loopback.
fn crowd(nodes: usize) -> String {
    const ON_A_NET: usize = 250;
    let line = |first: usize| {
        let (last, net) = (nodes.min(first + ON_A_NET - 1), first / ON_A_NET + 1);
        let hosts = last - first + 1;
        format!("NodeName=c[{first}-{last}] NodeAddr=127.0.{net}.[1-{hosts}] State=CLOUD\n")
    };
    (1..=nodes).step_by(ON_A_NET).map(line).collect()
}

/// What slurmctld starts cloud nodes with.
pub(crate) const RESUME: &str = "/slurm-pki/resume";

/// Nodes are started and given up, and never by themselves.
const POWER: &str = "\
ResumeProgram=/slurm-pki/resume
SuspendProgram=/bin/true
SuspendTime=86400
SuspendTimeout=5
ResumeTimeout=300
NodeName=c[201-203] NodeAddr=127.0.2.[1-3] State=CLOUD
PartitionName=cloud Nodes=c[201-203] State=UP
";

const TLS: &str = "\
TLSType=tls/s2n
TLSParameters=ca_cert_file=/etc/slurm/ca_cert.pem,ctld_cert_file=/etc/slurm/ctld_cert.pem,ctld_cert_key_file=/etc/slurm/ctld_cert_key.pem
";

const REST: &str = "\
SlurmUser=slurm
SlurmdUser=root
AuthType=auth/slurm
CredType=auth/slurm
CommunicationParameters=NoCtldInAddrAny
DebugFlags=AuditTLS
SlurmctldDebug=verbose
SlurmdDebug=verbose
SlurmctldTimeout=10
StateSaveLocation=/var/lib/slurm-state
SlurmdSpoolDir=/var/spool/slurmd-%n
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
NodeName=n1 NodeAddr=127.0.0.21 Port=6821 CPUs=1 RealMemory=256
NodeName=n2 NodeAddr=127.0.0.22 Port=6822 CPUs=1 RealMemory=256
NodeName=n[3-9] NodeAddr=127.0.0.[3-9] State=DOWN
PartitionName=main Nodes=n1,n2 Default=YES State=UP
";
