//! Hostlists as Slurm writes them: `n[001-128,200]`, `rack[1-2]n[01-16]`, commas, several words.
//!
//! Own code, because the crates that exist panic on large numbers, know no bound, take trailing garbage
//! for the end, or bring a configuration language along. Zero padding is kept as Slurm keeps it: a range
//! is as wide as its first number.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use pki::explain::{Explain, shown};
use pki::name::{NameError, NodeName};

/// Most names that one command takes: ten times the largest cluster there is.
const MAX_NAMES: u64 = 1_000_000;

/// Most digits that are a number, in a range or while folding; u64 has room for them.
const MAX_DIGITS: usize = 18;

/// Why a hostlist cannot be used.
#[derive(Debug)]
pub(crate) enum HostlistError {
    /// No name in it.
    Empty,
    /// What is wrong with a word of it.
    Syntax(String, &'static str),
    /// More than [`MAX_NAMES`].
    TooMany,
    /// It expands to something that is no node name.
    Name(NameError),
    /// It expands to a daemon's name.
    Reserved(NodeName),
}

impl fmt::Display for HostlistError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the hostlist names no node"),
            Self::Syntax(word, why) => write!(f, "hostlist {}: {why}", shown(word.as_bytes())),
            Self::TooMany => write!(f, "the hostlist has more than {MAX_NAMES} names"),
            Self::Name(e) => e.fmt(f),
            Self::Reserved(name) => write!(f, "{name} is the name of a daemon, and no node may have it"),
        }
    }
}

impl Explain for HostlistError {
    fn hint(&self) -> String {
        match self {
            Self::Empty | Self::Syntax(..) => "write it as in slurm.conf: n[001-128,200] login1".into(),
            Self::TooMany => "give it in parts".into(),
            Self::Name(e) => e.hint(),
            Self::Reserved(_) => "give the node another NodeName in slurm.conf".into(),
        }
    }
}

/// The nodes that the words of a command line mean, in their order, each once.
///
/// # Errors
/// When a word is no hostlist, or expands to a name that no node may have.
pub(crate) fn nodes(words: &[String]) -> Result<Vec<NodeName>, HostlistError> {
    let mut seen = HashSet::new();
    let mut nodes = Vec::new();
    each(words, &mut |text| {
        let name = NodeName::parse(text.as_bytes()).map_err(HostlistError::Name)?;
        if name.is_reserved() {
            return Err(HostlistError::Reserved(name));
        }
        if seen.insert(name.clone()) {
            nodes.push(name);
        }
        Ok(())
    })?;
    Ok(nodes)
}

/// What one word expands to, whatever it is: host names, addresses, ports. In its order, repetitions too.
///
/// # Errors
/// When it is no hostlist.
pub(crate) fn texts(word: &str) -> Result<Vec<String>, HostlistError> {
    let mut texts = Vec::new();
    each(&[word.to_owned()], &mut |text| {
        texts.push(text.to_owned());
        Ok(())
    })?;
    Ok(texts)
}

/// The hosts that the words of `--skip` mean: they may have names that no node may have, slurmdbd's or an address.
///
/// # Errors
/// When a word is no hostlist.
pub(crate) fn hosts(words: &[String]) -> Result<Vec<String>, HostlistError> {
    let mut hosts = Vec::new();
    for word in words {
        hosts.extend(texts(word)?);
    }
    Ok(hosts)
}

fn each(
    words: &[String],
    take: &mut impl FnMut(&str) -> Result<(), HostlistError>,
) -> Result<(), HostlistError> {
    let mut terms = Vec::new();
    for word in words {
        for text in split_outside_brackets(word)? {
            terms.push(Term::parse(word, text)?);
        }
    }
    // Counted before anything is expanded: a few bytes can ask for a great many names.
    let mut counts = terms.iter().map(Term::count);
    let total = counts.try_fold(0_u64, |sum, count| sum.checked_add(count?)).unwrap_or(u64::MAX);
    match total {
        0 => return Err(HostlistError::Empty),
        1..=MAX_NAMES => {}
        _ => return Err(HostlistError::TooMany),
    }
    terms.iter().try_for_each(|term| term.expand(0, &mut String::new(), take))
}

/// Names of one form: text and ranges in turn.
struct Term<'a>(Vec<Part<'a>>);

enum Part<'a> {
    Text(&'a str),
    Ranges(Vec<Range>),
}

/// Both ends included; numbers are padded with zeros to `width`.
#[derive(Clone, Copy)]
struct Range {
    first: u64,
    last: u64,
    width: usize,
}

