//! A node's secret S, and what comes from it: the token T that Slurm carries and the binding key B.
//!
//! The controller's store holds a digest of T and the public half of B, so whoever reads it can
//! neither enrol nor bind a node; and a T seen in a process list signs nothing.

use std::fmt;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use ring::{digest, hmac};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::binding::BindingKey;
use crate::explain::Explain;
use crate::secret::Secret;

/// Longest token, ours or a foreign one, in bytes; ours has 43.
pub const MAX_TOKEN: usize = 4096;

const FILE_PREFIX: &[u8] = b"slurm-pki-node-v1:";

/// What no foreign token has in it: a token file of ours behind a blank, a byte order mark or a line
/// number, or one of a later version. Taken for a foreign token, it would be printed, S and all.
const OURS: &[u8] = b"slurm-pki-node-v";

const TOKEN_LABEL: &[u8] = b"slurm-pki token v1";
const BIND_LABEL: &[u8] = b"slurm-pki bind v1";

/// Why a token, or a token file, is not taken. Never holds any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// None at all: Slurm leaves the argument out when a node sent none (slurm-contract.md 1.1).
    Missing,
    /// Nothing in it.
    Empty,
    /// Longer than [`MAX_TOKEN`].
    TooLong,
    /// A NUL byte, which no argument can carry, or a line end inside it.
    Unusable,
    /// It has the mark of a token file of ours but is not one of this version.
    Damaged,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "token rejected: there is none",
            Self::Empty => "the token is empty",
            Self::TooLong => "the token is longer than 4096 bytes",
            Self::Unusable => "the token has a NUL byte or a line end in it",
            Self::Damaged => "a damaged token file: it says slurm-pki-node-v but is not slurm-pki-node-v1: and a whole secret",
        })
    }
}

impl Explain for TokenError {
    fn hint(&self) -> String {
        match self {
            Self::Missing => "the node sent no token; see that get_node_token_script works there".into(),
            _ => "make a new one on the controller with: slurm-pki node token NODE".into(),
        }
    }
}

/// S: the secret of one node, in its token file and nowhere else.
#[derive(Clone, Debug)]
pub struct NodeSecret {
    bytes: Secret,
    /// A foreign token file holds T itself, and S is its bytes.
    foreign: bool,
}

impl NodeSecret {
    /// A new secret from 32 random bytes.
    #[must_use]
    pub fn new(random: [u8; 32]) -> Self {
        Self { bytes: Secret::new(random.to_vec()), foreign: false }
    }

    /// Reads a token file: `slurm-pki-node-v1:` and base64url(S), or a foreign file, where T is the
    /// text less one trailing newline.
    ///
    /// # Errors
    /// When it is empty, too long, or damaged. A file with our prefix is never taken for a foreign
    /// one: that would print S.
    pub fn from_token_file(file: &[u8]) -> Result<Self, TokenError> {
        let text = file.strip_suffix(b"\n").unwrap_or(file);
        match text.strip_prefix(FILE_PREFIX) {
            Some(base64) => {
                let bytes = Secret::new(BASE64URL_NOPAD.decode(base64).map_err(|_| TokenError::Damaged)?);
                if bytes.expose().len() == 32 {
                    Ok(Self { bytes, foreign: false })
                } else {
                    Err(TokenError::Damaged)
                }
            }
            None if text.windows(OURS.len()).any(|part| part == OURS) => Err(TokenError::Damaged),
            None => Self::foreign(text),
        }
    }

    /// A foreign secret: the bytes of a token that others made, as in a line of a token list.
    ///
    /// # Errors
    /// When `token` is empty, longer than 4096 bytes, or has a NUL or newline in it.
    pub fn foreign(token: &[u8]) -> Result<Self, TokenError> {
        let token = check(token)?;
        Ok(Self { bytes: Secret::new(token.to_vec()), foreign: true })
    }

    /// The text of the token file that holds this secret.
    #[must_use]
    pub fn to_token_file(&self) -> Secret {
        if self.foreign {
            return self.bytes.clone();
        }
        let mut file = vec![0; FILE_PREFIX.len() + BASE64URL_NOPAD.encode_len(32)];
        let (prefix, base64) = file.split_at_mut(FILE_PREFIX.len());
        prefix.copy_from_slice(FILE_PREFIX);
        BASE64URL_NOPAD.encode_mut(self.bytes.expose(), base64);
        Secret::new(file)
    }

    /// Whether T is S: such a token, once seen, can bind too.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// T: base64url(HMAC-SHA256(S, "slurm-pki token v1")), 43 characters; of a foreign secret its own
    /// bytes.
    #[must_use]
    pub fn token(&self) -> Token {
        if self.foreign {
            return Token(self.bytes.clone());
        }
        let tag = self.derive(TOKEN_LABEL);
        let mut text = vec![0; BASE64URL_NOPAD.encode_len(tag.as_ref().len())];
        BASE64URL_NOPAD.encode_mut(tag.as_ref(), &mut text);
        Token(Secret::new(text))
    }

