//! `slurm-pki jwt key init`: the key of auth/jwt, on slurmctld and on slurmdbd, or a private key for RS256.

use std::path::{Path, PathBuf};

use clap::Args;
use pki::auth_jwt;
use pki::jwk::RsaKey;
use pki::loading::FileFacts;
use pki::secret::Secret;
use site::file::{self, NewFile, Owner};
use site::random;

use super::folder::{refuse_open, refuse_strange, refuse_strange_there};
use super::places::Places;
use super::rotate::copies::read_own;
use super::rsa_key;
use crate::admin::{Admin, owner_name};
use crate::advice::{Advice, Advise as _};
use crate::fleet::{Delivery, Fleet, Job, Placed, digest, quoted};
use crate::global::Global;
use crate::key_files::KeyFiles;
use crate::members::{Members, Role, is_this_host};
use crate::report;
use crate::slurm_conf::SlurmConf;

/// Bytes of the key: as many as the hash has (RFC 7518 §3.2), and as Slurm's own guide.
const KEY_BYTES: usize = 32;

/// Only its owner reads it, and nobody writes it.
const MODE: u32 = 0o400;

/// What a key's mode may not have: others who read it, a group that changes it.
const OPEN: u32 = 0o037;

/// Where slurm.conf lies unless it was found elsewhere; slurmdbd.conf lies beside it, on slurmdbd's host too.
const SLURM_CONF: &str = "/etc/slurm/slurm.conf";

/// Make the key that tokens are signed with; never a second time
#[derive(Args, Debug)]
#[command(
    after_help = "32 random bytes for HS256, of mode 0400 and SlurmUser's, where slurm.conf has jwt_key= or Slurm looks \
    for it (StateSaveLocation/jwt_hs256.key), and the same bytes where slurmdbd.conf has jwt_key=: here, or through \
    [fleet] on slurmdbd's hosts. A key that is there is never replaced; a copy that is missing is made from it. A folder \
    that others may enter or write in is refused, unless it is SlurmUser's StateSaveLocation.\n\n\
    Whoever holds the key is root on the cluster. There is one HS256 key at a time, and no overlap when it changes; \
    where that matters, --rs256 makes a private key (RSA of 3072 bits) whose public half goes into a jwks, which holds as \
    many as are wanted.\n\n\
    Exit codes: 0 done, or all was there; 1 failed, 64 wrong usage.\n\n\
    Examples:\n  \
    slurm-pki jwt key init --dry-run\n  \
    slurm-pki jwt key init\n  \
    slurm-pki jwt key init --rs256 --kid hpc-2026 --out /var/lib/slurm-pki/jwt/hpc-2026.pem"
)]
pub(crate) struct KeyInit {
    /// Where the key goes, if not where slurm.conf says
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Make an RSA key for RS256 instead
    #[arg(long)]
    rs256: bool,
    /// With --rs256: what it will be called in the jwks; default: its thumbprint (RFC 7638)
    #[arg(long, value_name = "KID", requires = "rs256")]
    kid: Option<String>,
}

/// slurmdbd's copy on a host of its own.
struct Copy {
    host: String,
    path: PathBuf,
}

