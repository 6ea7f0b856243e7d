//! A bundle that was taken is written, padded, so that it is taken again.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pki::loads_in_s2n::{pad_bundle, trust_bundle};
use pki::x509::X509;

fuzz_target!(|text: &[u8]| {
    let Ok(bundle) = trust_bundle(text) else { return };
    let written = pad_bundle(bundle.iter().map(X509::to_pem).collect());
    assert_eq!(trust_bundle(written.as_bytes()), Ok(bundle));
});
