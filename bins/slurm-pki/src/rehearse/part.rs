//! One daemon's part of a rehearsal: its programs, its user, and what came of them.

use pki::csr::Csr;
use pki::name::NodeName;
use pki::secret::Secret;
use site::file::Owner;

use super::copy::Copy;
use crate::admin::{caller, owner_name};
use crate::checks::{Checks, Looked};
use crate::programs::{GENERATE_CSR, GET_NODE_TOKEN, Programs};
use crate::slurm_run::{Run, Slurm};

/// A daemon's programs on a copy of the config.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) checks: &'a mut Checks,
    pub(super) name: &'static str,
    pub(super) node: &'a NodeName,
    programs: &'a Programs,
    slurm: Slurm,
    user: Owner,
}

impl<'a> Part<'a> {
    /// The daemon's programs, run by `user` (`None`: whoever runs this).
    ///
    /// # Errors
    /// When the copy cannot be written.
    pub(super) fn new(
        checks: &'a mut Checks,
        name: &'static str,
        node: &'a NodeName,
        programs: &'a Programs,
        copy: &Copy,
        user: Option<Owner>,
    ) -> anyhow::Result<Self> {
        let slurm = Slurm::with_config(&copy.write(user)?).run_by(user);
        Ok(Self { checks, name, node, programs, slurm, user: user.unwrap_or_else(caller) })
    }

    /// The node's token.
    pub(super) fn token(&mut self) -> Option<Secret> {
        let result = self.answer(GET_NODE_TOKEN, self.argument()).map(|token| {
            let detail = format!("a token of {} characters", token.expose().len());
            (token, detail)
        });
        self.note("token", format!("{GET_NODE_TOKEN} {}", self.node), result)
    }

    /// The node's request, as text and as it reads.
    pub(super) fn request(&mut self) -> Option<(Secret, Csr)> {
        let result = self.answer(GENERATE_CSR, self.argument()).and_then(|text| {
            let csr = Csr::parse(text.expose()).map_err(|e| e.to_string())?;
            let detail = format!("a request for {} with a {} key", csr.name(), csr.key().kind());
            Ok(((text, csr), detail))
        });
        self.note("csr", format!("{GENERATE_CSR} {}", self.node), result)
    }

    /// Runs a program.
    pub(super) fn run(&self, program: &str, argv: &[&[u8]]) -> Run {
        self.slurm.run(&self.programs.path(program), argv)
    }

    /// Runs a program for its answer.
    ///
    /// # Errors
    /// What it said when it failed.
    pub(super) fn answer(&self, program: &str, argument: &[u8]) -> Result<Secret, String> {
        let run = self.run(program, &[argument]);
        run.answer().ok_or_else(|| run.failure())
    }

    /// What Slurm passes as the node's name.
    pub(super) fn argument(&self) -> &'a [u8] {
        self.node.as_str().as_bytes()
    }

    /// Notes what came of a step.
    pub(super) fn note<T>(
        &mut self,
        step: &'static str,
        what: String,
        result: Result<(T, String), String>,
    ) -> Option<T> {
        let looked = Looked { part: self.name, subject: self.node.as_str(), step, what };
        self.checks.note(looked, result)
    }

    /// Whose programs, and as whom: a heading.
    pub(super) fn heading(&self) -> String {
        format!("{} for node {}, as {}:", self.name, self.node, owner_name(self.user))
    }
}
