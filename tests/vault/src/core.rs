//! The server: state, and the way of a request through it: namespace, seal, token, access rules, engine.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::Value;

use crate::acl::{self, Rule};
use crate::approle::AppRole;
use crate::cert_auth::CertAuth;
use crate::engine::{Answer, Done, Failed, Op, bad, to_response};
use crate::fault::Armed;
use crate::http::{Request, Response};
use crate::kv::Kv;
use crate::live::Live;
use crate::pki::Pki;
use crate::token::Tokens;
use crate::{sys, token};

/// A mounted engine.
#[derive(Debug)]
pub(crate) enum Engine {
    Kv(Kv),
    Pki(Box<Pki>),
}

/// A login method.
#[derive(Debug)]
pub(crate) enum Method {
    Token,
    AppRole(AppRole),
    Cert(CertAuth),
}

/// Something mounted, with its settings.
#[derive(Debug)]
pub(crate) struct Mounted<T> {
    pub(crate) kind: T,
    pub(crate) description: String,
    pub(crate) max_lease_ttl: i64,
    pub(crate) default_lease_ttl: i64,
}

/// The server's own limit of a lease: 32 days.
pub(crate) const MAX_LEASE: i64 = 32 * 86_400;

/// All there is.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) sealed: bool,
    pub(crate) ahead: Duration,
    pub(crate) namespace: Option<String>,
    pub(crate) seen: Vec<String>,
    /// The same of those that were answered.
    pub(crate) done: Vec<String>,
    pub(crate) faults: Vec<Armed>,
    pub(crate) engines: BTreeMap<String, Mounted<Engine>>,
    pub(crate) methods: BTreeMap<String, Mounted<Method>>,
    pub(crate) policies: BTreeMap<String, String>,
    pub(crate) audit: BTreeMap<String, Value>,
    pub(crate) tokens: Tokens,
    root: String,
    /// A live server that answers instead.
    pub(crate) live: Option<Live>,
}

/// What a request is judged and answered by.
#[derive(Clone, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) op: Op,
    pub(crate) request: &'a Request,
    /// The token's id, where there is one.
    pub(crate) token: Option<String>,
    pub(crate) now: i64,
}

impl Core {
    pub(crate) fn new() -> Self {
        let mut tokens = Tokens::default();
        let root = tokens.make_root();
        let token = Mounted {
            kind: Method::Token,
            description: "token based credentials".into(),
            max_lease_ttl: 0,
            default_lease_ttl: 0,
        };
        Self {
            sealed: false,
            ahead: Duration::ZERO,
            namespace: None,
            seen: Vec::new(),
            done: Vec::new(),
            faults: Vec::new(),
            engines: BTreeMap::new(),
            methods: BTreeMap::from([("token/".into(), token)]),
            policies: BTreeMap::from([("default".into(), acl::DEFAULT.into())]),
            audit: BTreeMap::new(),
            tokens,
            root,
            live: None,
        }
    }

    /// With a live server that answers instead, where there is one.
    pub(crate) fn with(self, live: Option<Live>) -> Self {
        Self { live, ..self }
    }

    pub(crate) fn root_token(&self) -> String {
        self.live.as_ref().map_or_else(|| self.root.clone(), Live::root_token)
    }

    pub(crate) fn now(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + self.ahead;
        i64::try_from(now.as_secs()).unwrap()
    }

    /// Answers a request.
    pub(crate) fn handle(&mut self, request: &Request) -> Response {
        // A live server is not sealed for a test: then this one answers as a sealed one does.
        let is_own_answer = self.sealed || !self.is_right_namespace(request);
        if let Some(live) = self.live.as_mut().filter(|_| !is_own_answer) {
            return live.handle(request);
        }
        if request.path == "sys/health" {
            // It is the root namespace's alone.
            if request.header("X-Vault-Namespace").is_some_and(|namespace| !namespace.is_empty()) {
                return Response::errors(404, &["unsupported path"]);
            }
            return sys::health(self, request);
        }
        if request.path == "sys/init" && request.method == "GET" {
            return Response::json(200, &serde_json::json!({ "initialized": true }));
        }
        if request.path == "sys/seal-status" {
            return sys::seal_status(self);
        }
        if self.sealed {
            return Response::errors(503, &["Vault is sealed"]);
        }
        if !self.is_right_namespace(request) {
            return Response::errors(404, &["no handler for route \"\". route entry not found."]);
        }
        to_response(self.answer(request))
    }

