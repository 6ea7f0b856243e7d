//! Changes in Vault: made, and said; with `--dry-run` printed as commands instead.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Value, json};
use signer::of_vault;
use site::config::VaultConfig;
use vault::{Answer, Client};

use crate::advice::Advise as _;
use crate::global::Global;
use crate::report;
use crate::vault::commands::{VaultCommand, quoted};
use crate::vault::role::{Settings, same};

/// A server that is being set up.
pub(super) struct Work<'a> {
    global: &'a Global,
    client: Client,
    changes: Cell<u32>,
}

impl fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Work({} changes)", self.changes.get())
    }
}

impl<'a> Work<'a> {
    pub(super) fn new(global: &'a Global, client: Client) -> Self {
        Self { global, client, changes: Cell::new(0) }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn global(&self) -> &'a Global {
        self.global
    }

    /// Whether nothing may be changed.
    pub(super) fn only_says(&self) -> bool {
        self.global.dry_run
    }

    /// Where the commands go; the token is whoever runs them's own.
    pub(super) fn begin(&self, config: &VaultConfig) {
        if !self.only_says() {
            return;
        }
        report::line("# With OpenBao: bao in place of vault. Log in before: vault login");
        let variables = [
            ("VAULT_ADDR", config.address.clone()),
            ("VAULT_NAMESPACE", config.namespace.clone()),
            ("VAULT_CACERT", config.ca_cert.as_ref().map(|path| path.display().to_string())),
        ];
        for (name, value) in variables {
            if let Some(value) = value {
                report::line(&format!("export {name}={}", quoted(&value)));
            }
        }
    }

    pub(super) fn end(&self) {
        if self.changes.get() == 0 {
            report::done(self.global, "nothing to change: Vault is as the config wants it");
        }
    }

    /// Makes a change that has a command of its own.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub(super) fn change(
        &self,
        said: &str,
        command: &VaultCommand,
        make: impl FnOnce(&Client) -> Result<(), vault::Error>,
    ) -> anyhow::Result<()> {
        self.changes.set(self.changes.get() + 1);
        if self.only_says() {
            report::line(&format!("# {}", report::printable(said).replace('\n', " ")));
            report::line(&command.to_shell());
            return Ok(());
        }
        make(&self.client).map_err(of_vault).advise()?;
        report::done(self.global, said);
        Ok(())
    }

    /// Writes parameters to a path; the answer, unless nothing may be changed.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub(super) fn write(&self, said: &str, path: &str, body: &Value) -> anyhow::Result<Option<Answer>> {
        self.write_by(said, path, body, Client::write)
    }

    /// The same where every request makes something new: it is asked once.
    ///
    /// # Errors
    /// Whatever went wrong; after a lost answer there may be one too many.
    pub(super) fn make(&self, said: &str, path: &str, body: &Value) -> anyhow::Result<Option<Answer>> {
        self.write_by(said, path, body, Client::make)
    }

    fn write_by(
        &self,
        said: &str,
        path: &str,
        body: &Value,
        write: impl FnOnce(&Client, &str, &Value, &str) -> Result<Answer, vault::Error>,
    ) -> anyhow::Result<Option<Answer>> {
        let mut answer = None;
        self.change(said, &VaultCommand::write(path, body), |client| {
            answer = Some(write(client, path, body, said)?);
            Ok(())
        })?;
        answer.iter().for_each(say_warnings);
        Ok(answer)
    }

    /// Writes settings where they are not as wanted. What else is set there stays: with `Left::Reset` by being written again.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub(super) fn settings(
        &self,
        what: &str,
        path: &str,
        there: Option<&Settings>,
        wanted: &Settings,
        left: Left,
    ) -> anyhow::Result<()> {
        let Some(there) = there else {
            self.write(&format!("made     {what}"), path, &Value::Object(wanted.clone()))?;
            return Ok(());
        };
        let changes = differences(there, wanted);
        if changes.is_empty() {
            self.there(what);
            return Ok(());
        }
        let mut all = if left == Left::Reset { there.clone() } else { Settings::new() };
        all.retain(|_, value| !value.is_null());
        all.extend(wanted.clone());
        let said = format!("changed  {what}: {}", changes.join(", "));
        self.write(&said, path, &Value::Object(all)).map(drop)
    }

    /// Writes a policy where it is missing or another.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub(super) fn policy(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let what = format!("policy {name}");
        let there = vault::sys::policy(&self.client, name).map_err(of_vault).advise()?;
        let said = match there {
            Some(there) if there.trim() == text.trim() => {
                self.there(&what);
                return Ok(());
            }
            Some(_) => format!("changed  {what}"),
            None => format!("made     {what}"),
        };
        let command = VaultCommand::new(&["policy", "write", name, "-"]).with_input(text);
        self.change(&said, &command, |client| vault::sys::write_policy(client, name, text))
    }

    /// Says that something is as it should be.
    pub(super) fn there(&self, what: &str) {
        if !self.only_says() {
            report::done(self.global, &format!("there    {what}"));
        }
    }
}

/// What becomes of a setting that a write leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// It goes back to its default.
    Reset,
    /// It stays.
    Kept,
}

/// What differs, in words; of lists that are long only how many are more and less.
fn differences(there: &Settings, wanted: &Settings) -> Vec<String> {
    let null = Value::Null;
    let differs = |(name, to): (&String, &Value)| {
        let from = there.get(name).unwrap_or(&null);
        if same(from, to) {
            return None;
        }
        if let (Value::Array(from), Value::Array(to)) = (from, to)
            && from.len().max(to.len()) > 3
        {
            let set = |list: &[Value]| list.iter().map(Value::to_string).collect::<BTreeSet<_>>();
            let (from, to) = (set(from), set(to));
            let (more, less) = (to.difference(&from).count(), from.difference(&to).count());
            return Some(format!("{name} {more} more, {less} less"));
        }
        Some(format!("{name} {from} -> {to}"))
    };
    wanted.iter().filter_map(differs).collect()
}

/// Seconds as the API takes them.
pub(super) fn seconds(time: std::time::Duration) -> Value {
    json!(format!("{}s", time.as_secs()))
}

/// What the server says beside doing it. About URLs some come with every new issuer of a mount that has none, which Slurm
/// would not look at.
fn say_warnings(answer: &Answer) {
    let about_urls = |text: &str| text.contains("AIA") || text.contains("authority information access");
    for warning in answer.warnings().iter().filter(|text| !about_urls(text)) {
        report::warning(&format!("Vault says: {warning}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_a_change() {
        let settings = |value: Value| value.as_object().unwrap().clone();
        let there = settings(json!({ "a": 1, "b": ["x", "y"], "c": null, "site": "own" }));
        assert!(differences(&there, &settings(json!({ "a": 1, "b": ["y", "x"], "c": [] }))).is_empty());
        assert_eq!(differences(&there, &settings(json!({ "a": 2 }))), ["a 1 -> 2"]);
        let many = settings(json!({ "b": ["x", "1", "2", "3"] }));
        assert_eq!(differences(&there, &many), ["b 3 more, 1 less"]);
    }
}
