//! Tokens: made, looked up, renewed up to their end, revoked.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::core::{Call, MAX_LEASE, done, random_id, unsupported};
use crate::engine::{Answer, Done, Failed, Op, bad};
use crate::params::{Params, go};

/// A token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) policies: Vec<String>,
    accessor: String,
    display_name: String,
    created: i64,
    creation_ttl: i64,
    /// `None`: never.
    expires: Option<i64>,
    renewable: bool,
    explicit_max_ttl: i64,
    max_ttl: i64,
    period: i64,
    num_uses: i64,
    path: String,
}

/// What a token is to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewToken {
    pub(crate) policies: Vec<String>,
    pub(crate) display_name: String,
    pub(crate) ttl: i64,
    pub(crate) max_ttl: i64,
    pub(crate) explicit_max_ttl: i64,
    pub(crate) period: i64,
    pub(crate) num_uses: i64,
    pub(crate) not_renewable: bool,
    /// Without the policy "default".
    pub(crate) no_default: bool,
    pub(crate) path: String,
}

impl Token {
    pub(crate) fn is_root(&self) -> bool {
        self.policies.iter().any(|policy| policy == "root")
    }

    fn data(&self, id: &str, now: i64) -> Value {
        json!({
            "accessor": self.accessor,
            "creation_time": self.created,
            "creation_ttl": self.creation_ttl,
            "display_name": self.display_name,
            "entity_id": "",
            "expire_time": self.expires,
            "explicit_max_ttl": self.explicit_max_ttl,
            "id": id,
            "meta": null,
            "num_uses": self.num_uses,
            "orphan": true,
            "path": self.path,
            "policies": self.policies,
            "period": if self.period > 0 { json!(self.period) } else { Value::Null },
            "renewable": self.renewable,
            "ttl": self.expires.map_or(0, |end| end - now),
            "type": "service",
        })
    }

    /// The latest end that renewals reach.
    fn end(&self, now: i64) -> i64 {
        if self.period > 0 && self.explicit_max_ttl == 0 {
            return now + self.period;
        }
        let max = [self.explicit_max_ttl, self.max_ttl, MAX_LEASE].into_iter().filter(|max| *max > 0).min();
        self.created + max.unwrap_or(MAX_LEASE)
    }
}

/// All tokens, by id.
#[derive(Debug, Default)]
pub(crate) struct Tokens(BTreeMap<String, Token>);

impl Tokens {
    pub(crate) fn make_root(&mut self) -> String {
        let new =
            NewToken { policies: vec!["root".into()], display_name: "root".into(), ..NewToken::default() };
        let id = random_id("hvs.");
        let mut token = made(new, 0);
        token.expires = None;
        token.creation_ttl = 0;
        token.renewable = false;
        self.0.insert(id.clone(), token);
        id
    }

    pub(crate) fn live(&mut self, id: &str, now: i64) -> Option<&Token> {
        if self.0.get(id)?.expires.is_some_and(|end| end <= now) {
            self.0.remove(id);
        }
        let token = self.0.get_mut(id)?;
        match token.num_uses {
            0 => {}
            1 => token.num_uses = -1,
            -1 => {
                self.0.remove(id);
                return None;
            }
            _ => token.num_uses -= 1,
        }
        self.0.get(id)
    }

    /// Makes a token; the `auth` of an answer.
    pub(crate) fn make(&mut self, mut new: NewToken, now: i64) -> Value {
        if !new.no_default && !new.policies.iter().any(|policy| policy == "default" || policy == "root") {
            new.policies.insert(0, "default".into());
        }
        let id = random_id("hvs.");
        let token = made(new, now);
        let auth = auth(&id, &token, now);
        self.0.insert(id, token);
        auth
    }
}

fn made(new: NewToken, now: i64) -> Token {
    let mut token = Token {
        policies: new.policies,
        accessor: random_id(""),
        display_name: new.display_name,
        created: now,
        creation_ttl: 0,
        expires: None,
        renewable: !new.not_renewable,
        explicit_max_ttl: new.explicit_max_ttl,
        max_ttl: new.max_ttl,
        period: new.period,
        num_uses: new.num_uses,
        path: new.path,
    };
    let wanted = [new.period, new.ttl, MAX_LEASE].into_iter().find(|ttl| *ttl > 0).unwrap_or(MAX_LEASE);
    let end = (now + wanted).min(token.end(now));
    token.creation_ttl = end - now;
    token.expires = Some(end);
    token
}

