//! `slurm-pki conf show`.

use std::path::PathBuf;

use clap::Args;

use super::authentication::{self, Which};
use super::jwt::JwtOptions;
use super::lines::{Lines, programs_folder};
use super::subject::Subject;
use crate::admin::Admin;
use crate::global::Global;
use crate::report;

/// Print the exact lines for slurm.conf and slurmdbd.conf, and slurmd's and sackd's options
#[derive(Args, Debug)]
#[command(after_help = "All paths are absolute: configless nodes would look for relative ones in a cache.\n\
    Nothing is changed. With --jwt and --auth-slurm the lines are merged with what the files have. Give all hosts the CA certificate before the first daemon restarts with these.\n\n\
    Examples:\n  \
    slurm-pki conf show\n  \
    slurm-pki conf show --static                       pairs by cert issue slurmd, no certmgr\n  \
    slurm-pki conf show --programs /opt/slurm-pki/bin\n  \
    slurm-pki conf show --jwt --jwks /etc/slurm/jwks.json\n  \
    slurm-pki conf show --auth-slurm\n  \
    slurm-pki conf show --json | jq -r '.data.slurm_conf[]'")]
pub(super) struct Show {
    /// Static pairs for slurmd and sackd instead of certmgr
    #[arg(long = "static", conflicts_with_all = ["jwt", "auth_slurm"])]
    without_certmgr: bool,
    /// Folder of the seven programs, the same on all hosts
    #[arg(long, value_name = "DIR", conflicts_with_all = ["jwt", "auth_slurm"])]
    programs: Option<PathBuf>,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    jwt_options: JwtOptions,
}

impl Show {
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let subject = self.which.subject();
        if subject != Subject::Tls {
            return authentication::show(global, subject, &self.jwt_options);
        }
        let admin = Admin::load(global)?;
        let mut warnings = Vec::new();
        let programs = programs_folder(self.programs.as_deref(), &mut warnings)?;
        let mut lines = if self.without_certmgr {
            Lines::with_static_pairs(&admin, &programs)?
        } else {
            Lines::with_certmgr(&admin, &programs)?
        };
        lines.warnings.extend(warnings);
        if global.json {
            return report::json("slurm-pki.conf.show.v1", &lines);
        }
        print(&lines);
        lines.warnings.iter().for_each(|warning| report::warning(warning));
        Ok(())
    }
}

fn print(lines: &Lines) {
    report::line("# slurm.conf, on every host");
    lines.slurm_conf.iter().for_each(|line| report::line(line));
    report::line(
        "# DebugFlags=AuditTLS logs every certificate; DebugFlags=Script would log tokens and keys.",
    );
    report::line("");
    report::line("# slurmdbd.conf");
    lines.slurmdbd_conf.iter().for_each(|line| report::line(line));
    report::line("");
    report::line("# /etc/default/slurmd (EL: /etc/sysconfig/slurmd): merge into what is there");
    report::line(&format!("SLURMD_OPTIONS={}", lines.slurmd_options));
    report::line("");
    report::line("# /etc/default/sackd (EL: /etc/sysconfig/sackd): merge into what is there");
    report::line(&format!("SACKD_OPTIONS={}", lines.sackd_options));
    if let Some(environment) = &lines.environment {
        report::line("");
        report::line("# and in the same files of slurmctld, slurmd and sackd");
        report::line(environment);
    }
}
