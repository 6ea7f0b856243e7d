//! `sys/…`: health, mounts, login methods, policies, audit devices, capabilities.

use serde_json::{Map, Value, json};

use crate::acl;
use crate::approle::AppRole;
use crate::cert_auth::CertAuth;
use crate::core::{Call, Core, Engine, Method, Mounted, done, unsupported};
use crate::engine::{Answer, Done, Failed, Op, bad};
use crate::http::{Request, Response};
use crate::params::Params;

const VERSION: &str = "2.5.0-stand-in";

pub(crate) fn health(core: &Core, request: &Request) -> Response {
    let asked = |name: &str, default: u16| {
        request.queried(name).and_then(|code| code.parse().ok()).unwrap_or(default)
    };
    let status = if core.sealed { asked("sealedcode", 503) } else { asked("activecode", 200) };
    Response::json(
        status,
        &json!({
            "initialized": true,
            "sealed": core.sealed,
            "standby": false,
            "performance_standby": false,
            "replication_performance_mode": "disabled",
            "replication_dr_mode": "disabled",
            "server_time_utc": core.now(),
            "version": VERSION,
            "cluster_name": "stand-in",
            "cluster_id": "stand-in",
        }),
    )
}

pub(crate) fn seal_status(core: &Core) -> Response {
    Response::json(
        200,
        &json!({
            "type": "shamir", "initialized": true, "sealed": core.sealed, "t": 1, "n": 1, "progress": 0,
            "nonce": "", "version": VERSION, "storage_type": "inmem",
        }),
    )
}

/// The paths that the documents mark so.
pub(crate) fn needs_sudo(path: &str) -> bool {
    path.starts_with("sys/auth/") || path == "sys/audit" || path.starts_with("sys/audit/")
}

pub(crate) fn answer(core: &mut Core, call: &Call<'_>, path: &str) -> Answer {
    let params = Params::of(&call.request.body);
    let (head, rest) = path.split_once('/').unwrap_or((path, ""));
    match (head, rest) {
        ("mounts", "") if call.op == Op::Read => Done::data(Value::Object(engines(core))),
        ("mounts", rest) => engine(core, call.op, rest, &params),
        ("auth", "") if call.op == Op::Read => Done::data(Value::Object(methods(core))),
        ("auth", rest) => method(core, call.op, rest, &params),
        ("policies", rest) => {
            policy(core, call.op, rest.strip_prefix("acl").unwrap_or(rest), &params, "policy")
        }
        ("policy", rest) => policy(core, call.op, rest, &params, "rules"),
        ("audit", "") if call.op == Op::Read => Done::data(core.audit.clone().into_iter().collect()),
        ("audit", path) => audit(core, call.op, path, &params),
        ("capabilities-self", "") if call.op == Op::Write => capabilities(core, call, &params),
        ("leader", "") if call.op == Op::Read => {
            Done::data(json!({ "ha_enabled": false, "is_self": false, "leader_address": "" }))
        }
        ("internal", _) if call.op == Op::Read => shown_mount(core, call, rest),
        ("seal", "") if call.op == Op::Write => {
            core.sealed = true;
            done()
        }
        _ => unsupported(),
    }
}

fn engines(core: &Core) -> Map<String, Value> {
    let shown = |mounted: &Mounted<Engine>| {
        let (kind, options) = match &mounted.kind {
            Engine::Pki(_) => ("pki", Value::Null),
            Engine::Kv(kv) => ("kv", json!({ "version": if kv.is_versioned() { "2" } else { "1" } })),
        };
        settings(kind, &options, &mounted.description, mounted.default_lease_ttl, mounted.max_lease_ttl)
    };
    core.engines.iter().map(|(path, mounted)| (path.clone(), shown(mounted))).collect()
}

fn methods(core: &Core) -> Map<String, Value> {
    let shown = |mounted: &Mounted<Method>| {
        let kind = match mounted.kind {
            Method::Token => "token",
            Method::AppRole(_) => "approle",
            Method::Cert(_) => "cert",
        };
        settings(kind, &Value::Null, &mounted.description, mounted.default_lease_ttl, mounted.max_lease_ttl)
    };
    core.methods.iter().map(|(path, mounted)| (path.clone(), shown(mounted))).collect()
}

fn settings(kind: &str, options: &Value, description: &str, default: i64, max: i64) -> Value {
    json!({
        "accessor": format!("{kind}_stand_in"),
        "config": { "default_lease_ttl": default, "force_no_cache": false, "max_lease_ttl": max },
        "description": description,
        "external_entropy_access": false,
        "local": false,
        "options": options,
        "seal_wrap": false,
        "type": kind,
        "uuid": "00000000-0000-0000-0000-000000000000",
    })
}

