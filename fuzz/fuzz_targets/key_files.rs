//! Whatever is in a key file, our copies of Slurm's loaders come to an answer for every release, without a byte of a secret in it.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pki::loading::FileFacts;
use pki::time::UnixTime;
use pki::{auth_jwt, auth_slurm};

fuzz_target!(|bytes: &[u8]| {
    let facts = FileFacts { mode: 0o600, owner: 0 };
    let auth = auth_slurm::judge_jwks(bytes, facts, 0, UnixTime(1_000));
    let jwt = auth_jwt::judge_jwks(bytes, facts, 0);
    let raw = [auth_slurm::judge_key(bytes, facts, 0), auth_jwt::judge_key(bytes, facts, 0)];
    for verdicts in [auth, jwt].iter().chain(&raw) {
        assert_eq!(verdicts.loads(), verdicts.dies().is_none());
        for text in verdicts.hazards().iter().chain(verdicts.warnings()) {
            assert!(text.is_ascii() && text.len() < 600, "{text}");
        }
    }
});
