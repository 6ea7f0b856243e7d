//! Requests that no honest node sends: the node's scripts say what lies in three files.

use std::fs;

use anyhow::Result;
use pki::csr;
use pki::key::{KeyKind, PrivateKey};
use pki::name::NodeName;
use pki::token::NodeSecret;

use crate::lab::Lab;

const FOLDER: &str = "/slurm-pki/stray";

/// What a stray node says.
#[derive(Debug)]
pub(crate) struct Stray<'a> {
    /// To slurmctld.
    pub(crate) token: &'a str,
    /// The name in its request.
    pub(crate) name: &'a str,
    /// Whose binding the request carries.
    pub(crate) secret: &'a NodeSecret,
}

impl Stray<'_> {
    /// Lays it out for [`crate::probe::Probe::stray`].
    pub(crate) fn lay_out(&self, lab: &Lab) -> Result<()> {
        let key = PrivateKey::generate(KeyKind::P256).map_err(anyhow::Error::msg)?;
        let name = NodeName::parse(self.name.as_bytes()).map_err(anyhow::Error::msg)?;
        let public = key.public().map_err(anyhow::Error::msg)?;
        let binding = self.secret.binding_key().bind(&name, site::clock::now(), public.spki());
        let request = csr::write(&key, &name, Some(&binding)).map_err(anyhow::Error::msg)?;
        let files = [
            ("get_node_token", self.token.as_bytes().to_vec()),
            ("generate_csr", request.into_bytes()),
            ("get_cert_key", key.to_pem().expose().to_vec()),
        ];
        for (script, says) in files {
            fs::write(lab.path(&format!("{FOLDER}/{script}.txt")), says)?;
            lab.script(
                &format!("{FOLDER}/{script}"),
                &format!("#!/bin/sh\nexec cat {FOLDER}/{script}.txt\n"),
            )?;
        }
        Ok(())
    }
}
