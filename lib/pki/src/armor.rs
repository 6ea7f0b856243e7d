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
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some((around, begun)) = split_once(rest, b"-----BEGIN ") {
        let (block, after) = block(around, begun).ok_or(PemError::Damaged)?;
        found.push(block);
        rest = after;
    }
    if split_once(rest, END).is_some() { Err(PemError::Damaged) } else { Ok(found) }
}

const END: &[u8] = b"-----END ";

/// The block that begins behind its first marker, and what follows. `around` is the text before.
fn block<'a>(around: &[u8], begun: &'a [u8]) -> Option<(Block, &'a [u8])> {
    // More dashes before the marker, or an end without a beginning: readers differ on what that is.
    let line = around.rsplit(|byte| *byte == b'\n').next()?;
    if line.contains(&b'-') || split_once(around, END).is_some() {
        return None;
    }
    let (label, contents) = split_once(begun, b"-----")?;
    let (contents, ended) = split_once(contents, END)?;
    let (label_again, rest) = split_once(ended, b"-----")?;
    if label.is_empty() || label != label_again {
        return None;
    }
    let label = std::str::from_utf8(label).ok()?.to_owned();
    Some((Block { label, der: decoded(contents)? }, rest))
}

/// The base64 between the markers. A blank line in it would end headers (RFC 1421), which nobody here takes.
fn decoded(contents: &[u8]) -> Option<Secret> {
    let begin = contents.iter().position(|byte| !b" \t\r\n".contains(byte)).unwrap_or(contents.len());
    let contents = contents.get(begin..)?;
    let mut base64 = Zeroizing::new(Vec::with_capacity(contents.len()));
    let mut lines = contents.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end).peekable();
    while let Some(line) = lines.next() {
        if line.is_empty() && lines.peek().is_some() {
            return None;
        }
        base64.extend_from_slice(line);
    }
    // One text: the decoder would take several, each with its padding, for one.
    if base64.iter().rev().skip(2).any(|byte| *byte == b'=') {
        return None;
    }
    let mut der = Zeroizing::new(vec![0; BASE64.decode_len(base64.len()).ok()?]);
    let length = BASE64.decode_mut(&base64, &mut der).ok()?;
    der.truncate(length);
    Some(Secret::new(std::mem::take(&mut *der)))
}

fn split_once<'a>(text: &'a [u8], marker: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let first = marker.first()?;
    let mut places = text.iter().enumerate().filter(|(_, byte)| *byte == first).map(|(at, _)| at);
    let at = places.find(|at| text.get(*at..).is_some_and(|rest| rest.starts_with(marker)))?;
    Some((text.get(..at)?, text.get(at + marker.len()..)?))
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
    String::from_utf8_lossy(secret(label, der).expose()).into_owned()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_written_as_others_do_and_read_back() {
        for len in [0usize, 1, 47, 48, 49, 500] {
            let der = vec![0x5a; len];
            let text = public("CERTIFICATE", &der);
            assert_eq!(text, by_another(&pem::Pem::new("CERTIFICATE", der.clone())));
            assert_eq!(only_block(text.as_bytes(), &["CERTIFICATE"], 9999).unwrap().expose(), der);
        }
    }

    fn by_another(block: &pem::Pem) -> String {
        pem::encode_config(block, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
    }

    /// Two blocks with text around them and Windows' line ends in one, with every byte taken out, doubled or replaced.
    #[test]
    fn whatever_is_taken_another_reader_takes_for_the_same() {
        let (one, two) = (public("EC PARAMETERS", &[6; 10]), public("KEY", &[7; 67]));
        let text = format!("our key\n{one}\nand\n{}\n", two.replace('\n', " \r\n")).into_bytes();
        let mut taken = 0;
        for at in 0..text.len() {
            let (front, back) = (&text[..at], &text[at + 1..]);
            let with = |middle: &[u8]| [front, middle, back].concat();
            let other = b"-=\n\r :A\0\xff".iter().map(|byte| with(&[*byte]));
            let blank =
                [b"\n\n".as_slice(), b"\r\n\r\n", b"==", b"-----BEGIN ", b"-----END ", b"-----", b"--"];
            let all = other.chain(blank.iter().map(|middle| with(middle)));
            for changed in all.chain([with(&[]), with(&[text[at], text[at]]), with(b"-----END KEY-----\n")]) {
                let Ok(ours) = blocks(&changed, 9999) else { continue };
                taken += 1;
                let theirs = pem::parse_many(&changed).unwrap();
                assert!(theirs.iter().all(|block| block.headers().iter().next().is_none()));
                let theirs: Vec<_> = theirs.iter().map(|block| (block.tag(), block.contents())).collect();
                let ours: Vec<_> = ours.iter().map(|b| (b.label.as_str(), b.der.expose())).collect();
                assert_eq!(ours, theirs, "{}", changed.escape_ascii());
            }
        }
        assert!(taken > 500, "{taken}");
    }

    /// openssl refuses each of them; readers of one certificate are many.
    #[test]
    fn a_blank_line_in_the_base64_is_damage_however_it_is_written() {
        let one = public("X", &[1; 100]);
        let (first, rest) = one.split_once('A').unwrap();
        let (line, more) = rest.split_once('\n').unwrap();
        for blank in ["\n\n", "\n \n", "\n\t\r\n", "\r\n\n", "\n\r\n", "\r\n\r\n"] {
            let text = format!("{first}A{line}{blank}{more}");
            assert_eq!(
                only_block(text.as_bytes(), &["X"], 9999).map(drop),
                Err(PemError::Damaged),
                "{blank:?}"
            );
        }
        let text = format!("{first}A{line} \r\n{more}");
        assert!(only_block(text.as_bytes(), &["X"], 9999).is_ok());
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
