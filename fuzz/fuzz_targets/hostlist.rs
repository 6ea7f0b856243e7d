//! What a hostlist names is folded into a hostlist that names the same nodes.
#![no_main]
use libfuzzer_sys::fuzz_target;

// A program's module: there is no library to take it from.
#[path = "../../bins/slurm-pki/src/hostlist.rs"]
mod hostlist;

fuzz_target!(|text: &str| {
    let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    let Ok(mut named) = hostlist::nodes(&words) else { return };
    let Ok(mut again) = hostlist::nodes(&[hostlist::fold(&named)]) else {
        panic!("{named:?} folds into no hostlist")
    };
    hostlist::sort(&mut named);
    hostlist::sort(&mut again);
    assert_eq!(named, again);
});
