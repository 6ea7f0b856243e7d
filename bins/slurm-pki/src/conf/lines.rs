//! The lines themselves. Names and rules are those of slurm.conf(5) as the code has them (docs/slurm-contract.md).

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use site::config::{DEFAULT_PATH, Daemon, DaemonConfig, VARIABLE};

use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::programs;
use crate::renewal_period::{self, PER_LIFE, RenewalPeriod};

/// What goes where.
#[derive(Debug, Serialize)]
pub(super) struct Lines {
    pub(super) slurm_conf: Vec<String>,
    pub(super) slurmdbd_conf: Vec<String>,
    pub(super) slurmd_options: String,
    pub(super) sackd_options: String,
    /// For the environment of every Slurm daemon, where the config is not at its default place.
    pub(super) environment: Option<String>,
    pub(super) warnings: Vec<String>,
}

impl Lines {
    /// With certmgr: nodes ask slurmctld for their certificates.
    ///
    /// # Errors
    /// When a path cannot stand in slurm.conf.
    pub(super) fn with_certmgr(admin: &Admin, programs: &Path) -> anyhow::Result<Self> {
        let mut warnings = Vec::new();
        let stands = admin.slurm.as_ref().and_then(|slurm| slurm.get("CertmgrParameters"));
        let period = period(RenewalPeriod::of(stands), admin.controller.validity, &mut warnings);
        let program = |key: &str, name: &str| parameter(key, &programs.join(name));
        let certmgr = [
            program("get_node_token_script", programs::GET_NODE_TOKEN)?,
            program("generate_csr_script", programs::GENERATE_CSR)?,
            program("get_node_cert_key_script", programs::GET_CERT_KEY)?,
            program("validate_node_script", programs::VALIDATE_NODE_TOKEN)?,
            program("sign_csr_script", programs::SIGN_CSR)?,
            format!("certificate_renewal_period={period}"),
        ];
        let mut all = Self::of(admin, programs, &[], warnings)?;
        all.slurm_conf.push("CertmgrType=certmgr/script".into());
        all.slurm_conf.push(format!("CertmgrParameters={}", certmgr.join(",")));
        all.warn_of_static_pairs(admin)?;
        Ok(all)
    }

    /// Without certmgr: every node has a pair that was made for it.
    ///
    /// # Errors
    /// When a path cannot stand in slurm.conf.
    pub(super) fn with_static_pairs(admin: &Admin, programs: &Path) -> anyhow::Result<Self> {
        Self::of(admin, programs, &[Daemon::Slurmd, Daemon::Sackd], Vec::new())
    }

    fn of(admin: &Admin, programs: &Path, nodes: &[Daemon], warnings: Vec<String>) -> anyhow::Result<Self> {
        let ca_cert = parameter("ca_cert_file", &admin.controller.ca_cert)?;
        let mut tls = vec![ca_cert.clone()];
        tls.extend(pair_of(admin, Daemon::Ctld)?);
        if has_restd(admin)? {
            tls.extend(pair_of(admin, Daemon::Restd)?);
        }
        for daemon in nodes {
            tls.extend(pair_of(admin, *daemon)?);
        }
        let mut dbd = vec![ca_cert];
        dbd.extend(pair_of(admin, Daemon::Dbd)?);
        let certgen = [
            parameter("keygen_script", &programs.join(programs::KEYGEN))?,
            parameter("certgen_script", &programs.join(programs::CERTGEN))?,
        ];
        let option = format!("--ca-cert-file={}", checked(&admin.controller.ca_cert)?);
        Ok(Self {
            slurm_conf: vec![
                "TLSType=tls/s2n".into(),
                format!("TLSParameters={}", tls.join(",")),
                "CertgenType=certgen/script".into(),
                format!("CertgenParameters={}", certgen.join(",")),
            ],
            slurmdbd_conf: vec!["TLSType=tls/s2n".into(), format!("TLSParameters={}", dbd.join(","))],
            slurmd_options: option.clone(),
            sackd_options: option,
            environment: environment(admin)?,
            warnings,
        })
    }

    /// A daemon that finds a pair on its disk never asks certmgr.
    fn warn_of_static_pairs(&mut self, admin: &Admin) -> anyhow::Result<()> {
        for daemon in [Daemon::Slurmd, Daemon::Sackd] {
            let config = DaemonConfig::read(&admin.config, &admin.controller, daemon).advise()?;
            if config.cert.exists() {
                self.warnings.push(format!(
                    "{} is there: {daemon} of this host uses it and never renews; move it away for certmgr",
                    config.cert.display()
                ));
            }
        }
        Ok(())
    }
}

