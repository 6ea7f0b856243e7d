//! Of a list of keys that is taken at all, what was kept is written and read back the same, and every release loads it.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pki::auth_jwt::judge_jwks;
use pki::jwk::{RsaKey, sift, to_list};
use pki::loading::FileFacts;

fuzz_target!(|text: &[u8]| {
    let _ = RsaKey::of_pem(text, None);
    let Ok(sifted) = sift(text) else { return };
    if sifted.keys.is_empty() {
        return;
    }
    let list = to_list(&sifted.keys);
    let back = sift(list.as_bytes()).expect("it is a list");
    assert_eq!((&back.keys, back.dropped.len(), back.without_alg.len()), (&sifted.keys, 0, 0));
    let verdicts = judge_jwks(list.as_bytes(), FileFacts { mode: 0o644, owner: 0 }, 0);
    assert!(verdicts.loads() && verdicts.hazards().is_empty());
});
