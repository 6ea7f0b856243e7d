//! The programs' login: AppRole's two ids, or a token; in files of SlurmUser's, and nowhere else. The same for the timer
//! that renews daemons' pairs, in files of root's.

use std::path::Path;
use std::time::{Duration, Instant};

use pki::explain::Explain as _;
use pki::secret::Secret;
use serde::Deserialize;
use serde_json::{Value, json};
use signer::{Door, of_vault};
use site::config::VaultConfig;
use site::config::vault::VaultAuth;
use site::file::{NewFile, Owner};
use vault::{MountPath, sys};

use super::Scene;
use super::work::{Left, Work};
use crate::advice::{Advice, Advise as _};
use crate::report;
use crate::vault::commands::{VaultCommand, quoted};
use crate::vault::policies::Names;
use crate::vault::role::Settings;

/// A login of one run: what it got ends soon after.
const RUN: Duration = Duration::from_secs(300);

/// A token that is kept alive lasts this long without it: a weekend and more.
const PERIOD: Duration = Duration::from_secs(7 * 86_400);

/// The ids are read only; nothing here ever changes them in place.
const ID_MODE: u32 = 0o400;

/// As an agent has it.
const TOKEN_MODE: u32 = 0o600;

/// A login that is made here, and the keys of `[vault]` that say where it lies.
struct Way<'a> {
    door: Door,
    policy: String,
    mount: (&'static str, &'a str),
    role_id: (&'static str, Option<&'a Path>),
    secret_id: (&'static str, Option<&'a Path>),
    token: (&'static str, Option<&'a Path>),
    /// `None`: whoever runs this.
    owner: Option<Owner>,
}

impl<'a> Way<'a> {
    /// The programs'.
    fn programs(scene: &Scene<'a>) -> anyhow::Result<Self> {
        let config = scene.config;
        Ok(Self {
            door: Door::Programs,
            policy: Names::of(config).signer,
            mount: ("auth_mount", &config.auth_mount),
            role_id: ("role_id_file", config.role_id_file.as_deref()),
            secret_id: ("secret_id_file", config.secret_id_file.as_deref()),
            token: ("token_file", config.token_file.as_deref()),
            owner: Some(scene.admin.slurm_user_to_write_for()?),
        })
    }

    /// That of the timer which renews daemons' pairs: root's, where root runs this.
    fn daemons(config: &'a VaultConfig) -> Self {
        Self {
            door: Door::Daemons,
            policy: Names::of(config).daemons,
            mount: ("daemon_auth_mount", &config.daemon_auth_mount),
            role_id: ("daemon_role_id_file", config.daemon_role_id_file.as_deref()),
            secret_id: ("daemon_secret_id_file", config.daemon_secret_id_file.as_deref()),
            token: ("daemon_token_file", config.daemon_token_file.as_deref()),
            owner: None,
        }
    }
}

/// Makes the login that `auth` names, where it is missing, and that for daemons' pairs, where the config has one.
///
/// # Errors
/// Whatever went wrong.
pub(super) fn complete(scene: &Scene<'_>, work: &Work<'_>) -> anyhow::Result<()> {
    of_programs(scene, work)?;
    let daemons = Way::daemons(scene.config);
    match (daemons.role_id.1, daemons.secret_id.1, daemons.token.1) {
        _ if !scene.uses.signer => Ok(()),
        (None, None, None) => Ok(()),
        (None, None, Some(_)) => token(scene, work, &daemons),
        _ => approle(scene, work, &daemons),
    }
}

fn of_programs(scene: &Scene<'_>, work: &Work<'_>) -> anyhow::Result<()> {
    match scene.config.auth {
        VaultAuth::AppRole => approle(scene, work, &Way::programs(scene)?),
        VaultAuth::TokenFile => token(scene, work, &Way::programs(scene)?),
        VaultAuth::Cert => {
            let (mount, policy) = (&scene.config.auth_mount, Names::of(scene.config).signer);
            report::warning(&format!(
                "auth = \"cert\": the login by certificate is yours to set up; give its role the policy {policy}: vault write \
                 auth/{mount}/certs/NAME certificate=@CA.pem token_policies={policy} allowed_common_names=NAME"
            ));
            Ok(())
        }
    }
}

fn approle(scene: &Scene<'_>, work: &Work<'_>, way: &Way<'_>) -> anyhow::Result<()> {
    let mount = MountPath::parse(way.mount.1).map_err(of_vault).advise()?;
    let there = sys::auth_methods(work.client()).map_err(of_vault).advise()?;
    let is_there = match there.get(&format!("{mount}/")) {
        Some(method) if method.kind == "approle" => true,
        Some(method) => {
            return Err(Advice::new(
                format!(
                    "at auth/{mount} in Vault is a login method of the type {}, not approle",
                    method.kind
                ),
                format!("name another path in {} of [vault]", way.mount.0),
            )
            .into());
        }
        None => false,
    };
    if !is_there {
        let command = VaultCommand::new(&["auth", "enable", &format!("-path={mount}"), "approle"]);
        let body = json!({ "type": "approle" });
        work.change(&format!("made     login method auth/{mount}"), &command, |client| {
            sys::enable_auth(client, mount.as_str(), &body)
        })?;
    }
    let name = &way.policy;
    let path = format!("auth/{mount}/role/{name}");
    let role = if is_there { read(work, &path)? } else { None };
    work.settings(&format!("AppRole {name}"), &path, role.as_ref(), &wanted(scene, name), Left::Kept)?;
    ids(scene, work, way, &path)
}

