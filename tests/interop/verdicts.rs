//! The table of `vectors.rs`, put to lib/pki and to the real s2n side by side.

use interop::handshake::{No, Side, VERSIONS, handshake, load};
use interop::making::now;
use interop::openssl;
use interop::vectors::{BAD, Files, GOOD, S2n};
use pki::loads_in_s2n::{self, Unloadable};

fn ours(files: &Files) -> Result<(), Unloadable> {
    let chain = loads_in_s2n::own_pair(files.chain.as_bytes(), files.key.as_bytes())?;
    let anchors = loads_in_s2n::trust_bundle(files.trust.as_bytes())?;
    loads_in_s2n::accepted_by_peers(&chain, &anchors, now())
}

/// s2n's word, the same in every version of TLS, between two peers with these files.
fn s2n(files: &Files) -> Result<(), No> {
    let side =
        Side { pair: Some((files.chain.as_bytes(), files.key.as_bytes())), trust: files.trust.as_bytes() };
    load(side)?;
    let verdicts = VERSIONS.map(|tls| handshake(side, side, tls));
    let [first, ..] = &verdicts;
    assert!(verdicts.iter().all(|verdict| verdict.is_ok() == first.is_ok()), "{verdicts:?}");
    first.clone()
}

fn variant(verdict: &Result<(), Unloadable>) -> String {
    let name = |e: &Unloadable| format!("{e:?}").chars().take_while(char::is_ascii_alphanumeric).collect();
    verdict.as_ref().err().map_or_else(|| "accepts".to_owned(), name)
}

#[test]
fn what_crashes_or_cuts_off_a_daemon_is_refused_by_us_and_by_s2n() {
    let mut table = String::new();
    let mut wrong = 0;
    for vector in BAD {
        let files = (vector.make)();
        let (ours, s2n) = (ours(&files), s2n(&files));
        let as_told = match (&s2n, vector.s2n) {
            (Err(No::Load(_)), S2n::Crashes) => true,
            (Err(No::Client(_) | No::Server(_)), S2n::CutOff) => true,
            (Ok(()), S2n::Takes(why)) => !why.is_empty(),
            _ => false,
        };
        let right = as_told && variant(&ours) == vector.ours;
        wrong += usize::from(!right);
        let mark = if right { "  " } else { "! " };
        let (name, told) = (vector.name, vector.ours);
        table += &format!(
            "{mark}{name}: we {} (told {told}), s2n {s2n:?} (told {:?})\n",
            variant(&ours),
            vector.s2n
        );
    }
    assert_eq!(wrong, 0, "rows with ! differ from what is told:\n{table}");
}

#[test]
fn what_serves_a_daemon_is_taken_by_us_by_s2n_and_by_openssl() {
    for (name, make) in GOOD {
        let files = make();
        ours(&files).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        s2n(&files).unwrap_or_else(|no| panic!("{name}: {no:?}"));
        openssl::verify(files.chain.as_bytes(), files.trust.as_bytes())
            .unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

/// s2n-tls is built on AWS-LC here and on OpenSSL in distributions: for whatever a peer is asked about,
/// OpenSSL says the same, so the verdicts hold for both.
#[test]
fn openssl_refuses_the_same_ways_up_as_s2n() {
    for vector in BAD.iter().filter(|vector| vector.s2n == S2n::CutOff) {
        let only_s2n =
            ["SelfIssued", "IpName", "BadName", "WeakSignature", "TooMany", "Key"].contains(&vector.ours);
        let files = (vector.make)();
        let verdict = openssl::verify(files.chain.as_bytes(), files.trust.as_bytes());
        assert!(verdict.is_err() || only_s2n, "{}", vector.name);
    }
}

/// What is true of the file that s2n in memory cannot show: no byte of its last page is left for the
/// NUL that Slurm's C string needs, and one newline makes room for it (slurm-contract.md 3.1).
#[test]
fn a_bundle_of_whole_pages_has_no_room_for_a_terminator_until_it_is_padded() {
    let pages = BAD.iter().find(|vector| vector.ours == "PageSize").unwrap();
    let trust = (pages.make)().trust;
    assert_eq!(trust.len() % 4096, 0);
    let padded = loads_in_s2n::pad_bundle(trust);
    assert_eq!(padded.len() % 4096, 1);
    loads_in_s2n::trust_bundle(padded.as_bytes()).unwrap();
}