fn engine(core: &mut Core, op: Op, path: &str, params: &Params<'_>) -> Answer {
    if let Some(path) = path.strip_suffix("/tune") {
        let mounted = core.engines.get_mut(&format!("{path}/")).ok_or_else(|| bad("no such mount"))?;
        if op == Op::Read {
            let data = json!({
                "default_lease_ttl": mounted.default_lease_ttl, "max_lease_ttl": mounted.max_lease_ttl,
                "description": mounted.description, "force_no_cache": false,
            });
            return Done::data(data);
        }
        tune(mounted, params);
        return done();
    }
    match op {
        Op::Write => {
            let config = params.get("config").cloned().unwrap_or(Value::Null);
            let options = params.get("options").cloned().unwrap_or(Value::Null);
            core.mount(path, &params.text("type"), options["version"].as_str())?;
            let mounted = core.engines.get_mut(&format!("{}/", path.trim_end_matches('/'))).unwrap();
            tune(mounted, &Params::of(&config));
            mounted.description = params.text("description");
            done()
        }
        Op::Delete => {
            core.engines.remove(&format!("{}/", path.trim_end_matches('/')));
            done()
        }
        Op::Read => {
            let all = engines(core);
            all.get(&format!("{}/", path.trim_end_matches('/')))
                .cloned()
                .map_or_else(|| Err(bad(format!("No secret engine mount at {path}"))), Done::data)
        }
        Op::List | Op::Patch => unsupported(),
    }
}

fn tune(mounted: &mut Mounted<Engine>, params: &Params<'_>) {
    if params.get("max_lease_ttl").is_some() {
        mounted.max_lease_ttl = params.seconds("max_lease_ttl");
    }
    if params.get("default_lease_ttl").is_some() {
        mounted.default_lease_ttl = params.seconds("default_lease_ttl");
    }
    if params.get("description").is_some() {
        mounted.description = params.text("description");
    }
}

fn method(core: &mut Core, op: Op, path: &str, params: &Params<'_>) -> Answer {
    let mount = format!("{}/", path.trim_end_matches('/'));
    match op {
        Op::Write => {
            if core.methods.contains_key(&mount) {
                return Err(bad(format!("path is already in use at {mount}")));
            }
            let kind = match params.text("type").as_str() {
                "approle" => Method::AppRole(AppRole::default()),
                "cert" => Method::Cert(CertAuth::default()),
                other => return Err(bad(format!("plugin not found in the catalog: {other}"))),
            };
            let description = params.text("description");
            core.methods.insert(mount, Mounted { kind, description, max_lease_ttl: 0, default_lease_ttl: 0 });
            done()
        }
        Op::Delete => {
            core.methods.remove(&mount);
            done()
        }
        Op::Read => methods(core).get(&mount).cloned().map_or_else(|| Err(bad("No auth engine")), Done::data),
        Op::List | Op::Patch => unsupported(),
    }
}

fn policy(core: &mut Core, op: Op, path: &str, params: &Params<'_>, field: &str) -> Answer {
    let name = path.trim_matches('/').to_owned();
    match op {
        Op::List | Op::Read if name.is_empty() => {
            let keys: Vec<String> = core.policies.keys().cloned().chain(["root".to_owned()]).collect();
            Done::data(json!({ "keys": keys, "policies": keys }))
        }
        Op::Read => {
            let text = core.policies.get(&name).ok_or(Failed::Nothing)?;
            Done::data(json!({ "name": name, field: text }))
        }
        Op::Write => {
            if name == "root" {
                return Err(bad("cannot update \"root\" policy"));
            }
            let text = params.text("policy");
            acl::parse(&text).map_err(bad)?;
            core.policies.insert(name, text);
            done()
        }
        Op::Delete => {
            core.policies.remove(&name);
            done()
        }
        Op::List | Op::Patch => unsupported(),
    }
}

fn audit(core: &mut Core, op: Op, path: &str, params: &Params<'_>) -> Answer {
    let path = format!("{}/", path.trim_end_matches('/'));
    match op {
        Op::Write => {
            let device = json!({
                "type": params.text("type"), "path": path, "description": "", "options": params.get("options"),
                "local": false,
            });
            core.audit.insert(path, device);
            done()
        }
        Op::Delete => {
            core.audit.remove(&path);
            done()
        }
        _ => unsupported(),
    }
}

fn capabilities(core: &mut Core, call: &Call<'_>, params: &Params<'_>) -> Answer {
    let id = call.token.clone().ok_or(Failed::Denied)?;
    let token = core.tokens.live(&id, call.now).cloned().ok_or(Failed::Denied)?;
    let mut data = Map::new();
    let mut all = Value::Null;
    for path in params.list("paths").or_else(|| params.list("path")).unwrap_or_default() {
        let given = if token.is_root() {
            vec!["root".to_owned()]
        } else {
            let given = core.allowed(&token.policies, &path, path.ends_with('/'));
            if given.is_empty() { vec!["deny".to_owned()] } else { given.into_iter().collect() }
        };
        all = json!(given);
        data.insert(path, json!(given));
    }
    data.insert("capabilities".into(), all);
    Done::data(Value::Object(data))
}

/// What the command line of vault asks first.
fn shown_mount(core: &mut Core, call: &Call<'_>, path: &str) -> Answer {
    let asked = format!("{}/", path.strip_prefix("ui/mounts/").unwrap_or("").trim_end_matches('/'));
    let found = engines(core).into_iter().find(|(mount, _)| asked.starts_with(mount.as_str()));
    let (mount, mut settings) = found.ok_or(Failed::Denied)?;
    if !core.may_anything_below(call, &mount) {
        return Err(Failed::Denied);
    }
    settings["path"] = json!(mount);
    Done::data(settings)
}
