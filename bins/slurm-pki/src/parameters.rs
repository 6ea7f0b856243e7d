//! CertmgrParameters and its like as Slurm reads them (docs/slurm-contract.md 1.1): split at commas, the first word
//! that begins so counts, nothing is trimmed and there are no quotes.

/// The words of one value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameters<'a>(&'a str);

impl<'a> Parameters<'a> {
    /// A value as it stands; nothing is like an empty one.
    pub(crate) fn of(value: Option<&'a str>) -> Self {
        Self(value.unwrap_or_default())
    }

    /// What follows `key=`.
    pub(crate) fn get(self, key: &str) -> Option<&'a str> {
        self.words().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    /// Whether `flag` stands anywhere: for flags Slurm looks for the text alone.
    pub(crate) fn has(self, flag: &str) -> bool {
        self.0.contains(flag)
    }

    /// All words, empty ones left out.
    pub(crate) fn words(self) -> impl Iterator<Item = &'a str> {
        self.0.split(',').filter(|word| !word.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_as_slurm_finds_them() {
        let all = Parameters::of(Some("b=1,a=/x y,a=2, c=3,single_use_tokens"));
        assert_eq!((all.get("a"), all.get("b"), all.get("c")), (Some("/x y"), Some("1"), None));
        assert!(all.has("single_use_tokens") && !all.has("d"));
        assert_eq!(Parameters::of(None).words().count(), 0);
    }
}
