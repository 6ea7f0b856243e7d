//! Policies and what they allow: exact paths, `*` at the end, `+` for one segment; deny by default, and deny wins.

use std::collections::BTreeSet;

use serde_json::Value;

/// What every token may do about itself, unless it was made without.
pub(crate) const DEFAULT: &str = r#"
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
path "sys/capabilities-self" { capabilities = ["update"] }
"#;

/// One path of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) path: String,
    pub(crate) capabilities: BTreeSet<String>,
}

/// The capabilities that `rules` give at a path; `list` asks about a path with its slash and without.
pub(crate) fn capabilities(rules: &[Rule], path: &str, list: bool) -> BTreeSet<String> {
    let bare = path.strip_suffix('/').filter(|_| list);
    for exact in [Some(path), bare].into_iter().flatten() {
        if let Some(found) = joined(rules, |rule| rule.path == exact && !is_pattern(&rule.path)) {
            return found;
        }
    }
    let fits = |rule: &&Rule| is_pattern(&rule.path) && matches(&rule.path, path, bare);
    let Some(best) = rules.iter().filter(fits).max_by_key(|rule| weight(&rule.path)) else {
        return BTreeSet::new();
    };
    joined(rules, |rule| rule.path == best.path).unwrap_or_default()
}

/// The same path in several policies: all of them together, and a deny wins.
fn joined(rules: &[Rule], which: impl Fn(&Rule) -> bool) -> Option<BTreeSet<String>> {
    let mut found = rules.iter().filter(|rule| which(rule)).peekable();
    found.peek()?;
    let all: BTreeSet<String> = found.flat_map(|rule| rule.capabilities.clone()).collect();
    Some(if all.contains("deny") { BTreeSet::new() } else { all })
}

fn is_pattern(path: &str) -> bool {
    path.ends_with('*') || path.split('/').any(|segment| segment == "+")
}

fn matches(pattern: &str, path: &str, bare: Option<&str>) -> bool {
    let one = |path: &str| {
        let (pattern, open) = match pattern.strip_suffix('*') {
            Some(prefix) => (prefix, true),
            None => (pattern, false),
        };
        let (wanted, given): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
        if given.len() < wanted.len() || (!open && given.len() != wanted.len()) {
            return false;
        }
        let last = wanted.len() - 1;
        wanted.iter().zip(&given).enumerate().all(|(number, (wanted, given))| {
            *wanted == "+" || wanted == given || (open && number == last && given.starts_with(wanted))
        })
    };
    one(path) || bare.is_some_and(one)
}

/// The documented order of patterns that fit the same path: a later first wildcard, no `*` at the end, fewer `+`, longer,
/// later in the alphabet.
fn weight(pattern: &str) -> (usize, bool, std::cmp::Reverse<usize>, usize, String) {
    let plus = pattern.split('/').filter(|segment| *segment == "+").count();
    let first = pattern.find(['+', '*']).unwrap_or(usize::MAX);
    (first, !pattern.ends_with('*'), std::cmp::Reverse(plus), pattern.len(), pattern.to_owned())
}

/// Reads a policy: HCL as the documents write it, or JSON.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Vec<Rule>, String> {
    match serde_json::from_str::<Value>(text) {
        Ok(json) => Ok(of_json(&json)),
        Err(_) => of_hcl(text),
    }
}

fn of_json(json: &Value) -> Vec<Rule> {
    let paths = json["path"].as_object().cloned().unwrap_or_default();
    let rule = |(path, rule): (String, Value)| {
        let list = rule["capabilities"].as_array().cloned().unwrap_or_default();
        let capabilities = list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        Rule { path, capabilities }
    };
    paths.into_iter().map(rule).collect()
}

fn of_hcl(text: &str) -> Result<Vec<Rule>, String> {
    let without_comments: String = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let mut rest = without_comments.as_str().trim();
    let mut rules = Vec::new();
    while !rest.is_empty() {
        let failed = || format!("failed to parse policy: near {rest:.40}");
        let block = rest.strip_prefix("path").ok_or_else(failed)?;
        let (path, block) = quoted(block).ok_or_else(failed)?;
        let block = block.trim_start().strip_prefix('{').ok_or_else(failed)?;
        let (inside, after) = block.split_once('}').ok_or_else(failed)?;
        let list = inside.trim().strip_prefix("capabilities").ok_or_else(failed)?;
        let list = list.trim_start().strip_prefix('=').ok_or_else(failed)?;
        let list =
            list.trim().strip_prefix('[').and_then(|list| list.strip_suffix(']')).ok_or_else(failed)?;
        let mut capabilities = BTreeSet::new();
        for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (name, _) = quoted(item).ok_or_else(failed)?;
            let known = ["create", "read", "update", "delete", "list", "sudo", "deny", "patch"];
            if !known.contains(&name.as_str()) {
                return Err(format!("path \"{path}\": invalid capability \"{name}\""));
            }
            capabilities.insert(name);
        }
        rules.push(Rule { path, capabilities });
        rest = after.trim();
    }
    Ok(rules)
}

/// A text in double quotes, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let (inside, after) = text.trim_start().strip_prefix('"')?.split_once('"')?;
    Some((inside.to_owned(), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(policy: &str, path: &str) -> Vec<String> {
        capabilities(&parse(policy).unwrap(), path, false).into_iter().collect()
    }

    #[test]
    fn nothing_is_allowed_that_is_not_named() {
        let policy = r#"path "pki/sign/slurm" { capabilities = ["update"] }"#;
        assert_eq!(may(policy, "pki/sign/slurm"), ["update"]);
        for other in ["pki/sign/slurm2", "pki/sign", "pki/sign/slurm/x", "pki/roles/slurm"] {
            assert!(may(policy, other).is_empty(), "{other}");
        }
    }

    #[test]
    fn the_more_special_pattern_counts_and_deny_wins() {
        let policy = r#"
            # everything below it
            path "kv/data/*" { capabilities = ["read"] }
            path "kv/data/secret" { capabilities = ["deny"] }
            path "kv/data/+/own" { capabilities = ["read", "update"] }
        "#;
        assert_eq!(may(policy, "kv/data/n1"), ["read"]);
        assert!(may(policy, "kv/data/secret").is_empty());
        assert_eq!(may(policy, "kv/data/a/b"), ["read"]);
        // The first wildcard stands at the same place; the one that does not end in a star is the more special one.
        assert_eq!(may(policy, "kv/data/a/own"), ["read", "update"]);
    }

    #[test]
    fn an_unknown_capability_is_refused() {
        assert!(parse(r#"path "a" { capabilities = ["write"] }"#).is_err());
        assert!(parse("nonsense").is_err());
    }
}