fn auth(id: &str, token: &Token, now: i64) -> Value {
    json!({
        "client_token": id,
        "accessor": token.accessor,
        "policies": token.policies,
        "token_policies": token.policies,
        "metadata": null,
        "lease_duration": token.expires.map_or(0, |end| end - now),
        "renewable": token.renewable,
        "entity_id": "",
        "token_type": "service",
        "orphan": true,
        "num_uses": token.num_uses,
    })
}

/// `auth/token/…`.
pub(crate) fn answer(tokens: &mut Tokens, call: &Call<'_>, path: &str) -> Answer {
    let own = call.token.clone().ok_or(Failed::Denied)?;
    let params = Params::of(&call.request.body);
    let named = || params.text("token");
    match (call.op, path) {
        (Op::Read, "lookup-self") => lookup(tokens, &own, call.now),
        (Op::Write, "lookup") => lookup(tokens, &named(), call.now),
        (Op::Write, "renew-self") => renew(tokens, &own, params.seconds("increment"), call.now),
        (Op::Write, "renew") => renew(tokens, &named(), params.seconds("increment"), call.now),
        (Op::Write, "revoke-self") => {
            tokens.0.remove(&own);
            done()
        }
        (Op::Write, "revoke" | "revoke-orphan") => {
            tokens.0.remove(&named());
            done()
        }
        (Op::Write, "create" | "create-orphan") => create(tokens, call, &own, &params),
        _ => unsupported(),
    }
}

fn lookup(tokens: &Tokens, id: &str, now: i64) -> Answer {
    let token = tokens.0.get(id).filter(|token| token.expires.is_none_or(|end| end > now));
    token
        .map_or_else(|| Err(Failed::Status(403, "bad token".into())), |token| Done::data(token.data(id, now)))
}

fn create(tokens: &mut Tokens, call: &Call<'_>, own: &str, params: &Params<'_>) -> Answer {
    let parent = tokens.0.get(own).cloned().ok_or(Failed::Denied)?;
    let policies = params.list("policies").unwrap_or_else(|| parent.policies.clone());
    if !parent.is_root() && policies.iter().any(|policy| !parent.policies.contains(policy)) {
        return Err(bad("child policies must be subset of parent"));
    }
    let new = NewToken {
        policies,
        display_name: format!("token {}", params.text("display_name")).trim_end().to_owned(),
        ttl: params.seconds("ttl"),
        max_ttl: 0,
        explicit_max_ttl: params.seconds("explicit_max_ttl"),
        period: params.seconds("period"),
        num_uses: params.number("num_uses", 0),
        not_renewable: !params.flag("renewable", true),
        no_default: params.flag("no_default_policy", false),
        path: "auth/token/create".into(),
    };
    let _ = (params.get("no_parent"), params.get("meta"), params.get("type"));
    Ok(Done { auth: Some(tokens.make(new, call.now)), ..Done::default() })
}

fn renew(tokens: &mut Tokens, id: &str, increment: i64, now: i64) -> Answer {
    let token = tokens.0.get_mut(id).ok_or_else(|| Failed::Status(403, "token not found".into()))?;
    if !token.renewable {
        return Err(bad("lease is not renewable"));
    }
    let wanted = [token.period, increment, token.creation_ttl].into_iter().find(|ttl| *ttl > 0).unwrap_or(0);
    let end = token.end(now);
    let mut warnings = Vec::new();
    if now + wanted > end {
        let (given, most) = (go(wanted), go(end - now));
        warnings.push(format!(
            "TTL of \"{given}\" exceeded the effective max_ttl of \"{most}\"; TTL value is capped accordingly"
        ));
    }
    token.expires = Some((now + wanted).min(end));
    Ok(Done { auth: Some(auth(id, token, now)), warnings, ..Done::default() })
}
