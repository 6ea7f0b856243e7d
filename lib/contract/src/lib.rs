//! Slurm's script contract (slurm-contract.md 1.3 and 1.4): argv in, one answer out, one error out.
//!
//! Slurm merges stderr into the answer and judges by exit status, so success is silent, the answer is
//! written once and whole, and a failure is two lines that land in slurmctld.log. This crate knows no
//! ASN.1.

mod arguments;
mod conceal;
mod error;
mod output;
mod run;
mod stdin;

use dlmalloc::GlobalDlmalloc;

pub use arguments::Arguments;
pub use error::Error;
pub use output::Output;
pub use run::run;
pub use stdin::read_stdin;

/// The memory of all seven. musl's own would give each page back as soon as nothing is on it, and ask for it again: half
/// the system calls of a program that lives for half a millisecond.
#[global_allocator]
static MEMORY: GlobalDlmalloc = GlobalDlmalloc;
