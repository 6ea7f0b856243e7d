//! A chain that was taken is written so that it is taken again; with whatever key, nothing panics.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pki::loads_in_s2n::{own_chain, own_pair};
use pki::x509::X509;

fuzz_target!(|input: (&[u8], &[u8])| {
    let (chain, key) = input;
    let _ = own_pair(chain, key);
    let Ok(all) = own_chain(chain) else { return };
    let written: String = all.iter().map(X509::to_pem).collect();
    assert_eq!(own_chain(written.as_bytes()), Ok(all));
});
