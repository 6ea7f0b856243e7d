//! A certificate is kept byte for byte, and its facts are questions that always have an answer.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pki::time::UnixTime;
use pki::x509::X509;

fuzz_target!(|der: &[u8]| {
    let Ok(one) = X509::from_der(der) else { return };
    assert_eq!(one.der(), der);
    assert_eq!(X509::all_from_pem(one.to_pem().as_bytes(), 1 << 20), Ok(vec![one.clone()]));
    let all = [one.clone()];
    let _ = (one.is_issued_by(&one), one.permits(&one));
    let _ = pki::loads_in_s2n::accepted_by_peers(&all, &all, UnixTime(1_700_000_000));
});
