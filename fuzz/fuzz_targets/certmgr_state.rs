//! What slurmd keeps over a restart: whatever is taken has a certificate, and what follows it means nothing.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pki::certmgr_state::CertmgrState;

fuzz_target!(|bytes: &[u8]| {
    let Ok(state) = CertmgrState::parse(bytes) else { return };
    assert!(!state.chain.is_empty());
    assert_eq!(CertmgrState::parse(&[bytes, b"more"].concat()), Ok(state));
});
