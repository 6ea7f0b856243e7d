//! The records in Vault for a person who administers: read, written and listed, with that person's token.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::time::Instant;

use pki::name::NodeName;
use pki::secret::Secret;
use pki::token::NodeSecret;
use site::Error;
use site::config::VaultConfig;
use site::store::{Elsewhere, Kept};
use vault::{Client, MountPath};

use crate::answer::field;
use crate::connect::{Door, kv, node_key, of_vault};

/// The records of all nodes. One connection for thousands of them, a deadline for each request.
#[derive(Debug)]
pub struct Records {
    config: VaultConfig,
    client: OnceCell<Client>,
    /// What was there when it was first read, which is what a command went by; 0: nothing. A write holds only if that is
    /// still so.
    seen: RefCell<BTreeMap<NodeName, u64>>,
}

impl Records {
    /// By `[vault]`.
    #[must_use]
    pub fn of(config: VaultConfig) -> Self {
        Self { config, client: OnceCell::new(), seen: RefCell::default() }
    }

    fn client(&self) -> Result<&Client, Error> {
        let deadline = Instant::now() + self.config.deadline;
        let client = match self.client.get() {
            Some(client) => client,
            None => {
                let new = Door::Admin.open(&self.config, deadline)?;
                self.client.get_or_init(|| new)
            }
        };
        client.give_until(deadline);
        Ok(client)
    }

    /// What `kv_path` puts around a name: the folder, and the text before and after the name in its last part.
    fn around(&self) -> (Option<&str>, &str, &str) {
        let (before, after) = self.config.kv_path.split_once("%n").unwrap_or((&self.config.kv_path, ""));
        let (folder, before) = before.rsplit_once('/').map_or((None, before), |(f, b)| (Some(f), b));
        // Where the name is a folder itself, its slash is what a list shows.
        (folder, before, after.split_inclusive('/').next().unwrap_or(""))
    }
}

impl Elsewhere for Records {
    fn read(&self, name: &NodeName) -> Result<Kept, Error> {
        let entry =
            kv(&self.config)?.read(self.client()?, &node_key(&self.config, name)?).map_err(of_vault)?;
        let Some(entry) = entry else {
            self.seen.borrow_mut().entry(name.clone()).or_insert(0);
            return Ok(Kept::Nothing);
        };
        if let Some(version) = entry.version {
            self.seen.borrow_mut().entry(name.clone()).or_insert(version);
        }
        let text = Secret::new(field(&self.config, name, entry)?.into_bytes());
        if self.config.kv_plain {
            let place = std::path::PathBuf::from(format!("the token of {name} in Vault"));
            return NodeSecret::foreign(text.expose()).map(Kept::Token).map_err(Error::contents(&place));
        }
        Ok(Kept::Records(text))
    }

    fn write(&self, name: &NodeName, text: &str) -> Result<(), Error> {
        if self.config.kv_plain {
            return Err(Error::Missing {
                what: "tokens lie in Vault in clear (kv_plain), and are written there by whoever made them"
                    .into(),
                hint: "turn them into records: set kv_plain = false in [vault], then slurm-pki node import --from-vault"
                    .into(),
            });
        }
        let key = node_key(&self.config, name)?;
        let (kv, client) = (kv(&self.config)?, self.client()?);
        let seen = self.seen.borrow_mut().remove(name);
        match kv.write(client, &key, &self.config.kv_field, text, seen) {
            Err(vault::Error::Refused { said, .. }) if said.contains("check-and-set") => {}
            done => return done.map_err(of_vault),
        }
        // A key whose last version was deleted reads as nothing, and still counts its versions.
        if seen == Some(0) && kv.read(client, &key).map_err(of_vault)?.is_none() {
            return kv.write(client, &key, &self.config.kv_field, text, None).map_err(of_vault);
        }
        Err(Error::Missing {
            what: format!("somebody else changed the record of {name} in Vault meanwhile"),
            hint: "see what they did with slurm-pki node show, then run the same command again".into(),
        })
    }

    fn names(&self) -> Result<Vec<NodeName>, Error> {
        let (folder, before, after) = self.around();
        let folder = folder.map(MountPath::parse).transpose().map_err(of_vault)?;
        let keys = kv(&self.config)?.list(self.client()?, folder.as_ref()).map_err(of_vault)?;
        // A folder ends in a slash, which no name has.
        let name = |key: &String| {
            let name = key.strip_prefix(before)?.strip_suffix(after)?;
            NodeName::parse(name.as_bytes()).ok()
        };
        Ok(keys.iter().filter_map(name).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use site::config::ConfigFile;

    use super::*;

    #[test]
    fn a_name_is_found_in_whatever_surrounds_it() {
        for (path, around) in [
            ("%n", (None, "", "")),
            ("slurm/nodes/%n", (Some("slurm/nodes"), "", "")),
            ("slurm/node-%n.token", (Some("slurm"), "node-", ".token")),
            ("%n/slurm", (None, "", "/")),
        ] {
            let text = format!("[vault]\nkv_path = \"{path}\"\n");
            let config = ConfigFile::parse(Path::new("t"), text.as_bytes()).unwrap();
            assert_eq!(Records::of(VaultConfig::read(&config).unwrap()).around(), around);
        }
    }
}