    fn is_right_namespace(&self, request: &Request) -> bool {
        let asked =
            request.header("X-Vault-Namespace").map(|namespace| namespace.trim_matches('/').to_owned());
        asked.filter(|asked| !asked.is_empty()) == self.namespace
    }

    fn answer(&mut self, request: &Request) -> Answer {
        let listed = request.queried("list").is_some_and(|value| value == "true");
        let op = match request.method.as_str() {
            "GET" if listed => Op::List,
            "GET" => Op::Read,
            "LIST" => Op::List,
            "POST" | "PUT" => Op::Write,
            "DELETE" => Op::Delete,
            "PATCH" if request.header("Content-Type") != Some("application/merge-patch+json") => {
                return Err(Failed::Status(
                    415,
                    "PATCH requires Content-Type of application/merge-patch+json".into(),
                ));
            }
            "PATCH" => Op::Patch,
            _ => return Err(Failed::Status(405, "unsupported operation".into())),
        };
        let now = self.now();
        let token = request.header("X-Vault-Token").map(str::to_owned);
        let call = Call { op, request, token, now };
        if !self.is_open(&request.path) {
            self.admit(&call)?;
        }
        self.route(&call)
    }

    /// What needs no token.
    fn is_open(&self, path: &str) -> bool {
        let login = |(mount, _): (&String, &Mounted<Method>)| path == format!("auth/{mount}login");
        let public = |(mount, mounted): (&String, &Mounted<Engine>)| {
            matches!(mounted.kind, Engine::Pki(_))
                && path.strip_prefix(mount.as_str()).is_some_and(crate::pki::is_open)
        };
        // Who may do anything at a mount may ask about it: that is judged where it is answered.
        let own = path.starts_with("sys/internal/ui/mounts/");
        own || self.methods.iter().any(login) || self.engines.iter().any(public)
    }

    /// Whether the call's token may do anything at or below a path.
    pub(crate) fn may_anything_below(&mut self, call: &Call<'_>, path: &str) -> bool {
        let token = call.token.as_deref().and_then(|id| self.tokens.live(id, call.now)).cloned();
        let Some(token) = token else { return false };
        let texts = token.policies.iter().filter_map(|name| self.policies.get(name));
        let mut rules = texts.flat_map(|text| acl::parse(text).unwrap_or_default());
        token.is_root() || rules.any(|rule| rule.path.starts_with(path))
    }

    /// The token's rules decide.
    fn admit(&mut self, call: &Call<'_>) -> Result<(), Failed> {
        let token = call.token.as_deref().and_then(|id| self.tokens.live(id, call.now));
        let Some(token) = token else { return Err(Failed::Denied) };
        if token.is_root() {
            return Ok(());
        }
        let policies = token.policies.clone();
        let path = call.request.path.as_str();
        // A list is judged by its path with a slash at the end, whether it came with one or not.
        let slash = if call.op == Op::List && !path.ends_with('/') { "/" } else { "" };
        let given = self.allowed(&policies, &format!("{path}{slash}"), call.op == Op::List);
        let exists = call.op == Op::Write && self.exists(path);
        let wanted = match call.op {
            Op::Read => "read",
            Op::List => "list",
            Op::Delete => "delete",
            Op::Patch => "patch",
            Op::Write if exists => "update",
            // Where an engine cannot tell, a write is an update.
            Op::Write if self.can_tell(path) => "create",
            Op::Write => "update",
        };
        let sudo = sys::needs_sudo(path);
        if given.contains(wanted) && (!sudo || given.contains("sudo")) { Ok(()) } else { Err(Failed::Denied) }
    }

    /// What these policies give at a path.
    pub(crate) fn allowed(
        &self,
        policies: &[String],
        path: &str,
        list: bool,
    ) -> std::collections::BTreeSet<String> {
        let texts = policies.iter().filter_map(|name| self.policies.get(name));
        let rules: Vec<Rule> = texts.flat_map(|text| acl::parse(text).unwrap_or_default()).collect();
        acl::capabilities(&rules, path, list)
    }

