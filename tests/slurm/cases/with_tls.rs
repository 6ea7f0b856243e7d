//! With a Slurm that has tls/s2n.

use crate::lab::Lab;
use crate::table::Table;

pub(super) fn run(table: &mut Table, lab: &Lab) {
    if !lab.has_plugin("tls_s2n.so") {
        table.note("not run: the cases with TLS. This Slurm has no tls_s2n.so; name one that has: SLURM_PREFIX=DIR cargo xtask slurm");
    }
}
