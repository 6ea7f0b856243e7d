//! Requests by hand: openssl's client, so that nothing of ours stands between the test and the server.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;
use vault_stand_in::StandIn;

use crate::asked::Asked;

/// A token, and where to use it.
pub(crate) struct Hand {
    address: String,
    ca: std::path::PathBuf,
    token: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Hand {
    pub(crate) fn of(asked: &Asked, token: &str) -> Self {
        Self::at(&asked.site.vault().server, &asked.site.path("vault_ca.pem"), token)
    }

    pub(crate) fn at(server: &StandIn, ca: &std::path::Path, token: &str) -> Self {
        let address = server.address().strip_prefix("https://").unwrap().to_owned();
        Self { address, ca: ca.to_owned(), token: token.to_owned() }
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answered {
        let body = body.map(ToString::to_string).unwrap_or_default();
        let request = format!(
            "{method} /v1/{path} HTTP/1.1\r\nHost: {}\r\nX-Vault-Token: {}\r\nX-Vault-Request: true\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            self.token,
            body.len()
        );
        let mut client = Command::new("openssl")
            .args(["s_client", "-quiet", "-verify_return_error", "-connect", &self.address, "-CAfile"])
            .arg(&self.ca)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        client.stdin.as_mut().unwrap().write_all(request.as_bytes()).unwrap();
        let output = client.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Answered { status: status.unwrap_or_else(|| panic!("{text}")), body: body.to_owned() }
    }
}
