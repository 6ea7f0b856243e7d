//! What claims to be scontrol's JSON gives names or an error; each name then is a hostlist's matter. The nodes that do not
//! renew are some of them.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pki::time::UnixTime;

// Programs' modules: there is no library to take them from.
#[path = "../../bins/slurm-pki/src/advice.rs"]
mod advice;
#[path = "../../bins/slurm-pki/src/hostlist.rs"]
mod hostlist;
#[path = "../../bins/slurm-pki/src/parameters.rs"]
mod parameters;
#[path = "../../bins/slurm-pki/src/renewal_period.rs"]
mod renewal_period;
#[path = "../../bins/slurm-pki/src/activation/renewals.rs"]
mod renewals;
#[path = "../../bins/slurm-pki/src/shown_node.rs"]
mod shown_node;
#[path = "../../bins/slurm-pki/src/slurm_number.rs"]
mod slurm_number;

fuzz_target!(|json: &[u8]| {
    let nodes = shown_node::ShownNode::parse_all(json).unwrap_or_default();
    let names: Vec<_> = nodes.iter().map(|node| node.name.clone()).collect();
    let period = std::str::from_utf8(json).ok().and_then(|text| renewal_period::RenewalPeriod::of(Some(text)).length());
    let shown = renewals::Shown(nodes);
    let late = shown.late(&renewals::Issued::default(), period.unwrap_or_default(), UnixTime(1_800_000_000));
    assert!(late.iter().all(|late| names.iter().any(|name| name == late)));
    for name in names {
        for node in hostlist::nodes(&[name]).unwrap_or_default() {
            assert!(!node.is_reserved());
        }
    }
});
