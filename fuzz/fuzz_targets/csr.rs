//! A request never brings the reader down, and a name it gives is one that reads back.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pki::csr::Csr;
use pki::key::PublicKey;
use pki::name::NodeName;

fuzz_target!(|der: &[u8]| {
    // The self-signature stops most inputs; the text around the DER is fuzzed by `armor`.
    let text = pki::armor::public("CERTIFICATE REQUEST", der);
    if let Ok(csr) = Csr::parse(text.as_bytes()) {
        assert_eq!(NodeName::parse(csr.name().as_str().as_bytes()).as_ref(), Ok(csr.name()));
        assert_eq!(PublicKey::from_spki(csr.key().spki()).as_ref(), Ok(csr.key()));
    }
});
