//! PEM, the textual encoding of RFC 7468, read strictly and written with secrets in mind.

use std::fmt;

use data_encoding::BASE64;
use zeroize::Zeroizing;

use crate::explain::Explain;
use crate::secret::Secret;

/// One block: its label and its DER.
#[derive(Debug)]
pub struct Block {
    /// The words between `-----BEGIN ` and `-----`.
    pub label: String,
    /// The decoded contents; wiped on drop, because it may be a key.
    pub der: Secret,
}

/// Why a text is not the PEM that was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PemError {
    /// Longer than the reader takes.
    TooLong {
        /// The bound, in bytes.
        limit: usize,
    },
    /// Not one complete block in it.
    NoBlock,
    /// More or fewer blocks than the one that was expected.
    Blocks(usize),
    /// Something other than white space around the block.
    TextAround,
    /// A block with a damaged frame, headers (RFC 1421) or contents that are not base64.
    Damaged,
    /// A block with another label than the ones asked for.
    Label(String),
}

impl fmt::Display for PemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { limit } => write!(f, "longer than {limit} bytes"),
            Self::NoBlock => f.write_str("no PEM block in it"),
            Self::Blocks(n) => write!(f, "{n} PEM blocks where there must be one"),
            Self::TextAround => f.write_str("text around the PEM block"),
            Self::Damaged => f.write_str("a damaged PEM block"),
            Self::Label(label) => {
                write!(f, "a PEM block labelled {}", crate::explain::shown(label.as_bytes()))
            }
        }
    }
}

impl Explain for PemError {
    fn hint(&self) -> String {
        "it must be PEM text (RFC 7468) and nothing else; look at it with: openssl asn1parse -in FILE".into()
    }
}

/// Every block of `text`, in order. Text between blocks is skipped, as TLS libraries do.
///
/// # Errors
/// When `text` is longer than `limit` bytes, or a `-----BEGIN` is not followed by a whole,
/// header-free base64 block with the same label at its end.
pub fn blocks(text: &[u8], limit: usize) -> Result<Vec<Block>, PemError> {
    if text.len() > limit {
        return Err(PemError::TooLong { limit });
    }
    let begun = count(text, b"-----BEGIN ");
    let parsed = pem::parse_many(text).map_err(|_| PemError::Damaged)?;
    if parsed.len() != begun || count(text, b"-----END ") != begun {
        return Err(PemError::Damaged);
    }
    parsed
        .into_iter()
        .map(|block| match block.headers().iter().next() {
            Some(_) => Err(PemError::Damaged),
            None => {
                let label = block.tag().to_owned();
                Ok(Block { label, der: Secret::new(block.into_contents()) })
            }
        })
        .collect()
}

/// The one block of `text`, labelled with one of `labels`, with nothing but white space around it.
///
/// # Errors
/// As [`blocks`], and when there is not exactly one block, another label, or text around it.
pub fn only_block(text: &[u8], labels: &[&str], limit: usize) -> Result<Secret, PemError> {
    let mut all = blocks(text, limit)?;
    if all.len() > 1 {
        return Err(PemError::Blocks(all.len()));
    }
    let block = all.pop().ok_or(PemError::NoBlock)?;
    let trimmed = text.trim_ascii();
    if !trimmed.starts_with(b"-----BEGIN ")
        || !trimmed.ends_with(format!("-----END {}-----", block.label).as_bytes())
    {
        return Err(PemError::TextAround);
    }
    if labels.contains(&block.label.as_str()) { Ok(block.der) } else { Err(PemError::Label(block.label)) }
}

/// Public DER as one PEM block: LF line ends, 64 columns, a newline at the end.
#[must_use]
pub fn public(label: &str, der: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(label, der), config)
}

/// Secret DER as one PEM block, like [`public`], in one buffer that is never reallocated: no
/// unwiped copy stays behind.
#[must_use]
pub fn secret(label: &str, der: &[u8]) -> Secret {
    const COLUMNS: usize = 64;
    let mut base64 = Zeroizing::new(vec![0u8; BASE64.encode_len(der.len())]);
    BASE64.encode_mut(der, &mut base64);
    let frame = 2 * (label.len() + "-----BEGIN -----\n".len());
    let mut text = Vec::with_capacity(frame + base64.len() + base64.len() / COLUMNS + 1);
    text.extend_from_slice(format!("-----BEGIN {label}-----\n").as_bytes());
    for line in base64.chunks(COLUMNS) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(format!("-----END {label}-----\n").as_bytes());
    Secret::new(text)
}

fn count(text: &[u8], marker: &[u8]) -> usize {
    text.windows(marker.len()).filter(|window| *window == marker).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_written_the_same_by_both_writers_and_read_back() {
        for len in [0usize, 1, 47, 48, 49, 500] {
            let der = vec![0x5a; len];
            let text = public("CERTIFICATE", &der);
            assert_eq!(secret("CERTIFICATE", &der).expose(), text.as_bytes());
            assert_eq!(only_block(text.as_bytes(), &["CERTIFICATE"], 9999).unwrap().expose(), der);
        }
    }

    #[test]
    fn two_blocks_text_around_and_half_a_block_are_told_apart() {
        let one = public("X", b"abc");
        let read = |text: &str| only_block(text.as_bytes(), &["X"], 9999).map(|_| ());
        assert_eq!(read(&format!("{one}{one}")), Err(PemError::Blocks(2)));
        assert_eq!(read(&format!("hello\n{one}")), Err(PemError::TextAround));
        assert_eq!(read(&format!("{one}hello\n")), Err(PemError::TextAround));
        assert_eq!(read(&one[..one.len() - 9]), Err(PemError::Damaged));
        assert_eq!(read(""), Err(PemError::NoBlock));
        assert_eq!(read(&public("Y", b"abc")), Err(PemError::Label("Y".into())));
    }
}
