//! Blocks that were read are written so that they read back the same.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pki::armor;

fuzz_target!(|text: &[u8]| {
    let Ok(blocks) = armor::blocks(text, 1 << 16) else { return };
    let written: String = blocks.iter().map(|one| armor::public(&one.label, one.der.expose())).collect();
    let again = armor::blocks(written.as_bytes(), 1 << 17).expect("what we write is PEM");
    assert_eq!(blocks.len(), again.len());
    for (one, other) in blocks.iter().zip(&again) {
        assert_eq!((&one.label, one.der.expose()), (&other.label, other.der.expose()));
    }
});
