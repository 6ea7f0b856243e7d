//! `slurm-pki node`: who is enrolled, and with which secret.
//!
//! A node's secret is made here, waits in `<state_dir>/outgoing` until it is bundled or pushed, and then leaves
//! the controller; the store keeps a record that can do nothing but recognise it.

mod add;
mod bundle;
pub(crate) mod census;
mod contents;
mod enrolment;
mod handout;
mod import;
mod list;
mod medium;
mod outgoing;
mod push;
mod refused;
mod reissue;
mod remove;
mod resume_hook;
pub(crate) mod scontrol;
mod show;
mod static_pair;
mod targets;
mod token;
pub(crate) mod tree;
mod verify;
pub(crate) mod view;

use clap::Subcommand;

use crate::global::Global;

pub(crate) use resume_hook::ResumeHook;

/// Enrol nodes, hand their secrets out, remove them
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  slurm-pki node add n[001-128]
  slurm-pki node push n[001-128]                   to running nodes, by the tools that [fleet] names
  slurm-pki node bundle n[001-128] --out /root/bundles
  slurm-pki node bundle n[001-128] --format cloud-init --out /root/user-data
  slurm-pki node verify n[001-128]
  slurm-pki node list
  slurm-pki node reissue n7
  slurm-pki node remove n7")]
pub(crate) enum Node {
    /// Enrol nodes: a new secret each, which waits to be bundled
    Add(add::Add),
    /// Enrol nodes under the tokens that they have already
    Import(import::Import),
    /// Every node with its rights and its last certificate
    List(list::List),
    /// Everything about one node
    Show(show::Show),
    /// Take nodes' rights away
    Remove(remove::Remove),
    /// Give enrolled nodes a new secret
    Token(token::Token),
    /// Lay out what each node needs on its disk
    Bundle(bundle::Bundle),
    /// Bring running nodes what they need on their disks
    Push(push::Push),
    /// Compare what lies on nodes with what is known here
    Verify(verify::Verify),
    /// Have slurmd ask for a new certificate
    Reissue(reissue::Reissue),
}

impl Node {
    /// Runs the command.
    ///
    /// # Errors
    /// Whatever went wrong, with what to do.
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        match self {
            Self::Add(add) => add.run(global),
            Self::Import(import) => import.run(global),
            Self::List(list) => list.run(global),
            Self::Show(show) => show.run(global),
            Self::Remove(remove) => remove.run(global),
            Self::Token(token) => token.run(global),
            Self::Bundle(bundle) => bundle.run(global),
            Self::Push(push) => push.run(global),
            Self::Verify(verify) => verify.run(global),
            Self::Reissue(reissue) => reissue.run(global),
        }
    }
}
