//! A node name is its own text, a file name inside one folder, and never an option.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pki::name::NodeName;

fuzz_target!(|bytes: &[u8]| {
    let Ok(name) = NodeName::parse(bytes) else { return };
    let text = name.as_str();
    assert_eq!(text.as_bytes(), bytes);
    assert!(
        !text.is_empty() && text.len() <= 64 && !text.starts_with(['-', '.']) && !text.contains(['/', '\0'])
    );
});
