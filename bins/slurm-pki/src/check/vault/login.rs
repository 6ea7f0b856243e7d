//! Each login: how long its token lives, and exactly the rights that it needs. The same rights of a person whose token has
//! policies of ours and no other, and the texts of those policies.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pki::name::{NodeName, REHEARSAL};
use pki::time::UnixTime;
use signer::{kv, node_key, of_vault};
use site::config::VaultConfig;
use site::config::vault::VaultAuth;
use vault::auth::TokenFacts;
use vault::{Client, auth, sys};

use super::super::finding::{Findings, Severity};
use super::{Look, SETUP};
use crate::moment;
use crate::vault::life::{Latest, Life};
use crate::vault::policies::{self, Names, Policy, Uses};

/// As a certificate: with less than a quarter or a tenth of its life left, whatever the thresholds.
const WARN_PART: u32 = 4;
const CRITICAL_PART: u32 = 10;

/// Whose login it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Programs,
    Daemons,
}

impl Who {
    fn words(self) -> &'static str {
        match self {
            Self::Programs => "the programs' login",
            Self::Daemons => "the login for daemons' pairs",
        }
    }

    /// Whether it is a token that somebody has to keep alive.
    fn keeps_a_token(self, config: &VaultConfig) -> bool {
        match self {
            Self::Programs => config.auth == VaultAuth::TokenFile,
            Self::Daemons => config.daemon_role_id_file.is_none() && config.daemon_secret_id_file.is_none(),
        }
    }

    fn policy(self, config: &VaultConfig) -> String {
        let names = Names::of(config);
        if self == Self::Programs { names.signer } else { names.daemons }
    }
}

/// Looks at both.
pub(super) fn look(look: &Look<'_>, found: &mut Findings) {
    let logins = [(Who::Programs, &look.programs), (Who::Daemons, &look.daemons)];
    for (who, client) in logins {
        let Some(client) = client else { continue };
        match auth::lookup_self(client) {
            Ok(facts) => token(look, who, &facts, found),
            Err(e) if e.is_denied() && who.keeps_a_token(&look.config) => {
                let what =
                    format!("{}: the token has ended, was revoked, or may not look itself up", who.words());
                found.critical("vault-token", what, new_token(look, who));
                continue;
            }
            // A token of a login that worked, whose policy does not even show it itself.
            Err(e) if e.is_denied() => {
                let what = format!("{}: its token may not look itself up", who.words());
                found.unknown("vault-token", what, SETUP);
            }
            Err(e) => {
                found.critical_error("vault-login", &of_vault(e));
                continue;
            }
        }
        match all_rights(look, who) {
            Ok(all) => rights(&Holder { words: who.words(), fix: fix(look, who) }, &all, client, found),
            Err(e) => found.critical_error("vault-config", &e),
        }
    }
    persons(look, found);
}

/// What a person who enrols, or changes the CA, may do: by their own token where that is whose it is, and by the texts of
/// the policies, which nobody need have at the moment.
fn persons(look: &Look<'_>, found: &mut Findings) {
    let Some(admin) = look.admin(found) else { return };
    let all = policies::all(&look.config, Uses { signer: look.signs, store: look.keeps });
    let held = auth::lookup_self(admin).map(|facts| facts.policies).unwrap_or_default();
    let ours: Vec<&Policy> = all.iter().filter(|policy| held.contains(&policy.name)).collect();
    let is_ours = |name: &String| name == "default" || ours.iter().any(|policy| policy.name == *name);
    if !ours.is_empty() && held.iter().all(is_ours) {
        match rights_by(look, &ours) {
            Ok(all) => rights(&persons_token(&ours), &all, admin, found),
            Err(e) => found.critical_error("vault-config", &e),
        }
    }
    let names = Names::of(&look.config);
    for policy in all.iter().filter(|one| [&names.enroller, &names.rollover].contains(&&one.name)) {
        text(policy, admin, found);
    }
}

fn persons_token(ours: &[&Policy]) -> Holder {
    let names: Vec<_> = ours.iter().map(|policy| policy.name.as_str()).collect();
    Holder {
        words: "your token",
        fix: format!("slurm-pki vault setup writes what it has by policy: {}", names.join(", ")),
    }
}

