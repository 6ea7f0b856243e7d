//! Just enough DER to write requests that no library would write.

/// One element: tag, length, contents (X.690 §8.1).
#[must_use]
pub fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    let length = contents.len();
    match u8::try_from(length) {
        Ok(short @ 0..=127) => der.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let used: Vec<u8> = bytes.into_iter().skip_while(|b| *b == 0).collect();
            der.push(0x80 | u8::try_from(used.len()).unwrap());
            der.extend(used);
        }
    }
    der.extend_from_slice(contents);
    der
}

/// SEQUENCE of these.
#[must_use]
pub fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    element(0x30, &parts.concat())
}

/// SET of these, in the order given.
#[must_use]
pub fn set(parts: &[Vec<u8>]) -> Vec<u8> {
    element(0x31, &parts.concat())
}

/// OBJECT IDENTIFIER from its dotted form.
#[must_use]
pub fn oid(dotted: &str) -> Vec<u8> {
    let mut arcs = dotted.split('.').map(|arc| arc.parse::<u64>().unwrap());
    let first = arcs.next().unwrap() * 40 + arcs.next().unwrap();
    let contents: Vec<u8> = std::iter::once(first).chain(arcs).flat_map(base128).collect();
    element(0x06, &contents)
}

/// BIT STRING without unused bits.
#[must_use]
pub fn bit_string(bytes: &[u8]) -> Vec<u8> {
    element(0x03, &[&[0], bytes].concat())
}

/// UTF8String.
#[must_use]
pub fn utf8(text: &[u8]) -> Vec<u8> {
    element(0x0c, text)
}

fn base128(mut arc: u64) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(arc & 0x7f).unwrap()];
    while arc > 0x7f {
        arc >>= 7;
        bytes.push(0x80 | u8::try_from(arc & 0x7f).unwrap());
    }
    bytes.reverse();
    bytes
}
