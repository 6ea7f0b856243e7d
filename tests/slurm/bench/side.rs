//! Whose programs slurmctld runs.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::bench::crowd::FIXED;
use crate::conf::Conf;
use crate::lab::{Lab, User};
use crate::{shell, site};

/// Ours, the shell scripts that do the same with openssl, and programs that answer and do nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    Scripts,
    Nothing,
}

const STATE: &str = "/var/lib/slurm-pki";

/// Where `init` puts them.
const CA_KEY: &str = "/var/lib/slurm-pki/ca/ca_key.pem";
const CA_CERT: &str = "/etc/slurm/ca_cert.pem";

/// Where the scripts keep their list and their CA.
const REFERENCE: &str = "/var/lib/reference";

const SCRIPTS: [(&str, &str); 2] = [
    ("/slurm-pki/validate.sh", include_str!("../../reference/validate_node_token.sh")),
    ("/slurm-pki/sign.sh", include_str!("../../reference/sign_csr.sh")),
];

/// A link, so that it can be turned.
const TURNED: &str = "/slurm-pki/turned";

impl Side {
    pub(crate) const ALL: [Self; 3] = [Self::Ours, Self::Scripts, Self::Nothing];

    /// As the tables have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "slurm-pki",
            Self::Scripts => "shell scripts",
            Self::Nothing => "programs that do nothing",
        }
    }

    /// Slurm's own limits, and as many workers as it takes by itself where there are sixteen processors.
    pub(crate) fn conf(self, nodes: usize) -> Conf {
        let [(validate, _), (sign, _)] = SCRIPTS;
        let plain = Conf {
            crowd: nodes,
            message_timeout: 10,
            mtls_flag: true,
            slurmctld_parameters: "conmgr_threads=32",
            ..Conf::default()
        };
        match self {
            Self::Ours => plain,
            Self::Scripts => Conf { validate, sign_csr: sign, ..plain },
            Self::Nothing => Conf { validate: FIXED, sign_csr: TURNED, ..plain },
        }
    }

    /// The CA's key is gone, as after a mistake of an admin's.
    pub(crate) fn refuse_from_now(self, lab: &Lab) -> Result<()> {
        match self {
            Self::Ours => Ok(fs::remove_file(lab.path(CA_KEY))?),
            Self::Scripts => Ok(fs::remove_file(lab.path(&format!("{REFERENCE}/root_key.pem")))?),
            Self::Nothing => turn(lab, "/usr/bin/false"),
        }
    }
}

fn turn(lab: &Lab, to: &str) -> Result<()> {
    let link = lab.path(TURNED);
    let _ = fs::remove_file(&link);
    Ok(std::os::unix::fs::symlink(to, link)?)
}

/// The root is in memory. State on which our programs wait until it is written lies where the suite was built.
pub(crate) fn on_the_disk(lab: &Lab, built: &Path) -> Result<()> {
    let disk = built.join("state");
    let _ = fs::remove_dir_all(&disk);
    fs::create_dir_all(&disk)?;
    lab.folder(STATE, User::Slurm)?;
    shell::answer(Command::new("mount").arg("--bind").arg(&disk).arg(lab.path(STATE))).map(drop)
}

/// The scripts with the same CA and the same tokens.
pub(crate) fn lay_out_scripts(lab: &Lab, nodes: usize) -> Result<()> {
    lab.folder(REFERENCE, User::Slurm)?;
    let lines = (1..=nodes).map(|number| {
        let node = format!("c{number}");
        Ok(format!("{node} {}\n", site::token(lab, &node)?))
    });
    let list = lines.collect::<Result<String>>()?;
    lab.secret_file(&format!("{REFERENCE}/node_token_list.txt"), list.as_bytes(), User::Slurm)?;
    for (ours, theirs) in [(CA_KEY, "root_key.pem"), (CA_CERT, "root_cert.pem")] {
        let text = fs::read(lab.path(ours))?;
        lab.secret_file(&format!("{REFERENCE}/{theirs}"), &text, User::Slurm)?;
    }
    for (path, text) in SCRIPTS {
        let text = text.replacen("set -eu\n", &format!("set -eu\nREFERENCE_DIR={REFERENCE}\n"), 1);
        lab.script(path, &text)?;
    }
    turn(lab, FIXED)
}