    fn exists(&self, path: &str) -> bool {
        self.kv_at(path).is_some_and(|(kv, below)| kv.exists(below))
    }

    fn can_tell(&self, path: &str) -> bool {
        self.kv_at(path).is_some()
    }

    fn kv_at<'a>(&self, path: &'a str) -> Option<(&Kv, &'a str)> {
        self.engines.iter().find_map(|(mount, mounted)| match &mounted.kind {
            Engine::Kv(kv) => path.strip_prefix(mount.as_str()).map(|below| (kv, below)),
            Engine::Pki(_) => None,
        })
    }

    fn route(&mut self, call: &Call<'_>) -> Answer {
        let path = call.request.path.clone();
        if let Some(below) = path.strip_prefix("sys/") {
            return sys::answer(self, call, below);
        }
        if let Some(below) = path.strip_prefix("auth/") {
            return self.route_auth(call, below);
        }
        // A list of the mount itself comes without its slash.
        let slashed = format!("{path}/");
        let mount = self.engines.keys().find(|mount| slashed.starts_with(mount.as_str())).cloned();
        let Some(mount) = mount else { return Err(no_route(&path)) };
        let mounted = self.engines.get_mut(&mount).unwrap();
        let below = path.strip_prefix(&mount).unwrap_or("").trim_end_matches('/').to_owned();
        let max = if mounted.max_lease_ttl > 0 { mounted.max_lease_ttl } else { MAX_LEASE };
        match &mut mounted.kind {
            Engine::Kv(kv) => kv.answer(call, &below),
            Engine::Pki(pki) => pki.answer(call, &below, max),
        }
    }

    fn route_auth(&mut self, call: &Call<'_>, path: &str) -> Answer {
        let mount = self.methods.keys().find(|mount| path.starts_with(mount.as_str())).cloned();
        let Some(mount) = mount else { return Err(no_route(&format!("auth/{path}"))) };
        let below = path.strip_prefix(&mount).unwrap_or("").trim_end_matches('/').to_owned();
        let tokens = &mut self.tokens;
        match &mut self.methods.get_mut(&mount).unwrap().kind {
            Method::Token => token::answer(tokens, call, &below),
            Method::AppRole(method) => method.answer(tokens, call, &below),
            Method::Cert(method) => method.answer(tokens, call, &below),
        }
    }

    /// Mounts an engine.
    pub(crate) fn mount(&mut self, path: &str, kind: &str, version: Option<&str>) -> Result<(), Failed> {
        let path = format!("{}/", path.trim_end_matches('/'));
        if self.engines.keys().any(|there| there.starts_with(&path) || path.starts_with(there.as_str())) {
            return Err(bad(format!("path is already in use at {path}")));
        }
        let engine = match kind {
            "pki" => Engine::Pki(Box::default()),
            "kv" => Engine::Kv(Kv::new(version == Some("2"))),
            "kv-v2" => Engine::Kv(Kv::new(true)),
            other => return Err(bad(format!("plugin not found in the catalog: {other}"))),
        };
        let mounted =
            Mounted { kind: engine, description: String::new(), max_lease_ttl: 0, default_lease_ttl: 0 };
        self.engines.insert(path, mounted);
        Ok(())
    }
}

fn no_route(path: &str) -> Failed {
    Failed::Status(404, format!("no handler for route \"{path}\". route entry not found."))
}

/// A random id with a prefix, as tokens and secret ids have.
pub(crate) fn random_id(prefix: &str) -> String {
    let mut bytes = [0; 18];
    SystemRandom::new().fill(&mut bytes).unwrap();
    format!("{prefix}{}", BASE64URL_NOPAD.encode(&bytes))
}

/// A random id in the form of a UUID.
pub(crate) fn uuid() -> String {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).unwrap();
    let hex = data_encoding::HEXLOWER.encode(&bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// For operations that an endpoint does not have.
pub(crate) fn unsupported() -> Answer {
    Err(Failed::Status(405, "1 error occurred:\n\t* unsupported operation\n\n".into()))
}

/// Nothing to say, and it worked.
pub(crate) fn done() -> Answer {
    Done::nothing()
}
