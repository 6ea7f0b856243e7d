//! `slurm-pki jwt token`: a token for a user, signed here with the key itself; slurmctld need not run.

use std::path::{Path, PathBuf};

use clap::Args;
use nix::unistd::{Gid, User, getgrouplist};
use pki::jwk::RsaKey;
use pki::jws::{self, Token as Read};
use pki::jwt::{self, Passwd};
use pki::key::{MAX_KEY_PEM, PrivateKey};
use pki::secret::Secret;
use serde_json::{Map, Value};
use site::file::{self, Keep, NewFile};

use super::jwks::place;
use super::lifespan::Lifespan;
use super::places::Places;
use crate::admin::{Admin, caller, owner_name, refuse_links_of_others};
use crate::advice::{Advice, Advise as _};
use crate::global::Global;
use crate::report;

/// Longest key file that is read. Slurm has no bound; nobody has more than a few hundred bytes.
pub(crate) const MAX_JWT_KEY: usize = 64 * 1024;

/// A token is its user, until it ends.
const MODE: u32 = 0o600;

/// Make a token for a user with the key itself
#[derive(Args, Debug)]
#[command(
    after_help = "For whoever can read the key: root and SlurmUser. Users ask slurmctld: scontrol token. Rules are \
    scontrol's: half an hour unless --lifespan says otherwise; max_token_lifespan, disable_token_creation and one's own \
    name alone hold for everybody but root and SlurmUser.\n\n\
    It is printed as SLURM_JWT=TOKEN. A token cannot be withdrawn: it counts until it ends, or until its key is changed \
    on slurmctld and slurmdbd. Clients of slurmrestd send it as X-SLURM-USER-TOKEN; it goes to slurmctld and slurmdbd \
    only, and interactive srun needs auth/slurm or munge.\n\n\
    --identity brings the user along (uid, gid, groups, home, shell), for use_jwt_client_ids of 26.05 and hosts of \
    slurmctld that do not know the user. 26.05.0 to 26.05.2 refuse such tokens where that is set.\n\n\
    Exit codes: 0 done, 1 failed, 64 wrong usage.\n\n\
    Examples:\n  \
    slurm-pki jwt token\n  \
    slurm-pki jwt token --user alice --lifespan 8h --out /root/alice.env\n  \
    slurm-pki jwt token --user slurmrestd-proxy --raw --out /etc/nginx/slurm.token\n  \
    slurm-pki jwt token --kid hpc-2026 --user alice"
)]
pub(crate) struct Token {
    /// Whose it is to be; default: whoever runs this
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// How long it counts, in seconds or as in 8h; `infinite` needs --until-key-changes too
    #[arg(long, value_name = "TIME", value_parser = Lifespan::parse)]
    lifespan: Option<Lifespan>,
    /// With --lifespan infinite: it is meant that nothing but a change of the key ends it
    #[arg(long)]
    until_key_changes: bool,
    /// Bring the user along: uid, gid, groups, home and shell from this host
    #[arg(long)]
    identity: bool,
    /// Sign with RS256 and the private key (jwt_private_key of the config), which the jwks has under this name
    #[arg(long, value_name = "KID")]
    kid: Option<String>,
    /// With --kid: the file of the private key, if it is another one
    #[arg(long, value_name = "FILE", requires = "kid")]
    key: Option<PathBuf>,
    /// Print the token alone, without SLURM_JWT= before it
    #[arg(long)]
    raw: bool,
    /// Write it into this file, which nobody else may read; whole at once, in place of what was there
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Token {
    /// Runs the command.
    ///
    /// # Errors
    /// When the key cannot be used, or the site's rules do not allow it.
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let places = Places::of(&admin)?;
        let user = self.user(&admin, &places)?;
        let lifespan = self.lifespan(&admin, &places)?;
        let passwd = if self.identity { Some(passwd(&user)?) } else { None };
        let claims = jwt::claims(&user.name, site::clock::now(), lifespan.seconds(), passwd.as_ref());
        let claims = claims.map_err(|part| incomplete(&user.name, part))?;
        let token = self.sign(&places, &claims)?;
        if global.dry_run {
            report::line(&format!("would make a token for {}, {lifespan}", user.name));
            return Ok(());
        }
        self.give(global, &token, &user.name, lifespan)
    }

    /// Whose it is, by the rules of scontrol.
    fn user(&self, admin: &Admin, places: &Places) -> anyhow::Result<User> {
        let own = owner_name(caller());
        let name = self.user.as_deref().unwrap_or(&own);
        if !is_privileged(admin) {
            if name != own {
                return Err(Advice::new(
                    format!("only root and SlurmUser make tokens for others, as for {name}"),
                    "leave --user out, or run it as root",
                )
                .into());
            }
            if places.disables_token_creation() {
                return Err(Advice::new(
                    "slurm.conf has disable_token_creation: only root and SlurmUser make tokens",
                    "ask whoever runs the cluster for one",
                )
                .into());
            }
        }
        User::from_name(name)?.ok_or_else(|| {
            Advice::new(
                format!("this host knows no user {name}"),
                "slurmctld would refuse the token: give the name that getent passwd has",
            )
            .into()
        })
    }

    fn lifespan(&self, admin: &Admin, places: &Places) -> anyhow::Result<Lifespan> {
        let most = if is_privileged(admin) { None } else { places.max_token_lifespan()? };
        let Some(asked) = self.lifespan else {
            let usual = Lifespan::DEFAULT;
            return Ok(most.filter(|most| *most < usual.seconds()).map_or(usual, Lifespan::Seconds));
        };
        if asked == Lifespan::Infinite && !self.until_key_changes {
            return Err(Advice {
                usage: true,
                ..Advice::new(
                    "such a token counts until the key is changed on slurmctld and slurmdbd",
                    "say --until-key-changes too, if that is meant",
                )
            }
            .into());
        }
        match most {
            Some(most) if asked.seconds() > most => Err(Advice::new(
                format!("slurm.conf: max_token_lifespan={most} seconds, and {asked} is longer"),
                format!("ask for --lifespan {most} or less"),
            )
            .into()),
            _ => Ok(asked),
        }
    }