impl KeyInit {
    /// Runs the command.
    ///
    /// # Errors
    /// When a key cannot be put there, or another one is there.
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let owner = admin.slurm_user_to_write_for()?;
        let places = Places::of(&admin)?;
        if self.rs256 {
            self.rs256(global, &places, owner)
        } else {
            self.hs256(global, &admin, &places, owner)
        }
    }

    fn hs256(&self, global: &Global, admin: &Admin, places: &Places, owner: Owner) -> anyhow::Result<()> {
        let main = match &self.out {
            Some(out) => out.as_path(),
            None => places.need_jwt_key()?,
        };
        let copies = copies_here(admin, main)?;
        let elsewhere = Elsewhere::of(global, admin)?;
        let there: Vec<&Path> = std::iter::once(main).chain(copies.iter().map(PathBuf::as_path)).collect();
        let (key, missing) = Self::agree(&there, owner)?;
        for path in &missing {
            refuse_open(path, owner, &places.state_save_location)?;
            // What a person names on the command line is theirs to answer for.
            if self.out.as_deref() != Some(*path) {
                refuse_strange(path, owner)?;
            }
        }
        must_load(&key, owner)?;
        let behind = elsewhere.behind(&key)?;
        if global.dry_run {
            missing.iter().for_each(|path| says("would make", path, owner));
            behind.iter().for_each(|copy| {
                report::line(&format!("would bring {} to {}", copy.path.display(), copy.host));
            });
            return Ok(());
        }
        for path in &missing {
            create(path, owner, &key)?;
            says("made", path, owner);
        }
        elsewhere.bring(global, &key, &behind, owner)?;
        if missing.is_empty() && behind.is_empty() {
            report::done(global, &format!("{} is there, and left as it is", main.display()));
        } else {
            report::done(
                global,
                "next: AuthAltTypes=auth/jwt and jwt_key= in slurm.conf and slurmdbd.conf; then restart slurmdbd, and \
                 scontrol reconfigure",
            );
        }
        Ok(())
    }

    /// The bytes that are there, or new ones; and where they are missing.
    fn agree<'a>(there: &[&'a Path], slurm_user: Owner) -> anyhow::Result<(Secret, Vec<&'a Path>)> {
        let (found, missing): (Vec<_>, Vec<_>) =
            there.iter().copied().partition(|path| path.symlink_metadata().is_ok());
        let keys = found.iter().map(|path| Ok((*path, read_own(path, slurm_user)?)));
        let keys = keys.collect::<anyhow::Result<Vec<(&Path, Secret)>>>()?;
        let Some((first, key)) = keys.first() else {
            return Ok((Secret::new(random::bytes::<KEY_BYTES>().advise()?.to_vec()), missing));
        };
        match keys.iter().find(|(_, other)| digest(other.expose()) != digest(key.expose())) {
            None => Ok((key.clone(), missing)),
            Some((other, _)) => Err(different(&first.display().to_string(), &other.display().to_string())),
        }
    }

    fn rs256(&self, global: &Global, places: &Places, owner: Owner) -> anyhow::Result<()> {
        let path = self.out.as_deref().or(places.private_key.as_deref()).ok_or_else(|| {
            Advice::new(
                "nobody says where the private key is to be",
                "set jwt_private_key in [keys] of the config, or give --out FILE",
            )
        })?;
        if path.symlink_metadata().is_ok() {
            return Err(Advice::new(
                format!("{} is there, and no key is replaced", path.display()),
                "give another --out; both can be in the jwks while tokens of the old one live",
            )
            .into());
        }
        refuse_open(path, owner, &places.state_save_location)?;
        if global.dry_run {
            says("would make", path, owner);
            return Ok(());
        }
        let (_, pem) = rsa_key::generate()?;
        let public = RsaKey::of_pem(pem.expose(), self.kid.as_deref()).advise()?;
        create(path, owner, &pem)?;
        says("made", path, owner);
        let list = places.jwks.clone().unwrap_or_else(|| "/etc/slurm/jwks.json".into());
        report::done(
            global,
            &format!(
                "kid {}\nnext: slurm-pki jwt jwks build {} --kid {} --keep --out {}; jwks= in AuthAltParameters; then \
                 slurm-pki jwt token --kid {}",
                public.kid(),
                path.display(),
                public.kid(),
                list.display(),
                public.kid()
            ),
        );
        Ok(())
    }
}

/// No key is put anywhere that daemons do not start with.
fn must_load(key: &Secret, owner: Owner) -> anyhow::Result<()> {
    let facts = FileFacts { mode: MODE, owner: owner.uid };
    let verdicts = auth_jwt::judge_key(key.expose(), facts, owner.uid);
    verdicts.hazards().iter().for_each(|hazard| report::warning(hazard));
    match verdicts.dies() {
        None => Ok(()),
        Some((_, why)) => Err(Advice::new(
            format!("the key that is there is none: {why}"),
            "move it away, and run it again",
        )
        .into()),
    }
}

/// slurmdbd's copy on this host, where it is another file.
fn copies_here(admin: &Admin, main: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let named = KeyFiles::of(admin)?.dbd_jwt_key.filter(|path| path != main);
    Ok(named.into_iter().collect())
}

fn create(path: &Path, owner: Owner, key: &Secret) -> anyhow::Result<()> {
    // What a killed run wrote beside it was to be a key.
    file::remove_leftovers(path).advise()?;
    let is_new = NewFile::new(path, MODE).owned_by(Some(owner)).create(key.expose()).advise()?;
    if is_new {
        return Ok(());
    }
    Err(Advice::new(format!("{} came meanwhile, and no key is replaced", path.display()), "run it again")
        .into())
}

fn says(verb: &str, path: &Path, owner: Owner) {
    report::line(&format!("{verb} {} (mode {MODE:04o}, {})", path.display(), owner_name(owner)));
}

fn different(one: &str, other: &str) -> anyhow::Error {
    Advice::new(
        format!("{one} and {other} are two different keys: tokens of one are refused by the other's daemon"),
        "see which one counts, move the other away, and run it again",
    )
    .into()
}

/// The hosts of slurmdbd that are not this one, and what lies there.
struct Elsewhere {
    fleet: Option<Fleet>,
    /// Each with what lies there, if something does.
    copies: Vec<(Copy, Option<Lies>)>,
}

/// What lies in the place of a copy.
struct Lies {
    digest: String,
    /// Whether others may read or change it.
    is_open: bool,
}

impl Lies {
    /// From `DIGEST MODE`.
    fn parse(text: &str) -> Self {
        let (digest, mode) = text.split_once(' ').unwrap_or((text, ""));
        let is_open = u32::from_str_radix(mode, 8).map_or(true, |mode| mode & OPEN != 0);
        Self { digest: digest.to_owned(), is_open }
    }
}