fn has_restd(admin: &Admin) -> anyhow::Result<bool> {
    let config = DaemonConfig::read(&admin.config, &admin.controller, Daemon::Restd).advise()?;
    Ok(config.configured || config.cert.exists())
}

fn pair_of(admin: &Admin, daemon: Daemon) -> anyhow::Result<[String; 2]> {
    let config = DaemonConfig::read(&admin.config, &admin.controller, daemon).advise()?;
    let short = daemon.short();
    Ok([
        parameter(&format!("{short}_cert_file"), &config.cert)?,
        parameter(&format!("{short}_cert_key_file"), &config.key)?,
    ])
}

/// Programs find a config at another place only by this variable.
fn environment(admin: &Admin) -> anyhow::Result<Option<String>> {
    let path = admin.config.path();
    if path == Path::new(DEFAULT_PATH) {
        return Ok(None);
    }
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    Ok(Some(format!("{VARIABLE}={}", checked(&path)?)))
}

fn parameter(key: &str, path: &Path) -> anyhow::Result<String> {
    Ok(format!("{key}={}", checked(path)?))
}

/// Slurm splits parameters at commas, trims nothing and knows no quotes; `#` begins a comment.
///
/// # Errors
/// When the path cannot stand in slurm.conf.
pub(super) fn checked(path: &Path) -> anyhow::Result<&str> {
    let stands = |c: char| !c.is_whitespace() && !c.is_control() && !",#\"'\\=".contains(c);
    path.to_str().filter(|text| path.is_absolute() && text.chars().all(stands)).ok_or_else(|| {
        Advice::new(
            format!("{:?} cannot stand in slurm.conf", path.display().to_string()),
            "use an absolute path without commas, blanks, quotes, = and #",
        )
        .into()
    })
}

/// The site's own, where certificates live long enough for it.
fn period(stands: RenewalPeriod<'_>, validity: Duration, warnings: &mut Vec<String>) -> u64 {
    let most = (validity.as_secs() / 60 / PER_LIFE).max(1);
    let own = stands.in_minutes().filter(|own| stands.text.is_some() && !stands.has_more && *own <= most);
    if let Some(own) = own {
        return own;
    }
    if most >= renewal_period::DEFAULT {
        return renewal_period::DEFAULT;
    }
    warnings.push(format!(
        "validity of {} is less than {PER_LIFE} days: nodes renew every {most} minutes instead of \
         every {}, so that one missed renewal is no outage",
        crate::moment::span(validity),
        renewal_period::DEFAULT
    ));
    most
}

/// The folder of the seven: where packages put them, else beside this command.
///
/// # Errors
/// When this command cannot find itself.
pub(super) fn programs_folder(given: Option<&Path>, warnings: &mut Vec<String>) -> anyhow::Result<PathBuf> {
    const PACKAGED: &str = "/usr/libexec/slurm-pki";
    let has_all = |folder: &Path| programs::SEVEN.iter().all(|name| folder.join(name).is_file());
    let folder = match given {
        Some(folder) => folder.to_owned(),
        None if has_all(Path::new(PACKAGED)) => PACKAGED.into(),
        None => std::env::current_exe()?.parent().unwrap_or(Path::new("/")).to_owned(),
    };
    if !has_all(&folder) {
        warnings.push(format!(
            "{} does not have all seven programs on this host; every host needs them at the same path",
            folder.display()
        ));
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_period_is_at_most_a_fifth_of_the_validity() {
        let mut warnings = Vec::new();
        let mut without_one =
            |seconds| period(RenewalPeriod::of(None), Duration::from_secs(seconds), &mut warnings);
        assert_eq!((without_one(168 * 3600), without_one(48 * 3600), without_one(60)), (1440, 576, 1));
        assert_eq!(warnings.len(), 2);
    }

    #[test]
    fn a_period_of_the_site_stays_when_certificates_live_long_enough_for_it() {
        for (stands, wanted) in
            [("60", 60), ("2016", 2016), ("2017", 1440), ("0", 1440), ("-1", 1440), ("1d", 1440), ("", 1440)]
        {
            let parameters = format!("single_use_tokens,certificate_renewal_period={stands}");
            let (week, mut warnings) = (Duration::from_secs(168 * 3600), Vec::new());
            assert_eq!(period(RenewalPeriod::of(Some(&parameters)), week, &mut warnings), wanted, "{stands}");
        }
    }

    #[test]
    fn what_slurm_would_split_or_cut_is_refused() {
        for bad in ["/a,b", "/a b", "relative", "/a#b", "/a\"b", "/a\n"] {
            assert!(checked(Path::new(bad)).is_err(), "{bad}");
        }
        assert_eq!(checked(Path::new("/etc/slurm/%n_cert.pem")).unwrap(), "/etc/slurm/%n_cert.pem");
    }
}
