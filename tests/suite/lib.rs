//! What the suites share that run real parts in roots and namespaces of their own: `tests/slurm`, `tests/packages`.

pub mod apart;
pub mod lifeline;
pub mod root;
pub mod shell;
pub mod table;
pub mod terminal;
