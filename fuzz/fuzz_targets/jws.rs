//! A token is read or refused, without a panic; what was read is judged without one, and no key of ours made its signature.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pki::jws::Token;
use pki::jwt::{Identity, Keys, admit, expiry, mapped_user, verify};
use pki::secret::Secret;
use pki::time::UnixTime;

fuzz_target!(|text: &[u8]| {
    let Ok(token) = Token::parse(text) else { return };
    let key = Secret::new(b"no fuzzer finds a signature by this key".to_vec());
    assert!(verify(&token, &Keys { hs256: Some(&key), rs256: Some(&[]) }).is_err());
    let _ = expiry(&token, UnixTime(1_700_000_000));
    let Ok(user) = mapped_user(&token, Some("x")) else { return };
    for (only, inverted) in [(false, false), (true, false), (false, true)] {
        let _ = admit(&token, &user, Identity::Counts { only, inverted }, |_| true);
    }
});
