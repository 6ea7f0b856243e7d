//! A server in which nothing is set up, a site that is about to use it, and a person with a root token.

use std::process::{Command, Output};

use serde_json::{Value, json};
use support::programs::program;
use support::site::Site;
use vault_stand_in::StandIn;

/// The site and its server.
pub(crate) struct Bare {
    pub(crate) site: Site,
    pub(crate) server: StandIn,
}

impl Bare {
    /// With AppRole, no CA anywhere yet.
    pub(crate) fn new() -> Self {
        let bare = Self::beside_local_ca();
        std::fs::remove_file(bare.site.path("ca_cert.pem")).unwrap();
        std::fs::remove_file(bare.site.path("state/ca/ca_key.pem")).unwrap();
        bare
    }

    /// The same with a CA in files here, which hosts trust.
    pub(crate) fn beside_local_ca() -> Self {
        let mut site = Site::new();
        let server = StandIn::start();
        site.set("", "cluster", "c1");
        site.set("", "slurm_user", rustix::process::geteuid().as_raw().to_string());
        site.write("vault_ca.pem", server.ca().as_bytes(), 0o644);
        site.write(".vault-token", server.root_token().as_bytes(), 0o600);
        site.set("controller", "signer", "vault");
        site.set("controller", "store", "vault");
        site.set("vault", "address", server.address());
        site.set("vault", "auth", "approle");
        for (key, name) in
            [("ca_cert", "vault_ca.pem"), ("role_id_file", "role_id"), ("secret_id_file", "secret_id")]
        {
            let path = site.path(name).to_str().unwrap().to_owned();
            site.set("vault", key, path);
        }
        site.write_config();
        Self { site, server }
    }

    /// With keys set.
    pub(crate) fn with(mut self, section: &str, key: &str, value: impl Into<Value>) -> Self {
        self.site.set(section, key, value);
        self.site.write_config();
        self
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        Command::new(program("slurm-pki"))
            .args(arguments)
            .env_clear()
            .env("HOME", self.site.path(""))
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("SLURM_PKI_CONF", self.site.path("slurm-pki.toml"))
            .output()
            .unwrap()
    }

    /// What it says on both.
    #[track_caller]
    pub(crate) fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{arguments:?}: {said}");
        self.shows_no_secret(&said);
        said
    }

    /// Its error, which says this.
    #[track_caller]
    pub(crate) fn fails(&self, arguments: &[&str], words: &str) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(words), "{arguments:?}: {words:?} in {said}");
        assert!(said.contains("slurm-pki: hint: "), "{said}");
        self.shows_no_secret(&said);
        said
    }

    #[track_caller]
    fn shows_no_secret(&self, said: &str) {
        assert!(!said.contains(&self.server.root_token()), "the root token in {said}");
        for file in ["secret_id", "vault_token"] {
            if let Ok(secret) = std::fs::read_to_string(self.site.path(file)) {
                assert!(!said.contains(secret.trim()), "{file} in {said}");
            }
        }
    }

    /// The names in the nodes' role.
    pub(crate) fn names(&self) -> Vec<String> {
        let role = self.server.root("GET", "pki/roles/slurm", json!({}));
        let names = role["data"]["allowed_domains"].as_array().unwrap();
        names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    }
}
