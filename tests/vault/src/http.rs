//! HTTP/1.1, one request after the other.

use std::io::{self, Read, Write};

use serde_json::Value;

/// A request, read.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Without `/v1/` and without the query.
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
    /// DER of the client's certificate and its chain.
    pub(crate) peer: Vec<Vec<u8>>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn queried(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

/// A response, to be written.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What becomes of the connection after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// It stays for the next request.
    Open,
    Closed,
    /// It ends before the second half of the body, though the header promises all of it.
    CutOff,
}

impl Response {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, body.to_string())
    }

    pub(crate) fn errors(status: u16, errors: &[&str]) -> Self {
        Self::json(status, &serde_json::json!({ "errors": errors }))
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Writes it.
    pub(crate) fn write(&self, to: &mut impl Write, ends: Ends) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} Status\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if self.status != 204 {
            head += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", self.body.len());
        }
        let connection = if ends == Ends::Open { "keep-alive" } else { "close" };
        head += &format!("Cache-Control: no-store\r\nConnection: {connection}\r\n\r\n");
        to.write_all(head.as_bytes())?;
        let end = if ends == Ends::CutOff { self.body.len() / 2 } else { self.body.len() };
        to.write_all(&self.body[..end])?;
        to.flush()
    }
}

/// Reads one request; `None` when it is none.
///
/// # Errors
/// When the other side closed without one.
pub(crate) fn read(from: &mut impl Read) -> io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    let mut piece = [0; 8192];
    loop {
        let count = from.read(&mut piece)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&piece[..count]);
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut headers);
        let Ok(status) = parsed.parse(&bytes) else { return Ok(None) };
        let httparse::Status::Complete(head) = status else { continue };
        let headers: Vec<(String, String)> = parsed
            .headers
            .iter()
            .map(|header| (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned()))
            .collect();
        let (method, target) = (parsed.method.unwrap().to_owned(), parsed.path.unwrap().to_owned());
        let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap_or(0));
        while bytes.len() < head + length {
            let count = from.read(&mut piece)?;
            if count == 0 {
                return Ok(None);
            }
            bytes.extend_from_slice(&piece[..count]);
        }
        let body = serde_json::from_slice(&bytes[head..head + length]).unwrap_or(Value::Null);
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let path = path.strip_prefix("/v1/").unwrap_or(path).to_owned();
        return Ok(Some(Request { method, path, query: pairs(query), headers, body, peer: Vec::new() }));
    }
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let pair = |text: &str| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_owned(), value.to_owned())
    };
    query.split('&').filter(|text| !text.is_empty()).map(pair).collect()
}
