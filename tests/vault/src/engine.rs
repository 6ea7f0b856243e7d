//! What engines and login methods have in common: an operation on a path below their mount, an answer or an error.

use serde_json::{Value, json};

use crate::http::Response;

/// An operation of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Read,
    List,
    /// POST or PUT: create or update.
    Write,
    /// PATCH: what is left out stays.
    Patch,
    Delete,
}

/// A successful answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done {
    pub(crate) data: Option<Value>,
    pub(crate) auth: Option<Value>,
    pub(crate) warnings: Vec<String>,
}

/// A refusal.
#[derive(Clone, Debug)]
pub(crate) enum Failed {
    /// 404 with an empty list of errors.
    Nothing,
    /// 404 with data: a deleted version.
    Gone(Value),
    /// 400.
    Bad(String),
    /// 403.
    Denied,
    /// Another status.
    Status(u16, String),
    /// A text that is no JSON: certificates in PEM.
    Raw(String),
}

pub(crate) type Answer = Result<Done, Failed>;

impl Done {
    pub(crate) fn data(data: Value) -> Answer {
        Ok(Self { data: Some(data), ..Self::default() })
    }

    pub(crate) fn nothing() -> Answer {
        Ok(Self::default())
    }

    pub(crate) fn keys(keys: Vec<String>) -> Answer {
        if keys.is_empty() { Err(Failed::Nothing) } else { Self::data(json!({ "keys": keys })) }
    }
}

pub(crate) fn bad(text: impl Into<String>) -> Failed {
    Failed::Bad(text.into())
}

pub(crate) fn to_response(answer: Answer) -> Response {
    match answer {
        Ok(Done { data: None, auth: None, warnings }) if warnings.is_empty() => Response::new(204, ""),
        Ok(done) => {
            let warnings = if done.warnings.is_empty() { Value::Null } else { json!(done.warnings) };
            Response::json(
                200,
                &json!({
                    "request_id": "00000000-0000-0000-0000-000000000000",
                    "lease_id": "",
                    "renewable": false,
                    "lease_duration": 0,
                    "data": done.data,
                    "wrap_info": null,
                    "warnings": warnings,
                    "auth": done.auth,
                }),
            )
        }
        Err(Failed::Nothing) => Response::errors(404, &[]),
        Err(Failed::Gone(data)) => {
            Response::json(404, &json!({ "data": data, "warnings": null, "auth": null }))
        }
        Err(Failed::Bad(text)) => Response::errors(400, &[&text]),
        Err(Failed::Denied) => Response::errors(403, &["1 error occurred:\n\t* permission denied\n\n"]),
        Err(Failed::Status(status, text)) => Response::errors(status, &[&text]),
        Err(Failed::Raw(text)) => Response::new(200, text),
    }
}
