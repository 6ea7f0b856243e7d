//! Good files, damaged at random: whatever lib/pki still takes, s2n takes too. The other way round is
//! allowed.
#![expect(clippy::indexing_slicing, reason = "tests")]

use interop::handshake::{Side, Tls, handshake, load};
use interop::making::now;
use interop::vectors::{Files, GOOD};
use pki::loads_in_s2n;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestCaseError};

/// What people, editors and scripts leave in such files, and what parsers trip over.
const INSERTED: [&str; 20] = [
    "-",
    "--",
    "-----",
    "\n",
    "\n\n",
    "\r",
    "\r\n",
    " ",
    "\t",
    "\u{c}",
    "\0",
    "=",
    "==",
    "A",
    "\u{feff}",
    "é",
    "# text\n",
    "-----BEGIN CERTIFICATE-----\n",
    "-----END CERTIFICATE-----\n",
    "Proc-Type: 4,CLEAR\n\n",
];

/// Some hundred damaged copies of each good set of files.
const CASES: u32 = 10_000;

/// One blow to a text of PEM blocks.
#[derive(Clone, Debug)]
enum Blow {
    Byte(Index, u8),
    Bit(Index, u8),
    Cut(Index),
    Behead(Index),
    Drop(Index, Index),
    Repeat(Index, Index),
    Insert(Index, &'static str),
    Again(Index),
    Swap(Index, Index),
    Der(Index, Index, u8),
    DerGrows(Index, u8),
}

fn blow() -> impl Strategy<Value = Blow> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(i, b)| Blow::Byte(i, b)),
        (at(), 0u8..7).prop_map(|(i, b)| Blow::Bit(i, b)),
        at().prop_map(Blow::Cut),
        at().prop_map(Blow::Behead),
        (at(), at()).prop_map(|(i, j)| Blow::Drop(i, j)),
        (at(), at()).prop_map(|(i, j)| Blow::Repeat(i, j)),
        (at(), select(&INSERTED[..])).prop_map(|(i, text)| Blow::Insert(i, text)),
        at().prop_map(Blow::Again),
        (at(), at()).prop_map(|(i, j)| Blow::Swap(i, j)),
        (at(), at(), any::<u8>()).prop_map(|(i, j, b)| Blow::Der(i, j, b)),
        (at(), any::<u8>()).prop_map(|(i, b)| Blow::DerGrows(i, b)),
    ]
}

fn strike(text: &mut Vec<u8>, blow: &Blow) {
    if text.is_empty() {
        return;
    }
    let len = text.len();
    match blow {
        Blow::Byte(i, byte) => text[i.index(len)] = *byte,
        Blow::Bit(i, bit) => text[i.index(len)] ^= 1 << bit,
        Blow::Cut(i) => text.truncate(i.index(len)),
        Blow::Behead(i) => drop(text.drain(..i.index(len))),
        Blow::Drop(i, j) => drop(text.drain(range(i, j, len))),
        Blow::Repeat(i, j) => {
            let part = text[range(i, j, len)].to_vec();
            text.splice(i.index(len)..i.index(len), part);
        }
        Blow::Insert(i, what) => drop(text.splice(i.index(len)..i.index(len), what.bytes())),
        Blow::Again(i) => on_blocks(text, |all, n| all.push(all[i.index(n)].clone())),
        Blow::Swap(i, j) => on_blocks(text, |all, n| all.swap(i.index(n), j.index(n))),
        Blow::Der(i, j, byte) => on_blocks(text, |all, n| {
            let (_, der) = &mut all[i.index(n)];
            let at = j.index(der.len());
            der[at] = *byte;
        }),
        Blow::DerGrows(i, byte) => on_blocks(text, |all, n| all[i.index(n)].1.push(*byte)),
    }
}

fn range(i: &Index, j: &Index, len: usize) -> std::ops::Range<usize> {
    let (a, b) = (i.index(len), j.index(len));
    a.min(b)..a.max(b)
}

