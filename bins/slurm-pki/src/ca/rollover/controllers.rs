//! The other controllers: each signs from its own files where `state_dir` is not shared. One that takes over with the old
//! CA's key after the old root is gone has every node refused.

use data_encoding::BASE64;
use serde::Deserialize;

use super::site_files::SiteFiles;
use crate::fleet::{Fleet, Job, quoted};
use crate::hostlist;
use crate::report;

/// What a controller says of the CA that it signs with, by the config at the same place where it has one there.
const ASK: &str = r#"if [ -e "$config" ]; then export SLURM_PKI_CONF="$config"; fi
shown=$(slurm-pki ca show --json)
say "$(printf %s "$shown" | base64 -w 0)""#;

/// The part of `slurm-pki ca show --json` that matters here.
#[derive(Deserialize)]
struct Answer {
    data: Shown,
}

#[derive(Deserialize)]
struct Shown {
    certificates: Vec<Certificate>,
}

#[derive(Deserialize)]
struct Certificate {
    sha256: String,
    signs: bool,
}

/// Those among `hosts` that do not sign with the CA of these certificates (SHA-256), or do not tell.
///
/// # Errors
/// When `[fleet]` has no meaning.
pub(super) fn signing_otherwise(
    files: &SiteFiles<'_>,
    hosts: Vec<String>,
    new: &[String],
) -> anyhow::Result<Vec<String>> {
    let config = quoted(&files.admin.config.path().to_string_lossy());
    let job = |host| Job { host, script: format!("config={config}\n{ASK}") };
    let jobs = hosts.into_iter().map(job).collect();
    let outcomes = Fleet::of(files.admin)?.run(files.global, "asking controllers", jobs);
    let outcomes = outcomes.judge(|_, said| signs_with(said, new));
    outcomes.report();
    Ok(outcomes.failed())
}

fn signs_with(said: &[String], new: &[String]) -> Result<(), String> {
    let not_told = || "slurm-pki ca show --json there does not tell what signs".to_owned();
    let json = said.last().and_then(|line| BASE64.decode(line.as_bytes()).ok()).ok_or_else(not_told)?;
    let answer: Answer = serde_json::from_slice(&json).map_err(|_| not_told())?;
    let mut signing = answer.data.certificates.iter().filter(|ca| ca.signs);
    if signing.any(|ca| new.contains(&ca.sha256)) {
        return Ok(());
    }
    Err("it signs with another CA, or none".into())
}

/// Where nothing is to be run on other hosts: what an admin has to see to.
pub(super) fn say_who_is_not_asked(hosts: &[String]) {
    if !hosts.is_empty() {
        let names = hostlist::fold_texts(hosts.iter().map(String::as_str));
        report::warning(&format!(
            "{names} signs too, as a controller, and was not asked: see that slurm-pki ca show there names the new CA \
             as the one that signs"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_signs_with_the_new_ca_only_where_it_says_so() {
        let said = |json: &str| vec![BASE64.encode(json.as_bytes())];
        let one = |sha256: &str, signs: bool| {
            said(&format!(
                r#"{{"schema":"x","data":{{"certificates":[{{"sha256":"{sha256}","signs":{signs}}}]}}}}"#
            ))
        };
        let new = ["aa".to_owned(), "bb".to_owned()];
        assert_eq!(signs_with(&one("bb", true), &new), Ok(()));
        for said in [one("bb", false), one("cc", true), said("{}"), Vec::new(), vec!["aa".into()]] {
            assert!(signs_with(&said, &new).is_err(), "{said:?}");
        }
    }
}
