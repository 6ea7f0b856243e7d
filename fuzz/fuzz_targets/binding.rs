//! A binding has exactly one text.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pki::binding::Binding;

fuzz_target!(|text: &str| {
    if let Ok(binding) = Binding::parse(text) {
        assert_eq!(binding.to_text(), text);
        assert!(Binding::claims_to_be_one(text));
    }
});
