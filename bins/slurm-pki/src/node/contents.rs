//! What a node is to have on its disk, whether it is laid out in a folder or brought to a running host.

use std::path::{Path, PathBuf};

use pki::loads_in_s2n::{self, MAX_BUNDLE_PEM};
use pki::name::NodeName;
use pki::secret::Secret;
use pki::token::NodeSecret;
use site::Error;
use site::config::{ConfigFile, DEFAULT_PATH, NodeConfig, Template};
use site::file::{self, Keep, Owner};

use super::medium::{Own, Ready};
use super::tree;
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::fleet::Placed;

/// As site::config has it.
const MAX_CONFIG: usize = 256 * 1024;

/// What is the same on every node, and where the rest goes.
#[derive(Debug)]
pub(crate) struct Contents {
    ca: Placed,
    config: Option<Placed>,
    token_file: Template,
}

impl Contents {
    /// From the files of this host. `root` is whom files belong to that everybody may read.
    ///
    /// # Errors
    /// When one cannot be used, or is not what it should be.
    pub(crate) fn of(admin: &Admin, root: Owner) -> anyhow::Result<Self> {
        let ca_path = admin.controller.ca_cert.clone();
        let ca = file::read(&ca_path, Keep::Intact, MAX_BUNDLE_PEM).advise()?;
        // A bad bundle in place of a good one crashes daemons at their next renewal.
        loads_in_s2n::trust_bundle(ca.expose()).map_err(Error::contents(&ca_path)).advise()?;
        let config_path = std::path::absolute(admin.config.path())?;
        let config = file::read_if_there(&config_path, Keep::Intact, MAX_CONFIG).advise()?;
        if let Some(text) = &config {
            // Read a second time: nothing but a config goes to the nodes, for everybody to read there.
            ConfigFile::parse(&config_path, text.expose()).and_then(|new| new.refuse_unknown()).advise()?;
        }
        let token_file = NodeConfig::read(&admin.config).advise()?.token_file;
        for path in [ca_path.as_path(), &config_path, Path::new(token_file.as_str())] {
            refuse_what_cannot_stand(path)?;
        }
        let public = |path: PathBuf, contents: Secret| Placed { path, contents, mode: 0o644, owner: root };
        let config = config.map(|text| public(config_path, text));
        Ok(Self { ca: public(ca_path, ca), config, token_file })
    }

    /// The CA bundle.
    pub(crate) fn ca(&self) -> &Placed {
        &self.ca
    }

    /// Where the config lies, if there is one and not in the place where everything looks for it.
    pub(crate) fn config_elsewhere(&self) -> Option<&Path> {
        let config = self.config.as_ref()?.path.as_path();
        (config != Path::new(DEFAULT_PATH)).then_some(config)
    }

    /// The files that every node has alike, the CA bundle first.
    pub(crate) fn shared(&self) -> impl Iterator<Item = &Placed> {
        std::iter::once(&self.ca).chain(&self.config)
    }

    /// A node's token.
    pub(crate) fn token(&self, name: &NodeName, secret: &NodeSecret, owner: Owner) -> Placed {
        Placed { path: self.token_path(name), contents: secret.to_token_file(), mode: 0o400, owner }
    }

    /// What a node with a token has that no other node has.
    pub(super) fn own(&self) -> Own {
        vec![("token", self.token_file.as_str().to_owned())]
    }

    /// Nodes with the file that each has for its own.
    pub(super) fn with_tokens(&self, secrets: Vec<(NodeName, NodeSecret)>, owner: Owner) -> Vec<Ready> {
        let with_token = |(name, secret)| {
            let files = vec![self.token(&name, &secret, owner)];
            Ready { name, files }
        };
        secrets.into_iter().map(with_token).collect()
    }

    /// Where the node has its token. `%h` means the node's host there, not this one.
    pub(crate) fn token_path(&self, name: &NodeName) -> PathBuf {
        let short = name.as_str().split('.').next().unwrap_or_default();
        PathBuf::from(self.token_file.as_str().replace("%n", name.as_str()).replace("%h", short))
    }
}

fn refuse_what_cannot_stand(path: &Path) -> anyhow::Result<()> {
    if tree::can_stand(path) {
        return Ok(());
    }
    Err(Advice::new(
        format!("{} cannot be laid out below a node's folder", path.display()),
        "name it in the config as an absolute path without ..",
    )
    .into())
}