impl<'a> Term<'a> {
    fn parse(word: &str, mut text: &'a str) -> Result<Self, HostlistError> {
        let wrong = |why| HostlistError::Syntax(word.to_owned(), why);
        let mut parts = Vec::new();
        if text.is_empty() {
            return Err(wrong("a name is missing between commas"));
        }
        while let Some((before, after)) = text.split_once('[') {
            let (ranges, rest) = after.split_once(']').ok_or_else(|| wrong("a [ is not closed"))?;
            parts.push(Part::Text(before));
            let ranges = ranges.split(',').map(|range| Range::parse(range).map_err(wrong));
            parts.push(Part::Ranges(ranges.collect::<Result<_, _>>()?));
            text = rest;
        }
        parts.push(Part::Text(text));
        Ok(Self(parts))
    }

    /// How many names; `None` when that is beyond counting.
    fn count(&self) -> Option<u64> {
        self.0.iter().try_fold(1_u64, |product, part| match part {
            Part::Text(_) => Some(product),
            Part::Ranges(ranges) => {
                let sum = ranges.iter().try_fold(0_u64, |sum, range| sum.checked_add(range.count()));
                product.checked_mul(sum?)
            }
        })
    }

    fn expand(
        &self,
        from: usize,
        name: &mut String,
        each: &mut impl FnMut(&str) -> Result<(), HostlistError>,
    ) -> Result<(), HostlistError> {
        let length = name.len();
        match self.0.get(from) {
            None => each(name)?,
            Some(Part::Text(text)) => {
                name.push_str(text);
                self.expand(from + 1, name, each)?;
            }
            Some(Part::Ranges(ranges)) => {
                for range in ranges {
                    for number in range.first..=range.last {
                        name.push_str(&format!("{number:0width$}", width = range.width));
                        self.expand(from + 1, name, each)?;
                        name.truncate(length);
                    }
                }
            }
        }
        name.truncate(length);
        Ok(())
    }
}

impl Range {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = Self { first: number(first)?, last: number(last)?, width: first.len() };
        if range.first > range.last {
            return Err("a range runs backwards");
        }
        if last.len() != first.len() && is_padded(last) {
            return Err("the two ends of a range are padded with zeros to different widths");
        }
        Ok(range)
    }

    fn count(self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }
}

fn number(digits: &str) -> Result<u64, &'static str> {
    if digits.len() > MAX_DIGITS {
        return Err("a number has more than 18 digits");
    }
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("inside [ ] stand numbers and ranges of numbers, with commas between them");
    }
    digits.parse().map_err(|_| "a number is too large")
}

fn is_padded(digits: &str) -> bool {
    digits.len() > 1 && digits.starts_with('0')
}

fn split_outside_brackets(word: &str) -> Result<Vec<&str>, HostlistError> {
    let wrong = |why| Err(HostlistError::Syntax(word.to_owned(), why));
    let mut terms = Vec::new();
    let mut inside = false;
    let mut begin = 0;
    for (at, c) in word.char_indices() {
        match c {
            '[' if inside => return wrong("a [ stands inside another"),
            ']' if !inside => return wrong("a ] closes nothing"),
            '[' | ']' => inside = !inside,
            ',' if !inside => {
                terms.push(word.get(begin..at).unwrap_or_default());
                begin = at + 1;
            }
            _ => {}
        }
    }
    if inside {
        return wrong("a [ is not closed");
    }
    terms.push(word.get(begin..).unwrap_or_default());
    Ok(terms)
}

/// The shortest hostlist that we find for these names, in natural order: `n[001-128]`.
pub(crate) fn fold<'a>(names: impl IntoIterator<Item = &'a NodeName>) -> String {
    fold_texts(names.into_iter().map(NodeName::as_str))
}

/// The same for names of hosts.
pub(crate) fn fold_texts<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut by_shape: BTreeMap<Vec<&str>, Vec<Vec<String>>> = BTreeMap::new();
    for name in names {
        let (texts, numbers) = taken_apart(name);
        by_shape.entry(texts).or_default().push(numbers.into_iter().map(str::to_owned).collect());
    }
    let mut terms = Vec::new();
    for (texts, mut all) in by_shape {
        // From the last number to the first: rack1n[1-2] and rack2n[1-2] then are rack[1-2]n[1-2].
        for place in (0..texts.len() - 1).rev() {
            all = folded_at(place, all);
        }
        terms.extend(all.iter().map(|numbers| put_together(&texts, numbers)));
    }
    terms.join(",")
}