/// A site may have written policies of other names by hand: that one of ours is missing is no fault.
fn text(policy: &Policy, admin: &Client, found: &mut Findings) {
    let name = &policy.name;
    let there = super::told(found, "vault-policy", &format!("the policy {name}"), sys::policy(admin, name));
    match there {
        None => {}
        Some(None) => {
            found.ok("vault-policy", format!("there is no policy {name}; slurm-pki vault setup makes it"));
        }
        Some(Some(text)) if text.trim() == policy.text().trim() => {
            found.ok("vault-policy", format!("the policy {name} gives what it takes and no more"));
        }
        Some(Some(_)) => {
            let what = format!("the policy {name} is not as slurm-pki vault setup writes it");
            let fix =
                "slurm-pki vault setup --dry-run shows what it is to be; without --dry-run it writes it";
            found.warning("vault-policy", what, fix);
        }
    }
}

fn new_token(look: &Look<'_>, who: Who) -> String {
    format!(
        "write a new one: vault token create -orphan -period=24h -policy={} -field=token; slurm-pki vault renew keeps \
         that alive",
        who.policy(&look.config)
    )
}

fn token(look: &Look<'_>, who: Who, facts: &TokenFacts, found: &mut Findings) {
    let words = who.words();
    if facts.policies.iter().any(|policy| policy == "root") {
        let what = format!("{words} is by a root token: whoever steals it owns Vault");
        return found.critical("vault-token", what, new_token(look, who));
    }
    if !who.keeps_a_token(&look.config) {
        return found.ok("vault-token", format!("{words} gets a new token at each run"));
    }
    if facts.num_uses > 0 {
        let what = format!("{words}: the token ends after {} more uses", facts.num_uses);
        return found.critical("vault-token", what, new_token(look, who));
    }
    let now = look.scene.now;
    let life = Life::of(facts, now, look.ahead);
    let Some(end) = life.ends else {
        let what = format!("{words}: the token never ends, and is good for ever to whoever copies it");
        return found.warning("vault-token", what, new_token(look, who));
    };
    if let Latest::At(latest) = life.latest {
        let what = format!("{words}: the token dies {}, whatever is done", moment::shown(latest, now));
        return match severity(look, life.made, latest) {
            Severity::Ok => found.ok("vault-token", what),
            severity => found.add_as(severity, "vault-token", what, new_token(look, who)),
        };
    }
    let what = format!("{words}: the token ends {}", moment::shown(end, now));
    if life.is_left_alone(now) {
        let nearly = end <= now.plus(life.term / CRITICAL_PART);
        let severity = if nearly { Severity::Critical } else { Severity::Warning };
        let fix = "nobody renews it: systemctl enable --now slurm-pki-vault-renew.timer";
        return found.add_as(severity, "vault-token-renewal", what, fix);
    }
    let limit = match life.latest {
        Latest::Untold => {
            "; renewals reach no further than the limit of its mount (max_lease_ttl), of 32 days by default"
        }
        _ => ", and lives as long as it is renewed",
    };
    found.ok("vault-token", format!("{what}{limit}"));
}

fn severity(look: &Look<'_>, made: UnixTime, latest: UnixTime) -> Severity {
    let now = look.scene.now;
    let life = Duration::from_secs(u64::try_from(latest.0 - made.0).unwrap_or_default());
    let within = |limit: Duration, part: u32| latest <= now.plus(limit.min(life / part));
    if within(look.scene.thresholds.critical, CRITICAL_PART) {
        Severity::Critical
    } else if within(look.scene.thresholds.warn, WARN_PART) {
        Severity::Warning
    } else {
        Severity::Ok
    }
}

/// What a login has to be able to do at each path: nothing at most of them.
type Rights = BTreeMap<String, BTreeSet<&'static str>>;

/// Whose rights are judged, in words, and what mends them.
struct Holder {
    words: &'static str,
    fix: String,
}

