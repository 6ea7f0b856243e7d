//! What is in which package, and where: the one table of it.

/// One of the four packages.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: &'static str,
    /// One line, without a full stop.
    pub(crate) summary: &'static str,
    /// Lines of at most 75 characters.
    pub(crate) description: &'static str,
    /// Packages of ours that it cannot do without, in the same version.
    pub(crate) requires: &'static [&'static str],
    /// What its scripts run, as Debian and as rpm name what has it.
    pub(crate) scripts_run: &'static [(&'static str, &'static str)],
    /// Packages that most will want beside it; their names are the same everywhere.
    pub(crate) recommends: &'static [&'static str],
    pub(crate) contents: &'static [Item],
}

/// Something that a package holds.
#[derive(Debug)]
pub(crate) enum Item {
    /// One of the programs, in [`PROGRAMS`].
    Program(&'static str),
    /// A file of the source tree, mode 0644. What lies below /etc is the admin's: an upgrade keeps changes.
    File { from: &'static str, to: &'static str },
    /// A script of the source tree, mode 0755.
    Script { from: &'static str, to: &'static str },
    /// All files of a folder of the source tree whose names begin so, with those in folders below it; mode 0644.
    Folder { from: &'static str, beginning: &'static str, to: &'static str },
    /// A symbolic link.
    Link { at: &'static str, to: &'static str },
    /// The licences of what the programs contain besides our own code.
    Licences,
    /// Manual pages, by their names.
    Manual(&'static [&'static str]),
    /// All manual pages of a section.
    ManualSection(&'static str),
    /// The completions of one command for the three shells.
    Completions(&'static str),
}

/// Where Slurm is told to find the programs, and where they find each other.
pub(crate) const PROGRAMS: &str = "/usr/libexec/slurm-pki";

/// For slurmd and for sackd.
const RESTART: &str = "packaging/systemd/restart-after-refusal.conf";

use Item::{Completions, File, Folder, Licences, Link, Manual, ManualSection, Program, Script};

/// The packages, those that others require first.
pub(crate) const PACKAGES: &[Package] = &[
    Package {
        name: "slurm-pki-client",
        summary: "certificates for Slurm's user commands",
        description: "\
The programs keygen and certgen, which every Slurm command runs where TLS is
on, and the config that all programs of slurm-pki share. It belongs on every
host with a Slurm command.",
        requires: &[],
        scripts_run: &[],
        recommends: &[],
        contents: &[
            Program("keygen"),
            Program("certgen"),
            File { from: "config/slurm-pki.toml", to: "/etc/slurm/slurm-pki.toml" },
            Licences,
            Manual(&["keygen.1", "certgen.1", "slurm-pki.toml.5"]),
        ],
    },
    Package {
        name: "slurm-pki-node",
        summary: "enrolment of Slurm's nodes for certificates",
        description: "\
The programs get_node_token, generate_csr and get_cert_key, by which slurmd
and sackd ask slurmctld for certificates, and drop-ins that start these
daemons again after a refusal. It belongs on compute nodes, and on login
nodes that run sackd.",
        requires: &["slurm-pki-client"],
        scripts_run: &[],
        recommends: &[],
        contents: &[
            Program("get_node_token"),
            Program("generate_csr"),
            Program("get_cert_key"),
            File { from: RESTART, to: "/usr/lib/systemd/system/slurmd.service.d/10-slurm-pki.conf" },
            File { from: RESTART, to: "/usr/lib/systemd/system/sackd.service.d/10-slurm-pki.conf" },
            Manual(&["get_node_token.1", "generate_csr.1", "get_cert_key.1"]),
        ],
    },
    Package {
        name: "slurm-pki-controller",
        summary: "certificates for Slurm's nodes, issued by the controller",
        description: "\
The programs validate_node_token and sign_csr, by which slurmctld judges a
node and signs its request, with a CA in files or, through slurm-pki-signer,
in HashiCorp Vault or OpenBao. It belongs on each host of slurmctld.",
        requires: &["slurm-pki-client"],
        scripts_run: &[(
            "systemd | systemd-standalone-sysusers | systemd-sysusers",
            "/usr/bin/systemd-sysusers",
        )],
        recommends: &["slurm-pki", "logrotate"],
        contents: &[
            Program("validate_node_token"),
            Program("sign_csr"),
            Program("slurm-pki-signer"),
            File { from: "packaging/logrotate/slurm-pki", to: "/etc/logrotate.d/slurm-pki" },
            Manual(&["validate_node_token.1", "sign_csr.1", "slurm-pki-signer.1"]),
        ],
    },
    Package {
        name: "slurm-pki",
        summary: "certificates and keys of a Slurm cluster",
        description: "\
The admin command: CA, nodes, certificates of the daemons and their renewal,
auth/slurm and JWT keys and their rotation, Slurm's configuration, checks and
metrics. With timers, alert rules, a dashboard, an Ansible role, and
configurations for a proxy in front of slurmrestd. It belongs where an admin
works.",
        requires: &["slurm-pki-client"],
        scripts_run: &[],
        recommends: &["slurm-pki-node", "slurm-pki-controller"],
        contents: &[
            Program("slurm-pki"),
            Link { at: "/usr/sbin/slurm-pki", to: "../libexec/slurm-pki/slurm-pki" },
            Script { from: "packaging/libexec/proxy-token", to: "/usr/libexec/slurm-pki/proxy-token" },
            Folder { from: "packaging/systemd", beginning: "slurm-pki-", to: "/usr/lib/systemd/system" },
            Folder { from: "packaging/apache", beginning: "", to: "/usr/share/slurm-pki/apache" },
            Script { from: "packaging/resume/resume", to: "/usr/share/slurm-pki/resume/resume" },
            Folder { from: "packaging/nginx", beginning: "", to: "/usr/share/slurm-pki/nginx" },
            Folder { from: "packaging/prometheus", beginning: "", to: "/usr/share/slurm-pki/prometheus" },
            Folder { from: "packaging/grafana", beginning: "", to: "/usr/share/slurm-pki/grafana" },
            Folder { from: "docs", beginning: "", to: "/usr/share/doc/slurm-pki/docs" },
            Folder { from: "packaging/ansible", beginning: "", to: "/usr/share/slurm-pki/ansible" },
            Folder { from: "config", beginning: "", to: "/usr/share/slurm-pki/config" },
            File {
                from: "packaging/systemd/slurmrestd-behind-proxy.conf",
                to: "/usr/share/slurm-pki/systemd/slurmrestd-behind-proxy.conf",
            },
            ManualSection("8"),
            Completions("slurm-pki"),
        ],
    },
];
