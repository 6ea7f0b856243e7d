//! Jobs with a step manager: it keeps the keys that it began with until the job ends (slurm-contract.md 5).

use pki::time::UnixTime;
use serde::Deserialize;

use crate::admin::Admin;
use crate::advice::Advice;
use crate::node::scontrol;
use crate::slurm_number::SlurmNumber;

/// States in which a job has a step manager, or may have one before long.
const AT_WORK: [&str; 5] = ["RUNNING", "SUSPENDED", "CONFIGURING", "COMPLETING", "STOPPED"];

/// Slurm's name of the option, in slurm.conf and in a job's flags.
const FLAG: &str = "STEPMGR_ENABLED";
const PARAMETER: &str = "enable_stepmgr";

#[derive(Deserialize)]
struct Answer {
    jobs: Vec<Job>,
}

#[derive(Deserialize)]
struct Job {
    job_id: u64,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    job_state: Vec<String>,
    #[serde(default)]
    start_time: SlurmNumber,
}

/// The jobs whose step managers began no later than this.
///
/// # Errors
/// When slurmctld does not tell.
pub(super) fn begun_by(admin: &Admin, time: UnixTime) -> anyhow::Result<Vec<u64>> {
    let slurm = admin.slurm.as_ref();
    let all = slurm
        .and_then(|slurm| slurm.get("SlurmctldParameters"))
        .is_some_and(|has| has.to_ascii_lowercase().split(',').any(|word| word.trim() == PARAMETER));
    judge(&scontrol::shown_jobs()?, all, time).map_err(|why| {
        Advice::new(
            format!("this is not what scontrol show jobs --json prints: {why}"),
            "scontrol needs Slurm's JSON serializer plugin for --json",
        )
        .into()
    })
}

fn judge(json: &[u8], all: bool, time: UnixTime) -> Result<Vec<u64>, String> {
    let answer: Answer = serde_json::from_slice(json).map_err(|e| e.to_string())?;
    let has = |words: &[String], wanted: &[&str]| words.iter().any(|word| wanted.contains(&word.as_str()));
    // Without a start nobody knows: it counts as old.
    let is_old = |job: &&Job| job.start_time.set().is_none_or(|start| start <= time.0);
    let jobs = answer.jobs.iter().filter(|job| has(&job.job_state, &AT_WORK));
    Ok(jobs.filter(|job| all || has(&job.flags, &[FLAG])).filter(is_old).map(|job| job.job_id).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_with_a_step_manager_that_is_older_counts_and_no_other() {
        let job = |id: u64, state: &str, flags: &str, start: i64| {
            format!(
                r#"{{"job_id":{id},"job_state":["{state}"],"flags":[{flags}],
                    "start_time":{{"set":true,"infinite":false,"number":{start}}}}}"#
            )
        };
        let mgr = r#""EXACT_TASK_COUNT_REQUESTED","STEPMGR_ENABLED""#;
        let jobs = [
            job(1, "RUNNING", mgr, 100),
            job(2, "RUNNING", mgr, 101),
            job(3, "RUNNING", "", 50),
            job(4, "COMPLETED", mgr, 50),
            job(5, "SUSPENDED", mgr, 50),
            r#"{"job_id":6,"job_state":["RUNNING"],"flags":["STEPMGR_ENABLED"]}"#.to_owned(),
            job(7, "PENDING", mgr, 50),
        ];
        let json = format!(r#"{{"jobs":[{}],"meta":{{}}}}"#, jobs.join(","));
        assert_eq!(judge(json.as_bytes(), false, UnixTime(100)).unwrap(), [1, 5, 6]);
        assert_eq!(judge(json.as_bytes(), true, UnixTime(100)).unwrap(), [1, 3, 5, 6]);
        assert!(judge(b"{}", true, UnixTime(1)).is_err());
    }
}