/// Names in the order that people expect: n2 before n10.
pub(crate) fn sort(names: &mut [NodeName]) {
    names.sort_by_cached_key(|name| {
        let (texts, numbers) = taken_apart(name.as_str());
        let texts: Vec<_> = texts.into_iter().map(str::to_owned).collect();
        let numbers: Vec<_> = numbers.into_iter().map(|n| (n.len(), n.to_owned())).collect();
        (texts, numbers)
    });
}

/// A name as texts with numbers between them: one text more than numbers.
fn taken_apart(name: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut texts, mut numbers) = (Vec::new(), Vec::new());
    let (mut begin, mut at) = (0, 0);
    while let Some(rest) = name.get(at..).filter(|rest| !rest.is_empty()) {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if (1..=MAX_DIGITS).contains(&digits) {
            texts.push(name.get(begin..at).unwrap_or_default());
            numbers.push(rest.get(..digits).unwrap_or_default());
            begin = at + digits;
        }
        at += digits.max(1);
    }
    texts.push(name.get(begin..).unwrap_or_default());
    (texts, numbers)
}

fn put_together(texts: &[&str], numbers: &[String]) -> String {
    let numbers = numbers
        .iter()
        .map(|number| if number.contains([',', '-']) { format!("[{number}]") } else { number.clone() });
    let mut all = String::new();
    for (text, number) in texts.iter().zip(numbers.chain([String::new()])) {
        all.push_str(text);
        all.push_str(&number);
    }
    all
}

/// Joins those that differ in one place only.
fn folded_at(place: usize, all: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let mut order = Vec::new();
    let mut alike: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for mut numbers in all {
        let Some(here) = numbers.get_mut(place) else { continue };
        let number = std::mem::take(here);
        let group = alike.entry(numbers.clone()).or_default();
        if group.is_empty() {
            order.push(numbers);
        }
        group.push(number);
    }
    order.sort_by_cached_key(|key| key.iter().map(|ranges| first_of(ranges)).collect::<Vec<_>>());
    order
        .into_iter()
        .map(|mut key| {
            let group = alike.remove(&key).unwrap_or_default();
            if let Some(here) = key.get_mut(place) {
                *here = ranges_of(group);
            }
            key
        })
        .collect()
}

/// What ranges are sorted by: their first number, shorter ones first.
fn first_of(ranges: &str) -> (usize, String) {
    let first = ranges.split([',', '-']).next().unwrap_or_default();
    (first.len(), first.to_owned())
}

/// `001-128,200` of single numbers.
fn ranges_of(mut numbers: Vec<String>) -> String {
    numbers.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    numbers.dedup();
    let mut ranges: Vec<(String, String)> = Vec::new();
    // Which range each number would carry on: of 9 and 09 the wider one takes 10.
    let mut goes_on: HashMap<String, usize> = HashMap::new();
    for number in numbers {
        let at = goes_on.remove(&number).unwrap_or(ranges.len());
        match ranges.get_mut(at) {
            Some((_, last)) => *last = number,
            None => ranges.push((number.clone(), number)),
        }
        if let Some(next) = ranges.get(at).and_then(|(first, last)| successor(first, last)) {
            goes_on.insert(next, at);
        }
    }
    let ranges: Vec<_> = ranges
        .into_iter()
        .map(|(first, last)| if first == last { first } else { format!("{first}-{last}") })
        .collect();
    ranges.join(",")
}

