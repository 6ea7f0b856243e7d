//! Where the server is. Plain HTTP only where nobody is in between.

use std::fmt;
use std::net::IpAddr;

use ureq::http::Uri;

use crate::error::Error;

/// Scheme, host and port of a server, without a path.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    scheme: Scheme,
    authority: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Https,
    /// A server in development mode on this very host.
    Http,
}

impl Address {
    /// Reads `https://host[:port]`; `http://` is taken for a loopback address alone, where a server in development mode
    /// listens.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |why| Error::Address { given: text.to_owned(), why };
        let uri: Uri = text.parse().map_err(|_| refuse("it is no URL"))?;
        if uri.path().len() > 1 || uri.query().is_some() {
            return Err(refuse("a path or a query stands behind the host"));
        }
        Self::of(&uri).map_err(refuse)
    }

    /// Where a redirect leads; only to the same scheme.
    pub(crate) fn redirected(&self, uri: &Uri) -> Result<Self, &'static str> {
        let other = Self::of(uri)?;
        if other.scheme == self.scheme { Ok(other) } else { Err("it leads to another scheme") }
    }

    fn of(uri: &Uri) -> Result<Self, &'static str> {
        let authority = uri.authority().ok_or("it has no host")?;
        if authority.as_str().contains('@') {
            return Err("it holds a user name");
        }
        let scheme = match uri.scheme_str() {
            Some("https") => Scheme::Https,
            Some("http") if is_loopback(authority.host()) => Scheme::Http,
            Some("http") => return Err("without TLS everybody on the way reads the token"),
            _ => return Err("it does not begin with https://"),
        };
        Ok(Self { scheme, authority: authority.as_str().to_owned() })
    }

    /// Whether certificates are looked at.
    pub(crate) fn has_tls(&self) -> bool {
        self.scheme == Scheme::Https
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Https => "https",
            Scheme::Http => "http",
        };
        write!(f, "{scheme}://{}", self.authority)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_is_taken_and_plain_http_on_the_loopback_alone() {
        for good in
            ["https://vault.example:8200", "https://10.0.0.1", "https://[::1]:8200", "http://127.0.0.1:8200"]
        {
            assert_eq!(Address::parse(good).unwrap().to_string(), good);
        }
        assert_eq!(Address::parse("https://v:8200/").unwrap().to_string(), "https://v:8200");
        for bad in [
            "",
            "vault.example:8200",
            "http://vault.example:8200",
            "http://10.0.0.1",
            "https://v/ui",
            "https://v?x=1",
            "https://user@v",
            "unix:///run/vault.sock",
            "/v",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_redirect_never_leaves_tls() {
        let here = Address::parse("https://a").unwrap();
        assert!(here.redirected(&"https://b:8200/v1/x".parse().unwrap()).is_ok());
        assert!(here.redirected(&"http://127.0.0.1/v1/x".parse().unwrap()).is_err());
    }
}
