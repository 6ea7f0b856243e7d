//! A token list of others is read whole or refused: one secret for every line that is not empty or a comment.
#![no_main]
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use libfuzzer_sys::fuzz_target;
use site::token_list;

fuzz_target!(|text: &[u8]| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let Ok(entries) = token_list::entries(&path) else { return };
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    assert_eq!(entries.len(), lines.filter(|line| !line.is_empty() && line[0] != b'#').count());
    for (_, secret) in entries {
        let token = secret.token();
        let token = token.secret().expose();
        assert!(text.windows(token.len()).any(|part| part == token));
    }
});
