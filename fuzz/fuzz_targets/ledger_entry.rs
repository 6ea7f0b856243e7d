//! A ledger line that was read is written so that the same entry is read back.
#![no_main]
use libfuzzer_sys::fuzz_target;
use site::ledger::Entry;

fuzz_target!(|line: &[u8]| {
    let Ok(entry) = serde_json::from_slice::<Entry>(line) else { return };
    let written = serde_json::to_vec(&entry).unwrap();
    assert_eq!(serde_json::from_slice::<Entry>(&written).unwrap(), entry);
});
