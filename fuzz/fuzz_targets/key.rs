//! A key that was read is written so that the same key is read back.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pki::armor;
use pki::key::PrivateKey;

fuzz_target!(|input: (u8, &[u8])| {
    let label = ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"][usize::from(input.0 % 3)];
    let text = armor::secret(label, input.1);
    let Ok(key) = PrivateKey::from_pem(text.expose()) else { return };
    let again = PrivateKey::from_pem(key.to_pem().expose()).expect("what we write is a key");
    assert_eq!(key.public(), again.public());
    assert_eq!(key.to_pem().expose(), again.to_pem().expose());
});