    /// B: the Ed25519 key with the seed HMAC-SHA256(S, "slurm-pki bind v1").
    #[must_use]
    pub fn binding_key(&self) -> BindingKey {
        BindingKey::from_seed(self.derive(BIND_LABEL).as_ref())
    }

    fn derive(&self, label: &[u8]) -> hmac::Tag {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.bytes.expose()), label)
    }
}

/// T: what `get_node_token` prints and `validate_node_token` is given.
#[derive(Clone, Debug)]
pub struct Token(Secret);

impl Token {
    /// A token as it arrived in an argument. One trailing newline is taken away, because foreign
    /// token scripts print one and Slurm passes it on (slurm-contract.md 1.3).
    ///
    /// # Errors
    /// When nothing is left, or it is longer than 4096 bytes or has a line end in it still.
    pub fn from_argument(argument: &[u8]) -> Result<Self, TokenError> {
        let text = argument.strip_suffix(b"\n").unwrap_or(argument);
        Ok(Self(Secret::new(check(text)?.to_vec())))
    }

    /// The text, as Slurm carries it, without a newline.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.0
    }

    /// The text, given away.
    #[must_use]
    pub fn into_secret(self) -> Secret {
        self.0
    }

    /// What the store keeps of it.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(TOKEN_LABEL);
        context.update(&[0]);
        context.update(self.0.expose());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        TokenDigest(bytes)
    }
}

/// A carriage return is part of a token and never trimmed: "with CR" is another token.
fn check(token: &[u8]) -> Result<&[u8], TokenError> {
    if token.is_empty() {
        Err(TokenError::Empty)
    } else if token.len() > MAX_TOKEN {
        Err(TokenError::TooLong)
    } else if token.iter().any(|b| matches!(b, 0 | b'\n')) {
        Err(TokenError::Unusable)
    } else {
        Ok(token)
    }
}

/// SHA-256("slurm-pki token v1" || 0x00 || T): 64 hex digits in the store, compared in constant time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenDigest([u8; 32]);

impl PartialEq for TokenDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenDigest {}

impl From<TokenDigest> for String {
    fn from(digest: TokenDigest) -> Self {
        HEXLOWER.encode(&digest.0)
    }
}

impl TryFrom<String> for TokenDigest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| "not lower-case hex")?;
        bytes.try_into().map(Self).map_err(|_| "not 64 hex digits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python's hmac and hashlib from the formulas of the store's format.
    #[test]
    fn token_and_digest_follow_the_published_formulas() {
        let secret = NodeSecret::new([7; 32]);
        assert_eq!(
            secret.to_token_file().expose(),
            b"slurm-pki-node-v1:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"
        );
        let token = secret.token();
        assert_eq!(token.secret().expose(), TOKEN_OF_SEVENS.as_bytes());
        assert_eq!(String::from(token.digest()), DIGEST_OF_SEVENS);
    }
    const TOKEN_OF_SEVENS: &str = "d6htDSmcAuf8fJDzNh8sF6zsUYS1xNNQ3CEOuui6A10";
    const DIGEST_OF_SEVENS: &str = "1b486bc859eb80faccf0466a3abeb09b37914993ba3d7caf92e8aeea3bd424b1";

    #[test]
    fn a_token_file_is_read_back() {
        let secret = NodeSecret::new([9; 32]);
        let back = NodeSecret::from_token_file(secret.to_token_file().expose()).unwrap();
        assert_eq!(back.token().digest(), secret.token().digest());
        assert!(!back.is_foreign());
    }

    #[test]
    fn a_file_with_our_prefix_is_never_taken_for_a_foreign_one() {
        for tail in ["", "x", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", "\n\n"] {
            let file = format!("slurm-pki-node-v1:{tail}");
            assert_eq!(NodeSecret::from_token_file(file.as_bytes()).unwrap_err(), TokenError::Damaged);
        }
    }

    #[test]
    fn a_file_of_a_later_version_or_behind_other_bytes_is_never_printed_as_a_foreign_token() {
        for file in ["slurm-pki-node-v2:BwcH", " slurm-pki-node-v1:BwcH", "\u{feff}slurm-pki-node-v1:BwcH\n"]
        {
            assert_eq!(NodeSecret::from_token_file(file.as_bytes()).unwrap_err(), TokenError::Damaged);
        }
    }

    #[test]
    fn a_foreign_file_and_a_list_line_give_one_secret() {
        let file = NodeSecret::from_token_file(b"s3cret\n").unwrap();
        let line = NodeSecret::foreign(b"s3cret").unwrap();
        assert_eq!(file.token().secret().expose(), b"s3cret");
        assert_eq!(file.binding_key().public(), line.binding_key().public());
    }

    #[test]
    fn one_trailing_newline_is_forgiven_and_nothing_else() {
        let right = Token::from_argument(b"tok").unwrap().digest();
        assert_eq!(Token::from_argument(b"tok\n").unwrap().digest(), right);
        assert_eq!(Token::from_argument(b"tok\n\n").unwrap_err(), TokenError::Unusable);
        assert_ne!(Token::from_argument(b"tok\r").unwrap().digest(), right);
        assert_eq!(Token::from_argument(b"\n").unwrap_err(), TokenError::Empty);
    }
}
