//! What came of work on many hosts.

use std::collections::BTreeMap;

use crate::advice::Advice;
use crate::hostlist;
use crate::report;

/// A result for each host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcomes(BTreeMap<String, Result<Vec<String>, String>>);

impl Outcomes {
    /// From results in any order.
    pub(super) fn new(results: impl IntoIterator<Item = (String, Result<Vec<String>, String>)>) -> Self {
        Self(results.into_iter().collect())
    }

    /// Every host with the lines that its script said, or why there are none.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Result<Vec<String>, String>)> {
        self.0.iter().map(|(host, result)| (host.as_str(), result))
    }

    /// A host's own result.
    pub(crate) fn of(&self, host: &str) -> Option<&Result<Vec<String>, String>> {
        self.0.get(host)
    }

    /// Judges what the hosts said: an error takes a host among those that failed.
    pub(crate) fn judge(self, mut judge: impl FnMut(&str, &[String]) -> Result<(), String>) -> Self {
        let judged = self.0.into_iter().map(|(host, result)| {
            let result = result.and_then(|said| judge(&host, &said).map(|()| said));
            (host, result)
        });
        Self(judged.collect())
    }

    /// These and others.
    pub(crate) fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// The hosts that it went well on.
    pub(crate) fn reached(&self) -> Vec<String> {
        self.0.iter().filter(|(_, result)| result.is_ok()).map(|(host, _)| host.clone()).collect()
    }

    /// The hosts that failed.
    pub(crate) fn failed(&self) -> Vec<String> {
        self.0.iter().filter(|(_, result)| result.is_err()).map(|(host, _)| host.clone()).collect()
    }

    /// A warning for each reason, with the hosts that have it.
    pub(crate) fn report(&self) {
        self.reasons().iter().for_each(|line| report::warning(line));
    }

    /// A host's own name in its reason would keep a thousand equal ones apart.
    fn reasons(&self) -> Vec<String> {
        let mut reasons: BTreeMap<String, Vec<(&str, &str)>> = BTreeMap::new();
        for (host, result) in &self.0 {
            if let Err(why) = result {
                reasons.entry(without_name(why, host)).or_default().push((host, why));
            }
        }
        let line = |(common, hosts): (String, Vec<(&str, &str)>)| match hosts.as_slice() {
            [(host, why)] => format!("{host}: {why}"),
            _ => format!("{}: {common}", hostlist::fold_texts(hosts.iter().map(|(host, _)| *host))),
        };
        reasons.into_iter().map(line).collect()
    }

    /// Nothing, or an error that names the hosts that failed; the reasons were reported.
    ///
    /// # Errors
    /// When any host failed.
    pub(crate) fn into_result(self, what: &str) -> anyhow::Result<()> {
        self.report();
        let failed = self.failed();
        if failed.is_empty() {
            return Ok(());
        }
        let hosts = hostlist::fold_texts(failed.iter().map(String::as_str));
        Err(Advice::new(
            format!("{what} failed on {} of {} hosts: {hosts}", failed.len(), self.0.len()),
            "mend them and run the same again; --skip HOSTLIST leaves dead ones out and remembers them",
        )
        .into())
    }
}

/// A reason with HOST wherever the host's name stands as a word.
fn without_name(why: &str, host: &str) -> String {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let mut text = String::with_capacity(why.len());
    let mut rest = why;
    while let Some(at) = rest.find(host).filter(|_| !host.is_empty()) {
        let (before, from) = rest.split_at(at);
        let after = from.get(host.len()..).unwrap_or_default();
        let is_word = !text.ends_with(inside) && !before.ends_with(inside) && !after.starts_with(inside);
        text.push_str(before);
        text.push_str(if is_word { "HOST" } else { host });
        rest = after;
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_that_failed_is_a_failure_that_names_it() {
        let all =
            || Outcomes::new([("n1".to_owned(), Ok(vec![])), ("n2".to_owned(), Err("no route".to_owned()))]);
        let failure = all().into_result("the copy").unwrap_err().to_string();
        assert_eq!(failure, "the copy failed on 1 of 2 hosts: n2");
        assert_eq!((all().reached(), all().failed()), (vec!["n1".to_owned()], vec!["n2".to_owned()]));
        assert!(all().judge(|_, _| Err("bad".into())).reached().is_empty());
        assert!(Outcomes::default().into_result("nothing").is_ok());
    }

    #[test]
    fn equal_reasons_are_told_once_whatever_hosts_they_name() {
        let failed = |host: &str, why: &str| (host.to_owned(), Err(why.to_owned()));
        let all = Outcomes::new([
            failed("n1", "ssh: connect to host n1 port 22: no route"),
            failed("n2", "ssh: connect to host n2 port 22: no route"),
            failed("n10", "n1 is not n10"),
            failed("x", "exit 255 from x"),
        ]);
        assert_eq!(
            all.reasons(),
            [
                "x: exit 255 from x",
                "n10: n1 is not n10",
                "n[1-2]: ssh: connect to host HOST port 22: no route"
            ]
        );
    }
}
