//! A mark that was read is written so that the same one is read back.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pki::standing::Mark;

fuzz_target!(|text: &[u8]| {
    let Some(mark) = Mark::parse(text) else { return };
    assert_eq!(Mark::parse(mark.to_text().as_bytes()), Some(mark));
});
