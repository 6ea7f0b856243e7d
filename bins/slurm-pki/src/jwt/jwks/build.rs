//! `slurm-pki jwt jwks build`: a list from key files.

use std::path::PathBuf;

use clap::Args;
use pki::jwk::RsaKey;
use pki::key::MAX_KEY_PEM;
use site::file;

use super::place;
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::global::Global;
use crate::report;

/// Make a list from key files
#[derive(Args, Debug)]
#[command(
    after_help = "Each file holds one RSA key: a certificate, a public or a private key in PEM; only public halves go into \
    the list. A key's name, its kid, is its thumbprint (RFC 7638) unless --kid gives another, once for each file in their \
    order. Entries have kid, kty, alg, n and e, which every supported Slurm loads and matches.\n\n\
    --keep leaves the keys of other names in that are in the file already: for a change of keys without an outage, add \
    the new one, have it loaded, sign with it, and take the old one out when its last token has ended.\n\n\
    Exit codes: 0 done, 1 failed, 64 wrong usage.\n\n\
    Examples:\n  \
    slurm-pki jwt jwks build public.pem\n  \
    slurm-pki jwt jwks build hpc-2026.pem --kid hpc-2026 --keep --out /etc/slurm/jwks.json\n  \
    slurm-pki jwt jwks build a.pem b.pem --kid a --kid b --out /etc/slurm/jwks.json --dry-run"
)]
pub(crate) struct Build {
    /// Files with a key each
    #[arg(value_name = "KEYFILE", required = true)]
    files: Vec<PathBuf>,
    /// The kid of each, in the order of the files
    #[arg(long = "kid", value_name = "KID")]
    kids: Vec<String>,
    /// Where the list goes; default: stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Leave the keys of other names in that --out has already
    #[arg(long, requires = "out")]
    keep: bool,
}

impl Build {
    /// Runs the command.
    ///
    /// # Errors
    /// When a file has no such key, or the list cannot be written.
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<()> {
        if !self.kids.is_empty() && self.kids.len() != self.files.len() {
            let what = format!("{} files and {} kids", self.files.len(), self.kids.len());
            return Err(
                Advice { usage: true, ..Advice::new(what, "give one --kid for each file, or none") }.into()
            );
        }
        let admin = Admin::load(global)?;
        let mut keys = self.read()?;
        let Some(out) = &self.out else {
            report::raw_line(place::text_of(&keys)?.trim_end());
            return Ok(());
        };
        let owner = admin.slurm_user_to_write_for()?;
        let former = if self.keep { place::read(out)? } else { None };
        if let Some((_, former)) = &former {
            let stays = |key: &&RsaKey| !keys.iter().any(|new| new.kid() == key.kid());
            let stay: Vec<_> = former.keys.iter().filter(stays).cloned().collect();
            keys.extend(stay);
            for (kid, why) in &former.dropped {
                report::warning(&format!("{kid} of {} does not stay: {why}", out.display()));
            }
        }
        let text = place::text_of(&keys)?;
        let names = keys.iter().map(RsaKey::kid).collect::<Vec<_>>().join(", ");
        if global.dry_run {
            report::line(&format!("would write {} with {names}", out.display()));
            return Ok(());
        }
        place::replace(out, &text, owner)?;
        report::done(global, &format!("{}: {names}\n{}", out.display(), place::NEXT));
        Ok(())
    }

    fn read(&self) -> anyhow::Result<Vec<RsaKey>> {
        let mut keys: Vec<RsaKey> = Vec::new();
        for (number, path) in self.files.iter().enumerate() {
            let (text, _) = file::read_with_metadata(path, MAX_KEY_PEM).advise()?;
            let key =
                RsaKey::of_pem(text.expose(), self.kids.get(number).map(String::as_str)).map_err(|why| {
                    Advice::new(format!("{}: {why}", path.display()), pki::explain::Explain::hint(&why))
                })?;
            if let Some(other) = keys.iter().find(|other| other.kid() == key.kid()) {
                return Err(Advice::new(
                    format!("{}: a file before it has the kid {}", path.display(), other.kid()),
                    "give each key once, and a --kid of its own",
                )
                .into());
            }
            keys.push(key);
        }
        Ok(keys)
    }
}
