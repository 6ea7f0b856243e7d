//! Bytes that must not be seen: wiped on drop, never shown.

use std::fmt;

use zeroize::Zeroizing;

/// A secret: a private key, a node's secret, a token. Wiped on drop; `Debug` shows nothing of it,
/// there is no `Display`, and [`expose`](Secret::expose) is the only way in.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over. Whatever buffer they came from must be given away, not copied, or wiped
    /// by its owner.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves. Every use is a place to review.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new(b"tok".to_vec())), "Secret(..)");
    }
}