    /// Signs, and looks whether the key that slurmctld has verifies it.
    fn sign(&self, places: &Places, claims: &Map<String, Value>) -> anyhow::Result<Secret> {
        match &self.kid {
            None => Ok(jws::sign_hs256(&read_key(places.need_jwt_key()?)?, claims)),
            Some(kid) => self.sign_rs256(places, kid, claims),
        }
    }

    fn sign_rs256(&self, places: &Places, kid: &str, claims: &Map<String, Value>) -> anyhow::Result<Secret> {
        let path = self.key.as_deref().or(places.private_key.as_deref()).ok_or_else(|| {
            Advice::new(
                "nobody says where the private key is",
                "set jwt_private_key in [keys], or give --key FILE; to make one: slurm-pki jwt key init --rs256",
            )
        })?;
        let text = file::read(path, Keep::Secret, MAX_KEY_PEM).map_err(|e| no_key(path, e))?;
        let key = PrivateKey::from_pem(text.expose()).advise()?;
        let token = jws::sign_rs256(&key, kid, claims).advise()?;
        must_be_listed(places, kid, &token)?;
        Ok(token)
    }

    fn give(&self, global: &Global, token: &Secret, user: &str, lifespan: Lifespan) -> anyhow::Result<()> {
        let text = String::from_utf8_lossy(token.expose());
        let name = if self.raw { "" } else { "SLURM_JWT=" };
        let Some(out) = &self.out else {
            report::raw_line(&format!("{name}{text}"));
            return Ok(());
        };
        if let Some(folder) = out.parent() {
            refuse_links_of_others(folder)?;
        }
        // What a killed run wrote beside it was to be a token.
        file::remove_leftovers(out).advise()?;
        let line = Secret::new(format!("{name}{text}\n").into_bytes());
        NewFile::new(out, MODE).replace(line.expose()).advise()?;
        report::done(global, &format!("{}: a token for {user}, {lifespan}", out.display()));
        Ok(())
    }
}

/// Whom Slurm lets make any token.
fn is_privileged(admin: &Admin) -> bool {
    let uid = caller().uid;
    uid == 0 || admin.slurm_user().is_ok_and(|owner| owner.uid == uid)
}

/// Reads the HS256 key: all its bytes are the key.
///
/// # Errors
/// When it cannot be read, or is empty.
pub(crate) fn read_key(path: &Path) -> anyhow::Result<Secret> {
    let key = file::read(path, Keep::Secret, MAX_JWT_KEY).map_err(|e| no_key(path, e))?;
    if key.expose().is_empty() {
        return Err(Advice::new(
            format!("{} is empty: slurmctld does not start with it", path.display()),
            "remove it and make one: slurm-pki jwt key init",
        )
        .into());
    }
    Ok(key)
}

fn no_key(path: &Path, e: site::Error) -> anyhow::Error {
    if e.is_not_found() {
        return Advice::new(
            format!("there is no key {}", path.display()),
            "make one: slurm-pki jwt key init; on a host without it ask slurmctld: scontrol token",
        )
        .into();
    }
    let is_denied = matches!(&e, site::Error::Read { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied);
    match is_denied {
        true => Advice::new(
            format!("you cannot read the key {}, and nobody but root and SlurmUser should", path.display()),
            "ask slurmctld for a token of your own: scontrol token",
        )
        .into(),
        false => Err::<(), _>(e).advise().err().unwrap_or_else(|| anyhow::anyhow!("it cannot be read")),
    }
}

/// A token that slurmctld would refuse helps nobody.
fn must_be_listed(places: &Places, kid: &str, token: &Secret) -> anyhow::Result<()> {
    let Some(list) = &places.jwks else {
        return Err(Advice::new(
            "neither slurm.conf nor [keys] has a jwks: slurmctld would refuse the token",
            "slurm-pki jwt jwks build KEY --out FILE, and jwks=FILE in AuthAltParameters",
        )
        .into());
    };
    let (_, listed) = place::read(list)?.unwrap_or_default();
    let candidates: Vec<_> = listed.keys.iter().map(RsaKey::candidate).collect();
    let token = Read::parse(token.expose()).advise()?;
    let keys = jwt::Keys { hs256: None, rs256: Some(&candidates) };
    jwt::verify(&token, &keys).map(|_| ()).map_err(|why| {
        Advice::new(
            format!("{}: {why}: slurmctld would refuse the token", list.display()),
            format!("put the key in as {kid}: slurm-pki jwt jwks build, with --kid and --keep"),
        )
        .into()
    })
}

fn passwd(user: &User) -> anyhow::Result<Passwd> {
    let name = std::ffi::CString::new(user.name.clone())?;
    let groups = getgrouplist(&name, user.gid)?;
    Ok(Passwd {
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        gecos: user.gecos.to_string_lossy().into_owned(),
        dir: user.dir.display().to_string(),
        shell: user.shell.display().to_string(),
        gids: groups.into_iter().map(Gid::as_raw).collect(),
    })
}

fn incomplete(user: &str, part: &str) -> anyhow::Error {
    Advice::new(
        format!("what this host knows of {user} is no identity for Slurm: {part}"),
        "Slurm wants a whole name (gecos), and home and shell with a slash before; mend the passwd entry, or leave --identity out",
    )
    .into()
}
