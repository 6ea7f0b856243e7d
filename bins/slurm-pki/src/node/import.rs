//! `node import`: records of secrets that the nodes have already.

mod from_vault;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use pki::name::NodeName;
use pki::record::RecordFile;
use pki::token::{MAX_TOKEN, NodeSecret};
use site::file::{self, Keep};
use site::token_list;

use super::add::count;
use super::enrolment::{Enrolment, new_record};
use super::outgoing::record_of;
use super::refused::Refused;
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::global::Global;
use crate::hostlist::{self, fold};
use crate::report;
use crate::vault::names;

/// Bare tokens that one node may have: each is a record that every request is compared with.
const MAX_BARE: usize = 64;

#[derive(Args, Debug)]
#[command(after_help = "\
A token list has lines NAME TOKEN, or bare tokens, which --for gives to the nodes named there. Imported \
tokens are weaker than our own: whoever sees one, in a process list or in CertToken, can also ask for \
certificates in the node's name. node list shows them; node token replaces them.

Tokens in Vault become records there, or in files where store = \"local\". Set kv_plain = false before; earlier versions of \
the keys hold the tokens until they are destroyed: vault kv destroy.

Examples:
  slurm-pki node import /etc/slurm/node_token_list.txt
  slurm-pki node import list.txt --for 'n[001-128]'        bare tokens, for these nodes
  slurm-pki node import list.txt --named-only              leave the bare ones out
  slurm-pki node import n7 --token-file n7_token.txt       one node's token file, ours or a foreign one
  slurm-pki node import --from-vault                       tokens in clear at kv_mount and kv_path of [vault], field token")]
pub(crate) struct Import {
    /// A token list; with --token-file the node's name
    #[arg(value_name = "FILE|NODE", required_unless_present = "from_vault")]
    source: Option<String>,
    /// Import only lines with a name
    #[arg(long, conflicts_with = "nodes")]
    named_only: bool,
    /// The nodes that bare tokens are for
    #[arg(long = "for", value_name = "HOSTLIST")]
    nodes: Vec<String>,
    /// The token file of one node
    #[arg(long, value_name = "FILE", conflicts_with_all = ["named_only", "nodes"])]
    token_file: Option<PathBuf>,
    /// Tokens that lie in Vault in clear, one key per node, in this field
    #[arg(long, value_name = "FIELD", num_args = 0..=1, default_missing_value = "token",
          conflicts_with_all = ["source", "named_only", "nodes", "token_file"])]
    from_vault: Option<String>,
}

type Secrets = BTreeMap<NodeName, Vec<NodeSecret>>;

impl Import {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let enrolment = Enrolment::of(&admin)?;
        let mut refused = Refused::default();
        let secrets = match (&self.token_file, &self.from_vault) {
            (_, Some(field)) => from_vault::secrets(global, &admin, &enrolment, field, &mut refused)?,
            (Some(path), None) => self.secret_in_token_file(path)?,
            (None, None) => self.secrets_in_list(Path::new(self.source()))?,
        };
        let lock = enrolment.lock(global, &admin)?;

        let mut written = Vec::new();
        let mut foreign = false;
        for (name, secrets) in &secrets {
            let records = match &self.from_vault {
                Some(_) => from_vault::records(&admin, &enrolment, name, secrets),
                None => records_for(&enrolment, name, secrets),
            };
            match records {
                Ok(Some(records)) => {
                    foreign |= secrets.iter().any(NodeSecret::is_foreign);
                    written.push((name.clone(), records));
                }
                Ok(None) => refused.add(
                    name,
                    "has records of its own, which a list does not change",
                    "give it a new secret with node token, or enrol it again with node add if it was removed",
                ),
                Err(e) => refused.add_error(name, &e),
            }
        }
        if let Some(lock) = &lock {
            let names: Vec<_> = written.iter().map(|(name, _)| name.clone()).collect();
            names::allow(&admin, &names)?;
            let bar = report::progress(global, written.len(), "records");
            enrolment.store.write_many(lock, &written, || bar.inc(1)).advise()?;
            bar.finish_and_clear();
        }
        let names: Vec<_> = written.into_iter().map(|(name, _)| name).collect();
        let verb = if global.dry_run { "would be imported" } else { "imported" };
        report::done(global, &format!("{} {verb}: {}", count(names.len()), fold(&names)));
        if foreign {
            report::warning(
                "tokens made by others are weaker: whoever sees one can also get certificates in the node's name; \
                 node token replaces them",
            );
        }
        refused.into_result(secrets.len(), "imported")
    }

    /// clap sees to it that it is there.
    fn source(&self) -> &str {
        self.source.as_deref().unwrap_or("")
    }

    fn secret_in_token_file(&self, path: &Path) -> anyhow::Result<Secrets> {
        let names = hostlist::nodes(&[self.source().to_owned()]).advise()?;
        let [name] = names.as_slice() else {
            return Err(Advice::new("a token file is one node's", "name that node alone").into());
        };
        let text = file::read(path, Keep::Secret, MAX_TOKEN + 64).advise()?;
        let secret =
            NodeSecret::from_token_file(text.expose()).map_err(site::Error::contents(path)).advise()?;
        Ok(BTreeMap::from([(name.clone(), vec![secret])]))
    }

    fn secrets_in_list(&self, path: &Path) -> anyhow::Result<Secrets> {
        let mut secrets = Secrets::new();
        let mut bare = Vec::new();
        for (name, secret) in token_list::entries(path).advise()? {
            match name {
                Some(name) if name.is_reserved() => {
                    return Err(hostlist::HostlistError::Reserved(name)).advise();
                }
                Some(name) => add_once(secrets.entry(name).or_default(), &secret),
                None => add_once(&mut bare, &secret),
            }
        }
        if self.named_only || bare.is_empty() {
            return Ok(secrets);
        }
        if self.nodes.is_empty() {
            return Err(Advice::new(
                format!("{} has {} bare tokens, which say no node's name", path.display(), bare.len()),
                "say whose they are with --for HOSTLIST, or leave them out with --named-only",
            )
            .into());
        }
        if bare.len() > MAX_BARE {
            return Err(Advice::new(
                format!("{} bare tokens for each node are too many: at most {MAX_BARE}", bare.len()),
                "put each node's name before its token, then import the list",
            )
            .into());
        }
        for name in hostlist::nodes(&self.nodes).usage()? {
            // A named line serves its name alone, as validate_node_token reads the list.
            secrets.entry(name).or_insert_with(|| bare.clone());
        }
        Ok(secrets)
    }
}

fn add_once(secrets: &mut Vec<NodeSecret>, secret: &NodeSecret) {
    let digest = secret.token().digest();
    if secrets.iter().all(|other| other.token().digest() != digest) {
        secrets.push(secret.clone());
    }
}

/// The records to write; `None` when the node has others. The same import twice changes nothing.
fn records_for(
    enrolment: &Enrolment,
    name: &NodeName,
    secrets: &[NodeSecret],
) -> Result<Option<RecordFile>, site::Error> {
    if let Some(file) = enrolment.store.records(name)? {
        let known =
            |secret| record_of(secret, &file.records).is_some_and(|record| record.withdrawn.is_none());
        return Ok(secrets.iter().all(known).then_some(file));
    }
    let records = secrets.iter().map(|secret| new_record(secret, enrolment.now));
    Ok(Some(RecordFile::new(records.collect::<Result<_, _>>()?)))
}
