//! A token file has one text, less a newline at its end; a foreign one and a token in an argument agree.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pki::token::{NodeSecret, Token};

fuzz_target!(|file: &[u8]| {
    let text = file.strip_suffix(b"\n").unwrap_or(file);
    if let Ok(secret) = NodeSecret::from_token_file(file) {
        assert_eq!(secret.to_token_file().expose(), text);
        let token = secret.token();
        let argument = Token::from_argument(token.secret().expose()).expect("a token is an argument");
        assert_eq!(argument.digest(), token.digest());
    }
    if let Ok(token) = Token::from_argument(file) {
        assert_eq!(token.secret().expose(), text);
    }
});
