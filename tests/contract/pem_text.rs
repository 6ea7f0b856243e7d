//! The form of an answer: exactly one PEM, and nothing before, between or after.

/// Asserts that `text` is one block with this label, to the letter, and returns it.
#[track_caller]
pub(crate) fn one_block(text: String, label: &str) -> String {
    let (begin, end) = (format!("-----BEGIN {label}-----\n"), format!("-----END {label}-----\n"));
    assert!(text.starts_with(&begin) && text.ends_with(&end), "not one {label}: {text}");
    assert_eq!(text.matches("-----BEGIN ").count(), 1, "more than one block: {text}");
    text
}

/// Asserts that `text` is one unencrypted private key in a form that s2n loads, and returns it.
#[track_caller]
pub(crate) fn one_key(text: String) -> String {
    let key = match text.find("-----END EC PARAMETERS-----\n") {
        Some(at) => text[at..].trim_start_matches("-----END EC PARAMETERS-----\n"),
        None => &text,
    };
    let label = ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"]
        .into_iter()
        .find(|label| key.starts_with(&format!("-----BEGIN {label}-----\n")));
    one_block(key.to_owned(), label.unwrap_or("PRIVATE KEY"));
    text
}
