//! Parameters of a request, by the loose rules of the API: durations as numbers or text, lists as lists or text.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The body of a request. It notes which members were looked at, so that the others can be warned about, as Vault does.
#[derive(Debug)]
pub(crate) struct Params<'a> {
    members: Option<&'a Map<String, Value>>,
    looked_at: RefCell<BTreeSet<String>>,
}

impl<'a> Params<'a> {
    pub(crate) fn of(body: &'a Value) -> Self {
        Self { members: body.as_object(), looked_at: RefCell::default() }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.looked_at.borrow_mut().insert(name.to_owned());
        self.members?.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, name: &str) -> String {
        match self.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        }
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> bool {
        match self.get(name) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => matches!(text.as_str(), "true" | "1"),
            _ => default,
        }
    }

    pub(crate) fn number(&self, name: &str, default: i64) -> i64 {
        match self.get(name) {
            Some(Value::Number(number)) => number.as_i64().unwrap_or(default),
            Some(Value::String(text)) => text.parse().unwrap_or(default),
            _ => default,
        }
    }

    /// Seconds; 0 when it is not given.
    pub(crate) fn seconds(&self, name: &str) -> i64 {
        self.get(name).map_or(0, |value| match value {
            Value::Number(number) => number.as_i64().unwrap_or(0),
            Value::String(text) => seconds(text),
            _ => 0,
        })
    }

    pub(crate) fn list(&self, name: &str) -> Option<Vec<String>> {
        match self.get(name)? {
            Value::Array(items) => Some(items.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
            Value::String(text) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Some(items.map(str::to_owned).collect())
            }
            _ => None,
        }
    }

    /// The warning about members that nobody looked at.
    pub(crate) fn unrecognized(&self) -> Vec<String> {
        let looked_at = self.looked_at.borrow();
        let all = self.members.into_iter().flat_map(Map::keys);
        let left: Vec<_> = all.filter(|name| !looked_at.contains(*name)).cloned().collect();
        match left.as_slice() {
            [] => Vec::new(),
            left => vec![format!("Endpoint ignored these unrecognized parameters: [{}]", left.join(" "))],
        }
    }
}

/// `30s`, `5m`, `1h30m`, `7d`, or a bare number of seconds.
pub(crate) fn seconds(text: &str) -> i64 {
    if let Ok(number) = text.parse() {
        return number;
    }
    let (mut sum, mut number) = (0, String::new());
    for letter in text.chars() {
        let unit = match letter {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            other => {
                number.push(other);
                continue;
            }
        };
        sum += number.parse::<i64>().unwrap_or(0) * unit;
        number.clear();
    }
    sum
}

/// As Go writes a duration: `72h0m0s`.
pub(crate) fn go(seconds: i64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}
