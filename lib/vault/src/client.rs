//! A server and a login: what everything else is asked through.

use std::cell::OnceCell;
use std::time::Instant;

use pki::secret::Secret;
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::Method;

use crate::answer::{Answer, judge};
use crate::auth;
use crate::error::Error;
use crate::path::MountPath;
use crate::transport::{Ask, Server, Transport};

/// How a token comes to us.
#[derive(Clone, Debug)]
pub enum Login {
    /// It was given: a file, the sink of an agent.
    Token(Secret),
    /// By a role's two ids.
    AppRole {
        /// Where the method is mounted.
        mount: MountPath,
        /// Which role.
        role_id: Secret,
        /// The secret that goes with it.
        secret_id: Secret,
    },
    /// By the certificate of the connection ([`Server::identity`]).
    Certificate {
        /// Where the method is mounted.
        mount: MountPath,
        /// Which of its roles; `None`: whichever fits.
        role: Option<String>,
    },
    /// None: for what the API tells anybody.
    Nobody,
}

/// A client with a deadline. The login happens at the first request that needs it, and counts.
#[derive(Debug)]
pub struct Client {
    transport: Transport,
    login: Login,
    token: OnceCell<Secret>,
}

impl Client {
    /// A client that gives up at `deadline`, whatever it is doing then.
    ///
    /// # Errors
    /// When CA, certificate or namespace cannot be used. Nothing is sent yet.
    pub fn new(server: &Server, login: Login, deadline: Instant) -> Result<Self, Error> {
        Ok(Self { transport: Transport::new(server, deadline)?, login, token: OnceCell::new() })
    }

    /// Another deadline from now on: for many questions, each with a time of its own, over one connection.
    pub fn give_until(&self, deadline: Instant) {
        self.transport.give_until(deadline);
    }

    /// Where it goes, for messages.
    #[must_use]
    pub fn address(&self) -> String {
        self.transport.address().to_string()
    }

    /// Reads a path below `/v1/`; `what` says in words what for: "read the policy slurm-signer".
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn read(&self, path: &str, what: &str) -> Result<Answer, Error> {
        self.send(Method::GET, path, None, what)
    }

    /// The keys below a path; none when there is nothing.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn list(&self, path: &str, what: &str) -> Result<Vec<String>, Error> {
        #[derive(serde::Deserialize)]
        struct Keys {
            keys: Vec<String>,
        }
        match self.send(Method::GET, &format!("{path}?list=true"), None, what) {
            Ok(answer) => answer.data(what).map(|Keys { keys }| keys),
            Err(e) if e.is_not_found() => Ok(Vec::new()),
            Err(e) => Err(e),
        }
    }

    /// Writes to a path.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn write(&self, path: &str, body: &impl Serialize, what: &str) -> Result<Answer, Error> {
        self.send(Method::POST, path, Some(&to_json(body, what)?), what)
    }

    /// Writes to a path where every request makes something new (a token, a key): it is asked once, unless the server says
    /// that it did nothing.
    ///
    /// # Errors
    /// Whatever went wrong. After a lost answer there may be one too many.
    pub fn make(&self, path: &str, body: &impl Serialize, what: &str) -> Result<Answer, Error> {
        self.send_as(Method::POST, path, Some(&to_json(body, what)?), what, true)
    }

    /// Has a token made for somebody else, which stands on its own: it does not end with ours.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn new_token(&self, body: &impl Serialize, what: &str) -> Result<Secret, Error> {
        self.make("auth/token/create-orphan", body, what)?.into_token(what).map(|(token, _)| token)
    }

    /// Changes some members of what is at a path, and leaves the others as they are (RFC 7396).
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn patch(&self, path: &str, body: &impl Serialize, what: &str) -> Result<Answer, Error> {
        self.send(Method::PATCH, path, Some(&to_json(body, what)?), what)
    }

    /// Deletes a path; what is not there stays so.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn delete(&self, path: &str, what: &str) -> Result<(), Error> {
        match self.send(Method::DELETE, path, None, what) {
            Ok(_) => Ok(()),
            Err(e) if e.is_not_found() => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Asks without a token, even where there is one.
    pub(crate) fn ask_openly(
        &self,
        method: Method,
        path: &str,
        body: Option<&Secret>,
        what: &str,
    ) -> Result<Answer, Error> {
        let ask = Ask { method, path, token: None, body, what, at_root: false, makes_another: false };
        self.transport.ask(&ask, |came| judge(&came, what))
    }

    /// Reads, without a token, what does not come in the API's usual frame. It is about the server itself: only its root
    /// namespace answers.
    pub(crate) fn read_openly<T: DeserializeOwned>(&self, path: &str, what: &str) -> Result<T, Error> {
        let ask = Ask {
            method: Method::GET,
            path,
            token: None,
            body: None,
            what,
            at_root: true,
            makes_another: false,
        };
        self.transport.ask(&ask, |came| match came.status {
            200 => serde_json::from_slice(came.body.expose()).map_err(|_| Error::Answer {
                what: what.to_owned(),
                why: "it is not what the API documents",
            }),
            _ => Err(judge(&came, what).err().unwrap_or(Error::NotFound { what: what.to_owned() })),
        })
    }

    fn send(&self, method: Method, path: &str, body: Option<&Secret>, what: &str) -> Result<Answer, Error> {
        self.send_as(method, path, body, what, false)
    }

    fn send_as(
        &self,
        method: Method,
        path: &str,
        body: Option<&Secret>,
        what: &str,
        makes_another: bool,
    ) -> Result<Answer, Error> {
        let token = self.token()?;
        let ask = Ask { method, path, token, body, what, at_root: false, makes_another };
        let answer = self.transport.ask(&ask, |came| judge(&came, what));
        answer.map_err(|e| e.without(token)).map(|answer| answer.without(token))
    }

    /// The token, after a login where it takes one.
    fn token(&self) -> Result<Option<&Secret>, Error> {
        if let Login::Token(token) = &self.login {
            return Ok(Some(token));
        }
        if self.token.get().is_none()
            && let Some((token, _)) = auth::login(self, &self.login)?
        {
            let _ = self.token.set(token);
        }
        Ok(self.token.get())
    }
}

/// A body that is wiped: logins have secrets in it.
pub(crate) fn to_json(body: &impl Serialize, what: &str) -> Result<Secret, Error> {
    serde_json::to_vec(body)
        .map(Secret::new)
        .map_err(|_| Error::Answer { what: what.to_owned(), why: "the request cannot be written as JSON" })
}
