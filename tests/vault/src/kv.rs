//! The key-value engine, versions 1 and 2.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::core::{Call, done, unsupported};
use crate::engine::{Answer, Done, Failed, Op, bad};

#[derive(Debug)]
pub(crate) struct Kv {
    versioned: bool,
    secrets: BTreeMap<String, Vec<Version>>,
}

#[derive(Clone, Debug)]
struct Version {
    data: Value,
    deleted: bool,
}

impl Kv {
    pub(crate) fn new(versioned: bool) -> Self {
        Self { versioned, secrets: BTreeMap::new() }
    }

    pub(crate) fn is_versioned(&self) -> bool {
        self.versioned
    }

    /// Whether a write to this path is an update.
    pub(crate) fn exists(&self, path: &str) -> bool {
        let key = if self.versioned { path.strip_prefix("data/").unwrap_or(path) } else { path };
        self.secrets.contains_key(key)
    }

    pub(crate) fn answer(&mut self, call: &Call<'_>, path: &str) -> Answer {
        if self.versioned { self.two(call, path) } else { self.one(call, path) }
    }

    fn one(&mut self, call: &Call<'_>, key: &str) -> Answer {
        match call.op {
            Op::List => self.list(key),
            Op::Read => {
                let last =
                    self.secrets.get(key).and_then(|versions| versions.last()).ok_or(Failed::Nothing)?;
                Done::data(last.data.clone())
            }
            Op::Write => {
                let data = call.request.body.clone();
                if data.as_object().is_none_or(serde_json::Map::is_empty) {
                    return Err(bad("missing data fields"));
                }
                self.secrets.insert(key.to_owned(), vec![Version { data, deleted: false }]);
                done()
            }
            Op::Patch => unsupported(),
            Op::Delete => {
                self.secrets.remove(key);
                done()
            }
        }
    }

    fn two(&mut self, call: &Call<'_>, path: &str) -> Answer {
        let (kind, key) = path.split_once('/').unwrap_or((path, ""));
        match (call.op, kind) {
            (Op::Read, "data") => self.read_version(key, call),
            (Op::Write, "data") => self.write_version(key, &call.request.body),
            (Op::Delete, "data") => {
                if let Some(last) = self.secrets.get_mut(key).and_then(|versions| versions.last_mut()) {
                    last.deleted = true;
                }
                done()
            }
            (Op::List, "metadata") => self.list(key),
            (Op::Read, "metadata") => {
                let versions = self.secrets.get(key).ok_or(Failed::Nothing)?;
                let all: BTreeMap<String, Value> = versions
                    .iter()
                    .enumerate()
                    .map(|(n, one)| ((n + 1).to_string(), metadata(n + 1, one)))
                    .collect();
                Done::data(json!({ "current_version": versions.len(), "versions": all, "max_versions": 0 }))
            }
            (Op::Delete, "metadata") => {
                self.secrets.remove(key);
                done()
            }
            (Op::Read, "config") => {
                Done::data(json!({ "cas_required": false, "delete_version_after": "0s", "max_versions": 0 }))
            }
            (Op::Write, "config") => done(),
            (_, "data" | "metadata" | "config") => unsupported(),
            // What version 1 would have read.
            _ => Err(Failed::Status(404, "no handler for route".into())),
        }
    }

    fn read_version(&self, key: &str, call: &Call<'_>) -> Answer {
        let versions = self.secrets.get(key).ok_or(Failed::Nothing)?;
        let asked = call.request.queried("version").and_then(|number| number.parse().ok()).unwrap_or(0);
        let number = if asked == 0 { versions.len() } else { asked };
        let version = number.checked_sub(1).and_then(|place| versions.get(place)).ok_or(Failed::Nothing)?;
        let metadata = metadata(number, version);
        if version.deleted {
            return Err(Failed::Gone(json!({ "data": null, "metadata": metadata })));
        }
        Done::data(json!({ "data": version.data, "metadata": metadata }))
    }

    fn write_version(&mut self, key: &str, body: &Value) -> Answer {
        let data = body["data"].clone();
        if !data.is_object() {
            return Err(bad("no data provided"));
        }
        let versions = self.secrets.entry(key.to_owned()).or_default();
        if let Some(cas) = body["options"]["cas"].as_u64()
            && cas != versions.len() as u64
        {
            return Err(bad("check-and-set parameter did not match the current version"));
        }
        versions.push(Version { data, deleted: false });
        Done::data(metadata(versions.len(), &versions[versions.len() - 1]))
    }

    /// Keys directly below, and folders with their slash.
    fn list(&self, folder: &str) -> Answer {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let below = self.secrets.keys().filter_map(|key| key.strip_prefix(&prefix));
        let names: BTreeSet<String> = below
            .map(|rest| rest.split_once('/').map_or_else(|| rest.to_owned(), |(name, _)| format!("{name}/")))
            .collect();
        Done::keys(names.into_iter().collect())
    }
}

fn metadata(number: usize, version: &Version) -> Value {
    json!({
        "created_time": "2024-01-01T00:00:00.000000000Z",
        "custom_metadata": null,
        "deletion_time": if version.deleted { "2024-01-01T00:00:01.000000000Z" } else { "" },
        "destroyed": false,
        "version": number,
    })
}