/// What comes after `last` in a range that begins with `first`, in the width that expansion gives it.
fn successor(first: &str, last: &str) -> Option<String> {
    let next = number(last).ok()?.checked_add(1)?;
    let next = format!("{next:0width$}", width = first.len());
    (next.len() <= MAX_DIGITS).then_some(next)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn expand(words: &[&str]) -> Result<Vec<String>, HostlistError> {
        let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
        Ok(nodes(&words)?.iter().map(ToString::to_string).collect())
    }

    fn folded(names: &[&str]) -> String {
        let names: Vec<_> = names.iter().map(|name| NodeName::parse(name.as_bytes()).unwrap()).collect();
        fold(&names)
    }

    #[test]
    fn a_hostlist_is_expanded_as_slurm_expands_it() {
        assert_eq!(expand(&["n[001-003,200]"]).unwrap(), ["n001", "n002", "n003", "n200"]);
        assert_eq!(expand(&["r[1-2]n[09-10]"]).unwrap(), ["r1n09", "r1n10", "r2n09", "r2n10"]);
        assert_eq!(expand(&["a,b1,c[8-10].x"]).unwrap(), ["a", "b1", "c8.x", "c9.x", "c10.x"]);
        assert_eq!(expand(&["n[1-2]", "n2,n3"]).unwrap(), ["n1", "n2", "n3"]);
        assert_eq!(expand(&["n[98-101]"]).unwrap(), ["n98", "n99", "n100", "n101"]);
        assert_eq!(expand(&["n[099-101]-ib"]).unwrap(), ["n099-ib", "n100-ib", "n101-ib"]);
    }

    #[test]
    fn what_is_no_hostlist_is_refused() {
        for word in [
            "",
            ",",
            "n1,",
            ",n1",
            "n[",
            "n]",
            "n[1",
            "n1]",
            "n[[1]]",
            "n[]",
            "n[1-]",
            "n[-1]",
            "n[1,]",
            "n[2-1]",
            "n[1-2-3]",
            "n[a-b]",
            "n[1-010]",
            "n[+1]",
            "n[1 -2]",
            "n[1]x[",
            "n[1234567890123456789]",
            "n[1-3",
        ] {
            assert!(expand(&[word]).is_err(), "{word}");
        }
        assert!(matches!(expand(&[]), Err(HostlistError::Empty)));
    }

    #[test]
    fn names_that_no_node_may_have_are_refused() {
        assert!(matches!(expand(&["../n[1-2]"]), Err(HostlistError::Name(_))));
        assert!(matches!(expand(&["10.0.0.[1-2]"]), Err(HostlistError::Name(_))));
        assert!(matches!(expand(&["n1,SlurmCtld"]), Err(HostlistError::Reserved(_))));
    }

    #[test]
    fn too_many_names_are_refused_before_they_are_made() {
        for word in
            ["n[1-1000001]", "n[1-999]m[1-999]k[1-999]", "n[0-999999999999999999]m[0-999999999999999999]"]
        {
            assert!(matches!(expand(&[word]), Err(HostlistError::TooMany)), "{word}");
        }
        assert!(matches!(expand(&["n[1-600000]", "m[1-600000]"]), Err(HostlistError::TooMany)));
        assert_eq!(expand(&["n[1-10000]"]).unwrap().len(), 10_000);
    }

    #[test]
    fn names_are_folded_for_people() {
        assert_eq!(folded(&["n003", "n001", "n002", "n200"]), "n[001-003,200]");
        assert_eq!(folded(&["r1n1", "r1n2", "r2n1", "r2n2", "r3n1"]), "r[1-2]n[1-2],r3n1");
        assert_eq!(folded(&["n9", "n10", "n08", "n11"]), "n[9-11,08]");
        assert_eq!(folded(&["login", "n1"]), "login,n1");
        assert_eq!(folded(&["n1.x", "n2.x"]), "n[1-2].x");
        assert_eq!(folded(&["n08", "n99", "n98", "n100"]), "n[08,98-100]");
        assert_eq!(folded(&[]), "");
    }

    #[test]
    fn sorting_puts_n2_before_n10() {
        let mut names: Vec<_> =
            ["n10", "n2", "a"].iter().map(|name| NodeName::parse(name.as_bytes()).unwrap()).collect();
        sort(&mut names);
        assert_eq!(names.iter().map(NodeName::as_str).collect::<Vec<_>>(), ["a", "n2", "n10"]);
    }

    proptest! {
        #[test]
        fn folding_and_expanding_gives_the_same_names(
            names in prop::collection::btree_set("[a-c_][0-3]{0,3}([.x-][0-2]{0,2}){0,2}", 1..60)
        ) {
            let names: BTreeSet<_> = names
                .iter()
                .filter_map(|name| NodeName::parse(name.as_bytes()).ok())
                .collect();
            prop_assume!(!names.is_empty());
            let again: BTreeSet<_> = nodes(&[fold(&names)]).unwrap().into_iter().collect();
            prop_assert_eq!(again, names);
        }

        #[test]
        fn any_text_is_expanded_or_refused(text in "[n0-9,\\[\\]-]{0,24}") {
            if let Ok(names) = nodes(&[text]) {
                let again: BTreeSet<_> = nodes(&[fold(&names)]).unwrap().into_iter().collect();
                prop_assert_eq!(again, names.into_iter().collect::<BTreeSet<_>>());
            }
        }
    }
}
