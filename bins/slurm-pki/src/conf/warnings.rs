//! What a person should know before these lines count.

use pki::policy::Bind;
use site::config::{Daemon, DaemonConfig};

use super::editing::Editing;
use super::lines::Lines;
use crate::admin::Admin;
use crate::advice::Advise as _;
use crate::members::is_this_host;
use crate::slurm_conf::SlurmConf;

/// All of it.
///
/// # Errors
/// When the config has no meaning.
pub(super) fn all(admin: &Admin, slurm: &Editing, lines: &Lines) -> anyhow::Result<Vec<String>> {
    let more = [foreign(admin, slurm, lines), not_issued(admin)?];
    Ok(lines.warnings.iter().cloned().chain(more.into_iter().flatten()).collect())
}

/// sign_csr signs what our generate_csr has bound to a node's secret; another's requests have no binding.
fn foreign(admin: &Admin, slurm: &Editing, lines: &Lines) -> Option<String> {
    const KEY: &str = "generate_csr_script=";
    let named = |parameters: &str| {
        parameters.split(',').find_map(|parameter| parameter.strip_prefix(KEY)).map(str::to_owned)
    };
    let is = named(&slurm.value("CertmgrParameters")?)?;
    let ours = lines.slurm_conf.iter().find_map(|line| named(line.split_once('=').unwrap_or_default().1))?;
    let keeps = match admin.controller.bind {
        Bind::Required => "sign_csr refuses the requests of another (bind = \"required\")",
        Bind::Warn | Bind::Off => "sign_csr cannot tell who made the requests of another",
    };
    (is != ours).then(|| {
        format!("slurm.conf names a foreign generate_csr_script, {is}; {ours} takes its place: {keeps}")
    })
}

/// A daemon without its certificate does not start with these lines.
fn not_issued(admin: &Admin) -> anyhow::Result<Option<String>> {
    let cert = DaemonConfig::read(&admin.config, &admin.controller, Daemon::Ctld).advise()?.cert;
    let mut controllers = admin.slurm.iter().flat_map(SlurmConf::controllers);
    let missing = controllers.any(|host| is_this_host(host)) && !cert.exists();
    Ok(missing.then(|| {
        format!("{} is not there, and slurmctld will not start: slurm-pki cert issue ctld", cert.display())
    }))
}