/// Takes the blocks apart and writes them again; does nothing to a text that has none left.
fn on_blocks(text: &mut Vec<u8>, change: impl FnOnce(&mut Vec<(String, Vec<u8>)>, usize)) {
    let Ok(blocks) = pki::armor::blocks(text, 1 << 20) else { return };
    let mut all: Vec<_> = blocks.into_iter().map(|b| (b.label.clone(), b.der.expose().to_vec())).collect();
    if all.iter().all(|(_, der)| !der.is_empty()) && !all.is_empty() {
        let n = all.len();
        change(&mut all, n);
        *text =
            all.iter().map(|(label, der)| pki::armor::public(label, der)).collect::<String>().into_bytes();
    }
}

/// The files are made once for all of them.
fn holds_for_damaged(part: fn(&Files) -> &str, holds: fn(&Files, &[u8]) -> Result<(), TestCaseError>) {
    let good: Vec<Files> = GOOD.iter().map(|(_, make)| make()).collect();
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    proptest!(config, |(n in any::<Index>(), blows in prop::collection::vec(blow(), 1..3))| {
        let files = &good[n.index(good.len())];
        let mut text = part(files).as_bytes().to_vec();
        blows.iter().for_each(|blow| strike(&mut text, blow));
        let shown = || format!("was:\n{}\nis:\n{}", part(files), text.escape_ascii());
        holds(files, &text).map_err(|e| TestCaseError::fail(format!("{e}\n{}", shown())))?;
    });
}

#[test]
fn every_bundle_that_we_take_loads_in_s2n() {
    holds_for_damaged(
        |files| &files.trust,
        |_, trust| {
            if loads_in_s2n::trust_bundle(trust).is_ok() {
                prop_assert!(
                    load(Side { pair: None, trust }).is_ok(),
                    "{:?}",
                    load(Side { pair: None, trust }).err()
                );
            }
            Ok(())
        },
    );
}

#[test]
fn every_chain_that_we_take_loads_in_s2n_and_if_we_say_so_its_peers_take_it() {
    holds_for_damaged(
        |files| &files.chain,
        |files, chain| {
            let Ok(own) = loads_in_s2n::own_pair(chain, files.key.as_bytes()) else { return Ok(()) };
            let side = Side { pair: Some((chain, files.key.as_bytes())), trust: files.trust.as_bytes() };
            prop_assert!(load(side).is_ok(), "{:?}", load(side).err());
            let anchors = loads_in_s2n::trust_bundle(files.trust.as_bytes()).unwrap();
            if loads_in_s2n::accepted_by_peers(&own, &anchors, now()).is_ok() {
                prop_assert_eq!(handshake(side, side, Tls::V13), Ok(()));
            }
            Ok(())
        },
    );
}

#[test]
fn every_key_that_we_take_loads_in_s2n() {
    holds_for_damaged(
        |files| &files.key,
        |files, key| {
            if loads_in_s2n::own_pair(files.chain.as_bytes(), key).is_ok() {
                let side = Side { pair: Some((files.chain.as_bytes(), key)), trust: files.trust.as_bytes() };
                prop_assert!(load(side).is_ok(), "{:?}", load(side).err());
            }
            Ok(())
        },
    );
}

/// A damaged anchor may still load; whatever we then say of a chain under it, s2n says too.
#[test]
fn every_chain_that_we_take_under_a_damaged_bundle_is_taken_by_peers() {
    holds_for_damaged(
        |files| &files.trust,
        |files, trust| {
            let Ok(anchors) = loads_in_s2n::trust_bundle(trust) else { return Ok(()) };
            let chain = loads_in_s2n::own_chain(files.chain.as_bytes()).unwrap();
            if loads_in_s2n::accepted_by_peers(&chain, &anchors, now()).is_ok() {
                let side = Side { pair: Some((files.chain.as_bytes(), files.key.as_bytes())), trust };
                prop_assert_eq!(handshake(side, side, Tls::V13), Ok(()));
            }
            Ok(())
        },
    );
}
