//! `cargo xtask vault`: the suite below tests/in_vault, and the contract suite with CA and records in Vault, on the
//! stand-in or on a live Vault or OpenBao.

use std::process::Command;

use anyhow::{Result, bail};

use crate::workspace::{Workspace, run};
use crate::{prerequisites, programs, steps, terminal};

/// Where a live server is, and its root token.
const ADDRESS: &str = "VAULT_ADDR";
const TOKEN: &str = "VAULT_TOKEN";

/// Tells the stand-in to send everything on to it.
const SWITCH: &str = "SLURM_PKI_LIVE_VAULT";

/// What only the stand-in can be asked for: another time of day, a listener that hands on a client's certificate; and what
/// judges the stand-in itself.
const NOT_LIVE: [&str; 11] = [
    "faults::the_token_has_ended",
    "check::a_token_is_judged_by_when_it_dies",
    "check::the_end_of_its_certificate_and_a_clock_that_is_off_are_seen",
    "renew::a_periodic_token_lives_on_and_a_dry_run_leaves_it_alone",
    "renew::an_explicit_end_is_told_in_the_last_third_of_a_life_and_not_before",
    "renew::the_limit_of_the_server_is_told_when_a_renewal_meets_it",
    "renew::a_token_that_has_ended_and_a_sealed_server_are_errors",
    "renew::the_token_for_daemons_pairs_is_kept_alive_even_when_the_programs_one_is_lost",
    "logins::a_client_certificate_gives_a_token_for_each_run",
    "foreign_client::hvac_finds_in_the_stand_in_what_it_expects_of_vault",
    "foreign_client::so_does_vaultrs",
];

/// The line-up of the contract suite (tests/contract/line_ups.rs) whose CA and records are in Vault.
const CONTRACT: &str = "all_seven_in_vault";

/// Builds, and runs both suites.
pub(crate) fn test() -> Result<()> {
    let live = is_live(&[ADDRESS, TOKEN].map(is_set))?;
    prerequisites::require(&[prerequisites::BUILD, prerequisites::TESTS].concat())?;
    let workspace = Workspace::find()?;
    programs::build(&workspace)?;
    if !live {
        steps::foreign_clients(&workspace)?;
    }
    if live {
        terminal::line(
            "On the live server of VAULT_ADDR. Left out there, for they turn its clock or judge the stand-in:",
        );
        NOT_LIVE.iter().for_each(|name| terminal::line(&format!("  {name}")));
    }
    let left_out = NOT_LIVE.iter().filter(|_| live).flat_map(|name| ["--skip", name]);
    let mut in_vault = tests(&workspace, live);
    in_vault.args(["--package", "vault-stand-in", "--lib", "--test", "in_vault", "--"]).args(left_out);
    let mut contract = tests(&workspace, live);
    contract.args(["--test", "contract", "--", CONTRACT]);
    // Each has its say, whatever becomes of the other.
    run(&mut in_vault).and(run(&mut contract))
}

/// `cargo test`, on the stand-in or the live server.
fn tests(workspace: &Workspace, live: bool) -> Command {
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--locked", "--package", "tests", "--no-fail-fast"]);
    cargo.env("SLURM_PKI_PROGRAMS", programs::folder(workspace));
    if live {
        // The token stays in the environment, where cargo and the tests find it.
        cargo.env(SWITCH, "1");
    } else {
        cargo.env_remove(SWITCH);
    }
    cargo
}

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}

/// Half of what it takes would run the stand-in for somebody who wants the live server.
fn is_live(set: &[bool; 2]) -> Result<bool> {
    match set {
        [true, true] => Ok(true),
        [false, false] => Ok(false),
        [true, false] => {
            bail!("{ADDRESS} is set and {TOKEN} is not: set it to the root token of a server for tests")
        }
        [false, true] => {
            bail!("{TOKEN} is set and {ADDRESS} is not: set it to https://HOST:8200, or unset both")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_way_to_a_live_server_is_refused() {
        assert!(is_live(&[true, true]).is_ok_and(|live| live));
        assert!(is_live(&[false, false]).is_ok_and(|live| !live));
        assert!(is_live(&[true, false]).is_err() && is_live(&[false, true]).is_err());
    }

    #[test]
    fn the_line_up_in_vault_is_there() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/contract/line_ups.rs");
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains(&format!("line_up!({CONTRACT},")));
    }

    #[test]
    fn what_is_left_out_on_a_live_server_is_there() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/in_vault");
        for name in NOT_LIVE {
            let (file, test) = name.split_once("::").unwrap();
            let text = std::fs::read_to_string(format!("{folder}/{file}.rs")).unwrap();
            assert!(text.contains(&format!("fn {test}()")), "{name}");
        }
    }
}
