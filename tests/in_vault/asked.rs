//! One node of a site in Vault, and what both programs say to it.

use std::fs;
use std::net::TcpListener;

use support::programs::program;
use support::site::{Site, files_below};
use support::slurm::{End, Run};
use vault_stand_in::Listener;

/// A site with the node n1, its token and a request of its.
pub(crate) struct Asked {
    pub(crate) site: Site,
    pub(crate) csr: String,
}

impl Asked {
    pub(crate) fn new() -> Self {
        let mut site = Site::in_vault();
        site.enrol("n1");
        let csr = site.slurm().run(&program("generate_csr"), &["n1"]).text();
        Self { site, csr }
    }

    /// With keys of `[vault]` set.
    pub(crate) fn with(mut self, key: &str, value: impl Into<serde_json::Value>) -> Self {
        self.site.set("vault", key, value);
        self.site.write_config();
        self
    }

    /// Seen through another listener; the CA that the site trusts is that listener's, if it is honest.
    pub(crate) fn through(self, listener: Listener, scheme: &str) -> (Self, vault_stand_in::StandIn) {
        let other = self.site.vault().server.beside(listener);
        self.site.write("vault_ca.pem", other.ca().as_bytes(), 0o644);
        let address = other.address_as(scheme);
        (self.with("address", address), other)
    }

    /// With another token in the programs' file.
    pub(crate) fn with_token(self, token: &str) -> Self {
        self.site.write("vault_token", token.as_bytes(), 0o600);
        self
    }

    pub(crate) fn sign(&self) -> Run {
        self.site.slurm().run(&program("sign_csr"), &[&self.csr])
    }

    pub(crate) fn validate(&self) -> Run {
        self.site.slurm().run(&program("validate_node_token"), &["n1", &self.site.token("n1")])
    }

    /// sign_csr fails by itself, before Slurm's five seconds are over, says this and no secret, and leaves nothing behind.
    #[track_caller]
    pub(crate) fn sign_fails(&self, words: &str) {
        self.fails("sign_csr", &self.sign(), words);
        assert!(self.site.ledger().is_empty(), "{:?}", self.site.ledger());
        let marks = files_below(&self.site.path("state/tokens"));
        let marks: Vec<_> =
            marks.iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "used")).collect();
        assert!(marks.is_empty(), "{marks:?}");
    }

    #[track_caller]
    pub(crate) fn validate_fails(&self, words: &str) {
        self.fails("validate_node_token", &self.validate(), words);
    }

    #[track_caller]
    fn fails(&self, program: &str, run: &Run, words: &str) {
        let said = String::from_utf8(run.output.clone()).unwrap();
        assert!(matches!(run.end, End::Status(status) if status.code() == Some(1)), "{:?}: {said}", run.end);
        let lines: Vec<&str> = said.lines().collect();
        let [error, hint] = lines.as_slice() else { panic!("{said}") };
        assert!(
            error.starts_with(&format!("{program}: error: ")) && error.contains(words),
            "{words:?} in {said}"
        );
        assert!(hint.starts_with(&format!("{program}: hint: ")) && hint.len() > 30, "{said}");
        assert!(!said.contains("-----BEGIN"), "{said}");
        self.shows_no_secret(&said);
    }

    #[track_caller]
    pub(crate) fn shows_no_secret(&self, text: &str) {
        let vault = self.site.vault();
        let token = fs::read_to_string(self.site.path("vault_token")).unwrap();
        for secret in [vault.token.clone(), vault.server.root_token(), token.trim().to_owned()] {
            assert!(secret.is_empty() || !text.contains(&secret), "a Vault token in {text}");
        }
        for secret in self.site.secret_texts() {
            assert!(!text.contains(&secret), "a secret in {text}");
        }
    }
}

/// An address where nobody listens.
pub(crate) fn nobody() -> String {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("https://{}", socket.local_addr().unwrap())
}