fn rights(holder: &Holder, rights: &Rights, client: &Client, found: &mut Findings) {
    let words = holder.words;
    let paths: Vec<&str> = rights.keys().map(String::as_str).collect();
    let told = match sys::capabilities_self(client, &paths) {
        Ok(told) => told,
        Err(e) if e.is_denied() => {
            let what = format!("{words}: its token may not ask what it may do (sys/capabilities-self)");
            return found.unknown("vault-rights", what, SETUP);
        }
        Err(e) => return found.critical_error("vault-rights", &of_vault(e)),
    };
    let before = found.all().len();
    for (path, needs) in rights {
        let has = told.get(path).map(Vec::as_slice).unwrap_or_default();
        let has: BTreeSet<&str> = has.iter().map(String::as_str).filter(|word| *word != "deny").collect();
        let list = |words: &mut dyn Iterator<Item = &&str>| words.copied().collect::<Vec<_>>().join(", ");
        let missing = if has.contains("root") { String::new() } else { list(&mut needs.difference(&has)) };
        if !missing.is_empty() {
            let what = format!("{words} lacks {missing} at {path}");
            found.critical("vault-rights", what, holder.fix.as_str());
        }
        let more = list(&mut has.difference(needs));
        if !more.is_empty() {
            let what = format!("{words} has more than it needs: {more} at {path}");
            found.warning("vault-rights-many", what, holder.fix.as_str());
        }
    }
    if found.all().len() == before {
        found.ok(
            "vault-rights",
            format!("{words} has the rights it needs, and none of {} others", rights.len()),
        );
    }
}

fn fix(look: &Look<'_>, who: Who) -> String {
    let policy = who.policy(&look.config);
    format!("slurm-pki vault setup writes the policy {policy}; vault token lookup shows which the token has")
}

/// What a login has by its policy, at paths that the policy fits, and nothing anywhere else.
fn all_rights(look: &Look<'_>, who: Who) -> Result<Rights, site::Error> {
    let name = who.policy(&look.config);
    let all = policies::all(&look.config, Uses { signer: look.signs, store: look.keeps });
    let own: Vec<&Policy> = all.iter().filter(|policy| policy.name == name).collect();
    rights_by(look, &own)
}

/// The same by several policies.
fn rights_by(look: &Look<'_>, policies: &[&Policy]) -> Result<Rights, site::Error> {
    let mut rights: Rights = elsewhere(look)?.into_iter().map(|path| (path, BTreeSet::new())).collect();
    for rule in policies.iter().flat_map(|policy| &policy.rules) {
        rights.entry(rule.example()).or_default().extend(rule.capabilities);
    }
    Ok(rights)
}

/// What is worth having to whoever steals a login.
fn elsewhere(look: &Look<'_>) -> Result<Vec<String>, site::Error> {
    let config = &look.config;
    let (pki, role, daemon_role) = (config.pki_mount.trim_matches('/'), &config.role, &config.daemon_role);
    let kv = kv(config)?;
    let name = NodeName::parse(REHEARSAL.as_bytes()).map_err(|e| site::Error::Missing {
        what: format!("{REHEARSAL} is no name: {e}"),
        hint: String::new(),
    })?;
    let key = node_key(config, &name)?;
    let mut all = vec![kv.data_path(&key), format!("{}/", kv.list_path(None))];
    if config.kv_version == 2 {
        all.push(kv.list_path(Some(&key)));
        all.push(format!("{}/destroy/{key}", kv.mount));
    }
    let issuer = format!("issuer/{REHEARSAL}");
    let of_engine = [
        &format!("sign/{role}"),
        &format!("sign/{daemon_role}"),
        "sign-verbatim",
        &format!("sign-verbatim/{role}"),
        &format!("issue/{role}"),
        &format!("issue/{daemon_role}"),
        &format!("roles/{role}"),
        &format!("roles/{daemon_role}"),
        "root/generate/internal",
        "root/sign-intermediate",
        "root/sign-self-issued",
        "intermediate/set-signed",
        "intermediate/cross-sign",
        "issuers/import/bundle",
        "issuers/generate/root/internal",
        &issuer,
        &format!("{issuer}/sign-intermediate"),
        &format!("{issuer}/sign-verbatim"),
        &format!("{issuer}/sign/{role}"),
        "config/ca",
        "config/issuers",
        "config/urls",
        "revoke",
        "tidy",
    ]
    .map(|path| format!("{pki}/{path}"));
    all.extend(of_engine);
    let of_server = [
        "auth/token/create".to_owned(),
        "auth/token/create-orphan".to_owned(),
        format!("sys/policies/acl/{}", Names::of(config).signer),
        format!("sys/policies/acl/{}", Names::of(config).daemons),
        format!("sys/mounts/{pki}"),
        format!("sys/mounts/{}", kv.mount),
        "sys/auth/slurm-pki-elsewhere".to_owned(),
        "sys/audit/slurm-pki-elsewhere".to_owned(),
        "sys/seal".to_owned(),
        "sys/step-down".to_owned(),
    ];
    all.extend(of_server);
    Ok(all)
}