fn wanted(scene: &Scene<'_>, policy: &str) -> Settings {
    let mut wanted = Settings::new();
    let mut set = |name: &str, value: Value| {
        wanted.insert(name.into(), value);
    };
    set("token_policies", json!([policy]));
    set("token_no_default_policy", json!(true));
    set("token_ttl", json!(RUN.as_secs()));
    set("token_max_ttl", json!(RUN.as_secs()));
    // One login per run: a batch token leaves nothing behind in the server's storage.
    set("token_type", json!("batch"));
    set("bind_secret_id", json!(true));
    set("secret_id_num_uses", json!(0));
    if !scene.options.bound_cidrs.is_empty() {
        set("secret_id_bound_cidrs", json!(scene.options.bound_cidrs));
        set("token_bound_cidrs", json!(scene.options.bound_cidrs));
    }
    wanted
}

fn read(work: &Work<'_>, path: &str) -> anyhow::Result<Option<Settings>> {
    let what = format!("read {path}");
    match work.client().read(path, &what) {
        Ok(answer) => answer.data(&what).map_err(of_vault).advise().map(Some),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(of_vault(e)).advise(),
    }
}

/// The two files. Each controller may have ids of its own: those that are there stay, as long as they open the door.
fn ids(scene: &Scene<'_>, work: &Work<'_>, way: &Way<'_>, role: &str) -> anyhow::Result<()> {
    let config = scene.config;
    let role_file = way.role_id.1.ok_or_else(|| not_set(way.role_id.0))?;
    let secret_file = way.secret_id.1.ok_or_else(|| not_set(way.secret_id.0))?;
    let renew = scene.options.new_login;
    if role_file.exists() && secret_file.exists() && !renew {
        return opens(config, work, way, &[role_file, secret_file]);
    }
    if work.only_says() {
        for (id, file, flag) in [("role_id", role_file, ""), ("secret_id", secret_file, "-f ")] {
            let verb = if flag.is_empty() { "read" } else { "write" };
            let what = id.replace('_', "-");
            let file = quoted(&file.to_string_lossy());
            report::line(&format!("(umask 077; vault {verb} {flag}-field={id} {role}/{what} > {file})"));
        }
        return Ok(());
    }
    #[derive(Deserialize)]
    struct RoleId {
        role_id: String,
    }
    #[derive(Deserialize)]
    struct SecretId {
        secret_id: String,
    }
    let what = "read the role_id";
    let answer = work.client().read(&format!("{role}/role-id"), what).map_err(of_vault).advise()?;
    let RoleId { role_id } = answer.data(what).map_err(of_vault).advise()?;
    write(work, way, role_file, ID_MODE, &Secret::new(role_id.into_bytes()))?;
    if !secret_file.exists() || renew {
        let what = "make a secret_id";
        let answer =
            work.client().make(&format!("{role}/secret-id"), &json!({}), what).map_err(of_vault).advise()?;
        let SecretId { secret_id } = answer.data(what).map_err(of_vault).advise()?;
        write(work, way, secret_file, ID_MODE, &Secret::new(secret_id.into_bytes()))?;
    }
    opens(config, work, way, &[role_file, secret_file])
}

fn token(scene: &Scene<'_>, work: &Work<'_>, way: &Way<'_>) -> anyhow::Result<()> {
    let file = way.token.1.ok_or_else(|| not_set(way.token.0))?;
    if file.exists() && !scene.options.new_login {
        return opens(scene.config, work, way, &[file]);
    }
    let policy = &way.policy;
    if work.only_says() {
        report::line(&format!(
            "(umask 077; vault token create -orphan -no-default-policy -policy={policy} -period={}s -field=token > {})",
            PERIOD.as_secs(),
            quoted(&file.to_string_lossy())
        ));
        return Ok(());
    }
    let body = json!({
        "policies": [policy], "no_default_policy": true, "period": format!("{}s", PERIOD.as_secs()),
        "display_name": "slurm-pki",
    });
    let token = work.client().new_token(&body, "make the programs' token").map_err(of_vault).advise()?;
    write(work, way, file, TOKEN_MODE, &token)?;
    report::done(
        work.global(),
        "note     it ends after 7 days without vault renew: enable slurm-pki's timer for that",
    );
    opens(scene.config, work, way, &[file])
}

fn write(work: &Work<'_>, way: &Way<'_>, path: &Path, mode: u32, secret: &Secret) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        crate::admin::refuse_links_of_others(folder)?;
    }
    let line = Secret::new([secret.expose(), b"\n"].concat());
    NewFile::new(path, mode).owned_by(way.owner).replace(line.expose()).advise()?;
    report::done(work.global(), &format!("made     {}", path.display()));
    Ok(())
}

/// Tries the login that the files hold.
fn opens(config: &VaultConfig, work: &Work<'_>, way: &Way<'_>, files: &[&Path]) -> anyhow::Result<()> {
    let tried = way.door.open(config, Instant::now() + config.deadline);
    let names: Vec<_> = files.iter().map(|path| path.display().to_string()).collect();
    let names = names.join(" and ");
    let facts = tried.and_then(|client| vault::auth::lookup_self(&client).map_err(of_vault));
    match facts {
        Ok(facts) => {
            let policy = &way.policy;
            if !facts.policies.contains(policy) && !work.only_says() {
                report::warning(&format!(
                    "{names}: that token has the policies {}, not {policy}",
                    facts.policies.join(", ")
                ));
            }
            work.there(&format!("login with {names}"));
            Ok(())
        }
        Err(_) if work.only_says() => Ok(()),
        Err(e) => Err(Advice::new(
            format!("{names}: no way into Vault: {e}"),
            format!("make a new login with slurm-pki vault setup --new-login; {}", e.hint()),
        )
        .into()),
    }
}

fn not_set(key: &str) -> anyhow::Error {
    Advice::new(
        format!("{key} is not set in [vault]"),
        format!("set {key} to where the login is to lie, like /etc/slurm/{key}"),
    )
    .into()
}