impl Elsewhere {
    fn of(global: &Global, admin: &Admin) -> anyhow::Result<Self> {
        let members = Members::of(admin)?;
        let hosts: Vec<_> = members
            .with(Role::Dbd)
            .map(|member| member.host.clone())
            .filter(|host| !is_this_host(host))
            .collect();
        if hosts.is_empty() {
            return Ok(Self { fleet: None, copies: Vec::new() });
        }
        let fleet = Fleet::of(admin)?;
        let here = admin.slurm.as_ref().map_or(Path::new(SLURM_CONF), SlurmConf::path);
        let conf = quoted(&here.with_file_name("slurmdbd.conf").display().to_string());
        let copies = Self::look(global, &fleet, &conf, hosts)?;
        Ok(Self { fleet: Some(fleet), copies })
    }

    /// Where slurmdbd.conf of each host has its key, and what lies there. Nothing else of that file, which has a password
    /// in it, leaves the host.
    fn look(
        global: &Global,
        fleet: &Fleet,
        conf: &str,
        hosts: Vec<String>,
    ) -> anyhow::Result<Vec<(Copy, Option<Lies>)>> {
        let script = format!(
            "conf={conf}\nkey=\nif [ -r \"$conf\" ]; then\n\
             key=$(sed -n 's/^[[:space:]]*[Aa]uth[Aa]lt[Pp]arameters[[:space:]]*=[[:space:]]*//p' \"$conf\" | tail -n 1 | \
             tr ',' '\\n' | sed -n 's/^jwt_key=\\([^[:space:]#]*\\).*/\\1/p' | head -n 1)\nfi\n\
             if [ -n \"$key\" ]; then\nsay \"key $key\"\n\
             if [ -e \"$key\" ]; then say \"is $(sha256sum < \"$key\" | cut -d ' ' -f 1) $(stat -L -c %a \"$key\")\"; fi\nfi"
        );
        let jobs = hosts.into_iter().map(|host| Job { host, script: script.clone() }).collect();
        let outcomes = fleet.run(global, "asking slurmdbd's hosts", jobs);
        let mut copies = Vec::new();
        for (host, lines) in outcomes.iter() {
            let Ok(lines) = lines else { continue };
            let after = |word: &str| lines.iter().find_map(|line| line.strip_prefix(word).map(str::to_owned));
            match after("key ") {
                Some(path) if path.starts_with('/') => {
                    copies.push((
                        Copy { host: host.to_owned(), path: path.into() },
                        after("is ").map(|is| Lies::parse(&is)),
                    ));
                }
                _ => report::warning(&format!(
                    "{host}: its slurmdbd.conf has no jwt_key= yet; write it there, and run this again"
                )),
            }
        }
        outcomes.into_result("slurmdbd's hosts could not be asked")?;
        Ok(copies)
    }

    /// The hosts that lack the key, or have it where others may read it.
    fn behind(&self, key: &Secret) -> anyhow::Result<Vec<&Copy>> {
        let is = digest(key.expose());
        let other =
            self.copies.iter().find(|(_, there)| there.as_ref().is_some_and(|there| there.digest != is));
        if let Some((copy, _)) = other {
            return Err(different("the key here", &format!("{} on {}", copy.path.display(), copy.host)));
        }
        let lacks = |there: &Option<Lies>| there.as_ref().is_none_or(|there| there.is_open);
        Ok(self.copies.iter().filter(|(_, there)| lacks(there)).map(|(copy, _)| copy).collect())
    }

    fn bring(&self, global: &Global, key: &Secret, behind: &[&Copy], owner: Owner) -> anyhow::Result<()> {
        let Some(fleet) = self.fleet.as_ref().filter(|_| !behind.is_empty()) else { return Ok(()) };
        let guard =
            |copy: &&Copy| Job { host: copy.host.clone(), script: refuse_strange_there(&copy.path, owner) };
        fleet
            .run(global, "asking slurmdbd's hosts", behind.iter().map(guard).collect())
            .into_result("slurmdbd's copy of the key could not be brought")?;
        let deliveries = behind.iter().map(|copy| Delivery {
            host: copy.host.clone(),
            files: vec![Placed { path: copy.path.clone(), contents: key.clone(), mode: MODE, owner }],
            then: format!("say there {}", quoted(&copy.path.display().to_string())),
        });
        let outcomes = fleet.deliver(global, "bringing the key to slurmdbd", deliveries.collect());
        for copy in behind.iter().filter(|copy| outcomes.reached().contains(&copy.host)) {
            report::line(&format!(
                "made {} on {} (mode {MODE:04o}, {})",
                copy.path.display(),
                copy.host,
                owner_name(owner)
            ));
        }
        outcomes.into_result("slurmdbd's copy of the key could not be brought")
    }
}
